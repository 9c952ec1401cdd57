/*
 * Wake-ups for whoever looks at processes and their ports: that something happened, and to whom.
 * They have a ring of their own, and nothing to do with what is subscribed. None is attached to
 * system calls, so that nobody pays for them who does not exec, exit, listen or connect.
 */
struct wakeup {
	u32 kind;		/* WAKE_* */
	u32 tgid;
};
_Static_assert(sizeof(struct wakeup) == WAKEUP_SIZE, "the engine decodes another wake-up");

BPF_RINGBUF_OUTPUT(wakeup_ring, 1);
BPF_PERCPU_ARRAY(wakeups_lost, u64, 1);	/* those the ring had no room for */

/* The kernel wakes the reader if it had read everything before, else it is about to read on. */
static __always_inline void wake_up(u32 kind)
{
	u32 zero = 0;
	struct wakeup w = {.kind = kind, .tgid = bpf_get_current_pid_tgid() >> 32};
	struct config *c = config.lookup(&zero);
	u64 *lost;

	if (!c || w.tgid == c->own_tgid)
		return;
	if (!wakeup_ring.ringbuf_output(&w, sizeof(w), 0))
		return;
	lost = wakeups_lost.lookup(&zero);
	if (lost)
		*lost += 1;
}

int on_exec_wake(struct bpf_raw_tracepoint_args *ctx)
{
	wake_up(WAKE_EXEC);
	return 0;
}

/* The last thread of a process: it has begun to end, and still has its sockets. */
int on_exit_wake(struct bpf_raw_tracepoint_args *ctx)
{
#ifdef HAVE_EXIT
	if (last_thread(ctx))
		wake_up(WAKE_EXIT);
#endif
	return 0;
}

/* An accepted connection has its listener's state first, and goes from there to SYN_RECV. */
int on_listen_wake(struct bpf_raw_tracepoint_args *ctx)
{
	u32 old = ctx->args[1], new = ctx->args[2];

	if ((old == TCP_CLOSE && new == TCP_LISTEN) || (old == TCP_LISTEN && new == TCP_CLOSE))
		wake_up(WAKE_LISTEN);
	return 0;
}
