/* Processes and threads. */
#ifdef HAVE_EXIT
static __always_inline bool last_thread(struct bpf_raw_tracepoint_args *ctx)
{
#if EXIT_TELLS_GROUP
	return ctx->args[1] & 1;
#else
	u64 signal = 0;
	u32 live = 1;

	GET(signal, ctx->args[0], O_TASK_SIGNAL);
	GET(live, signal, O_SIGNAL_LIVE);
	return live == 0;
#endif
}
#endif

int on_process_exit(struct bpf_raw_tracepoint_args *ctx)
{
#ifdef HAVE_EXIT
	u32 slot = SLOT_PROCEXIT, task_flags = 0, code = 0;
	struct pair *pair = pair_of(ROW_PROCEXIT);
	struct scratch *s;

	if (!pair || !pair->enter[CAT_PROCESS])
		return 0;
	if (!wanted_process(bpf_get_current_pid_tgid() >> 32))
		return 0;
	GET(task_flags, ctx->args[0], O_TASK_FLAGS);
	if (task_flags & PF_KTHREAD)
		return 0;
	GET(code, ctx->args[0], O_TASK_EXIT_CODE);
	s = scratch_of(slot);
	if (!s)
		return 0;
	describe(&s->event, ROW_PROCEXIT, CAT_PROCESS);
	s->event.args[0] = code;
	s->event.args[1] = last_thread(ctx);
	publish(s, slot);
#endif
	return 0;
}


/* What is known of a thread that need not be the current one. */
static __always_inline void describe_task(struct event *e, u64 task)
{
#ifdef HAVE_TASK
	u64 cred = 0;

	GET(e->tgid, task, O_TASK_TGID);
	GET(e->tid, task, O_TASK_PID);
	GET(cred, task, O_TASK_CRED);
	GET(e->uid, cred, O_CRED_UID);
	GET(e->gid, cred, O_CRED_GID);
	bpf_probe_read_kernel(e->comm, sizeof(e->comm), (void *)(task + O_TASK_COMM));
	e->cgroup = 0;
#endif
}

/* A string of the kernel, such as a name. */
static __always_inline void capture_kernel_text(struct scratch *s, u8 argument, u64 from)
{
	u8 *bytes = open_section(s);
	long length;

	if (!bytes)
		return;
	length = bpf_probe_read_kernel_str(bytes, SECTION_MAX, (void *)from);
	if (length < 0)
		s->event.flags |= EV_MISSING;
	else
		close_section(s, bytes, SECTION_TEXT, argument, length);
}

/* Begin an event of the current thread; NULL if nobody wants it. */
static __always_inline struct scratch *begin_current(u32 slot, u16 row, u8 category)
{
	struct scratch *s;

	if (!wanted_process(bpf_get_current_pid_tgid() >> 32))
		return NULL;
	s = scratch_of(slot);
	if (s)
		describe(&s->event, row, category);
	return s;
}

static __always_inline bool is_on(u32 row, u8 category)
{
	struct pair *pair = pair_of(row);

	return pair && (row & 1 ? pair->exit : pair->enter)[category];
}

#ifdef HAVE_EXECUTED
/* The arguments lie one behind the other on the new stack, each with its NUL. */
static __always_inline void capture_arguments(struct scratch *s)
{
	u64 mm = 0, start = 0, end = 0, length;
	u8 *bytes = open_section(s);

	if (!bytes)
		return;
	GET(mm, bpf_get_current_task(), O_TASK_MM);
	GET(start, mm, O_MM_ARG_START);
	GET(end, mm, O_MM_ARG_END);
	length = end - start;
	if (length > SECTION_MAX - 1)
		length = SECTION_MAX - 1;
	asm volatile("" : "+r"(length));
	if (length > SECTION_MAX - 1)
		return;
	if (bpf_probe_read_user(bytes, length, (void *)start))
		s->event.flags |= EV_MISSING;
	else
		close_section(s, bytes, SECTION_ARGV, 1, length);
}
#endif

