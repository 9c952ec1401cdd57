/* What a file descriptor is, told in the event that works on it: path, addresses or inode. */
#if defined(DESCRIBE_FD) && defined(HAVE_FD)
#define PATH_STEPS 32		/* components and mount points from the file up */
#define PATH_ROOM (SECTION_MAX - 256)	/* NAME_MAX and its NUL fit behind it */
#define PIPE_FS_MAGIC 0x50495045
#define SOCK_FS_MAGIC 0x534f434b
#define NAMESPACE_NAME_MAX 16
#define KEPT_MAX 384

/* A section of a descriptor that is closed before the call's exit tells of it. */
struct kept {
	u8 bytes[KEPT_MAX];
};

BPF_F_TABLE("lru_hash", u64, struct kept, closing, CLOSING, 0);

#ifdef HAVE_PATH
/*
 * The names from the file up to the root of its mount namespace, each with its NUL. The section's
 * argument has the PATH_* marks. Members that lie close together are read in one go.
 */
static __always_inline void describe_path(struct scratch *s, u64 file)
{
	u64 at = 0, path[2] = {}, d[SPAN_DENTRY_SIZE / 8] = {}, m[SPAN_MOUNT_SIZE / 8] = {};
	u64 mount, dentry, parent, name;
	u8 *bytes = open_section(s), marks = PATH_CUT, deleted = 0;
	u32 step;
	long length;

	if (!bytes)
		return;
	GET(path, file, O_FILE_PATH);	/* struct path: the mount, the dentry */
	mount = path[0] - O_MOUNT_MNT;
	dentry = path[1];
	GET(m, mount, SPAN_MOUNT);
#pragma clang loop unroll(disable)
	for (step = 0; step < PATH_STEPS; step++) {
		if (dentry == m[(O_MOUNT_ROOT - SPAN_MOUNT) / 8]) {
			parent = m[(O_MOUNT_PARENT - SPAN_MOUNT) / 8];
			if (parent == mount || !parent) {
				marks = 0;
				break;
			}
			dentry = m[(O_MOUNT_MOUNTPOINT - SPAN_MOUNT) / 8];
			mount = parent;
			GET(m, mount, SPAN_MOUNT);
			continue;
		}
		GET(d, dentry, SPAN_DENTRY);
		parent = d[(O_DENTRY_PARENT - SPAN_DENTRY) / 8];
		name = d[(O_DENTRY_NAME - SPAN_DENTRY) / 8];
		if (!at && !d[(O_DENTRY_PPREV - SPAN_DENTRY) / 8])
			deleted = PATH_DELETED;
		asm volatile("" : "+r"(at));
		if (at > PATH_ROOM)
			break;
		length = bpf_probe_read_kernel_str(bytes + at, 256, (void *)name);
		if (length <= 0 || length > 256)
			break;
		at += length;
		if (parent == dentry) {	/* in no directory: a memory file, an anonymous inode */
			marks = PATH_LOOSE;
			deleted = 0;
			break;
		}
		dentry = parent;
	}
	close_section(s, bytes, SECTION_FD_PATH, marks | deleted, at);
}
#endif

#ifdef HAVE_INODE
/* An inode that has a number and no path; a namespace has the name of its kind as well. */
static __always_inline void describe_inode(struct scratch *s, u64 inode, u8 what)
{
	u8 *bytes = open_section(s);
	u64 length = sizeof(u64);
#ifdef HAVE_NAMESPACE
	u64 namespace = 0, operations = 0, name = 0;
	long named;
#endif

	if (!bytes)
		return;
	bpf_probe_read_kernel(bytes, sizeof(u64), (void *)(inode + O_INODE_INO));
#ifdef HAVE_NAMESPACE
	if (what == INODE_NAMESPACE) {
		GET(namespace, inode, O_INODE_PRIVATE);
		GET(operations, namespace, O_NS_OPS);
		GET(name, operations, O_NS_OPS_NAME);
		named = bpf_probe_read_kernel_str(bytes + sizeof(u64), NAMESPACE_NAME_MAX,
						  (void *)name);
		if (named > 0 && named <= NAMESPACE_NAME_MAX)
			length += named;
	}
#endif
	close_section(s, bytes, SECTION_FD_INODE, what, length);
}
#endif

