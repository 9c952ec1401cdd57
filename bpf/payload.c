/*
 * Payloads: what chosen processes read from and write to their sockets, in a ring of its own.
 * Data is copied when the call returns: its true length is known then, and a page the kernel has
 * just worked on can be read without a fault. Which socket it was is told at both ends of the
 * call, because another thread may close the descriptor in between. Of what sendfile and splice
 * transfer only the length is told: it never is in the process's memory.
 */
#define IOVEC_SIZE 16

struct payload {
	u64 ts;			/* the call's end, CLOCK_MONOTONIC, ns */
	u64 entered;		/* its begin; 0: before anybody looked */
	u64 length;		/* bytes transferred */
	u64 inode;		/* of the socket */
	u32 tgid, tid;
	s32 fd;
	u32 captured;		/* bytes that follow */
	u32 message;		/* which of a call's several, from 0 */
	u32 left_out;		/* messages of the call beyond this one that are not told */
	u16 protocol;
	u8 kind;		/* PAYLOAD_* */
	u8 outgoing;
	u8 flags;		/* LACKS_* */
	u8 unused[3];
	struct tuple tuple;
	char comm[16];
};
_Static_assert(sizeof(struct payload) == PAYLOAD_SIZE, "the engine decodes another payload");

/* One for each processor; too large for a per-CPU map. Twice the most that is captured makes the
 * sum of an offset and a length provable. */
struct payload_scratch {
	struct payload head;
	u8 data[2 * PAYLOAD_CAP_MAX];
};

struct payload_start {
	u64 thread;		/* whose call it is, as an entry changes hands once there are too many */
	u64 ts;
	u64 inode;		/* 0: no call on a socket is on its way */
	u64 number;
	u64 outgoing;		/* a splice into the socket, which its number does not tell */
};

struct payload_config {
	u64 cap;		/* bytes captured of each */
};

struct payload_stats {
	u64 produced;
	u64 dropped;		/* of these: the ring was full */
	u64 faults;		/* of these: memory that could not be read */
	u64 left_out;		/* messages beyond those of a call that are told */
};

struct payload_vector {
	u64 base, length;
};

/* Of each chosen process: its messages that were lost, the ring being full or beyond those told. */
BPF_HASH(payload_tgids, u32, u64, PAYLOAD_TGIDS);
BPF_F_TABLE("lru_hash", u64, struct payload_start, payload_starts, CALLS_IN_FLIGHT, 0);
BPF_ARRAY(payload_config, struct payload_config, 1);
BPF_PERCPU_ARRAY(payload_stats, struct payload_stats, PAYLOAD_SLOTS);
BPF_ARRAY(payload_scratches, struct payload_scratch, CPUS);
BPF_RINGBUF_OUTPUT(payload_ring, 1);

#if defined(HAVE_FD) && defined(HAVE_TUPLE) && defined(HAVE_INODE) && defined(HAVE_TCP)
static __always_inline bool payload_wanted(u64 id)
{
	u32 tgid = id >> 32, zero = 0;
	struct config *c = config.lookup(&zero);

	return payload_tgids.lookup(&tgid) && c && tgid != c->own_tgid && !compat_call();
}

/* The inode number of the socket behind a descriptor; 0 if it is none. */
static __always_inline u64 payload_socket(u64 fd, u64 *sk)
{
	u64 file = file_of(fd), inode = 0, number = 0;

	if (!file || mode_of(file, &inode) != S_IFSOCK)
		return 0;
	*sk = sock_of(file);
	GET(number, inode, O_INODE_INO);
	return number;
}

static __always_inline bool payload_traffic(u16 family)
{
	return family == AF_INET || family == AF_INET6 || family == AF_UNIX;
}

/*
 * The head of what the current call has to tell; NULL if it is about no socket.
 */
