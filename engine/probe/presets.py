"""Named sets of subscriptions: by subject, and by the question somebody has."""

from __future__ import annotations

from dataclasses import dataclass

from engine.probe.catalogue import STORY


@dataclass(frozen=True, slots=True)
class Preset:
    """What `@name` stands for."""

    name: str
    help: str
    subscriptions: tuple[tuple[str, str], ...]
    """Names and categories, both with wildcards; an empty category means all."""


def _all(*names: str) -> tuple[tuple[str, str], ...]:
    return tuple((name, "") for name in names)


def _exits(*calls: str, category: str = "") -> tuple[tuple[str, str], ...]:
    return tuple((f"syscall_exit-{call}", category) for call in calls)


_TCP = _all(
    "kretprobe-tcp_connect",
    "kprobe-tcp_close",
    "kprobe-tcp_set_state",
    "kprobe-tcp_drop",
    "kprobe-tcp_retransmit_skb",
    "tracepoint-tcp_send_reset",
    "tracepoint-tcp_receive_reset",
)
_TCP_TROUBLE = _all(
    "kprobe-tcp_drop",
    "kprobe-tcp_retransmit_skb",
    "tracepoint-tcp_send_reset",
    "tracepoint-tcp_receive_reset",
)

PRESETS: tuple[Preset, ...] = (
    Preset("story", "what the box is doing, rare enough to read along", STORY),
    Preset(
        "network",
        "calls on sockets, TCP from connect to close",
        (("syscall_exit-*", "net"), *_TCP),
    ),
    Preset("files", "calls on paths, files and directories", (("syscall_exit-*", "file"),)),
    Preset(
        "processes",
        "begin, become another program, end",
        (
            *_exits("execve*"),
            *_all("tracepoint-sched_process_exec", "tracepoint-sched_process_fork"),
            ("tracepoint-procexit", ""),
        ),
    ),
    Preset(
        "tcp-trouble",
        "drops, retransmissions, resets, connecting",
        (*_TCP_TROUBLE, *_exits("connect"), ("kretprobe-tcp_connect", "")),
    ),
    Preset(
        "signals",
        "signals sent and delivered, ends of threads",
        (
            *_exits("kill", "tkill", "tgkill", "pidfd_send_signal", "rt_*sigqueueinfo"),
            *_all("tracepoint-signaldeliver", "tracepoint-procexit"),
        ),
    ),
    Preset(
        "why-slow",
        "calls that wait: their latency tells why",
        (
            *_exits("poll", "ppoll", "select", "pselect6", "epoll_*wait*", "futex*"),
            *_exits("nanosleep", "clock_nanosleep", "wait4", "waitid", "flock", "semop"),
            *_exits("f*sync", "connect", "accept*", "open*"),
            *_exits("read*", "write*", "pread*", "pwrite*", "recv*", "send*"),
            ("kprobe-tcp_retransmit_skb", ""),
        ),
    ),
    Preset(
        "why-refused",
        "calls that may be told no; best with --failed",
        (
            *_exits("open*", "creat", "access", "faccessat*", "execve*", "chdir", "mkdir*"),
            *_exits("unlink*", "rename*", "chmod", "fchmod*", "chown", "fchown*", "mount"),
            *_exits("socket", "connect", "bind", "listen", "accept*", "kill", "tgkill"),
            *_exits("set*uid", "set*gid", "capset", "ptrace", "bpf", "unshare", "setns"),
            *_TCP_TROUBLE,
        ),
    ),
    Preset(
        "who-writes",
        "who opens, writes, renames and removes files",
        (
            *_exits("open", "openat", "openat2", "creat", "truncate", "ftruncate", "fallocate"),
            *_exits("rename*", "link*", "symlink*", "unlink*", "mkdir*", "rmdir"),
            *_exits("write*", "pwrite*", "sendfile", "splice", "copy_file_range", category="file"),
        ),
    ),
    Preset(
        "kindling",
        "what Kindling's agent is shipped with",
        (
            *_exits("writev", "readv", "write", "read", category="net"),
            *_exits("sendto", "recvfrom", "sendmsg", "recvmsg", "sendmmsg", category="net"),
            *_all(
                "kprobe-tcp_close",
                "kprobe-tcp_rcv_established",
                "kprobe-tcp_drop",
                "kprobe-tcp_retransmit_skb",
                "kretprobe-tcp_connect",
                "kprobe-tcp_set_state",
                "syscall_exit-connect",
                "tracepoint-procexit",
            ),
        ),
    ),
)
"""All presets, in the order they are listed."""
