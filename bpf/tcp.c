/* TCP: connections from the first packet to the last, and what goes wrong with them. */
#define TCP_ESTABLISHED 1
#define TCP_SYN_SENT 2
#define TCP_SYN_RECV 3
#define TCP_FIN_WAIT1 4
#define TCP_CLOSE_WAIT 8
#define TCP_LAST_ACK 9
#define BOTH_DIRECTIONS 3	/* of sk_shutdown: nobody reads or writes any more */
#define PORT_SSH 22

#if defined(HAVE_TCP) && defined(HAVE_TUPLE)
/* When a segment of a socket was last reported. */
BPF_F_TABLE("lru_hash", u64, u64, heard, OWNED_SOCKETS, 0);

/* Ports that Kindling leaves out of some events. */
static __always_inline bool left_out(u64 sk)
{
	struct hook_settings *set = settings_now();
	u16 local = 0, remote = 0;

	GET(local, sk, O_INET_SPORT);
	GET(remote, sk, O_SK_DPORT);
	if (!local || !remote)
		return true;
	return is_faithful() &&
	       (local == bpf_htons(PORT_SSH) || remote == bpf_htons(PORT_SSH));
}

static __always_inline u64 round_trip_us(u64 sk)
{
	u32 eighths = 0;

#ifdef HAVE_RTT
	GET(eighths, sk, O_TCP_SRTT);
#endif
	return eighths >> 3;
}

static __always_inline void emit_state(u64 sk, struct owner *o, u32 old, u32 new)
{
	struct scratch *s;

	if (!is_wanted(ROW_TCP_SET_STATE, sk))
		return;
	if (old != TCP_ESTABLISHED && new != TCP_ESTABLISHED && is_faithful())
		return;
	s = begin_owned(SLOT_TCP, ROW_TCP_SET_STATE, o);
	if (!s)
		return;
	s->event.args[0] = old;
	s->event.args[1] = new;
	capture_connection(s, sk);
	publish(s, SLOT_TCP);
}

/*
 * A connect is told when its outcome is known, or when its first SYN was in vain: at the time of
 * the SYN itself the kernel has not yet given the socket its port.
 */
static __always_inline void emit_connect(u32 slot, u64 sk, struct owner *o, u32 state)
{
	u32 error = 0, sent = 1;
	u64 since = o->connecting;
	struct scratch *s;

	o->connecting = 0;
	if (!is_wanted(ROW_TCP_CONNECT, sk))
		return;
	s = begin_owned(slot, ROW_TCP_CONNECT, o);
	if (!s)
		return;
#ifdef HAVE_OUTCOME
	GET(error, sk, O_SK_ERR);
	GET(sent, sk, O_TCP_SEGS_OUT);
#endif
	s->event.args[0] = state;
	s->event.args[1] = error;
	s->event.args[2] = sent;
	s->event.latency = s->event.ts - since;
	s->event.flags |= EV_LATENCY;
	capture_connection(s, sk);
	publish(s, slot);
}

static __always_inline void emit_close(u32 slot, u64 sk, struct owner *o, u32 from)
{
	struct scratch *s;

	if (!is_wanted(ROW_TCP_CLOSE, sk) || left_out(sk))
		return;
	if (o && o->closed)
		return;
	s = begin_owned(slot, ROW_TCP_CLOSE, o);
	if (!s)
		return;
	if (o)
		o->closed = 1;
	s->event.args[0] = round_trip_us(sk);
	s->event.args[1] = from;
	s->event.args[2] = 0;
	s->event.args[3] = 0;
#ifdef HAVE_BYTES
	u64 again = 0;

	GET(s->event.args[2], sk, O_TCP_BYTES_SENT);
	GET(again, sk, O_TCP_BYTES_RETRANS);
	s->event.args[2] -= again;
	GET(s->event.args[3], sk, O_TCP_BYTES_RECEIVED);
	if (from == TCP_CLOSE_WAIT && s->event.args[3])
		s->event.args[3]--;	/* the kernel counts the other end's FIN */
#endif
	s->event.args[5] = o && o->born ? s->event.ts - o->born : 0;
	capture_connection(s, sk);
	publish(s, slot);
}

