/*
 * Kernel events on raw tracepoints, compiled by BCC against the stub headers in include/.
 *
 * Given as definitions: O_* (offsets of the running kernel's members) and HAVE_* (which of them
 * it has), CAT_*, FD_*, CAPTURE_*, CALL_*, EV_* and SLOT_* (numbers shared with the engine),
 * NO_FD, CALLS, COUNTED_ROWS, PAIRS, PIDS, CALLS_IN_FLIGHT, RING_PAGES (sizes), EVENT_SIZE, WAKE_EVERY.
 *
 * Order in every program: matrix first, then the own process and the pid scope, then the work.
 */
#include <linux/ptrace.h>

#define CATEGORY_MASK 15
#define GENERATION 15		/* column of a row that the engine bumps whenever it changes the row */
#define CELLS_OF_SECOND_HALF 0x0000ffffffffffffULL	/* columns 8 to 13; no cell beyond them */

#define PATH_MAX 4096
#define SOCKADDR_MAX 128
#define TS_COMPAT 2
#define PF_KTHREAD 0x00200000
#define IPPROTO_TCP 6
#define TCP_LISTEN 10

#define AF_UNIX 1
#define AF_INET 2
#define AF_INET6 10
#define AF_NETLINK 16

#define S_IFMT 0170000
#define S_IFSOCK 0140000
#define S_IFDIR 0040000
#define S_IFIFO 0010000
#define ANON_INODE_FS_MAGIC 0x09041934
#define PID_FS_MAGIC 0x50494446
#define NSFS_MAGIC 0x6e736673

/* The first seven bytes of the names anonymous inodes carry. */
#define NAME_EVENTFD 0x66746e6576655bULL	/* "[eventf" */
#define NAME_SIGNALFD 0x6c616e6769735bULL	/* "[signal" */
#define NAME_TIMERFD 0x6672656d69745bULL	/* "[timerf" */
#define NAME_EVENTPOLL 0x70746e6576655bULL	/* "[eventp" */
#define NAME_INOTIFY 0x796669746f6e69ULL	/* "inotify" */
#define NAME_MASK 0x00ffffffffffffffULL

struct event {
	u64 ts;			/* CLOCK_MONOTONIC, ns */
	u64 latency;		/* ns, with EV_LATENCY */
	s64 result;
	u64 args[4];
	u32 tgid, tid, uid, gid;
	s32 fd;			/* NO_FD: none */
	u32 payload;		/* bytes that follow */
	u16 row;
	u16 cpu;
	u8 category;
	u8 fd_type;
	u16 flags;
	char comm[16];
};
_Static_assert(sizeof(struct event) == EVENT_SIZE, "the engine decodes another event");

struct tuple {
	u16 family;
	u16 local_port, remote_port;	/* host order */
	u16 unused;
	u8 local[16], remote[16];
};

struct scratch {
	struct event event;
	u8 payload[PATH_MAX + PATH_MAX];	/* twice the cap, so that the verifier sees it fit */
};

/* What the engine knows of a system call; the same rows as its catalogue. */
struct call {
	u16 row;		/* of the enter event; the exit's is the next, in the same pair */
	u8 category;		/* 0: by fd */
	u8 fd_argument;		/* 255: none */
	u8 enter_capture, exit_capture, argument;
	u8 flags;
};

struct pair {
	u8 enter[16];
	u8 exit[16];
};

struct config {
	u32 own_tgid;
	u32 scoped;		/* only the processes in `pids` */
};

struct start {
	u64 ts;
	u16 row;
	u8 generation;
	u8 category;
	u8 fd_type;
	u8 unused[3];
};

/* One slot per program, so that none can interrupt another's update. */
struct stats {
	u64 produced;
	u64 dropped;		/* of the produced: the ring was full */
	u64 faults;		/* user memory that was not there to be read */
	u64 unresolved;		/* calls whose file descriptor could not be judged */
};

/* Of one row: what the ring took, by category. */
struct delivered {
	u64 by_category[CATEGORY_MASK + 1];
};

