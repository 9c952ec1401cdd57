/* File descriptors: what a number means to the current process. */
#ifdef HAVE_FD
/* The struct file behind a descriptor of the current process; 0 if it is not open. */
static __always_inline u64 file_of(u64 fd)
{
	u64 files = 0, table = 0, slots = 0, file = 0;
	u32 max = 0, number = fd;

	GET(files, bpf_get_current_task(), O_TASK_FILES);
	GET(table, files, O_FILES_FDT);
	GET(max, table, O_FDT_MAX_FDS);
	if (number >= max)
		return 0;
	GET(slots, table, O_FDT_FD);
	GET(file, slots, (u64)number * 8);
	return file;
}

static __always_inline u16 mode_of(u64 file, u64 *inode)
{
	u16 mode = 0;

	*inode = 0;
	GET(*inode, file, O_FILE_INODE);
	GET(mode, *inode, O_INODE_MODE);
	return mode & S_IFMT;
}

static __always_inline u64 sock_of(u64 file)
{
	u64 socket = 0, sk = 0;

	GET(socket, file, O_FILE_PRIVATE);
	GET(sk, socket, O_SOCKET_SK);
	return sk;
}

static __always_inline u8 socket_type(u64 file)
{
	u64 sk = sock_of(file);
	u16 family = 0;
	u8 state = 0;

	GET(family, sk, O_SK_FAMILY);
	GET(state, sk, O_SK_STATE);
	switch (family) {
	case AF_INET:
		return state == TCP_LISTEN ? FD_IPV4_SERVSOCK : FD_IPV4_SOCK;
	case AF_INET6:
		return state == TCP_LISTEN ? FD_IPV6_SERVSOCK : FD_IPV6_SOCK;
	case AF_UNIX:
		return FD_UNIX_SOCK;
	case AF_NETLINK:
		return FD_NETLINK;
	}
	return FD_UNSUPPORTED;
}

static __always_inline u8 anonymous_type(u64 file)
{
	u64 dentry = 0, text = 0, name = 0;

	GET(dentry, file, O_FILE_DENTRY);
	GET(text, dentry, O_DENTRY_NAME);
	GET(name, text, 0);
	switch (name & NAME_MASK) {
	case NAME_EVENTFD:
		return FD_EVENT;
	case NAME_SIGNALFD:
		return FD_SIGNALFD;
	case NAME_TIMERFD:
		return FD_TIMERFD;
	case NAME_EVENTPOLL:
		return FD_EVENTPOLL;
	case NAME_INOTIFY:
		return FD_INOTIFY;
	}
	return FD_UNSUPPORTED;
}

static __always_inline u8 file_type(u64 file)
{
	u64 inode, superblock = 0, magic = 0;

	switch (mode_of(file, &inode)) {
	case S_IFSOCK:
		return socket_type(file);
	case S_IFIFO:
		return FD_FIFO;
	case S_IFDIR:
		return FD_DIRECTORY;
	}
	/* Anonymous inodes count as regular files on newer kernels: ask the file system. */
	GET(superblock, inode, O_INODE_SB);
	GET(magic, superblock, O_SB_MAGIC);
	if (magic == ANON_INODE_FS_MAGIC)
		return anonymous_type(file);
	if (magic == PID_FS_MAGIC || magic == NSFS_MAGIC)
		return FD_UNSUPPORTED;
	return FD_FILE;
}
#else
static __always_inline u64 file_of(u64 fd)
{
	return 0;
}

static __always_inline u8 file_type(u64 file)
{
	return FD_UNKNOWN;
}
#endif

/* What a descriptor is; *open tells whether there was anything to judge. */
static __always_inline u8 fd_type_of(u64 fd, bool *open)
{
	u64 file = file_of(fd);

	*open = file != 0;
	return file ? file_type(file) : FD_UNKNOWN;
}

/* Kindling's rule for calls that are judged by their descriptor. */
static __always_inline u8 category_of(u8 fd_type)
{
	switch (fd_type) {
	case FD_FILE:
	case FD_DIRECTORY:
		return CAT_FILE;
	case FD_IPV4_SOCK:
	case FD_IPV6_SOCK:
	case FD_IPV4_SERVSOCK:
	case FD_IPV6_SERVSOCK:
		return CAT_NET;
	case FD_FIFO:
	case FD_UNIX_SOCK:
	case FD_EVENT:
	case FD_SIGNALFD:
	case FD_INOTIFY:
		return CAT_IPC;
	}
	return CAT_OTHER;
}