/* Whether its process is done with a socket, rather than with one direction of it. */
static __always_inline bool shut(u64 sk)
{
#ifdef HAVE_SHUTDOWN
	u8 directions = 0;

	GET(directions, sk, O_SK_SHUTDOWN);
	return (directions & BOTH_DIRECTIONS) == BOTH_DIRECTIONS;
#else
	return false;
#endif
}
#endif

int on_tcp_state(struct bpf_raw_tracepoint_args *ctx)
{
#if defined(HAVE_TCP) && defined(HAVE_TUPLE)
	u64 sk = ctx->args[0];
	u32 old = ctx->args[1], new = ctx->args[2];
	struct owner *o;
	bool held;

	if (!is_tcp(sk))
		return 0;
	held = is_held(sk);
	if (old == TCP_LISTEN && new == TCP_SYN_RECV)
		o = adopt(sk);
	else if (held)
		o = learn(sk);
	else
		o = owner_of(sk);
	if (o && held && old == TCP_CLOSE && new == TCP_SYN_SENT) {
		o->role = ROLE_CLIENT;
		o->closed = 0;
		o->born = o->connecting = bpf_ktime_get_ns();
	}
	if (o && held && (old == TCP_LISTEN || new == TCP_LISTEN))
		note_listener(sk, o, new == TCP_LISTEN);
	emit_state(sk, o, old, new);
	if (o && o->connecting && old == TCP_SYN_SENT)
		emit_connect(SLOT_TCP, sk, o, new);
	if (held && shut(sk) &&
	    (new == TCP_FIN_WAIT1 || new == TCP_LAST_ACK || new == TCP_CLOSE))
		emit_close(SLOT_TCP, sk, o, old);
#endif
	return 0;
}

int on_tcp_destroy(struct bpf_raw_tracepoint_args *ctx)
{
#if defined(HAVE_TCP) && defined(HAVE_TUPLE)
	u64 sk = ctx->args[0];
	struct owner *o = is_held(sk) ? learn(sk) : owner_of(sk);

	emit_close(SLOT_TCP_DESTROY, sk, o, TCP_CLOSE);
	owners.delete(&sk);
	heard.delete(&sk);
#endif
	return 0;
}

#if defined(HAVE_TCP_PROBE) && defined(HAVE_TCP) && defined(HAVE_TUPLE)
/* Whether this segment is to be told: the first of a socket, then at most one per interval. */
static __always_inline bool due(u64 sk)
{
	struct hook_settings *set = settings_now();
	u64 now = bpf_ktime_get_ns(), *last;

	if (!set || !set->segment_interval_ns)
		return true;
	last = heard.lookup(&sk);
	if (last && now - *last < set->segment_interval_ns)
		return false;
	heard.update(&sk, &now);
	return last || !is_faithful();
}
#endif

int on_tcp_segment(struct bpf_raw_tracepoint_args *ctx)
{
#if defined(HAVE_TCP) && defined(HAVE_TUPLE) && defined(HAVE_TCP_PROBE)
	u64 sk = ctx->args[0];
	u32 slot = SLOT_TCP_SEGMENT;
	struct owner *o;
	struct scratch *s;

	if (!is_wanted(ROW_TCP_RCV_ESTABLISHED, sk) || left_out(sk))
		return 0;
	o = owner_of(sk);
	if (o && !deliverable(o, slot))
		return 0;
	if (!due(sk))
		return 0;
	s = begin_owned(SLOT_TCP_SEGMENT, ROW_TCP_RCV_ESTABLISHED, o);
	if (!s)
		return 0;
	s->event.args[0] = round_trip_us(sk);
	s->event.args[1] = segment_length(ctx->args[1]);
	s->event.args[2] = 0;
#ifdef HAVE_RTT
	u32 window = 0;

	GET(window, sk, O_TCP_SND_CWND);
	s->event.args[2] = window;
#endif
	capture_connection(s, sk);
	publish(s, SLOT_TCP_SEGMENT);
#endif
	return 0;
}

