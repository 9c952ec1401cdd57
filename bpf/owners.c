/*
 * Whose socket it is. A packet is worked on by whatever processor it reaches, on top of some
 * unrelated thread: the owner of a socket is therefore remembered whenever a thread is seen
 * holding it, and looked up when something happens to the socket later.
 */
#define TCP_TIME_WAIT 6
#define TCP_NEW_SYN_RECV 12

struct owner {
	u64 cgroup;
	u64 born;		/* when the connection began; 0: before anybody watched */
	u64 connecting;		/* since when, until that connect is told */
	u32 tgid, tid, uid, gid;
	char comm[16];
	u32 generation;		/* of the settings, when it was learned */
	u8 how;			/* OWNER_* */
	u8 role;		/* ROLE_* */
	u8 closed;		/* its close was told */
	u8 unused;
};
_Static_assert(sizeof(struct owner) == OWNER_SIZE, "the engine writes other owners");

/* Where connections arrive; an IPv4 address as IPv6 maps it, and zeros where any will do. */
struct listener {
	u32 space;		/* network namespace */
	u16 port;
	u16 unused;
	u8 address[16];
};
_Static_assert(sizeof(struct listener) == LISTENER_SIZE, "the engine writes other listeners");

struct hook_settings {
	u64 segment_interval_ns;	/* between reports of one socket's segments; 0: each */
	u32 fault_interval;		/* of a process's page faults, every n-th is an event */
	u32 generation;			/* owners of another one are stale */
};
_Static_assert(sizeof(struct hook_settings) == SETTINGS_SIZE, "the engine has other settings");

BPF_ARRAY(hook_settings, struct hook_settings, 1);
/* By address of the socket. */
BPF_F_TABLE("lru_hash", u64, struct owner, owners, OWNED_SOCKETS, 0);
/* By inode: sockets that were there before; found by the engine, which knows no addresses. */
BPF_F_TABLE("lru_hash", u64, struct owner, seeded, OWNED_SOCKETS, 0);
/* Who gets the connections that arrive there. */
BPF_F_TABLE("lru_hash", struct listener, struct owner, listeners, LISTENERS, 0);

static __always_inline struct hook_settings *settings_now(void)
{
	u32 zero = 0;

	return hook_settings.lookup(&zero);
}

/* Whether quirks of Kindling are wanted. */
static __always_inline bool is_faithful(void)
{
	u32 zero = 0;
	struct config *c = config.lookup(&zero);

	return c && c->rules & RULE_KINDLING;
}

#ifdef HAVE_TUPLE
/* A request or TIME_WAIT socket, which is only the beginning of a struct sock. */
static __always_inline bool is_small(u64 sk)
{
	u8 state = 0;

	GET(state, sk, O_SK_STATE);
	return state == TCP_NEW_SYN_RECV || state == TCP_TIME_WAIT;
}

#ifdef HAVE_TCP
static __always_inline bool is_tcp(u64 sk)
{
	u16 protocol = 0;

	if (is_small(sk))
		return true;
	GET(protocol, sk, O_SK_PROTOCOL);
	return protocol == IPPROTO_TCP;
}
#endif

/*
 * While a thread holds the socket, soft interrupts leave it alone: whatever happens to it then is
 * that thread's own doing.
 */
static __always_inline bool is_held(u64 sk)
{
	u32 held = 0;

#ifdef HAVE_OWNER
	if (is_small(sk))
		return false;
	GET(held, sk, O_SK_OWNED);
#endif
	return held;
}

static __always_inline u64 inode_of(u64 sk)
{
	u64 socket = 0, number = 0;

#ifdef HAVE_SEEDS
	if (is_small(sk))
		return 0;
	GET(socket, sk, O_SK_SOCKET);
	if (socket)
		GET(number, socket, O_SOCKET_INODE_NUMBER);
#endif
	return number;
}

static __always_inline bool is_current(const struct owner *o)
{
	struct hook_settings *set = settings_now();

	return set && o->generation == set->generation;
}

