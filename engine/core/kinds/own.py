"""Records of the engine about itself."""

from __future__ import annotations

from engine.core.fields import Field, RecordKind

LOG = RecordKind(
    "log",
    "Something the engine has to say.",
    (
        Field("source", "text", "Part of the engine.", width=10, priority=1),
        Field("level", "text", "info, warning or error.", width=7, priority=1),
        Field(
            "text", "text", "What happened and what to do.", width=80, untrusted=True, priority=1
        ),
    ),
)

STATS = RecordKind(
    "stats",
    "Counters of every source that ran.",
    (
        Field("elapsed_s", "float", "Time since the start.", unit="s"),
        Field("sources", "map", "By source: seen, kept, dropped by reason, lag_ms."),
    ),
)
