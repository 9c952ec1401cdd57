#define EXECVE_OF_32_BITS 11

/* System calls: one pair of programs for all of them. */
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
	switch (call->fd_argument) {
	case 0:
		return regs->di;
	case 1:
		return regs->si;
	case 2:
		return regs->dx;
	case 3:
		return regs->r10;
	}
	return regs->r8;
}

/* The descriptor an event shows; a call that may do without one shows none then. */
static __always_inline void show_fd(struct event *e, const struct call *call,
				    const struct pt_regs *regs)
{
	s32 fd;

	if (call->fd_argument == NO_ARGUMENT)
		return;
	fd = fd_argument(call, regs);
	if (fd >= 0 || !call->category)
		e->fd = fd;
}

/*
 * A new image begins with the number of execve in its registers, whichever call asked for it: an
 * execveat has to be remembered also where only the exit of execve is to be seen.
 */
static __always_inline bool is_told_apart(u16 row)
{
	struct pair *execve;

	if (row != ROW_EXECVEAT)
		return false;
	execve = pair_of(ROW_EXECVE);
	return execve && any_on(execve->exit);
}

/*
 * The number of the call that returns, for an execve may have been an execveat, and a call that
 * has made a 64-bit process one of 32 bits returns as if it had been one of those.
 */
static __always_inline u64 number_returning(u64 in_registers, s64 result)
{
	u64 id = bpf_get_current_pid_tgid();
	struct start *entered;

	if (result || (in_registers != CALL_NUMBER_EXECVE && in_registers != EXECVE_OF_32_BITS))
		return in_registers;
	if (in_registers == EXECVE_OF_32_BITS && !compat_call())
		return in_registers;
	entered = in_flight.lookup(&id);
	if (!entered || entered->thread != id)
		return in_registers;
	if (entered->row == ROW_EXECVEAT)
		return CALL_NUMBER_EXECVEAT;
	return entered->row == ROW_EXECVE ? CALL_NUMBER_EXECVE : in_registers;
}

/*
 * Remember an entered call until its exit, or forget what an earlier one left behind. A thread's
 * entry stays and is written over: making a new one costs more than all the rest of a call.
 */
static __always_inline void remember(const struct pair *pair, const struct call *call,
				     u64 id, u8 category, u8 fd_type, u64 file)
{
	struct start *own = in_flight.lookup(&id);

	if (pair->exit[category & CATEGORY_MASK] || is_told_apart(call->row)) {
		struct start start = {
			.thread = id,
			.ts = bpf_ktime_get_ns(),
			.row = call->row,
			.generation = pair->exit[GENERATION],
			.category = category,
			.fd_type = fd_type,
			.file = file,
		};

		if (call->flags & CALL_FD_GONE)
			keep_described(id, file, fd_type);
		if (own)
			*own = start;
		else
			in_flight.update(&id, &start);
	} else if (own) {
		own->row = 0;
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
	u64 id, file = 0;

	if (!call || !(call->flags & CALL_KNOWN))
		return 0;
	pair = pair_of(call->row);
	if (!pair || !(any_on(pair->enter) || any_on(pair->exit) || is_told_apart(call->row)))
		return 0;
	id = bpf_get_current_pid_tgid();
	if (!wanted_process(id >> 32) || compat_call())
		return 0;
	bpf_probe_read_kernel(&regs, sizeof(regs), (void *)ctx->args[0]);
	category = call->category;
	if (call->fd_argument != NO_ARGUMENT)
		file = file_of(fd_argument(call, &regs));
	if (!category) {
		if (file)
			fd_type = file_type(file);
		category = category_of(fd_type);
	}
	remember(pair, call, id, category, fd_type, file);
	if (!pair->enter[category & CATEGORY_MASK])
		return 0;
	s = scratch_of(slot);
	if (!s)
		return 0;
	describe(&s->event, call->row, category);
	copy_arguments(&s->event, &regs);
	s->event.fd_type = fd_type;
	show_fd(&s->event, call, &regs);
	describe_fd(s, file);
	capture_all(s, call->enter, false);
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
	u64 id, orig_ax = 0, entered = 0, file = 0;
	bool open = true;

	GET(orig_ax, ctx->args[0], __builtin_offsetof(struct pt_regs, orig_ax));
	if (orig_ax >= CALLS)
		return 0;
	number = number_returning(orig_ax, ctx->args[1]);
	call = calls.lookup(&number);
	if (!call || !(call->flags & CALL_KNOWN))
		return 0;
	pair = pair_of(call->row);
	if (!pair || !any_on(pair->exit))
		return 0;
	id = bpf_get_current_pid_tgid();
	if (!wanted_process(id >> 32) || (number == orig_ax && compat_call()))
		return 0;
	bpf_probe_read_kernel(&regs, sizeof(regs), (void *)ctx->args[0]);
	category = call->category;
	start = in_flight.lookup(&id);
	if (start && start->thread == id && start->row == call->row &&
	    start->generation == pair->exit[GENERATION]) {
		entered = start->ts;
		category = start->category;
		fd_type = start->fd_type;
		file = start->file;
		start->row = 0;
	} else if (!category) {
		/* Entered before it was subscribed: judge the descriptor as it is now. */
		if (!(call->flags & CALL_FD_GONE))
			file = file_of(fd_argument(call, &regs));
		open = file != 0;
		if (open)
			fd_type = file_type(file);
		category = category_of(fd_type);
	}
	if (!pair->exit[category & CATEGORY_MASK] || !wanted_result(call, ctx->args[1], slot))
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
	if (call->flags & CALL_RETURNS_FD && s->event.result >= 0) {
		s->event.fd = s->event.result;
		file = 0;
	} else {
		show_fd(&s->event, call, &regs);
	}
	if (!(call->flags & CALL_FD_GONE))
		describe_fd(s, file);
	else if (file)
		recall_described(s, id);
	capture_all(s, call->exit, true);
	publish(s, slot);
	return 0;
}

