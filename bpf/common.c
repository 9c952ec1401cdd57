/*
 * Kernel events on raw tracepoints, compiled by BCC against the stub headers in include/. The
 * files of this directory are one text, put together in the order the loader names them; this
 * one has what all programs share.
 *
 * Given as definitions: O_* (offsets of the running kernel's members) and HAVE_* (which of them
 * it has), CAT_*, FD_*, CAPTURE_*, CALL_*, EV_* and SLOT_* (numbers shared with the engine),
 * CALL_NUMBER_* and ROW_* (calls and hooks of their own),
 * SCOPE_*, RULE_*, PID_*, COMM_* (filters), NO_FD, NO_ARGUMENT, CALLS, STEPS, COUNTED_ROWS, PAIRS, PIDS, COMMS,
 * CALLS_IN_FLIGHT (sizes), EVENT_SIZE, WAKE_EVERY, SECTION_*. Rings are one page here; how large
 * they are the engine says when it makes them, so that nothing has to be compiled for another size.
 *
 * Order in every program: matrix first, then the own process and the pid scope, then the work.
 */
#include <linux/ptrace.h>

#define CATEGORY_MASK 15
#define GENERATION 15		/* column of a row that the engine bumps whenever it changes the row */
#define CELLS_OF_SECOND_HALF 0x0000ffffffffffffULL	/* columns 8 to 13; no cell beyond them */

#define PATH_MAX 4096
#define SECTION_MAX PATH_MAX	/* bytes of one section */
#define PAYLOAD_MAX 8192	/* bytes of all sections */
#define SOCKADDR_MAX 128
#define TS_COMPAT 2
#define PF_KTHREAD 0x00200000
#define IPPROTO_TCP 6
#define IPPROTO_UDP 17
#define TCP_CLOSE 7
#define TCP_LISTEN 10
#define RLIMIT_NOFILE 7

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
	u64 args[6];
	u32 tgid, tid, uid, gid;
	s32 fd;			/* NO_FD: none */
	u32 payload;		/* bytes of sections that follow */
	u64 cgroup;		/* id of the cgroup, as the inode of its directory in the v2 tree */
	u16 row;
	u16 cpu;
	u8 category;
	u8 fd_type;
	u16 flags;
	char comm[16];
};
_Static_assert(sizeof(struct event) == EVENT_SIZE, "the engine decodes another event");

/* What was captured beside the registers: this, the bytes, and padding to 4. */
struct section {
	u8 kind;		/* SECTION_* */
	u8 argument;		/* which argument it belongs to, or which of several */
	u16 length;
};

struct tuple {
	u16 family;
	u16 local_port, remote_port;	/* host order */
	u16 unused;
	u8 local[16], remote[16];
};

struct scratch {
	struct event event;
	u8 payload[PAYLOAD_MAX];
};

/* One thing to read beside the registers. */
struct step {
	u8 what;		/* CAPTURE_*; 0 ends the list */
	u8 argument;		/* the register with its address */
	u8 count;		/* the register with the number of items, or COUNT_* */
	u8 flags;		/* STEP_* */
	u16 item;		/* bytes of an item */
	u16 most;		/* bytes of all */
};

/* What the engine knows of a system call; the same rows as its catalogue. */
struct call {
	u16 row;		/* of the enter event; the exit's is the next, in the same pair */
	u8 category;		/* 0: by fd */
	u8 fd_argument;		/* NO_ARGUMENT: none */
	u32 flags;		/* CALL_* */
	struct step enter[STEPS], exit[STEPS];
};
_Static_assert(sizeof(struct call) == CALL_SIZE, "the engine fills another table");

struct pair {
	u8 enter[16];
	u8 exit[16];
};

struct config {
	u32 own_tgid;
	u32 scoped;		/* SCOPE_*: what a thread has to be to be seen */
	u32 excluding;		/* some names in `comms` are not to be seen */
	u32 rules;		/* RULE_*: which results are to be seen */
	u32 choice;		/* another one whenever other threads are to be seen */
};

struct start {
	u64 thread;		/* whose call it is, as an entry changes hands once there are too many */
	u64 ts;
	u16 row;		/* 0: no call is on its way */
	u8 generation;
	u8 category;
	u8 fd_type;
	u8 unused[3];
	u64 file;		/* behind the descriptor argument; 0: none */
};

/* One slot per program, so that none can interrupt another's update. */
struct stats {
	u64 produced;
	u64 dropped;		/* of the produced: the ring was full */
	u64 faults;		/* user memory that was not there to be read */
	u64 unresolved;		/* calls whose file descriptor could not be judged */
	u64 suppressed;		/* left out by a rule on results, everything else being right */
	u64 unfollowed;		/* children that found no room in `pids` */
	u64 unowned;		/* left out under a scope: nobody is known to own the socket */
};

/* Of one row: what the ring took, by category, and what it had no room for. */
struct delivered {
	u64 by_category[CATEGORY_MASK];
	u64 dropped;
};