/* The local end of a socket. */
static __always_inline void listening_at(u64 sk, struct listener *at)
{
	__builtin_memset(at, 0, sizeof(*at));
#ifdef HAVE_NETNS
	u64 net = 0;
	struct tuple ends;

	GET(net, sk, O_SK_NET);
	GET(at->space, net, O_NET_INUM);
	read_tuple(sk, &ends);
	at->port = ends.local_port;
	if (ends.family == AF_INET6) {
		__builtin_memcpy(at->address, ends.local, sizeof(at->address));
	} else {
		at->address[10] = at->address[11] = 0xff;
		__builtin_memcpy(at->address + 12, ends.local, 4);
	}
#endif
}

static __always_inline struct owner *listener_at(const struct listener *at)
{
	struct owner *o = listeners.lookup((struct listener *)at);

	return o && is_current(o) ? o : NULL;
}

/* Who listens at the local end of a connection: at its address, or else at any. */
static __always_inline struct owner *listener_of(u64 sk)
{
	struct listener at;
	struct owner *o;

	listening_at(sk, &at);
	o = listener_at(&at);
	if (o)
		return o;
	__builtin_memset(at.address + 12, 0, 4);
	o = listener_at(&at);
	if (o)
		return o;
	__builtin_memset(at.address, 0, sizeof(at.address));
	return listener_at(&at);
}

/* The owner of a socket; NULL if nobody was seen holding it. */
static __always_inline struct owner *owner_of(u64 sk)
{
	struct owner *o;
	u64 inode, listener = 0;

#ifdef HAVE_LISTENER
	u8 state = 0;

	GET(state, sk, O_SK_STATE);
	if (state == TCP_NEW_SYN_RECV) {
		GET(listener, sk, O_SK_LISTENER);
		sk = listener;
	}
#endif
	o = owners.lookup(&sk);
	if (o && is_current(o))
		return o;
	inode = inode_of(sk);
	if (!inode)
		return NULL;
	o = seeded.lookup(&inode);
	if (!o || !is_current(o))
		return NULL;
	owners.update(&sk, o);
	return owners.lookup(&sk);
}

/* Say that an owner is the current thread, as it is called and as whom it runs by now. */
static __always_inline void name_owner(struct owner *o)
{
	u64 id = bpf_get_current_pid_tgid(), ids = bpf_get_current_uid_gid();

	o->cgroup = bpf_get_current_cgroup_id();
	o->tgid = id >> 32;
	o->tid = id;
	o->uid = ids;
	o->gid = ids >> 32;
	bpf_get_current_comm(o->comm, sizeof(o->comm));
}

/* The current thread owns the socket. */
static __always_inline struct owner *learn(u64 sk)
{
	struct hook_settings *set = settings_now();
	struct owner made = {}, *known = owner_of(sk);

	if (!set)
		return NULL;
	if (known && known->tgid == bpf_get_current_pid_tgid() >> 32 &&
	    known->how == OWNER_SOCKET) {
		name_owner(known);
		return known;
	}
	if (known) {
		made.born = known->born;
		made.connecting = known->connecting;
		made.role = known->role;
		made.closed = known->closed;
	}
	name_owner(&made);
	made.generation = set->generation;
	made.how = OWNER_SOCKET;
	owners.update(&sk, &made);
	return owners.lookup(&sk);
}

/* A connection that just arrived belongs to whoever listens there, until a thread takes it. */
static __always_inline struct owner *adopt(u64 sk)
{
	struct owner *listener = listener_of(sk), made;

	owners.delete(&sk);
	if (!listener)
		return NULL;
	made = *listener;
	made.how = OWNER_ACCEPTED;
	made.role = ROLE_SERVER;
	made.closed = 0;
	made.connecting = 0;
	made.born = bpf_ktime_get_ns();
	owners.update(&sk, &made);
	return owners.lookup(&sk);
}