int on_tcp_retransmit(struct bpf_raw_tracepoint_args *ctx)
{
#if defined(HAVE_TCP) && defined(HAVE_TUPLE) && defined(HAVE_TCP_RETRANSMIT)
	u64 sk = ctx->args[0];
	struct owner *o = owner_of(sk);
	u8 state = 0;
	struct scratch *s;

	GET(state, sk, O_SK_STATE);
	if (o && o->connecting && state == TCP_SYN_SENT)
		emit_connect(SLOT_TCP_RETRANSMIT, sk, o, state);
	if (!is_wanted(ROW_TCP_RETRANSMIT, sk))
		return 0;
	s = begin_owned(SLOT_TCP_RETRANSMIT, ROW_TCP_RETRANSMIT, o);
	if (!s)
		return 0;
	s->event.args[0] = 1;
	s->event.args[1] = state;
#if RETRANSMIT_TELLS_ERROR
	s->event.args[2] = ctx->args[2];
#else
	s->event.args[2] = 0;
#endif
	capture_connection(s, sk);
	publish(s, SLOT_TCP_RETRANSMIT);
#endif
	return 0;
}

int on_tcp_synack_again(struct bpf_raw_tracepoint_args *ctx)
{
#if defined(HAVE_TCP) && defined(HAVE_TUPLE) && defined(HAVE_TCP_SYNACK)
	u64 listener = ctx->args[0], request = ctx->args[1];
	struct scratch *s;

	if (!is_on(ROW_TCP_SYNACK, CAT_NET))
		return 0;
	s = begin_owned(SLOT_TCP_SYNACK, ROW_TCP_SYNACK, owner_of(listener));
	if (!s)
		return 0;
	capture_connection(s, request);
	publish(s, SLOT_TCP_SYNACK);
#endif
	return 0;
}

int on_tcp_send_reset(struct bpf_raw_tracepoint_args *ctx)
{
#if defined(HAVE_TCP) && defined(HAVE_TUPLE) && defined(HAVE_TCP_SEND_RESET)
	u64 sk = ctx->args[0], skb = ctx->args[1];
	u8 state = 0;
	struct owner *o = NULL;
	struct scratch *s;

	if (sk ? !is_wanted(ROW_TCP_SEND_RESET, sk) : !is_on(ROW_TCP_SEND_RESET, CAT_NET))
		return 0;
	if (sk) {
		GET(state, sk, O_SK_STATE);
		o = is_held(sk) ? learn(sk) : owner_of(sk);
	}
	s = begin_owned(SLOT_TCP_SEND_RESET, ROW_TCP_SEND_RESET, o);
	if (!s)
		return 0;
	s->event.args[0] = state;
#if RESET_TELLS_REASON
	s->event.args[1] = (u32)ctx->args[2];
#else
	s->event.args[1] = 0;
#endif
	/* A listener has no peer, and a port nobody has no socket: the answered packet tells. */
	if (sk && state != TCP_LISTEN)
		capture_connection(s, sk);
	else
		capture_packet(s, skb, true);
	publish(s, SLOT_TCP_SEND_RESET);
#endif
	return 0;
}

int on_tcp_receive_reset(struct bpf_raw_tracepoint_args *ctx)
{
#if defined(HAVE_TCP) && defined(HAVE_TUPLE) && defined(HAVE_TCP_RECEIVE_RESET)
	u64 sk = ctx->args[0];
	u8 state = 0;
	struct scratch *s;

	if (!is_wanted(ROW_TCP_RECEIVE_RESET, sk))
		return 0;
	s = begin_owned(SLOT_TCP_RECEIVE_RESET, ROW_TCP_RECEIVE_RESET, owner_of(sk));
	if (!s)
		return 0;
	GET(state, sk, O_SK_STATE);
	s->event.args[0] = state;
	capture_connection(s, sk);
	publish(s, SLOT_TCP_RECEIVE_RESET);
#endif
	return 0;
}
