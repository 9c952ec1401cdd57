"""How arguments of system calls are written: the kernel's names for flags and numbers.

The numbers are those of x86-64 and of the kernel's user interface, which never change.
"""

from __future__ import annotations

import os
import signal
from collections.abc import Callable, Mapping
from functools import lru_cache
from typing import TypeAlias

from engine.probe.values import O_TMPFILE, family_name, open_flags, signal_name, signed

Notation: TypeAlias = Callable[[int], str]


def names(prefix: str, *given: str) -> dict[int, str]:
    """Numbers from 0 on and their names; an empty name is none."""
    return {number: prefix + name for number, name in enumerate(given) if name}


def bits(prefix: str, text: str, first: int = 0) -> dict[int, str]:
    """Single bits from `1 << first` on and their names; `-` is none."""
    return {
        1 << place: prefix + name for place, name in enumerate(text.split(), first) if name != "-"
    }


def one_of(table: Mapping[int, str], width: int = 32) -> Notation:
    """A number by its name, or else as a number."""

    def write(value: int) -> str:
        number = signed(value, width)
        return table.get(number) or str(number)

    return write


def any_of(table: Mapping[int, str], none: str = "0") -> Notation:
    """Flags by their names, joined; what has none as a hexadecimal rest."""

    @lru_cache(maxsize=1024)
    def write(value: int) -> str:
        rest = value & 0xFFFFFFFF
        found = []
        for bit, name in table.items():
            if rest & bit == bit:
                found.append(name)
                rest &= ~bit
        if rest:
            found.append(hex(rest))
        return "|".join(found) or none

    return write


def number_and_flags(table: Mapping[int, str], mask: int, flags: Mapping[int, str]) -> Notation:
    """A number in some bits and flags in the others."""
    number, rest = one_of(table), any_of(flags)

    def write(value: int) -> str:
        extra = value & 0xFFFFFFFF & ~mask
        return number(value & mask) + (f"|{rest(extra)}" if extra else "")

    return write


def octal(value: int) -> str:
    """Permissions."""
    return f"{value & 0o7777:#o}"


def hexadecimal(value: int) -> str:
    """Addresses and words of bits."""
    return hex(value)


def signal_set(value: int) -> str:
    """The signals of a mask."""
    return " ".join(signal_name(each) for each in range(1, 65) if value >> (each - 1) & 1)


def wait_status(value: int) -> str:
    """A status as wait4 fills it in."""
    status = value & 0xFFFFFFFF
    number = status & 0x7F
    if status == 0xFFFF:
        return "continued"
    if number == 0x7F:
        return f"stopped by {signal_name(status >> 8 & 0xFF)}"
    if number:
        return f"killed by {signal_name(number)}"
    return f"exited with {status >> 8 & 0xFF}"


def _ioctl(value: int) -> str:
    return _IOCTLS.get(value & 0xFFFFFFFF) or hex(value & 0xFFFFFFFF)


def _key(value: int) -> str:
    return "IPC_PRIVATE" if value & 0xFFFFFFFF == 0 else hex(value & 0xFFFFFFFF)


def creates(flags: int) -> bool:
    """Whether these flags of an open make it look at its mode."""
    return bool(flags & os.O_CREAT) or flags & O_TMPFILE == O_TMPFILE


