/* Children of chosen processes: chosen before they run, forgotten when they are gone. */
int on_fork_follow(struct bpf_raw_tracepoint_args *ctx)
{
#ifdef HAVE_FOLLOW
	u32 parent = bpf_get_current_pid_tgid() >> 32, child = 0, slot = SLOT_FOLLOW;
	u8 member = PID_PROCESS | PID_FOLLOWED, *known = pids.lookup(&parent);
	struct stats *counted;

	if (!known || !(*known & PID_PROCESS))
		return 0;
	GET(child, ctx->args[1], O_TASK_TGID);
	if (child == parent || !pids.update(&child, &member))
		return 0;
	counted = stats.lookup(&slot);
	if (counted)
		counted->unfollowed++;
#endif
	return 0;
}

int on_free_follow(struct bpf_raw_tracepoint_args *ctx)
{
#ifdef HAVE_FOLLOW
	u32 tid = 0;
	u8 *known;

	GET(tid, ctx->args[0], O_TASK_PID);
	known = pids.lookup(&tid);
	if (known && *known & PID_FOLLOWED)
		pids.delete(&tid);
#endif
	return 0;
}
