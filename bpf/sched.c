/* The scheduler: switches, and how each thread's time went. */
#define SEGMENTS 64		/* of one record */
#define OFF_SEGMENTS (SEGMENTS / 2)
#define RECORD_NS 2000000000ULL	/* a record is closed at the first switch after that */
#define TASK_RUNNING 0
#define TASK_DEAD 0x80

/* Kindling's types of a segment: running, or what the thread waits for. */
#define TIME_ON 0
#define TIME_DISK 1
#define TIME_NET 2
#define TIME_LOCK 3
#define TIME_IDLE 4
#define TIME_OTHER 5
#define TIME_EPOLL 6

/* Under which state of its row, and which choice of threads, a record was begun. */
struct terms {
	u32 generation;
	u32 choice;
};

/* A thread's time since `start`, as segments one behind the other. */
struct run {
	u64 start;
	u64 last;		/* when the segment that is not closed yet began */
	u64 queued;		/* when the thread became able to run; 0: it runs, or waits */
	u32 waker;
	u32 count;
	u32 reason;		/* state at the last switch away */
	u8 type;		/* TIME_* of the wait since then */
	u8 focus;		/* the record has a wait for disk or network */
	u8 running;		/* the segment that is not closed yet is one on a processor */
	u8 unused;
	struct terms terms;
	u64 lengths[SEGMENTS];
	u64 queue_us[OFF_SEGMENTS];
	u8 types[SEGMENTS];
	u32 wakers[OFF_SEGMENTS];
	u32 reasons[OFF_SEGMENTS];
};

BPF_F_TABLE("lru_hash", u32, struct run, runs, RUNS, 0);
BPF_PERCPU_ARRAY(no_run, struct run, 1);

#ifdef HAVE_SWITCH
/* The state a thread is left in; it may already be on its way back when it is asked itself. */
static __always_inline u32 state_left(struct bpf_raw_tracepoint_args *ctx)
{
	u32 state = 0;

	if (ctx->args[0] & 1)
		return TASK_RUNNING;
#if SWITCH_TELLS_STATE
	state = ctx->args[3];
#else
	GET(state, ctx->args[1], O_TASK_STATE);
#endif
	return state;
}

/* What the current thread is about to wait for, by the call it is in. */
static __always_inline u8 wait_type(void)
{
#ifdef HAVE_TASK_REGS
	u64 regs = (u64)bpf_task_pt_regs(bpf_get_current_task_btf());
	u64 fd = 0;
	s64 number = -1;
	bool open;

	if (!regs)
		return TIME_OTHER;
	GET(number, regs, __builtin_offsetof(struct pt_regs, orig_ax));
	switch (number) {
	case 0: case 1: case 17: case 18: case 19: case 20: case 295: case 296: /* read, write, ... */
		GET(fd, regs, __builtin_offsetof(struct pt_regs, di));
		switch (fd_type_of(fd, &open)) {
		case FD_FILE: case FD_DIRECTORY:
			return TIME_DISK;
		case FD_IPV4_SOCK: case FD_IPV6_SOCK: case FD_UNIX_SOCK: case FD_NETLINK:
			return TIME_NET;
		}
		return TIME_OTHER;
	case 2: case 3: case 26: case 74: case 75: case 162: case 257: case 277:
		return TIME_DISK;	/* open, close, msync, fsync, fdatasync, sync, openat, ... */
	case 42: case 43: case 44: case 45: case 46: case 47: case 288: case 299: case 307:
		return TIME_NET;	/* connect, accept, send*, recv* */
	case 202:
		return TIME_LOCK;	/* futex */
	case 23: case 35: case 208: case 230: case 270:
		return TIME_IDLE;	/* select, nanosleep, io_getevents, clock_nanosleep, pselect6 */
	case 7: case 232: case 271: case 281:
		return TIME_EPOLL;	/* poll, epoll_wait, ppoll, epoll_pwait */
	}
#endif
	return TIME_OTHER;
}