BPF_F_TABLE("array", u32, struct pair, matrix, PAIRS, BPF_F_MMAPABLE);
BPF_ARRAY(calls, struct call, CALLS);
BPF_ARRAY(config, struct config, 1);
BPF_HASH(pids, u32, u8, PIDS);
BPF_F_TABLE("lru_hash", u64, struct start, in_flight, CALLS_IN_FLIGHT, 0);
BPF_PERCPU_ARRAY(stats, struct stats, SLOTS);
BPF_PERCPU_ARRAY(delivered, struct delivered, COUNTED_ROWS);
BPF_PERCPU_ARRAY(scratches, struct scratch, SLOTS);
BPF_RINGBUF_OUTPUT(ring, RING_PAGES);

#define GET(to, base, offset) \
	bpf_probe_read_kernel(&(to), sizeof(to), (void *)((base) + (offset)))

static __always_inline bool any_on(const u8 *row)
{
	const u64 *half = (const u64 *)row;

	return half[0] | (half[1] & CELLS_OF_SECOND_HALF);
}

static __always_inline struct pair *pair_of(u32 row)
{
	u32 index = row >> 1;

	return matrix.lookup(&index);
}

static __always_inline bool wanted_process(u32 tgid)
{
	u32 zero = 0;
	struct config *c = config.lookup(&zero);

	if (!c || tgid == c->own_tgid)
		return false;
	return !c->scoped || pids.lookup(&tgid);
}

/* A 32-bit call has another number table. */
static __always_inline bool compat_call(void)
{
#ifdef HAVE_COMPAT
	u32 status = 0;

	GET(status, bpf_get_current_task(), O_TASK_STATUS);
	return status & TS_COMPAT;
#else
	return false;
#endif
}

#ifdef HAVE_FD
/* The struct file behind a descriptor of the current process; 0 if it is not open. */
static __always_inline u64 file_of(u64 fd)
{
	u64 files = 0, table = 0, slots = 0, file = 0;
	u32 max = 0, number = fd;

	GET(files, bpf_get_current_task(), O_TASK_FILES);
	GET(table, files, O_FILES_FDT);
	GET(max, table, O_FDT_MAX_FDS);
	if (number >= max)
		return 0;
	GET(slots, table, O_FDT_FD);
	GET(file, slots, (u64)number * 8);
	return file;
}

static __always_inline u16 mode_of(u64 file, u64 *inode)
{
	u16 mode = 0;

	*inode = 0;
	GET(*inode, file, O_FILE_INODE);
	GET(mode, *inode, O_INODE_MODE);
	return mode & S_IFMT;
}

static __always_inline u64 sock_of(u64 file)
{
	u64 socket = 0, sk = 0;

	GET(socket, file, O_FILE_PRIVATE);
	GET(sk, socket, O_SOCKET_SK);
	return sk;
}

static __always_inline u8 socket_type(u64 file)
{
	u64 sk = sock_of(file);
	u16 family = 0;
	u8 state = 0;

	GET(family, sk, O_SK_FAMILY);
	GET(state, sk, O_SK_STATE);
	switch (family) {
	case AF_INET:
		return state == TCP_LISTEN ? FD_IPV4_SERVSOCK : FD_IPV4_SOCK;
	case AF_INET6:
		return state == TCP_LISTEN ? FD_IPV6_SERVSOCK : FD_IPV6_SOCK;
	case AF_UNIX:
		return FD_UNIX_SOCK;
	case AF_NETLINK:
		return FD_NETLINK;
	}
	return FD_UNSUPPORTED;
}

static __always_inline u8 anonymous_type(u64 file)
{
	u64 dentry = 0, text = 0, name = 0;

	GET(dentry, file, O_FILE_DENTRY);
	GET(text, dentry, O_DENTRY_NAME);
	GET(name, text, 0);
	switch (name & NAME_MASK) {
	case NAME_EVENTFD:
		return FD_EVENT;
	case NAME_SIGNALFD:
		return FD_SIGNALFD;
	case NAME_TIMERFD:
		return FD_TIMERFD;
	case NAME_EVENTPOLL:
		return FD_EVENTPOLL;
	case NAME_INOTIFY:
		return FD_INOTIFY;
	}
	return FD_UNSUPPORTED;
}

