/* Packets that the kernel throws away on their way to a socket. */
#ifdef HAVE_DROPS
/* Whether the kernel's name of a reason says that TCP dropped the packet; see reasons.py. */
static __always_inline bool is_tcp_reason(u32 reason)
{
	u64 names;

	if (reason < 64)
		names = DROP_TCP_0;
	else if (reason < 128)
		names = DROP_TCP_1;
	else if (reason < 192)
		names = DROP_TCP_2;
	else
		return false;
	return names >> (reason & 63) & 1;
}

/* Reasons that count for a socket of any kind. */
static __always_inline bool is_socket_reason(u32 reason)
{
	return reason == DROP_PROTO_MEM || reason == DROP_SOCKET_BACKLOG;
}
#endif

int on_skb_drop(struct bpf_raw_tracepoint_args *ctx)
{
#if defined(HAVE_TCP) && defined(HAVE_TUPLE) && defined(HAVE_DROPS)
	u64 sk = ctx->args[3], skb = ctx->args[0];
	u32 reason = ctx->args[2], row = ROW_TCP_DROP;
	u16 protocol = 0;
	struct scratch *s;

	/* Ordinary ends of connections have a socket too, and no reason. */
	if (!sk || reason <= DROP_NOT_SPECIFIED)
		return 0;
	if (!is_tcp_reason(reason)) {
		GET(protocol, sk, O_SK_PROTOCOL);
		if (!is_small(sk) && protocol == IPPROTO_UDP)
			row = ROW_UDP_DROP;
		else if (!is_socket_reason(reason) || !is_tcp(sk))
			return 0;
	}
	if (!is_wanted(row, sk))
		return 0;
	s = begin_owned(SLOT_SKB_DROP, row, owner_of(sk));
	if (!s)
		return 0;
	s->event.args[0] = reason;
	s->event.args[1] = 0;
	if (row == ROW_UDP_DROP) {
		capture_datagram(s, sk, skb);
	} else {
		u8 state = 0;

		GET(state, sk, O_SK_STATE);
		s->event.args[1] = state;
		capture_connection(s, sk);
	}
	publish(s, SLOT_SKB_DROP);
#endif
	return 0;
}
