"""Records of kernel events and of what delivers them."""

from __future__ import annotations

from engine.core.fields import Field, RecordKind

KERNEL_EVENT = RecordKind(
    "kernel_event",
    "One subscribed kernel event.",
    (
        Field("cpu", "int", "Processor it happened on.", width=3, priority=6),
        Field("tid", "int", "Thread id.", width=7, priority=7),
        Field("category", "text", "Kindling category.", width=8, priority=3),
        Field("name", "text", "Event name without its prefix.", width=16, priority=1),
        Field("direction", "text", "enter, exit or - (neither).", width=5, priority=2),
        Field("result", "int", "What the call returned.", width=8, priority=3),
        Field("errno", "text", "Name of the error, if it failed.", width=12, priority=3),
        Field("latency_ns", "int", "From enter to exit.", unit="ns", width=10, priority=2),
        Field("fd", "int", "File descriptor it worked on.", width=4, priority=5),
        Field("fd_type", "text", "Kindling's type of the descriptor.", width=10, priority=8),
        Field(
            "fd_name",
            "text",
            "What the descriptor is: path, CLIENT -> SERVER, pipe:[INODE], ...",
            width=24,
            untrusted=True,
            priority=5,
        ),
        Field("attributes", "map", "Its other values.", width=48, untrusted=True, priority=4),
        Field("uid", "int", "User id.", width=6, hidden=True),
        Field("gid", "int", "Group id.", width=6, hidden=True),
        Field("event", "text", "Full subscription name.", width=28, hidden=True),
        Field("fd_protocol", "text", "tcp, udp, ... of a socket.", width=8, hidden=True),
        Field("fd_role", "text", "server, client or listener.", width=8, hidden=True),
        Field("fd_state", "text", "TCP state of the socket.", width=11, hidden=True),
        Field("fd_inode", "int", "Inode of the socket or pipe.", width=10, hidden=True),
        Field("container_id", "text", "First 12 digits of the container id.", hidden=True),
        Field("source", "text", "syscall_enter, syscall_exit or tracepoint.", hidden=True),
        Field("type_id", "int", "Kindling's type id.", width=4, hidden=True),
        Field("mono_ns", "int", "Monotonic time.", unit="ns", width=16, hidden=True),
        Field("module", "text", "Module it was caused by.", hidden=True, untrusted=True),
    ),
)

SUBSCRIPTION = RecordKind(
    "subscription",
    "One cell of the subscription matrix.",
    (
        Field("event", "text", "Subscription name.", width=28, priority=1),
        Field("category", "text", "Category of the cell.", width=8, priority=1),
        Field("on", "bool", "Whether it is subscribed.", width=3, priority=1),
        Field("rate", "float", "Events per second now.", unit="/s", width=8, priority=1),
        Field("total", "int", "Events delivered since the start.", width=10, priority=3),
        Field(
            "unavailable", "text", "Why this kernel cannot deliver it; empty if it can.", width=30
        ),
    ),
)

PROBE_STATE = RecordKind(
    "probe_state",
    "The kernel probe as it is now: nothing lost in silence, and what it costs.",
    (
        Field("produced", "int", "Events that passed the filters.", width=10, priority=1),
        Field("read", "int", "Of these, read from the ring.", width=10, priority=1),
        Field("dropped", "map", "Of these, lost, by reason.", width=20, priority=1),
        Field("ring_bytes", "int", "Size of the kernel's ring.", unit="B", hidden=True),
        Field("ring_fill", "float", "How full it was when last read.", unit="%", width=6),
        Field("ring_peak", "float", "The most in the last second.", unit="%", width=6),
        Field("oldest_ms", "float", "Age of the oldest event in it then.", unit="ms", width=8),
        Field("reader_cpu", "float", "What reading it takes.", unit="cores", width=6),
        Field(
            "programs_cpu",
            "float",
            "What the kernel programs take; unknown unless they are timed.",
            unit="cores",
            width=6,
        ),
        Field("incomplete", "int", "Events with an attribute that could not be read.", width=8),
        Field("unresolved", "int", "Events whose descriptor could not be judged.", width=8),
        Field("suppressed", "int", "Not produced: kept out by the rule on results.", width=8),
        Field("unowned", "int", "Not produced: in a scope, with no owner known.", width=8),
        Field(
            "unfollowed", "int", "Children of followed processes there was no room for.", width=8
        ),
        Field(
            "page_faults",
            "list",
            "While subscribed, all that happened: {pid, count, and counts by access}.",
            width=30,
        ),
    ),
)