/* One section that says what an open file is; none where its type says it all. */
static __always_inline void describe_file(struct scratch *s, u64 file, u8 fd_type)
{
	u64 inode = 0, superblock = 0, magic = 0;

	if (fd_type == FD_EVENT || (fd_type >= FD_SIGNALFD && fd_type <= FD_TIMERFD))
		return;
	GET(inode, file, O_FILE_INODE);
#if defined(HAVE_SOCKET) && defined(HAVE_INODE) && defined(HAVE_TUPLE)
	if (fd_type >= FD_IPV4_SOCK && fd_type <= FD_IPV6_SERVSOCK || fd_type == FD_UNIX_SOCK ||
	    fd_type == FD_NETLINK) {
		describe_socket(s, sock_of(file), inode);
		return;
	}
#endif
	if (fd_type == FD_FIFO || fd_type == FD_UNSUPPORTED) {
		GET(superblock, inode, O_INODE_SB);
		GET(magic, superblock, O_SB_MAGIC);
		switch (magic) {
#ifdef HAVE_INODE
		case PIPE_FS_MAGIC:
			describe_inode(s, inode, INODE_PIPE);
			return;
		case PID_FS_MAGIC:
			describe_inode(s, inode, INODE_PROCESS);
			return;
		case NSFS_MAGIC:
			describe_inode(s, inode, INODE_NAMESPACE);
			return;
#if defined(HAVE_SOCKET) && defined(HAVE_TUPLE)
		case SOCK_FS_MAGIC:
			describe_socket(s, sock_of(file), inode);
			return;
#endif
#endif
		}
	}
#ifdef HAVE_PATH
	describe_path(s, file);
#endif
}
#endif

/*
 * Say what the event's descriptor is; nothing if it is not open. `file` is what was behind it
 * when the call was entered, or 0: if another is there now, nothing is said of it.
 */
static __always_inline void describe_fd(struct scratch *s, u64 file)
{
#if defined(DESCRIBE_FD) && defined(HAVE_FD)
	u64 now;

	if (s->event.fd < 0)
		return;
	now = file_of(s->event.fd);
	if (!now || (file && file != now))
		return;
	if (s->event.fd_type == FD_UNKNOWN)
		s->event.fd_type = file_type(now);
	describe_file(s, now, s->event.fd_type);
#endif
}

/* Keep what is said of a descriptor that its call will close, until the call's exit. */
static __always_inline void keep_described(u64 id, u64 file, u8 fd_type)
{
#if defined(DESCRIBE_FD) && defined(HAVE_FD)
	u32 slot = SLOT_ENTER;
	struct scratch *s = scratch_of(slot);

	if (!s || !file)
		return;
	s->event.payload = 0;
	describe_file(s, file, fd_type);
	if (s->event.payload)
		closing.update(&id, (struct kept *)s->payload);
	else
		closing.delete(&id);	/* what an exit that nobody wanted has left */
#endif
}

static __always_inline void recall_described(struct scratch *s, u64 id)
{
#if defined(DESCRIBE_FD) && defined(HAVE_FD)
	struct kept *kept = closing.lookup(&id);
	struct section *head;
	u8 *bytes;

	if (!kept)
		return;
	bytes = open_section(s);
	if (bytes) {
		head = (struct section *)(bytes - sizeof(*head));
		bpf_probe_read_kernel(head, KEPT_MAX, kept);
		if (head->length > KEPT_MAX - sizeof(*head)) {
			head->length = KEPT_MAX - sizeof(*head);
			head->argument |= PATH_CUT;
		}
		s->event.payload += sizeof(*head) + ((head->length + 3) & ~3U);
	}
	closing.delete(&id);
#endif
}