_CLOEXEC_NONBLOCK = {0o4000: "NONBLOCK", 0o2000000: "CLOEXEC"}
_SOCK = {bit: f"SOCK_{name}" for bit, name in _CLOEXEC_NONBLOCK.items()}
_POLL = bits("POLL", "IN PRI OUT ERR HUP NVAL RDNORM RDBAND WRNORM WRBAND MSG - - RDHUP")
_EPOLL = bits("EPOLL", "IN PRI OUT ERR HUP - RDNORM RDBAND WRNORM WRBAND MSG - - RDHUP") | bits(
    "EPOLL", "EXCLUSIVE WAKEUP ONESHOT ET", 28
)
_CLONE = bits(
    "CLONE_",
    "VM FS FILES SIGHAND PIDFD PTRACE VFORK PARENT THREAD NEWNS SYSVSEM SETTLS PARENT_SETTID "
    "CHILD_CLEARTID DETACHED UNTRACED CHILD_SETTID NEWCGROUP NEWUTS NEWIPC NEWUSER NEWPID "
    "NEWNET IO",
    8,
) | {0x80: "CLONE_NEWTIME"}
_MMAP = {1: "MAP_SHARED", 2: "MAP_PRIVATE", 3: "MAP_SHARED_VALIDATE"}
_MMAP_FLAGS = {
    0x10: "MAP_FIXED", 0x20: "MAP_ANONYMOUS", 0x100: "MAP_GROWSDOWN", 0x800: "MAP_DENYWRITE",
    0x2000: "MAP_LOCKED", 0x4000: "MAP_NORESERVE", 0x8000: "MAP_POPULATE",
    0x10000: "MAP_NONBLOCK", 0x20000: "MAP_STACK", 0x40000: "MAP_HUGETLB",
    0x100000: "MAP_FIXED_NOREPLACE",
}  # fmt: skip
_IPC = {0o1000: "IPC_CREAT", 0o2000: "IPC_EXCL", 0o4000: "IPC_NOWAIT", 0x1000: "SEM_UNDO"}
_IOCTLS = {
    0x5401: "TCGETS", 0x5402: "TCSETS", 0x5403: "TCSETSW", 0x540F: "TIOCGPGRP",
    0x5410: "TIOCSPGRP", 0x5413: "TIOCGWINSZ", 0x5414: "TIOCSWINSZ", 0x541B: "FIONREAD",
    0x5421: "FIONBIO", 0x5450: "FIONCLEX", 0x5451: "FIOCLEX", 0x8910: "SIOCGIFNAME",
    0x8912: "SIOCGIFCONF", 0x8913: "SIOCGIFFLAGS", 0x8915: "SIOCGIFADDR",
    0x80045430: "TIOCGPTN", 0x40049409: "FICLONE",
}  # fmt: skip
_AT = {
    0x100: "AT_SYMLINK_NOFOLLOW", 0x200: "AT_REMOVEDIR", 0x400: "AT_SYMLINK_FOLLOW",
    0x800: "AT_NO_AUTOMOUNT", 0x1000: "AT_EMPTY_PATH", 0x2000: "AT_STATX_FORCE_SYNC",
    0x4000: "AT_STATX_DONT_SYNC", 0x8000: "AT_RECURSIVE",
}  # fmt: skip
_FCNTL = names(
    "F_", "DUPFD", "GETFD", "SETFD", "GETFL", "SETFL", "GETLK", "SETLK", "SETLKW", "SETOWN",
    "GETOWN", "SETSIG", "GETSIG",
) | {
    15: "F_SETOWN_EX", 16: "F_GETOWN_EX", 36: "F_OFD_GETLK", 37: "F_OFD_SETLK",
    38: "F_OFD_SETLKW", 1024: "F_SETLEASE", 1025: "F_GETLEASE", 1026: "F_NOTIFY",
    1030: "F_DUPFD_CLOEXEC", 1031: "F_SETPIPE_SZ", 1032: "F_GETPIPE_SZ", 1033: "F_ADD_SEALS",
    1034: "F_GET_SEALS",
}  # fmt: skip
_SOCKET_OPTIONS = names(
    "SO_", "", "DEBUG", "REUSEADDR", "TYPE", "ERROR", "DONTROUTE", "BROADCAST", "SNDBUF",
    "RCVBUF", "KEEPALIVE", "OOBINLINE", "NO_CHECK", "PRIORITY", "LINGER", "BSDCOMPAT",
    "REUSEPORT", "PASSCRED", "PEERCRED", "RCVLOWAT", "SNDLOWAT", "RCVTIMEO", "SNDTIMEO",
) | {25: "SO_BINDTODEVICE", 26: "SO_ATTACH_FILTER", 28: "SO_PEERNAME", 29: "SO_TIMESTAMP",
     30: "SO_ACCEPTCONN", 31: "SO_PEERSEC", 32: "SO_SNDBUFFORCE", 33: "SO_RCVBUFFORCE",
     34: "SO_PASSSEC", 36: "SO_MARK", 38: "SO_PROTOCOL", 39: "SO_DOMAIN", 46: "SO_BUSY_POLL",
     50: "SO_ATTACH_BPF", 57: "SO_COOKIE"}  # fmt: skip
_TCP_OPTIONS = names(
    "TCP_", "", "NODELAY", "MAXSEG", "CORK", "KEEPIDLE", "KEEPINTVL", "KEEPCNT", "SYNCNT",
    "LINGER2", "DEFER_ACCEPT", "WINDOW_CLAMP", "INFO", "QUICKACK", "CONGESTION", "MD5SIG",
    "", "THIN_LINEAR_TIMEOUTS", "THIN_DUPACK", "USER_TIMEOUT", "REPAIR", "REPAIR_QUEUE",
    "QUEUE_SEQ", "REPAIR_OPTIONS", "FASTOPEN", "TIMESTAMP", "NOTSENT_LOWAT",
)  # fmt: skip
_IP_OPTIONS = {1: "IP_TOS", 2: "IP_TTL", 6: "IP_RECVOPTS", 8: "IP_PKTINFO",
               10: "IP_MTU_DISCOVER", 11: "IP_RECVERR", 15: "IP_FREEBIND",
               24: "IP_BIND_ADDRESS_NO_PORT"}  # fmt: skip