static __always_inline void note_listener(u64 sk, struct owner *o, bool begins)
{
	struct listener at;
	struct owner *known;

	listening_at(sk, &at);
	if (begins) {
		o->role = ROLE_LISTENER;
		listeners.update(&at, o);
		return;
	}
	known = listeners.lookup(&at);
	if (known && known->tgid == o->tgid)
		listeners.delete(&at);
}
#endif

/* As wanted_process and name_chosen judge the current thread. */
static __always_inline bool wanted_owner(const struct config *c, const struct owner *o)
{
	struct comm comm = {};
	u32 tgid = o->tgid, tid = o->tid;
	u8 *known;
	bool in = false;

	if (tgid == c->own_tgid)
		return false;
	if (c->scoped & (SCOPE_PROCESSES | SCOPE_THREADS)) {
		known = pids.lookup(&tgid);
		in = known && *known & PID_PROCESS;
		if (!in && c->scoped & SCOPE_THREADS) {
			known = pids.lookup(&tid);
			in = known && *known & PID_THREAD;
		}
		if (!in)
			return false;
	}
	if (!(c->scoped & SCOPE_NAMES || c->excluding))
		return true;
	__builtin_memcpy(comm.name, o->comm, sizeof(comm.name));
	known = comms.lookup(&comm);
	if (known && *known & COMM_EXCLUDED)
		return false;
	return !(c->scoped & SCOPE_NAMES) || (known && *known & COMM_CHOSEN);
}

/* Whether events of this owner are wanted; those of nobody are, unless there is a scope. */
static __always_inline bool deliverable(const struct owner *o, u32 slot)
{
	u32 zero = 0;
	struct config *c = config.lookup(&zero);
	struct stats *counted;

	if (!c)
		return false;
	if (o)
		return wanted_owner(c, o);
	if (!c->scoped)
		return true;
	counted = stats.lookup(&slot);
	if (counted)
		counted->unowned++;
	return false;
}

#if defined(HAVE_TCP) && defined(HAVE_TUPLE)
/* Whether an event is wanted of a socket: Kindling knows IPv4 alone. */
static __always_inline bool is_wanted(u16 row, u64 sk)
{
	u16 family = 0;

	if (!is_on(row, CAT_NET))
		return false;
	if (!is_faithful())
		return true;
	GET(family, sk, O_SK_FAMILY);
	return family == AF_INET;
}
#endif

/* An event in the name of a socket's owner; the thread that was interrupted is in args[4]. */
static __always_inline struct scratch *begin_owned(u32 slot, u16 row, const struct owner *o)
{
	u64 interrupted = (u32)bpf_get_current_pid_tgid();
	struct scratch *s;

	if (!deliverable(o, slot))
		return NULL;
	s = scratch_of(slot);
	if (!s)
		return NULL;
	describe(&s->event, row, CAT_NET);
	s->event.args[4] = interrupted;
	if (!o) {
		s->event.flags |= EV_NO_OWNER;
		return s;
	}
	s->event.args[4] |= (u64)o->how << 32 | (u64)o->role << 40;
	s->event.tgid = o->tgid;
	s->event.tid = o->tid;
	s->event.uid = o->uid;
	s->event.gid = o->gid;
	s->event.cgroup = o->cgroup;
	__builtin_memcpy(s->event.comm, o->comm, sizeof(o->comm));
	return s;
}

/* The thread that sends or receives is one that holds the socket. */
static __always_inline int on_transfer(struct bpf_raw_tracepoint_args *ctx)
{
#if defined(HAVE_TCP) && defined(HAVE_TUPLE)
	u64 sk = ctx->args[0];
	u16 family = 0, protocol = 0;

	GET(family, sk, O_SK_FAMILY);
	if (family != AF_INET && family != AF_INET6)
		return 0;
	GET(protocol, sk, O_SK_PROTOCOL);
	if (protocol == IPPROTO_TCP || protocol == IPPROTO_UDP)
		learn(sk);
#endif
	return 0;
}

int on_sock_send(struct bpf_raw_tracepoint_args *ctx)
{
	return on_transfer(ctx);
}

int on_sock_receive(struct bpf_raw_tracepoint_args *ctx)
{
	return on_transfer(ctx);
}
