/* Both ends of a connection, as its socket has them or a packet of it. */
#ifdef HAVE_TUPLE
/* Both ends of a socket that may be a small one. */
static __always_inline void capture_connection(struct scratch *s, u64 sk)
{
	u8 *bytes = open_section(s);
	struct tuple *t = (struct tuple *)bytes;

	if (!bytes)
		return;
	read_tuple(sk, t);
	if (is_small(sk))
		GET(t->local_port, sk, O_SK_NUM);
	s->event.fd_type = t->family == AF_INET6 ? FD_IPV6_SOCK : FD_IPV4_SOCK;
	close_section(s, bytes, SECTION_TUPLE, 0, sizeof(struct tuple));
}
#endif

#ifdef HAVE_PACKET
/* Addresses and ports of an IP packet; `arrived`: this end is the destination. */
static __always_inline bool read_packet(u64 skb, bool arrived, struct tuple *t)
{
	u64 head = 0, ip;
	u16 at = 0, from = 0, to = 0;
	u8 version = 0, protocol = 0;

	__builtin_memset(t, 0, sizeof(*t));
	if (!skb)
		return false;
	GET(head, skb, O_SKB_HEAD);
	GET(at, skb, O_SKB_NETWORK_HEADER);
	ip = head + at;
	GET(version, ip, 0);
	if (version >> 4 == 4) {
		t->family = AF_INET;
		bpf_probe_read_kernel(arrived ? t->remote : t->local, 4, (void *)(ip + 12));
		bpf_probe_read_kernel(arrived ? t->local : t->remote, 4, (void *)(ip + 16));
		GET(protocol, ip, 9);
		ip += (version & 15) * 4;
	} else if (version >> 4 == 6) {
		t->family = AF_INET6;
		bpf_probe_read_kernel(arrived ? t->remote : t->local, 16, (void *)(ip + 8));
		bpf_probe_read_kernel(arrived ? t->local : t->remote, 16, (void *)(ip + 24));
		GET(protocol, ip, 6);
		ip += 40;
	} else {
		return false;
	}
	if (protocol == IPPROTO_TCP || protocol == IPPROTO_UDP) {
		GET(from, ip, 0);
		GET(to, ip, 2);
	}
	t->local_port = bpf_ntohs(arrived ? to : from);
	t->remote_port = bpf_ntohs(arrived ? from : to);
	return true;
}
#endif

/* Both ends as a packet has them. */
static __always_inline void capture_packet(struct scratch *s, u64 skb, bool arrived)
{
#ifdef HAVE_PACKET
	u8 *bytes = open_section(s);

	if (bytes && read_packet(skb, arrived, (struct tuple *)bytes))
		close_section(s, bytes, SECTION_TUPLE, 0, sizeof(struct tuple));
#endif
}

#ifdef HAVE_TUPLE
/* A datagram's sender; its receiver is what the socket is bound to if the packet is gone. */
static __always_inline void capture_datagram(struct scratch *s, u64 sk, u64 skb)
{
#ifdef HAVE_PACKET
	capture_packet(s, skb, true);
#else
	capture_connection(s, sk);
#endif
}
#endif

/* Bytes of a segment behind its TCP header, where the packet still begins with that. */
static __always_inline u64 segment_length(u64 skb)
{
	u32 length = 0, header = 0;

#ifdef HAVE_PACKET
	u64 data = 0;
	u8 words = 0;

	GET(length, skb, O_SKB_LEN);
	GET(data, skb, O_SKB_DATA);
	GET(words, data, 12);
	header = (words >> 4) * 4;
#endif
	return length > header ? length - header : 0;
}