/* One list of a record; `bytes` of it. */
static __always_inline void capture_list(struct scratch *s, u8 which, const void *from, u64 length)
{
	u8 *bytes = open_section(s);

	asm volatile("" : "+r"(length));
	if (!bytes || length > SEGMENTS * 8)
		return;
	if (!bpf_probe_read_kernel(bytes, length, from))
		close_section(s, bytes, SECTION_LIST, which, length);
}

/* Hand a thread's record over, which ends at `end`, and begin another. Runs in that thread. */
static __always_inline void emit_run(u32 slot, struct run *r, u64 end)
{
	u64 count = r->count, waits = (count + 1) / 2;
	struct scratch *s = begin_current(slot, ROW_CPU_EVENT, CAT_PROCESS);

	if (s && count && count <= SEGMENTS) {
		s->event.ts = end;
		s->event.args[0] = count;
		s->event.args[1] = end - r->start;
		capture_list(s, LIST_LENGTHS, r->lengths, count * 8);
		capture_list(s, LIST_QUEUE, r->queue_us, waits * 8);
		capture_list(s, LIST_TYPES, r->types, count);
		capture_list(s, LIST_WAKERS, r->wakers, waits * 4);
		capture_list(s, LIST_REASONS, r->reasons, waits * 4);
		publish(s, slot);
	}
	r->start = end;
	r->count = 0;
	r->focus = 0;
}

static __always_inline void add_segment(struct run *r, u64 now, u8 type)
{
	u32 at = r->count, wait;
	u64 queued;

	if (at >= SEGMENTS)
		return;
	wait = at / 2;
	r->lengths[at] = now - r->last;
	r->types[at] = type;
	if (type != TIME_ON) {
		queued = r->queued > r->last ? r->queued : r->last;
		r->queue_us[wait] = r->queued ? (now - queued) / 1000 : 0;
		r->wakers[wait] = r->reason == TASK_RUNNING ? 0 : r->waker;
		r->reasons[wait] = r->reason;
		r->queued = 0;
		r->waker = 0;
	} else if (at == SEGMENTS - 1 || !at) {
		/* An on-segment without a wait beside it leaves nothing of an older record behind. */
		r->queue_us[wait] = 0;
		r->wakers[wait] = 0;
		r->reasons[wait] = 0;
	}
	r->count = at + 1;
	r->last = now;
}

static __always_inline struct terms terms_now(void)
{
	struct pair *pair = pair_of(ROW_CPU_EVENT);
	u32 zero = 0;
	struct config *c = config.lookup(&zero);
	struct terms terms = {};

	if (pair)
		terms.generation = (ROW_CPU_EVENT & 1 ? pair->exit : pair->enter)[GENERATION];
	if (c)
		terms.choice = c->choice;
	return terms;
}

static __always_inline struct run *begin_run(u32 tid, u64 now)
{
	u32 zero = 0;
	struct run *fresh = no_run.lookup(&zero), *r;

	if (!fresh)
		return NULL;
	runs.update(&tid, fresh);
	r = runs.lookup(&tid);
	if (r) {
		r->start = now;
		r->last = now;
		r->terms = terms_now();
	}
	return r;
}

/*
 * A thread's record, if it was begun under the present terms. Where the row was off meanwhile or
 * the thread not wanted, switches are missing, and what another thread of that number left is not
 * its.
 */
static __always_inline struct run *run_of(u32 tid)
{
	struct terms now = terms_now();
	struct run *r = runs.lookup(&tid);

	if (!r || r->terms.generation != now.generation || r->terms.choice != now.choice)
		return NULL;
	return r;
}

static __always_inline void switch_away(u32 slot, u64 now, u32 state)
{
	u64 id = bpf_get_current_pid_tgid();
	u32 tid = id;
	struct run *r;

	if (!tid || !wanted_process(id >> 32))
		return;
	if (state & TASK_DEAD) {
		runs.delete(&tid);
		return;
	}
	r = run_of(tid);
	if (r && r->running) {
		add_segment(r, now, TIME_ON);
	} else {
		/* Its return was not told: nobody knows when that was, so its record ended before. */
		if (r && r->count)
			emit_run(slot, r, r->last);
		r = begin_run(tid, now);
	}
	if (!r)
		return;
	r->running = false;
	r->reason = state;
	r->type = wait_type();
	if (state == TASK_RUNNING)
		r->queued = now;
	if (r->count && (r->focus || r->count >= SEGMENTS - 1 || now - r->start >= RECORD_NS))
		emit_run(slot, r, now);
	r->focus = r->type == TIME_DISK || r->type == TIME_NET;
}