int on_process_exec(struct bpf_raw_tracepoint_args *ctx)
{
#ifdef HAVE_EXECUTED
	u64 name = 0;
	struct scratch *s;

	if (!is_on(ROW_PROCESS_EXEC, CAT_PROCESS))
		return 0;
	s = begin_current(SLOT_PROCESS_EXEC, ROW_PROCESS_EXEC, CAT_PROCESS);
	if (!s)
		return 0;
	s->event.args[0] = (u32)ctx->args[1];
	GET(name, ctx->args[2], O_BPRM_FILENAME);
	capture_kernel_text(s, 0, name);
	capture_arguments(s);
	publish(s, SLOT_PROCESS_EXEC);
#endif
	return 0;
}

int on_process_fork(struct bpf_raw_tracepoint_args *ctx)
{
#ifdef HAVE_TASK
	u32 tid = 0, tgid = 0;
	struct scratch *s;

	if (!is_on(ROW_PROCESS_FORK, CAT_PROCESS))
		return 0;
	s = begin_current(SLOT_PROCESS_FORK, ROW_PROCESS_FORK, CAT_PROCESS);
	if (!s)
		return 0;
	GET(tid, ctx->args[1], O_TASK_PID);
	GET(tgid, ctx->args[1], O_TASK_TGID);
	s->event.args[0] = tid;
	s->event.args[1] = tgid;
	publish(s, SLOT_PROCESS_FORK);
#endif
	return 0;
}

int on_new_task(struct bpf_raw_tracepoint_args *ctx)
{
#ifdef HAVE_TASK
	u32 tid = 0, tgid = 0;
	struct scratch *s;

	if (!is_on(ROW_TASK_NEWTASK, CAT_PROCESS))
		return 0;
	s = begin_current(SLOT_TASK_NEWTASK, ROW_TASK_NEWTASK, CAT_PROCESS);
	if (!s)
		return 0;
	GET(tid, ctx->args[0], O_TASK_PID);
	GET(tgid, ctx->args[0], O_TASK_TGID);
	s->event.args[0] = tid;
	s->event.args[1] = tgid;
	s->event.args[2] = ctx->args[1];
	publish(s, SLOT_TASK_NEWTASK);
#endif
	return 0;
}

int on_task_rename(struct bpf_raw_tracepoint_args *ctx)
{
#ifdef HAVE_TASK
	u32 tgid = 0, by = bpf_get_current_pid_tgid();
	struct scratch *s;

	if (!is_on(ROW_TASK_RENAME, CAT_PROCESS))
		return 0;
	GET(tgid, ctx->args[0], O_TASK_TGID);
	if (!wanted_process(tgid))
		return 0;
	s = scratch_of(SLOT_TASK_RENAME);
	if (!s)
		return 0;
	describe(&s->event, ROW_TASK_RENAME, CAT_PROCESS);
	if (ctx->args[0] != bpf_get_current_task())
		describe_task(&s->event, ctx->args[0]);
	s->event.args[0] = by;
	capture_kernel_text(s, 0, ctx->args[0] + O_TASK_COMM);
	capture_kernel_text(s, 1, ctx->args[1]);
	publish(s, SLOT_TASK_RENAME);
#endif
	return 0;
}

int on_oom_victim(struct bpf_raw_tracepoint_args *ctx)
{
#ifdef HAVE_VICTIM
	u64 mm = 0, pages = 0, task = ctx->args[0], signal = 0;
	u32 tgid = 0;
	s16 adjusted = 0;
	struct scratch *s;

	if (!is_on(ROW_MARK_VICTIM, CAT_MEMORY))
		return 0;
	GET(tgid, task, O_TASK_TGID);
	if (!wanted_process(tgid))
		return 0;
	s = scratch_of(SLOT_MARK_VICTIM);
	if (!s)
		return 0;
	describe(&s->event, ROW_MARK_VICTIM, CAT_MEMORY);
	describe_task(&s->event, task);
	GET(mm, task, O_TASK_MM);
	GET(pages, mm, O_MM_TOTAL_VM);
	GET(signal, task, O_TASK_SIGNAL);
	GET(adjusted, signal, O_SIGNAL_OOM_SCORE);
	s->event.args[0] = pages * (PAGE_SIZE / 1024);
	s->event.args[1] = (s64)adjusted;
	publish(s, SLOT_MARK_VICTIM);
#endif
	return 0;
}
