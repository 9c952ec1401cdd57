/*
 * Payloads: what chosen processes read from and write to their sockets, in a ring of its own.
 * Data is copied when the call returns: its true length is known then, and a page the kernel has
 * just worked on can be read without a fault. Which socket it was is told at both ends of the
 * call, because another thread may close the descriptor in between. Of what sendfile and splice
 * transfer only the length is told: it never is in the process's memory.
 */
#define NR_READ 0
#define NR_WRITE 1
#define NR_CLOSE 3
#define NR_READV 19
#define NR_WRITEV 20
#define NR_SENDFILE 40
#define NR_CONNECT 42
#define NR_ACCEPT 43
#define NR_SENDTO 44
#define NR_RECVFROM 45
#define NR_SENDMSG 46
#define NR_RECVMSG 47
#define NR_SPLICE 275
#define NR_ACCEPT4 288
#define NR_RECVMMSG 299
#define NR_SENDMMSG 307

#define EINPROGRESS 115
#define MSG_PEEK 0x2
#define MSG_ERRQUEUE 0x2000
#define IOVEC_SIZE 16
#define MMSGHDR_SIZE 64		/* struct mmsghdr */
#define MMSGHDR_LENGTH 56	/* its msg_len */

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

struct payload_message {
	u64 name;
	u64 name_length;	/* the lower half */
	u64 vectors, count;
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

static __always_inline bool payload_call(u64 number)
{
	switch (number) {
	case NR_READ: case NR_WRITE: case NR_READV: case NR_WRITEV: case NR_CLOSE: case NR_CONNECT:
	case NR_SENDTO: case NR_RECVFROM: case NR_SENDMSG: case NR_RECVMSG:
	case NR_RECVMMSG: case NR_SENDMMSG: case NR_SENDFILE: case NR_SPLICE:
		return true;
	}
	return false;
}

static __always_inline bool payload_outgoing(u64 number)
{
	return number == NR_WRITE || number == NR_WRITEV || number == NR_SENDTO ||
	       number == NR_SENDMSG || number == NR_SENDMMSG || number == NR_CONNECT ||
	       number == NR_SENDFILE;
}

/* Whether a call is a splice into a socket, which its third argument names; one end is a pipe. */
static __always_inline bool splices_out(u64 number, u64 third)
{
	u64 sk = 0;

	return number == NR_SPLICE && payload_socket(third, &sk);
}
#endif

int on_payload_enter(struct bpf_raw_tracepoint_args *ctx)
{
#if defined(HAVE_FD) && defined(HAVE_TUPLE) && defined(HAVE_INODE) && defined(HAVE_TCP)
	u64 number = ctx->args[1], id = bpf_get_current_pid_tgid(), fd = 0, third = 0, sk = 0;
	struct payload_start *own, start = { .thread = id, .number = number };
	struct payload_scratch *s;

	if (!payload_call(number) || !payload_wanted(id))
		return 0;
	GET(fd, ctx->args[0], __builtin_offsetof(struct pt_regs, di));
	if (number == NR_CLOSE) {
		s = begin_payload(fd, number);
		if (s) {
			s->head.kind = PAYLOAD_CLOSE;
			s->head.outgoing = true;
			publish_payload(s, SLOT_PAYLOAD_ENTER);
		}
		return 0;
	}
	if (number == NR_SPLICE) {
		GET(third, ctx->args[0], __builtin_offsetof(struct pt_regs, dx));
		if (splices_out(number, third))
			fd = third;
	}
	start.inode = payload_socket(fd, &sk);
	own = payload_starts.lookup(&id);
	if (!own && !start.inode)
		return 0;
	start.ts = bpf_ktime_get_ns();
	/* A thread's entry stays and is written over, which costs less than a new one. */
	if (own)
		*own = start;
	else
		payload_starts.update(&id, &start);
#endif
	return 0;
}

int on_payload_exit(struct bpf_raw_tracepoint_args *ctx)
{
#if defined(HAVE_FD) && defined(HAVE_TUPLE) && defined(HAVE_INODE) && defined(HAVE_TCP)
	u64 number = 0, id = bpf_get_current_pid_tgid(), cap, flags = 0;
	s64 result = ctx->args[1];
	struct payload_scratch *s;
	struct payload_message m = {};
	struct pt_regs regs;
	bool accepted, spliced;

	GET(number, ctx->args[0], __builtin_offsetof(struct pt_regs, orig_ax));
	accepted = number == NR_ACCEPT || number == NR_ACCEPT4;
	if (!(payload_call(number) || accepted) || number == NR_CLOSE ||
	    number == NR_RECVMMSG || number == NR_SENDMMSG || !payload_wanted(id))
		return 0;
	if (result < 0 && !(number == NR_CONNECT && result == -EINPROGRESS))
		return 0;
	bpf_probe_read_kernel(&regs, sizeof(regs), (void *)ctx->args[0]);
	spliced = splices_out(number, regs.dx);
	s = begin_payload(accepted ? (u64)result : spliced ? regs.dx : regs.di, number);
	if (!s)
		return 0;
	s->head.outgoing = spliced || payload_outgoing(number);
	if (accepted || number == NR_CONNECT) {
		s->head.kind = accepted ? PAYLOAD_ACCEPT : PAYLOAD_CONNECT;
		if (!accepted)
			payload_peer(s, regs.si, regs.dx);
		publish_payload(s, SLOT_PAYLOAD_EXIT);
		return 0;
	}
	if (!result && s->head.outgoing)
		return 0;
	s->head.kind = PAYLOAD_DATA;
	s->head.length = result;
	cap = payload_cap();
	switch (number) {
	case NR_SENDFILE: case NR_SPLICE:
		break;
	case NR_READ: case NR_WRITE: case NR_SENDTO: case NR_RECVFROM:
		if (number == NR_RECVFROM)
			flags = regs.r10;
		if (number == NR_SENDTO)
			payload_peer(s, regs.r8, regs.r9);
		else if (number == NR_RECVFROM && regs.r8)
			payload_peer(s, regs.r8, SOCKADDR_MAX);
		/* A datagram cut short may report more than the buffer holds. */
		copy_part(s, regs.si, (u64)result < regs.dx ? (u64)result : regs.dx, cap);
		break;
	case NR_READV: case NR_WRITEV:
		copy_vectors(s, regs.si, regs.dx, PAYLOAD_VECTORS, result, cap);
		break;
	default:
		if (number == NR_RECVMSG)
			flags = regs.dx;
		bpf_probe_read_user(&m, sizeof(m), (void *)regs.si);
		payload_peer(s, m.name, m.name_length);
		copy_vectors(s, m.vectors, m.count, PAYLOAD_VECTORS, result, cap);
	}
	/* What was only looked at will be read again; an error's packet is nobody's data. */
	if (!(flags & (MSG_PEEK | MSG_ERRQUEUE)))
		publish_payload(s, SLOT_PAYLOAD_EXIT);
#endif
	return 0;
}

/* Calls that transfer several messages: each is told on its own. */
int on_payload_messages(struct bpf_raw_tracepoint_args *ctx)
{
#if defined(HAVE_FD) && defined(HAVE_TUPLE) && defined(HAVE_INODE) && defined(HAVE_TCP)
	u64 number = 0, id = bpf_get_current_pid_tgid(), cap, at;
	s64 result = ctx->args[1];
	struct payload_scratch *s;
	struct payload_message m = {};
	struct tuple tuple;
	struct pt_regs regs;
	u32 length = 0;

	GET(number, ctx->args[0], __builtin_offsetof(struct pt_regs, orig_ax));
	if ((number != NR_RECVMMSG && number != NR_SENDMMSG) || result <= 0 || !payload_wanted(id))
		return 0;
	bpf_probe_read_kernel(&regs, sizeof(regs), (void *)ctx->args[0]);
	if (number == NR_RECVMMSG && regs.r10 & (MSG_PEEK | MSG_ERRQUEUE))
		return 0;
	s = begin_payload(regs.di, number);
	if (!s)
		return 0;
	s->head.kind = PAYLOAD_DATA;
	s->head.outgoing = number == NR_SENDMMSG;
	tuple = s->head.tuple;
	cap = payload_cap();
	for (u64 i = 0; i < PAYLOAD_MESSAGES; i++) {
		if (i >= (u64)result)
			break;
		at = regs.si + i * MMSGHDR_SIZE;
		s->head.message = i;
		s->head.captured = 0;
		s->head.flags &= ~LACKS_DATA;
		s->head.tuple = tuple;
		if (i == PAYLOAD_MESSAGES - 1)
			s->head.left_out = result - PAYLOAD_MESSAGES;
		bpf_probe_read_user(&m, sizeof(m), (void *)at);
		bpf_probe_read_user(&length, sizeof(length), (void *)(at + MMSGHDR_LENGTH));
		s->head.length = length;
		payload_peer(s, m.name, m.name_length);
		copy_vectors(s, m.vectors, m.count, PAYLOAD_MESSAGE_VECTORS, length, cap);
		publish_payload(s, SLOT_PAYLOAD_MESSAGES);
	}
#endif
	return 0;
}
