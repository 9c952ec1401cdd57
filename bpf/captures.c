/* What the memory of a system call holds: strings, structures, addresses and data. */

#define DATA_MAX 2048		/* joined bytes of one section; half of what it has room for */
#define VECTORS 8		/* vectors of one call that are joined */
#define STRINGS 16		/* arguments of a program that did not start */
#define STRING_MAX 256

/* struct iovec, struct user_msghdr and struct mmsghdr as programs have them. */
struct vector {
	u64 base, length;
};

struct message {
	u64 name;
	u32 name_length, unused;
	u64 vectors, count;
};
#define MESSAGE_STRIDE 64
#define MESSAGE_LENGTH 56

/* What a program may be told of its process beside the common part of an event. */
struct facts {
	u64 vm_size;		/* KiB */
	u64 major_faults, minor_faults;
	u64 fd_limit;
	u32 tid, pid, parent, unused;
};
_Static_assert(sizeof(struct facts) == FACTS_SIZE, "the engine decodes other facts");

static __always_inline void missing(struct scratch *s)
{
	s->event.flags |= EV_MISSING;
}

static __always_inline u64 argument_of(const struct scratch *s, u64 argument)
{
	return argument < 6 ? s->event.args[argument] : 0;
}

static __always_inline u64 count_of(const struct scratch *s, const struct step *step)
{
	u32 count = 0;

	if (step->count == COUNT_ONE)
		return 1;
	if (step->count == COUNT_RESULT)
		return s->event.result > 0 ? s->event.result : 0;
	if (step->count >= COUNT_AT)
		bpf_probe_read_user(&count, sizeof(count),
				    (void *)argument_of(s, step->count - COUNT_AT));
	else
		count = argument_of(s, step->count);
	return count;
}

static __always_inline void capture_text(struct scratch *s, u8 argument, u64 from)
{
	u8 *bytes = open_section(s);
	long length;

	if (!bytes) {
		missing(s);
		return;
	}
	length = bpf_probe_read_user_str(bytes, PATH_MAX, (void *)from);
	if (length < 0)
		missing(s);
	else
		close_section(s, bytes, SECTION_TEXT, argument, length);
}

static __always_inline void capture_bytes(struct scratch *s, u8 kind, u8 argument, u64 from,
					  u64 length)
{
	u8 *bytes = open_section(s);

	asm volatile("" : "+r"(length));
	if (!bytes || length > SECTION_MAX || bpf_probe_read_user(bytes, length, (void *)from))
		missing(s);
	else
		close_section(s, bytes, kind, argument, length);
}

static __always_inline void capture_items(struct scratch *s, const struct step *step, u8 kind,
					  u64 from)
{
	u64 length = count_of(s, step);

	if (length > SECTION_MAX)
		length = SECTION_MAX;
	length *= step->item;
	if (length > step->most)
		length = step->most;
	if (length)
		capture_bytes(s, kind, step->argument, from, length);
}

/* The first `total` bytes that `count` vectors hold, joined. */
static __always_inline void capture_vectors(struct scratch *s, u8 argument, u64 from, u64 count,
					    u64 total)
{
	u8 *bytes = open_section(s);
	u64 done = 0, take;
	struct vector v;

	if (!bytes) {
		missing(s);
		return;
	}
#pragma clang loop unroll(disable)
	for (u32 i = 0; i < VECTORS; i++) {
		if (i >= count || done >= total)
			break;
		if (bpf_probe_read_user(&v, sizeof(v), (void *)(from + i * sizeof(v)))) {
			missing(s);
			break;
		}
		take = v.length;
		if (take > total - done)
			take = total - done;
		asm volatile("" : "+r"(take), "+r"(done));
		if (take > DATA_MAX || done > DATA_MAX)
			break;
		if (bpf_probe_read_user(bytes + done, take, (void *)v.base)) {
			missing(s);
			break;
		}
		done += take;
	}
	asm volatile("" : "+r"(done));
	if (done && done <= SECTION_MAX)
		close_section(s, bytes, SECTION_DATA, argument, done);
}

/* A call with vectors: its own, or those of a message or of one of several messages. */
static __always_inline void capture_joined(struct scratch *s, const struct step *step, u64 from)
{
	u64 total = s->event.result > 0 ? s->event.result : 0, count;
	u8 argument = step->argument;
	struct message m;
	u32 length = 0;

	if (step->what == CAPTURE_VECTOR) {
		count = argument_of(s, step->count);
	} else {
		if (step->what == CAPTURE_MESSAGES) {
			if (step->item >= total)
				return;
			argument = step->item;
			from += argument * MESSAGE_STRIDE;
			bpf_probe_read_user(&length, sizeof(length),
					    (void *)(from + MESSAGE_LENGTH));
			total = length;
		}
		if (bpf_probe_read_user(&m, sizeof(m), (void *)from)) {
			missing(s);
			return;
		}
		from = m.vectors;
		count = m.count;
	}
	if (total > step->most)
		total = step->most;
	if (total)
		capture_vectors(s, argument, from, count, total);
}

/* The address in a struct msghdr. */
static __always_inline void capture_name(struct scratch *s, u8 argument, u64 from)
{
	struct message m;
	u64 length;

	if (bpf_probe_read_user(&m, sizeof(m), (void *)from)) {
		missing(s);
		return;
	}
	length = m.name_length;
	if (length > SOCKADDR_MAX)
		length = SOCKADDR_MAX;
	if (m.name && length)
		capture_bytes(s, SECTION_SOCKADDR, argument, m.name, length);
}

