/* Sockets: both ends' addresses. */
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

static __always_inline void capture_tuple(struct scratch *s, u64 sk)
{
	u8 *bytes = open_section(s);

	if (!bytes)
		return;
	read_tuple(sk, (struct tuple *)bytes);
	close_section(s, bytes, SECTION_TUPLE, 0, sizeof(struct tuple));
}
#endif

