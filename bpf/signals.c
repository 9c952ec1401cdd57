/* Signals: who sent what, and what became of it. */
#define SI_USER 0
#define SI_QUEUE -1
#define SI_TKILL -6
#define SI_KERNEL 0x80
#define INFO_NONE 0		/* in place of a siginfo: a user's, and the kernel's own */
#define INFO_KERNEL 1
#define SIGKILL 9
#define SIGCHLD 17
#define SIGNAL_GROUP_EXIT 4
#define TO_GROUP (1ULL << 63)

struct sender {
	u32 tgid, tid;
	char comm[16];
};

/* By signal and target (TO_GROUP: a process, else a thread), until the signal is delivered. */
BPF_F_TABLE("lru_hash", u64, struct sender, senders, PENDING_SIGNALS, 0);

#ifdef HAVE_SIGNALS
static __always_inline s32 code_of(u64 info)
{
	s32 code = SI_USER;

	if (info == INFO_KERNEL)
		return SI_KERNEL;
	if (info != INFO_NONE)
		GET(code, info, O_SIGINFO_CODE);
	return code;
}

/* Whether the current thread sent it, rather than the kernel on top of whatever was running. */
static __always_inline bool is_sent(u32 signal, s32 code)
{
	if (signal == SIGCHLD)
		return code != SI_KERNEL;
	return code == SI_USER || code == SI_QUEUE || code == SI_TKILL;
}
#endif

int on_signal_generate(struct bpf_raw_tracepoint_args *ctx)
{
#ifdef HAVE_SIGNALS
	u32 signal = ctx->args[0], target = 0;
	u64 key = (u64)signal << 32, id = bpf_get_current_pid_tgid();
	struct sender sender = {};

	if (!is_on(ROW_SIGNAL_DELIVER, CAT_SIGNAL))
		return 0;
	if (ctx->args[3]) {
		GET(target, ctx->args[2], O_TASK_TGID);
		key |= TO_GROUP;
	} else {
		GET(target, ctx->args[2], O_TASK_PID);
	}
	key |= target;
	if (!is_sent(signal, code_of(ctx->args[1]))) {
		senders.delete(&key);
		return 0;
	}
	sender.tgid = id >> 32;
	sender.tid = id;
	bpf_get_current_comm(sender.comm, sizeof(sender.comm));
	senders.update(&key, &sender);
#endif
	return 0;
}

int on_signal_deliver(struct bpf_raw_tracepoint_args *ctx)
{
#ifdef HAVE_SIGNALS
	u32 delivered = ctx->args[0], signal = delivered, flags = 0, code = 0;
	u64 info = ctx->args[1], id = bpf_get_current_pid_tgid(), group = 0, handler = 0, key;
	struct sender *sender;
	bool leaving = false;
	struct scratch *s;

	if (!is_on(ROW_SIGNAL_DELIVER, CAT_SIGNAL))
		return 0;
	s = begin_current(SLOT_SIGNAL_DELIVER, ROW_SIGNAL_DELIVER, CAT_SIGNAL);
	if (!s)
		return 0;
	/* What ends a process reaches its threads as SIGKILL; the group knows what it was. */
	if (delivered == SIGKILL && info == INFO_NONE) {
		GET(group, bpf_get_current_task(), O_TASK_SIGNAL);
		GET(flags, group, O_SIGNAL_FLAGS);
		GET(code, group, O_SIGNAL_EXIT_CODE);
		if (flags & SIGNAL_GROUP_EXIT) {
			leaving = !(code & 127);
			if (!leaving)
				signal = code & 127;
		}
	}
	GET(handler, ctx->args[2], 0);
	s->event.args[0] = signal;
	s->event.args[1] = (u32)code_of(info);
	s->event.args[2] = id >> 32 << 32;
	s->event.args[3] = 0;
	s->event.args[4] = handler > 1 ? 2 : handler;
	s->event.args[5] = delivered | (u64)leaving << 8 | (u64)(info == INFO_NONE) << 9;
	if (!leaving) {
		key = (u64)signal << 32 | (u32)id;
		sender = senders.lookup(&key);
		if (!sender) {
			key = TO_GROUP | (u64)signal << 32 | id >> 32;
			sender = senders.lookup(&key);
		}
		if (sender) {
			s->event.args[2] |= sender->tgid;
			s->event.args[3] = sender->tid;
			capture_kernel_text(s, 0, (u64)sender->comm);
			if (signal == delivered && info != INFO_NONE)
				senders.delete(&key);
		}
	}
	publish(s, SLOT_SIGNAL_DELIVER);
#endif
	return 0;
}