static __always_inline void switch_to(u32 tid, u32 tgid, u64 now)
{
	/* When it switched away it was judged; of its name and number nothing is known here. */
	struct run *r = run_of(tid);

	if (r && !r->running)
		add_segment(r, now, r->type);
	else if (wanted_process(tgid))	/* one that never waits has a record at its end, too */
		r = begin_run(tid, now);
	else if (runs.lookup(&tid))
		runs.delete(&tid);
	if (r)
		r->running = true;
}
#endif

int on_cpu_switch(struct bpf_raw_tracepoint_args *ctx)
{
#ifdef HAVE_SWITCH
	u64 now = bpf_ktime_get_ns();
	u32 tid = 0, tgid = 0;

	if (!is_on(ROW_CPU_EVENT, CAT_PROCESS))
		return 0;
	switch_away(SLOT_CPU_SWITCH, now, state_left(ctx));
	GET(tid, ctx->args[2], O_TASK_PID);
	if (!tid)
		return 0;
	GET(tgid, ctx->args[2], O_TASK_TGID);
	switch_to(tid, tgid, now);
#endif
	return 0;
}

int on_cpu_waking(struct bpf_raw_tracepoint_args *ctx)
{
#ifdef HAVE_SWITCH
	u32 tid = 0;
	struct run *r;

	GET(tid, ctx->args[0], O_TASK_PID);
	r = runs.lookup(&tid);
	if (r)
		r->waker = bpf_get_current_pid_tgid();
#endif
	return 0;
}

int on_cpu_wakeup(struct bpf_raw_tracepoint_args *ctx)
{
#ifdef HAVE_SWITCH
	u32 tid = 0;
	struct run *r;

	GET(tid, ctx->args[0], O_TASK_PID);
	r = runs.lookup(&tid);
	if (r)
		r->queued = bpf_ktime_get_ns();
#endif
	return 0;
}

/* A thread that ends has one more segment: the one it ends in. */
int on_cpu_exit(struct bpf_raw_tracepoint_args *ctx)
{
#ifdef HAVE_SWITCH
	u64 now = bpf_ktime_get_ns();
	u32 tid = bpf_get_current_pid_tgid();
	struct run *r;

	if (!is_on(ROW_CPU_EVENT, CAT_PROCESS))
		return 0;
	r = run_of(tid);
	if (r && wanted_process(bpf_get_current_pid_tgid() >> 32)) {
		if (r->running)
			add_segment(r, now, TIME_ON);
		emit_run(SLOT_CPU_EXIT, r, r->last);
	}
	runs.delete(&tid);
#endif
	return 0;
}

int on_sched_switch(struct bpf_raw_tracepoint_args *ctx)
{
#ifdef HAVE_SWITCH
	u64 major = 0, minor = 0;
	u32 next = 0, priority = 0;
	bool preempted = ctx->args[0] & 1;
	struct scratch *s;

	if (!is_on(ROW_SCHED_SWITCH, CAT_SCHEDULER))
		return 0;
	s = begin_current(SLOT_SCHED_SWITCH, ROW_SCHED_SWITCH, CAT_SCHEDULER);
	if (!s)
		return 0;
	GET(next, ctx->args[2], O_TASK_PID);
	GET(priority, ctx->args[2], O_TASK_PRIO);
	GET(major, ctx->args[1], O_TASK_MAJ_FLT);
	GET(minor, ctx->args[1], O_TASK_MIN_FLT);
	s->event.args[0] = next;
	s->event.args[1] = state_left(ctx);
	s->event.args[2] = major;
	s->event.args[3] = minor;
	s->event.args[4] = priority;
	s->event.args[5] = preempted;
	capture_kernel_text(s, 0, ctx->args[2] + O_TASK_COMM);
	publish(s, SLOT_SCHED_SWITCH);
#endif
	return 0;
}
