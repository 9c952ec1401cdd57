/* System calls: one pair of programs for all of them, and what each call's memory holds. */
static __always_inline void capture_path(struct scratch *s, u8 argument, u64 from)
{
	u8 *bytes = open_section(s);
	long length;

	if (!bytes)
		return;
	length = bpf_probe_read_user_str(bytes, PATH_MAX, (void *)from);
	if (length < 0)
		s->event.flags |= EV_MISSING;
	else
		close_section(s, bytes, SECTION_TEXT, argument, length);
}

static __always_inline void capture_sockaddr(struct scratch *s, u8 argument, u64 from,
					      u64 length)
{
	u8 *bytes = open_section(s);

	if (length > SOCKADDR_MAX)
		length = SOCKADDR_MAX;
	asm volatile("" : "+r"(length));
	if (!bytes || length > SOCKADDR_MAX)
		return;
	if (bpf_probe_read_user(bytes, length, (void *)from))
		s->event.flags |= EV_MISSING;
	else
		close_section(s, bytes, SECTION_SOCKADDR, argument, length);
}

static __always_inline void capture_peer(struct scratch *s, s64 fd)
{
#if defined(HAVE_FD) && defined(HAVE_TUPLE)
	u64 inode, file;

	if (fd < 0)
		return;
	file = file_of(fd);
	if (file && mode_of(file, &inode) == S_IFSOCK) {
		capture_tuple(s, sock_of(file));
		return;
	}
	s->event.flags |= EV_MISSING;
#endif
}

/*
 * The name given to a successful execve: the old memory is gone, but the kernel has put the
 * name on the new stack, right behind the environment.
 */
static __always_inline void capture_executed(struct scratch *s)
{
#ifdef HAVE_EXEC
	u64 mm = 0, name = 0;

	GET(mm, bpf_get_current_task(), O_TASK_MM);
	GET(name, mm, O_MM_ENV_END);
	capture_path(s, 0, name);
#else
	s->event.flags |= EV_MISSING;
#endif
}

static __always_inline u64 argument_of(const struct scratch *s, u8 argument)
{
	return argument < 6 ? s->event.args[argument] : 0;
}

static __always_inline void capture(struct scratch *s, u8 what, u8 argument, bool exit)
{
	switch (what) {
	case CAPTURE_PATH:
		capture_path(s, argument, argument_of(s, argument));
		break;
	case CAPTURE_SOCKADDR:
		capture_sockaddr(s, argument, argument_of(s, argument),
				 argument_of(s, argument + 1));
		break;
	case CAPTURE_PEER:
		capture_peer(s, s->event.result);
		break;
	case CAPTURE_EXEC:
		if (exit && s->event.result == 0)
			capture_executed(s);
		else
			capture_path(s, argument, argument_of(s, argument));
		break;
	}
}

static __always_inline void copy_arguments(struct event *e, const struct pt_regs *regs)
{
	e->args[0] = regs->di;
	e->args[1] = regs->si;
	e->args[2] = regs->dx;
	e->args[3] = regs->r10;
	e->args[4] = regs->r8;
	e->args[5] = regs->r9;
}

static __always_inline u64 fd_argument(const struct call *call, const struct pt_regs *regs)
{
	return call->fd_argument == 0 ? regs->di : call->fd_argument == 1 ? regs->si : regs->r10;
}

/* Remember an entered call until its exit, or forget what an earlier one left behind. */
static __always_inline void remember(const struct pair *pair, const struct call *call,
				     u64 id, u8 category, u8 fd_type)
{
	if (pair->exit[category & CATEGORY_MASK]) {
		struct start start = {
			.ts = bpf_ktime_get_ns(),
			.row = call->row,
			.generation = pair->exit[GENERATION],
			.category = category,
			.fd_type = fd_type,
		};

		in_flight.update(&id, &start);
	} else if (in_flight.lookup(&id)) {
		in_flight.delete(&id);
	}
}