struct comm {
	char name[16];
};

BPF_F_TABLE("array", u32, struct pair, matrix, PAIRS, BPF_F_MMAPABLE);
BPF_ARRAY(calls, struct call, CALLS);
BPF_ARRAY(config, struct config, 1);
BPF_HASH(pids, u32, u8, PIDS);		/* PID_* by thread or process id */
BPF_HASH(comms, struct comm, u8, COMMS);	/* COMM_* by name */
BPF_F_TABLE("lru_hash", u64, struct start, in_flight, CALLS_IN_FLIGHT, 0);
BPF_PERCPU_ARRAY(stats, struct stats, SLOTS);
BPF_PERCPU_ARRAY(delivered, struct delivered, COUNTED_ROWS);
BPF_PERCPU_ARRAY(scratches, struct scratch, SLOTS);
BPF_RINGBUF_OUTPUT(ring, 1);

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

/* Whether the process is one of those chosen, or the current thread is. */
static __always_inline bool chosen(const struct config *c, u32 tgid, u64 current)
{
	u8 *member = pids.lookup(&tgid);
	u32 tid = current;

	if (member && *member & PID_PROCESS)
		return true;
	if (!(c->scoped & SCOPE_THREADS) || current >> 32 != tgid)
		return false;
	member = pids.lookup(&tid);
	return member && *member & PID_THREAD;
}

/* Whether the current thread has one of the names chosen, and none of those excluded. */
static __always_inline bool name_chosen(const struct config *c)
{
	struct comm comm = {};
	u8 *known;

	bpf_get_current_comm(&comm, sizeof(comm));
	known = comms.lookup(&comm);
	if (known && *known & COMM_EXCLUDED)
		return false;
	return !(c->scoped & SCOPE_NAMES) || (known && *known & COMM_CHOSEN);
}

/*
 * Whether events of a process are to be seen. Of the current one, its thread's id and name are
 * judged as well; another one's are not known, so that a choice by them leaves it out.
 */
static __always_inline bool wanted_process(u32 tgid)
{
	u32 zero = 0;
	struct config *c = config.lookup(&zero);
	u64 current;

	if (!c || tgid == c->own_tgid)
		return false;
	if (!(c->scoped | c->excluding))
		return true;
	current = bpf_get_current_pid_tgid();
	if (c->scoped & (SCOPE_PROCESSES | SCOPE_THREADS) && !chosen(c, tgid, current))
		return false;
	if (!(c->scoped & SCOPE_NAMES || c->excluding))
		return true;
	return current >> 32 == tgid ? name_chosen(c) : !(c->scoped & SCOPE_NAMES);
}

/* Whether a call's result is to be seen; only asked where the event would be delivered. */
static __always_inline bool wanted_result(const struct call *call, s64 result, u32 slot)
{
	u32 zero = 0;
	struct config *c = config.lookup(&zero);
	struct stats *counted;

	if (!c || !c->rules)
		return true;
	/* Kindling's rule is for calls judged by their descriptor that have a result attribute. */
	if (!((c->rules & RULE_FAILED && result >= 0) ||
	      (c->rules & RULE_KINDLING && result <= 0 && !call->category &&
	       call->row != ROW_RECVMMSG)))
		return true;
	counted = stats.lookup(&slot);
	if (counted)
		counted->suppressed++;
	return false;
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

/* Run once by the engine in its own context: its tgid in the initial pid namespace. */
int own_tgid(struct bpf_raw_tracepoint_args *ctx)
{
	return bpf_get_current_pid_tgid() >> 32;
}
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
	e->cgroup = bpf_get_current_cgroup_id();
	e->row = row;
	e->cpu = bpf_get_smp_processor_id();
	e->category = category;
	e->fd_type = FD_UNKNOWN;
	e->flags = 0;
	bpf_get_current_comm(e->comm, sizeof(e->comm));
}

/*
 * Where the next section's bytes go, behind its head; NULL if there is no room for a whole one.
 * They count only after `close_section`.
 */
static __always_inline u8 *open_section(struct scratch *s)
{
	u64 at = s->event.payload;

	asm volatile("" : "+r"(at));
	if (at > PAYLOAD_MAX - sizeof(struct section) - SECTION_MAX)
		return NULL;
	return s->payload + at + sizeof(struct section);
}

static __always_inline void close_section(struct scratch *s, u8 *bytes, u8 kind, u8 argument,
					  u64 length)
{
	struct section *head = (struct section *)(bytes - sizeof(*head));

	head->kind = kind;
	head->argument = argument;
	head->length = length;
	s->event.payload += sizeof(*head) + ((length + 3) & ~3ULL);
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
	if (size > PAYLOAD_MAX)
		size = PAYLOAD_MAX;
	if (ring.ringbuf_output(s, sizeof(s->event) + size, wake)) {
		counted->dropped++;
		taken->dropped++;
	} else
		if (s->event.category < CATEGORY_MASK)
			taken->by_category[s->event.category]++;
}

