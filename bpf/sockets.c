/* Sockets: both ends' addresses. */
#define IPPROTO_MPTCP 262

#ifdef HAVE_TUPLE
static __always_inline void read_tuple(u64 sk, struct tuple *t)
{
	u8 sk_common[SPAN_SK_SIZE] = {};
	u16 port = 0;

	__builtin_memset(t, 0, sizeof(*t));
	GET(sk_common, sk, SPAN_SK);
	t->family = *(u16 *)(sk_common + O_SK_FAMILY - SPAN_SK);
	/* inet_sport outlives the bound port, which is given back before the last transition. */
	GET(port, sk, O_INET_SPORT);
	t->local_port = bpf_ntohs(port);
	if (!t->local_port)
		t->local_port = *(u16 *)(sk_common + O_SK_NUM - SPAN_SK);
	t->remote_port = bpf_ntohs(*(u16 *)(sk_common + O_SK_DPORT - SPAN_SK));
	if (t->family == AF_INET) {
		__builtin_memcpy(t->local, sk_common + O_SK_RCV_SADDR - SPAN_SK, 4);
		__builtin_memcpy(t->remote, sk_common + O_SK_DADDR - SPAN_SK, 4);
	}
#ifdef HAVE_IPV6
	if (t->family == AF_INET6) {
		__builtin_memcpy(t->local, sk_common + O_SK_V6_RCV_SADDR - SPAN_SK, 16);
		__builtin_memcpy(t->remote, sk_common + O_SK_V6_DADDR - SPAN_SK, 16);
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


#if defined(HAVE_SOCKET) && defined(HAVE_INODE) && defined(HAVE_TUPLE)
/* What a descriptor that is a socket stands for. */
struct fd_socket {
	u64 inode;
	u16 protocol, type;
	u8 state, role;
	u16 unused;
	struct tuple tuple;
};

/* The same of a unix socket; the name it or its peer is bound to follows. */
struct fd_unix {
	u64 inode, peer_inode;
	u16 type;
	u8 state, role;
	u32 unused;
};

/* Which side of a connection an IPv4 or IPv6 socket is; 0 if nobody can tell. */
static __always_inline u8 inet_role(u64 sk, u16 family, u16 protocol, u8 state, u16 remote_port)
{
	u64 ipv6 = 0;
	s32 arrived = 0;
	u8 server = 0;

	if (state == TCP_LISTEN)
		return ROLE_LISTENER;
	if (!remote_port)
		return 0;
	if (protocol == IPPROTO_UDP)
		return ROLE_CLIENT;
#ifdef HAVE_ROLE
	/* Only the child of a listener is given the interface its first segment came in by. */
	if (protocol == IPPROTO_TCP) {
		if (family == AF_INET) {
			GET(arrived, sk, O_INET_MC_INDEX);
		} else {
			GET(ipv6, sk, O_INET_PINET6);
			GET(arrived, ipv6, O_IPV6_MCAST_OIF);
		}
		return arrived ? ROLE_SERVER : ROLE_CLIENT;
	}
#endif
#if O_MPTCP_SERVER_SIDE
	if (protocol == IPPROTO_MPTCP) {
		GET(server, sk, O_MPTCP_SERVER_SIDE);
		return server ? ROLE_SERVER : ROLE_CLIENT;
	}
#endif
	return 0;
}

#ifdef HAVE_UNIX
static __always_inline void describe_unix(struct scratch *s, u64 sk, u64 inode, u8 *bytes)
{
	struct fd_unix *it = (struct fd_unix *)bytes;
	u64 peer = 0, socket = 0, own = 0, address = 0, length;
	u32 with_family = 0;

	__builtin_memset(it, 0, sizeof(*it));
	GET(it->inode, inode, O_INODE_INO);
	GET(it->type, sk, O_SK_TYPE);
	GET(it->state, sk, O_SK_STATE);
	GET(own, sk, O_UNIX_ADDR);
	GET(peer, sk, O_UNIX_PEER);
	if (peer) {
		GET(address, peer, O_UNIX_ADDR);
		GET(socket, peer, O_SK_SOCKET);
		if (socket)
			GET(it->peer_inode, socket, O_SOCKET_ALLOC_INODE + O_INODE_INO);
	}
	/* An accepted socket has its listener's name, the one that connected mostly has none. */
	if (it->state == TCP_LISTEN)
		it->role = ROLE_LISTENER;
	else if (peer && own && !address)
		it->role = ROLE_SERVER;
	else if (address && !own)
		it->role = ROLE_CLIENT;
	if (own)
		address = own;
	if (address)
		GET(with_family, address, O_UNIX_ADDRESS_LEN);
	length = with_family > sizeof(u16) ? with_family - sizeof(u16) : 0;
	asm volatile("" : "+r"(length));
	if (length > SOCKADDR_MAX)
		length = 0;
	else if (length)
		bpf_probe_read_kernel(bytes + sizeof(*it), length,
				      (void *)(address + O_UNIX_ADDRESS_NAME + sizeof(u16)));
	close_section(s, bytes, SECTION_FD_UNIX, 0, sizeof(*it) + length);
}
#endif

static __always_inline void describe_socket(struct scratch *s, u64 sk, u64 inode)
{
	u8 *bytes = open_section(s);
	struct fd_socket *it = (struct fd_socket *)bytes;
	u16 family = 0;

	if (!bytes)
		return;
	GET(family, sk, O_SK_FAMILY);
#ifdef HAVE_UNIX
	if (family == AF_UNIX) {
		describe_unix(s, sk, inode, bytes);
		return;
	}
#endif
	__builtin_memset(it, 0, sizeof(*it));
	GET(it->inode, inode, O_INODE_INO);
	GET(it->protocol, sk, O_SK_PROTOCOL);
	GET(it->type, sk, O_SK_TYPE);
	GET(it->state, sk, O_SK_STATE);
	if (family == AF_INET || family == AF_INET6) {
		read_tuple(sk, &it->tuple);
		it->role = inet_role(sk, family, it->protocol, it->state, it->tuple.remote_port);
	}
	it->tuple.family = family;
	close_section(s, bytes, SECTION_FD_SOCKET, 0, sizeof(*it));
}
#endif

