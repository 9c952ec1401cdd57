/* The calls that transfer payloads, and those that begin and end a connection. */
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
#define MMSGHDR_SIZE 64		/* struct mmsghdr */
#define MMSGHDR_LENGTH 56	/* its msg_len */

struct payload_message {
	u64 name;
	u64 name_length;	/* the lower half */
	u64 vectors, count;
};

#if defined(HAVE_FD) && defined(HAVE_TUPLE) && defined(HAVE_INODE) && defined(HAVE_TCP)
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
		start.outgoing = splices_out(number, third);
		if (start.outgoing)
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
	s->head.outgoing |= spliced || payload_outgoing(number);
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