static __always_inline u8 file_type(u64 file)
{
	u64 inode, superblock = 0, magic = 0;

	switch (mode_of(file, &inode)) {
	case S_IFSOCK:
		return socket_type(file);
	case S_IFIFO:
		return FD_FIFO;
	case S_IFDIR:
		return FD_DIRECTORY;
	}
	/* Anonymous inodes count as regular files on newer kernels: ask the file system. */
	GET(superblock, inode, O_INODE_SB);
	GET(magic, superblock, O_SB_MAGIC);
	if (magic == ANON_INODE_FS_MAGIC)
		return anonymous_type(file);
	if (magic == PID_FS_MAGIC || magic == NSFS_MAGIC)
		return FD_UNSUPPORTED;
	return FD_FILE;
}
#endif

/* What a descriptor is; *open tells whether there was anything to judge. */
static __always_inline u8 fd_type_of(u64 fd, bool *open)
{
	*open = false;
#ifdef HAVE_FD
	u64 file = file_of(fd);

	if (file) {
		*open = true;
		return file_type(file);
	}
#endif
	return FD_UNKNOWN;
}

/* Kindling's rule for calls that are judged by their descriptor. */
static __always_inline u8 category_of(u8 fd_type)
{
	switch (fd_type) {
	case FD_FILE:
	case FD_DIRECTORY:
		return CAT_FILE;
	case FD_IPV4_SOCK:
	case FD_IPV6_SOCK:
	case FD_IPV4_SERVSOCK:
	case FD_IPV6_SERVSOCK:
		return CAT_NET;
	case FD_FIFO:
	case FD_UNIX_SOCK:
	case FD_EVENT:
	case FD_SIGNALFD:
	case FD_INOTIFY:
		return CAT_IPC;
	}
	return CAT_OTHER;
}

#ifdef HAVE_TUPLE
static __always_inline void read_tuple(u64 sk, struct tuple *t)
{
	u16 port = 0;

	__builtin_memset(t, 0, sizeof(*t));
	GET(t->family, sk, O_SK_FAMILY);
	/* inet_sport outlives the bound port, which is given back before the last transition. */
	GET(port, sk, O_INET_SPORT);
	t->local_port = bpf_ntohs(port);
	if (!t->local_port)
		GET(t->local_port, sk, O_SK_NUM);
	GET(port, sk, O_SK_DPORT);
	t->remote_port = bpf_ntohs(port);
	if (t->family == AF_INET) {
		bpf_probe_read_kernel(t->local, 4, (void *)(sk + O_SK_RCV_SADDR));
		bpf_probe_read_kernel(t->remote, 4, (void *)(sk + O_SK_DADDR));
	}
#ifdef HAVE_IPV6
	if (t->family == AF_INET6) {
		bpf_probe_read_kernel(t->local, 16, (void *)(sk + O_SK_V6_RCV_SADDR));
		bpf_probe_read_kernel(t->remote, 16, (void *)(sk + O_SK_V6_DADDR));
	}
#endif
}
#endif

static __always_inline struct scratch *scratch_of(u32 slot)
{
	return scratches.lookup(&slot);
}

/* The common part of an event of the current thread. */
static __always_inline void describe(struct event *e, u16 row, u8 category)
{
	u64 id = bpf_get_current_pid_tgid(), owner = bpf_get_current_uid_gid();

	e->ts = bpf_ktime_get_ns();
	e->latency = 0;
	e->result = 0;
	e->tgid = id >> 32;
	e->tid = id;
	e->uid = owner;
	e->gid = owner >> 32;
	e->fd = NO_FD;
	e->payload = 0;
	e->row = row;
	e->cpu = bpf_get_smp_processor_id();
	e->category = category;
	e->fd_type = FD_UNKNOWN;
	e->flags = 0;
	bpf_get_current_comm(e->comm, sizeof(e->comm));
}

/*
 * Hand an event to the engine. Only every WAKE_EVERY-th wakes the reader, which ticks anyway:
 * a wake-up per event costs the traced program more than everything else here.
 */
static __always_inline void publish(struct scratch *s, u32 slot)
{
	struct stats *counted = stats.lookup(&slot);
	u64 size = s->event.payload, wake;
	u32 row = s->event.row;
	struct delivered *taken = delivered.lookup(&row);

	if (!counted || !taken)
		return;
	counted->produced++;
	if (s->event.flags & EV_MISSING)
		counted->faults++;
	if (s->event.flags & EV_UNRESOLVED)
		counted->unresolved++;
	wake = counted->produced % WAKE_EVERY ? BPF_RB_NO_WAKEUP : BPF_RB_FORCE_WAKEUP;
	asm volatile("" : "+r"(size));
	if (size > PATH_MAX)
		size = PATH_MAX;
	if (ring.ringbuf_output(s, sizeof(s->event) + size, wake))
		counted->dropped++;
	else
		taken->by_category[s->event.category & CATEGORY_MASK]++;
}