static __always_inline struct payload_scratch *begin_payload(u64 fd, u64 number)
{
	u32 cpu = bpf_get_smp_processor_id();
	u64 id = bpf_get_current_pid_tgid(), sk = 0;
	struct payload_scratch *s = payload_scratches.lookup(&cpu);
	struct payload_start *start;
	struct payload *p;

	if (!s)
		return NULL;
	p = &s->head;
	__builtin_memset(p, 0, sizeof(*p));
	p->inode = payload_socket(fd, &sk);
	start = payload_starts.lookup(&id);
	if (start && start->thread == id && start->inode) {
		if (start->number == number) {
			p->entered = start->ts;
			p->outgoing = start->outgoing;
			if (p->inode != start->inode) {
				p->inode = start->inode;
				p->flags |= LACKS_SOCKET;
			}
		}
		start->inode = 0;
	}
	if (!p->inode)
		return NULL;
	if (!(p->flags & LACKS_SOCKET)) {
		read_tuple(sk, &p->tuple);
		if (!payload_traffic(p->tuple.family))
			return NULL;
		GET(p->protocol, sk, O_SK_PROTOCOL);
	}
	p->ts = bpf_ktime_get_ns();
	p->tgid = id >> 32;
	p->tid = id;
	p->fd = fd;
	bpf_get_current_comm(p->comm, sizeof(p->comm));
	return s;
}

/* The other end of a datagram, where the socket itself has none: from the address in the call. */
static __always_inline void payload_peer(struct payload_scratch *s, u64 address, u32 length)
{
	struct tuple *t = &s->head.tuple;
	u16 family = 0, port = 0;

	if (!address || t->remote_port || length < 16 || t->family == AF_UNIX)
		return;
	if (bpf_probe_read_user(&family, sizeof(family), (void *)address) || family != t->family)
		return;
	bpf_probe_read_user(&port, sizeof(port), (void *)(address + 2));
	t->remote_port = bpf_ntohs(port);
	if (family == AF_INET)
		bpf_probe_read_user(t->remote, 4, (void *)(address + 4));
	else
		bpf_probe_read_user(t->remote, 16, (void *)(address + 8));
}

static __always_inline u64 payload_cap(void)
{
	u32 zero = 0;
	struct payload_config *c = payload_config.lookup(&zero);

	return c ? c->cap : 0;
}

/* Put a part behind what is there already. */
static __always_inline void copy_part(struct payload_scratch *s, u64 from, u64 length, u64 cap)
{
	u64 at = s->head.captured;

	if (!length || at >= cap || s->head.flags & LACKS_DATA)
		return;
	if (length > cap - at)
		length = cap - at;
	asm volatile("" : "+r"(at));
	asm volatile("" : "+r"(length));
	if (at > PAYLOAD_CAP_MAX || length > PAYLOAD_CAP_MAX)
		return;
	if (bpf_probe_read_user(s->data + at, length, (void *)from))
		s->head.flags |= LACKS_DATA;
	else
		s->head.captured = at + length;
}

static __always_inline void copy_vectors(struct payload_scratch *s, u64 vectors, u64 count,
					 u64 most, u64 length, u64 cap)
{
	struct payload_vector v;
	u64 part;

	for (u64 i = 0; i < most; i++) {
		if (i >= count || !length || s->head.captured >= cap)
			break;
		if (bpf_probe_read_user(&v, sizeof(v), (void *)(vectors + i * IOVEC_SIZE))) {
			s->head.flags |= LACKS_DATA;
			break;
		}
		part = v.length < length ? v.length : length;
		copy_part(s, v.base, part, cap);
		length -= part;
	}
}

static __always_inline void publish_payload(struct payload_scratch *s, u32 slot)
{
	struct payload_stats *counted = payload_stats.lookup(&slot);
	u64 size = s->head.captured, lost = s->head.left_out, wake, *of_process;
	u32 tgid = s->head.tgid;

	if (!counted)
		return;
	counted->produced++;
	counted->left_out += s->head.left_out;
	if (s->head.flags & LACKS_DATA)
		counted->faults++;
	wake = counted->produced % PAYLOAD_WAKE_EVERY ? BPF_RB_NO_WAKEUP : BPF_RB_FORCE_WAKEUP;
	asm volatile("" : "+r"(size));
	if (size > PAYLOAD_CAP_MAX)
		size = PAYLOAD_CAP_MAX;
	if (payload_ring.ringbuf_output(s, sizeof(s->head) + size, wake)) {
		counted->dropped++;
		lost++;
	}
	if (lost) {
		of_process = payload_tgids.lookup(&tgid);
		if (of_process)
			__sync_fetch_and_add(of_process, lost);
	}
}
#endif