int on_sys_enter(struct bpf_raw_tracepoint_args *ctx)
{
	u32 number = ctx->args[1], slot = SLOT_ENTER;
	struct call *call = calls.lookup(&number);
	struct pt_regs regs;
	struct scratch *s;
	struct pair *pair;
	u8 category, fd_type = FD_UNKNOWN;
	bool open;
	u64 id;

	if (!call || !(call->flags & CALL_KNOWN))
		return 0;
	pair = pair_of(call->row);
	if (!pair || !(any_on(pair->enter) || any_on(pair->exit)))
		return 0;
	id = bpf_get_current_pid_tgid();
	if (!wanted_process(id >> 32) || compat_call())
		return 0;
	bpf_probe_read_kernel(&regs, sizeof(regs), (void *)ctx->args[0]);
	category = call->category;
	if (!category) {
		fd_type = fd_type_of(fd_argument(call, &regs), &open);
		category = category_of(fd_type);
	}
	remember(pair, call, id, category, fd_type);
	if (!pair->enter[category & CATEGORY_MASK])
		return 0;
	s = scratch_of(slot);
	if (!s)
		return 0;
	describe(&s->event, call->row, category);
	copy_arguments(&s->event, &regs);
	s->event.fd_type = fd_type;
	if (call->fd_argument != 255)
		s->event.fd = fd_argument(call, &regs);
	capture(s, call->enter_capture, call->argument, false);
	publish(s, slot);
	return 0;
}

int on_sys_exit(struct bpf_raw_tracepoint_args *ctx)
{
	u32 number, slot = SLOT_EXIT;
	struct start *start;
	struct call *call;
	struct pt_regs regs;
	struct scratch *s;
	struct pair *pair;
	u8 category, fd_type = FD_UNKNOWN;
	u16 flags = 0;
	u64 id, orig_ax = 0, entered = 0;
	bool open = true;

	GET(orig_ax, ctx->args[0], __builtin_offsetof(struct pt_regs, orig_ax));
	if (orig_ax >= CALLS)
		return 0;
	number = orig_ax;
	call = calls.lookup(&number);
	if (!call || !(call->flags & CALL_KNOWN))
		return 0;
	pair = pair_of(call->row);
	if (!pair || !any_on(pair->exit))
		return 0;
	id = bpf_get_current_pid_tgid();
	if (!wanted_process(id >> 32) || compat_call())
		return 0;
	bpf_probe_read_kernel(&regs, sizeof(regs), (void *)ctx->args[0]);
	category = call->category;
	start = in_flight.lookup(&id);
	if (start && start->row == call->row && start->generation == pair->exit[GENERATION]) {
		entered = start->ts;
		category = start->category;
		fd_type = start->fd_type;
		in_flight.delete(&id);
	} else if (!category) {
		/* Entered before it was subscribed: judge the descriptor as it is now. */
		open = false;
		if (!(call->flags & CALL_FD_GONE))
			fd_type = fd_type_of(fd_argument(call, &regs), &open);
		category = category_of(fd_type);
	}
	if (!pair->exit[category & CATEGORY_MASK])
		return 0;
	s = scratch_of(slot);
	if (!s)
		return 0;
	describe(&s->event, call->row + 1, category);
	copy_arguments(&s->event, &regs);
	s->event.result = ctx->args[1];
	s->event.fd_type = fd_type;
	if (!open)
		s->event.flags |= EV_UNRESOLVED;
	if (entered) {
		s->event.latency = s->event.ts - entered;
		s->event.flags |= EV_LATENCY;
	}
	if (call->flags & CALL_RETURNS_FD && s->event.result >= 0)
		s->event.fd = s->event.result;
	else if (call->fd_argument != 255)
		s->event.fd = fd_argument(call, &regs);
	capture(s, call->exit_capture, call->argument, true);
	publish(s, slot);
	return 0;
}