_IPV6_OPTIONS = {16: "IPV6_UNICAST_HOPS", 25: "IPV6_RECVERR", 26: "IPV6_V6ONLY",
                 49: "IPV6_RECVPKTINFO", 67: "IPV6_TCLASS"}  # fmt: skip
_OPTIONS = {1: _SOCKET_OPTIONS, 6: _TCP_OPTIONS, 0: _IP_OPTIONS, 41: _IPV6_OPTIONS}


def socket_option(level: int, option: int) -> str:
    """The name of an option of setsockopt at its level."""
    number = signed(option)
    return _OPTIONS.get(signed(level), {}).get(number) or str(number)


_CLOCKS = names(
    "CLOCK_", "REALTIME", "MONOTONIC", "PROCESS_CPUTIME_ID", "THREAD_CPUTIME_ID",
    "MONOTONIC_RAW", "REALTIME_COARSE", "MONOTONIC_COARSE", "BOOTTIME", "REALTIME_ALARM",
    "BOOTTIME_ALARM", "", "TAI",
)  # fmt: skip
_FUTEX = names(
    "FUTEX_", "WAIT", "WAKE", "FD", "REQUEUE", "CMP_REQUEUE", "WAKE_OP", "LOCK_PI", "UNLOCK_PI",
    "TRYLOCK_PI", "WAIT_BITSET", "WAKE_BITSET", "WAIT_REQUEUE_PI", "CMP_REQUEUE_PI", "LOCK_PI2",
)  # fmt: skip
_PTRACE = names(
    "PTRACE_", "TRACEME", "PEEKTEXT", "PEEKDATA", "PEEKUSER", "POKETEXT", "POKEDATA", "POKEUSER",
    "CONT", "KILL", "SINGLESTEP", "", "", "GETREGS", "SETREGS", "GETFPREGS", "SETFPREGS",
    "ATTACH", "DETACH",
) | {
    24: "PTRACE_SYSCALL", 0x4200: "PTRACE_SETOPTIONS", 0x4201: "PTRACE_GETEVENTMSG",
    0x4202: "PTRACE_GETSIGINFO", 0x4204: "PTRACE_GETREGSET", 0x4206: "PTRACE_SEIZE",
    0x4207: "PTRACE_INTERRUPT", 0x4208: "PTRACE_LISTEN", 0x420E: "PTRACE_GET_SYSCALL_INFO",
}  # fmt: skip
_BPF = names(
    "BPF_", "MAP_CREATE", "MAP_LOOKUP_ELEM", "MAP_UPDATE_ELEM", "MAP_DELETE_ELEM",
    "MAP_GET_NEXT_KEY", "PROG_LOAD", "OBJ_PIN", "OBJ_GET", "PROG_ATTACH", "PROG_DETACH",
    "PROG_TEST_RUN", "PROG_GET_NEXT_ID", "MAP_GET_NEXT_ID", "PROG_GET_FD_BY_ID",
    "MAP_GET_FD_BY_ID", "OBJ_GET_INFO_BY_FD", "PROG_QUERY", "RAW_TRACEPOINT_OPEN", "BTF_LOAD",
    "BTF_GET_FD_BY_ID", "TASK_FD_QUERY", "MAP_LOOKUP_AND_DELETE_ELEM", "MAP_FREEZE",
    "BTF_GET_NEXT_ID", "MAP_LOOKUP_BATCH", "MAP_LOOKUP_AND_DELETE_BATCH", "MAP_UPDATE_BATCH",
    "MAP_DELETE_BATCH", "LINK_CREATE", "LINK_UPDATE", "LINK_GET_FD_BY_ID", "LINK_GET_NEXT_ID",
    "ENABLE_STATS", "ITER_CREATE", "LINK_DETACH", "PROG_BIND_MAP", "TOKEN_CREATE",
)  # fmt: skip
_MADVISE = names(
    "MADV_", "NORMAL", "RANDOM", "SEQUENTIAL", "WILLNEED", "DONTNEED", "", "", "", "FREE",
    "REMOVE", "DONTFORK", "DOFORK", "MERGEABLE", "UNMERGEABLE", "HUGEPAGE", "NOHUGEPAGE",
    "DONTDUMP", "DODUMP", "WIPEONFORK", "KEEPONFORK", "COLD", "PAGEOUT", "POPULATE_READ",
    "POPULATE_WRITE", "DONTNEED_LOCKED", "COLLAPSE",
)  # fmt: skip
_PRCTL = {
    1: "PR_SET_PDEATHSIG", 2: "PR_GET_PDEATHSIG", 3: "PR_GET_DUMPABLE", 4: "PR_SET_DUMPABLE",
    7: "PR_GET_KEEPCAPS", 8: "PR_SET_KEEPCAPS", 15: "PR_SET_NAME", 16: "PR_GET_NAME",
    21: "PR_GET_SECCOMP", 22: "PR_SET_SECCOMP", 23: "PR_CAPBSET_READ", 24: "PR_CAPBSET_DROP",
    29: "PR_SET_TIMERSLACK", 30: "PR_GET_TIMERSLACK", 35: "PR_SET_MM",
    36: "PR_SET_CHILD_SUBREAPER", 37: "PR_GET_CHILD_SUBREAPER", 38: "PR_SET_NO_NEW_PRIVS",
    39: "PR_GET_NO_NEW_PRIVS", 47: "PR_CAP_AMBIENT", 0x53564D41: "PR_SET_VMA",
    0x59616D61: "PR_SET_PTRACER",
}  # fmt: skip

