"""Records of processes and of what is captured of them."""

from __future__ import annotations

from engine.core.fields import Field, RecordKind

PROCESS = RecordKind(
    "process",
    "A process that owns a port, with the reason why it is listed.",
    (
        Field("ports", "list", "Its sockets: {port, proto, address}.", width=24, priority=1),
        Field("exe", "text", "Path of the executable.", width=28, untrusted=True, priority=4),
        Field("argv", "list", "Its arguments.", width=40, untrusted=True, priority=6),
        Field(
            "language", "text", "Language it is written in, as far as known.", width=8, priority=3
        ),
        Field("container_id", "text", "First 12 digits of the container id.", width=12, priority=5),
        Field("criterion", "text", "The condition that matched.", width=18, priority=2),
        Field("change", "text", "created, changed or deleted.", width=8, hidden=True),
        Field("attached", "bool", "Whether its traffic is captured.", width=3, priority=7),
        Field(
            "capture_error",
            "text",
            "Why its traffic is not captured, where that was asked for.",
            hidden=True,
        ),
        Field("user", "text", "Name of the effective user.", width=10, untrusted=True, priority=7),
        Field("ppid", "int", "Parent process id.", width=7, hidden=True),
        Field("start", "int", "Start time in clock ticks since boot.", hidden=True),
        Field("netns", "int", "Inode number of its network namespace.", width=10, hidden=True),
        Field(
            "verdict",
            "text",
            "selected, inherited (its parent is), surveyed, excluded or not selected.",
            width=12,
            hidden=True,
        ),
        Field("language_rule", "text", "What told the language.", hidden=True, untrusted=True),
        Field("go_version", "text", "Go it was built with.", hidden=True, untrusted=True),
        Field("container_name", "text", "Name of its container.", hidden=True, untrusted=True),
        Field("cgroup", "text", "Path of its control group.", hidden=True, untrusted=True),
        Field(
            "ancestry",
            "list",
            "Its parents as PID NAME, up to init or its container's first process.",
            hidden=True,
            untrusted=True,
        ),
    ),
)

CAPTURE_STATE = RecordKind(
    "capture_state",
    "A process whose traffic is captured, or was, and what that cost.",
    (
        Field(
            "state",
            "text",
            "waiting to be; attached; awaited: it ended, what takes its place will be; ended; "
            "detached.",
            width=8,
            priority=1,
        ),
        Field("cause", "text", "criterion, by hand, or in place of PID.", width=14, priority=3),
        Field("payloads", "int", "Messages captured.", width=9, priority=1),
        Field("payload_bytes", "int", "Their length.", unit="B", width=9, priority=2),
        Field("dropped", "int", "Its messages that were lost.", width=7, priority=2),
        Field(
            "us_per_payload",
            "float",
            "Time boxscope spends on one: reading, parsing, plugins.",
            unit="us",
            width=7,
            priority=3,
        ),
        Field("start", "int", "Start time in clock ticks since boot.", hidden=True),
    ),
)