static __always_inline void capture_path(struct scratch *s, u64 from)
{
	long length = bpf_probe_read_user_str(s->payload, PATH_MAX, (void *)from);

	if (length < 0)
		s->event.flags |= EV_MISSING;
	else
		s->event.payload = length;
}

static __always_inline void capture_sockaddr(struct scratch *s, u64 from, u64 length)
{
	if (length > SOCKADDR_MAX)
		length = SOCKADDR_MAX;
	asm volatile("" : "+r"(length));
	if (length > SOCKADDR_MAX)
		return;
	if (bpf_probe_read_user(s->payload, length, (void *)from))
		s->event.flags |= EV_MISSING;
	else
		s->event.payload = length;
}

static __always_inline void capture_peer(struct scratch *s, s64 fd)
{
#if defined(HAVE_FD) && defined(HAVE_TUPLE)
	u64 inode, file;

	if (fd < 0)
		return;
	file = file_of(fd);
	if (file && mode_of(file, &inode) == S_IFSOCK) {
		read_tuple(sock_of(file), (struct tuple *)s->payload);
		s->event.payload = sizeof(struct tuple);
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
	capture_path(s, name);
#else
	s->event.flags |= EV_MISSING;
#endif
}

static __always_inline void capture(struct scratch *s, u8 what, u8 argument, bool exit)
{
	switch (what) {
	case CAPTURE_PATH:
		capture_path(s, s->event.args[argument & 3]);
		break;
	case CAPTURE_SOCKADDR:
		capture_sockaddr(s, s->event.args[argument & 3], s->event.args[(argument + 1) & 3]);
		break;
	case CAPTURE_PEER:
		capture_peer(s, s->event.result);
		break;
	case CAPTURE_EXEC:
		if (exit && s->event.result == 0)
			capture_executed(s);
		else
			capture_path(s, s->event.args[argument & 3]);
		break;
	}
}

static __always_inline void copy_arguments(struct event *e, const struct pt_regs *regs)
{
	e->args[0] = regs->di;
	e->args[1] = regs->si;
	e->args[2] = regs->dx;
	e->args[3] = regs->r10;
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

int on_tcp_state(struct bpf_raw_tracepoint_args *ctx)
{
#if defined(HAVE_TCP) && defined(HAVE_TUPLE)
	u32 slot = SLOT_TCP, owned = 0, zero = 0;
	u64 sk = ctx->args[0], id = bpf_get_current_pid_tgid();
	struct pair *pair = pair_of(ROW_TCP_SET_STATE);
	struct config *c;
	struct scratch *s;
	u16 protocol = 0;

	if (!pair || !pair->enter[CAT_NET])
		return 0;
	GET(protocol, sk, O_SK_PROTOCOL);
	if (protocol != IPPROTO_TCP)
		return 0;
#ifdef HAVE_OWNER
	/*
	 * While a thread holds the socket, soft interrupts leave its state alone: a change is then
	 * that thread's own. Otherwise whoever runs here was merely interrupted.
	 */
	GET(owned, sk, O_SK_OWNED);
#endif
	c = config.lookup(&zero);
	if (!c || (owned ? !wanted_process(id >> 32) : c->scoped))
		return 0;
	s = scratch_of(slot);
	if (!s)
		return 0;
	describe(&s->event, ROW_TCP_SET_STATE, CAT_NET);
	if (!owned)
		s->event.flags |= EV_NO_OWNER;
	s->event.args[0] = ctx->args[1];
	s->event.args[1] = ctx->args[2];
	s->event.args[2] = (u32)id;
	read_tuple(sk, (struct tuple *)s->payload);
	s->event.payload = sizeof(struct tuple);
	publish(s, slot);
#endif
	return 0;
}

/* Run once by the engine in its own context: its tgid in the initial pid namespace. */
int own_tgid(struct bpf_raw_tracepoint_args *ctx)
{
	return bpf_get_current_pid_tgid() >> 32;
}