/* Both ends of a socket, unless they are told with the descriptor anyway. */
static __always_inline void capture_ends(struct scratch *s, s64 fd)
{
#if defined(HAVE_FD) && defined(HAVE_TUPLE) && !defined(DESCRIBE_FD)
	u64 inode, file;

	if (fd < 0)
		return;
	file = file_of(fd);
	if (file && mode_of(file, &inode) == S_IFSOCK)
		capture_tuple(s, sock_of(file));
#endif
}

/*
 * The name given to a successful execve: the old memory is gone, but the kernel has put the
 * name on the new stack, right behind the environment.
 */
static __always_inline void capture_executed(struct scratch *s, u8 argument)
{
#ifdef HAVE_EXEC
	u64 mm = 0, name = 0;

	GET(mm, bpf_get_current_task(), O_TASK_MM);
	GET(name, mm, O_MM_ENV_END);
	capture_text(s, argument, name);
#else
	missing(s);
#endif
}

/* The arguments a program was started with, each with its NUL, from where the kernel put them. */
static __always_inline void capture_started(struct scratch *s)
{
#ifdef HAVE_ARGV
	u64 mm = 0, start = 0, end = 0, length;

	GET(mm, bpf_get_current_task(), O_TASK_MM);
	GET(start, mm, O_MM_ARG_START);
	GET(end, mm, O_MM_ARG_END);
	length = end - start;
	if (length > SECTION_MAX)
		length = SECTION_MAX;
	if (length)
		capture_bytes(s, SECTION_ARGV, 0, start, length);
#else
	missing(s);
#endif
}

/* The same of one that is still to be started, from the caller's pointers. */
static __always_inline void capture_argv(struct scratch *s, u64 from)
{
	u8 *bytes = open_section(s);
	u64 done = 0, string;
	long length;

	if (!bytes || !from)
		return;
#pragma clang loop unroll(disable)
	for (u32 i = 0; i < STRINGS; i++) {
		string = 0;
		if (bpf_probe_read_user(&string, sizeof(string), (void *)(from + i * 8))) {
			missing(s);
			break;
		}
		asm volatile("" : "+r"(done));
		if (!string || done > DATA_MAX)
			break;
		length = bpf_probe_read_user_str(bytes + done, STRING_MAX, (void *)string);
		if (length < 0) {
			missing(s);
			break;
		}
		done += length;
	}
	asm volatile("" : "+r"(done));
	if (done && done <= SECTION_MAX)
		close_section(s, bytes, SECTION_ARGV, 0, done);
}

static __always_inline void capture_facts(struct scratch *s)
{
#ifdef HAVE_FACTS
	u64 task = bpf_get_current_task(), mm = 0, signal = 0, parent = 0;
	u8 *bytes = open_section(s);
	struct facts *f = (struct facts *)bytes;

	if (!bytes) {
		missing(s);
		return;
	}
	__builtin_memset(f, 0, sizeof(*f));
	GET(mm, task, O_TASK_MM);
	GET(f->vm_size, mm, O_MM_TOTAL_VM);
	f->vm_size *= PAGE_SIZE / 1024;
	GET(f->major_faults, task, O_TASK_MAJ_FLT);
	GET(f->minor_faults, task, O_TASK_MIN_FLT);
	GET(signal, task, O_TASK_SIGNAL);
	GET(f->fd_limit, signal, O_SIGNAL_RLIM + RLIMIT_NOFILE * 16);
	GET(parent, task, O_TASK_REAL_PARENT);
	GET(f->parent, parent, O_TASK_TGID);
	f->tid = s->event.tid;
	f->pid = s->event.tgid;
	close_section(s, bytes, SECTION_FACTS, 0, sizeof(*f));
#endif
}

static __always_inline void capture(struct scratch *s, const struct step *step, bool exit)
{
	u64 from = argument_of(s, step->argument);
	bool started = exit && s->event.result == 0;

	if ((step->flags & STEP_SUCCESS) && s->event.result < 0)
		return;
	switch (step->what) {
	case CAPTURE_TEXT:
		if (from)
			capture_text(s, step->argument, from);
		break;
	case CAPTURE_SOCKADDR:
		if (from)
			capture_items(s, step, SECTION_SOCKADDR, from);
		break;
	case CAPTURE_DATA:
		if (from)
			capture_items(s, step, SECTION_DATA, from);
		break;
	case CAPTURE_STRUCT:
		if (from)
			capture_items(s, step, SECTION_STRUCT, from);
		break;
	case CAPTURE_VECTOR:
	case CAPTURE_MESSAGE:
	case CAPTURE_MESSAGES:
		if (from)
			capture_joined(s, step, from);
		break;
	case CAPTURE_NAME:
		if (from)
			capture_name(s, step->argument, from);
		break;
	case CAPTURE_TUPLE:
		capture_ends(s, (s32)from);
		break;
	case CAPTURE_PEER:
		capture_ends(s, s->event.result);
		break;
	case CAPTURE_EXEC:
		if (started)
			capture_executed(s, step->argument);
		else if (from)
			capture_text(s, step->argument, from);
		break;
	case CAPTURE_ARGV:
		if (started)
			capture_started(s);
		else
			capture_argv(s, from);
		break;
	case CAPTURE_FACTS:
		capture_facts(s);
		break;
	}
}

static __always_inline void capture_all(struct scratch *s, const struct step *steps, bool exit)
{
#pragma clang loop unroll(disable)
	for (u32 i = 0; i < STEPS; i++) {
		if (!steps[i].what)
			break;
		capture(s, &steps[i], exit);
	}
}