NOTATIONS: dict[str, Notation] = {
    "hex": hexadecimal,
    "mode": octal,
    "sigset": signal_set,
    "waitstatus": wait_status,
    "open": lambda value: open_flags(value & 0xFFFFFFFF),
    "family": lambda value: family_name(value & 0xFFFFFFFF),
    "ioctl": _ioctl,
    "key": _key,
    "openonly": any_of({bit: f"O_{name}" for bit, name in _CLOEXEC_NONBLOCK.items()}
                       | {0o40000: "O_DIRECT"}),
    "socktype": number_and_flags(
        {1: "SOCK_STREAM", 2: "SOCK_DGRAM", 3: "SOCK_RAW", 4: "SOCK_RDM", 5: "SOCK_SEQPACKET",
         10: "SOCK_PACKET"}, 0xF, _SOCK),
    "sockflags": any_of(_SOCK),
    "proto": one_of({0: "0", 1: "IPPROTO_ICMP", 6: "IPPROTO_TCP", 17: "IPPROTO_UDP",
                     58: "IPPROTO_ICMPV6", 132: "IPPROTO_SCTP", 255: "IPPROTO_RAW",
                     262: "IPPROTO_MPTCP"}),
    "how": one_of(names("SHUT_", "RD", "WR", "RDWR")),
    "level": one_of({0: "SOL_IP", 1: "SOL_SOCKET", 6: "SOL_TCP", 17: "SOL_UDP", 41: "SOL_IPV6",
                     58: "SOL_ICMPV6", 263: "SOL_PACKET", 270: "SOL_NETLINK"}),
    "msg": any_of(bits("MSG_", "OOB PEEK DONTROUTE CTRUNC PROXY TRUNC DONTWAIT EOR WAITALL FIN "
                       "SYN CONFIRM RST ERRQUEUE NOSIGNAL MORE WAITFORONE")
                  | {0x4000000: "MSG_ZEROCOPY", 0x20000000: "MSG_FASTOPEN",
                     0x40000000: "MSG_CMSG_CLOEXEC"}),
    "eventfd": any_of({1: "EFD_SEMAPHORE"}
                      | {bit: f"EFD_{name}" for bit, name in _CLOEXEC_NONBLOCK.items()}),
    "futex": number_and_flags(_FUTEX, 0x7F, {128: "FUTEX_PRIVATE_FLAG",
                                             256: "FUTEX_CLOCK_REALTIME"}),
    "whence": one_of(names("SEEK_", "SET", "CUR", "END", "DATA", "HOLE")),
    "at": any_of(_AT),
    "access": any_of({4: "R_OK", 2: "W_OK", 1: "X_OK"}, none="F_OK"),
    "prot": any_of({1: "PROT_READ", 2: "PROT_WRITE", 4: "PROT_EXEC",
                    0x1000000: "PROT_GROWSDOWN"}, none="PROT_NONE"),
    "mmap": number_and_flags(_MMAP, 0xF, _MMAP_FLAGS),
    "clock": one_of(_CLOCKS),
    "resource": one_of(names("RLIMIT_", "CPU", "FSIZE", "DATA", "STACK", "CORE", "RSS", "NPROC",
                             "NOFILE", "MEMLOCK", "AS", "LOCKS", "SIGPENDING", "MSGQUEUE",
                             "NICE", "RTPRIO", "RTTIME")),
    "fcntl": one_of(_FCNTL),
    "splice": any_of(bits("SPLICE_F_", "MOVE NONBLOCK MORE GIFT")),
    "ptrace": one_of(_PTRACE),
    "flock": any_of(bits("LOCK_", "SH EX NB UN")),
    "clone": lambda value: _clone(value),
    "ipc": any_of(_IPC),
    "ipcctl": one_of({0: "IPC_RMID", 1: "IPC_SET", 2: "IPC_STAT", 3: "IPC_INFO", 11: "GETPID",
                      12: "GETVAL", 13: "GETALL", 14: "GETNCNT", 15: "GETZCNT", 16: "SETVAL",
                      17: "SETALL"}),
    "mount": any_of(bits("MS_", "RDONLY NOSUID NODEV NOEXEC SYNCHRONOUS REMOUNT MANDLOCK DIRSYNC "
                         "NOSYMFOLLOW - NOATIME NODIRATIME BIND MOVE REC SILENT POSIXACL "
                         "UNBINDABLE PRIVATE SLAVE SHARED RELATIME - I_VERSION STRICTATIME "
                         "LAZYTIME")),
    "umount": any_of({1: "MNT_FORCE", 2: "MNT_DETACH", 4: "MNT_EXPIRE", 8: "UMOUNT_NOFOLLOW"}),
    "bpf": one_of(_BPF),
    "seccomp": one_of(names("SECCOMP_", "SET_MODE_STRICT", "SET_MODE_FILTER",
                            "GET_ACTION_AVAIL", "GET_NOTIF_SIZES")),
    "quota": lambda value: hex(value >> 8 & 0xFFFFFF),
    "quotatype": lambda value: one_of(names("", "USRQUOTA", "GRPQUOTA", "PRJQUOTA"))(value & 0xFF),
    "epollctl": one_of(names("EPOLL_CTL_", "", "ADD", "DEL", "MOD")),
    "pollmask": any_of(_EPOLL),
    "rwf": any_of(bits("RWF_", "HIPRI DSYNC SYNC NOWAIT APPEND NOAPPEND ATOMIC DONTCACHE")),
    "resolve": any_of(bits("RESOLVE_", "NO_XDEV NO_MAGICLINKS NO_SYMLINKS BENEATH IN_ROOT "
                           "CACHED")),
    "rename": any_of(bits("RENAME_", "NOREPLACE EXCHANGE WHITEOUT")),
    "closerange": any_of({2: "CLOSE_RANGE_UNSHARE", 4: "CLOSE_RANGE_CLOEXEC"}),
    "wait": any_of({1: "WNOHANG", 2: "WUNTRACED", 4: "WEXITED", 8: "WCONTINUED",
                    0x1000000: "WNOWAIT", 0x20000000: "__WNOTHREAD", 0x40000000: "__WALL",
                    0x80000000: "__WCLONE"}),
    "idtype": one_of(names("P_", "ALL", "PID", "PGID", "PIDFD")),
    "prctl": one_of(_PRCTL),
    "archprctl": lambda value: {0x1001: "ARCH_SET_GS", 0x1002: "ARCH_SET_FS",
                                0x1003: "ARCH_GET_FS", 0x1004: "ARCH_GET_GS"}.get(value)
    or hex(value),
    "policy": one_of(names("SCHED_", "OTHER", "FIFO", "RR", "BATCH", "", "IDLE", "DEADLINE",
                           "EXT")),
    "madvise": one_of(_MADVISE),
    "memfd": any_of(bits("MFD_", "CLOEXEC ALLOW_SEALING HUGETLB NOEXEC_SEAL EXEC")),
    "sighow": one_of(names("SIG_", "BLOCK", "UNBLOCK", "SETMASK")),
    "getrandom": any_of(bits("GRND_", "NONBLOCK RANDOM INSECURE")),
}  # fmt: skip
"""By the name that `calls.tsv` uses."""

_clone_flags = any_of(_CLONE)


def _clone(value: int) -> str:
    """The flags of clone, and the signal that tells the parent of the end."""
    number = value & 0x7F
    flags = _clone_flags(value & 0xFFFFFF80)
    if not number:
        return flags
    ending = signal_name(number) if number <= signal.SIGRTMAX else str(number)
    return ending if flags == "0" else f"{flags}|{ending}"


poll_events = any_of(_POLL)
epoll_events = any_of(_EPOLL)
