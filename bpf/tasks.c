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

