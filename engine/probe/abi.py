"""What the kernel programs and the engine agree on: record layouts, flags and sizes.

The structures are those of `bpf/probe.c`; the numbers reach it as compiler definitions.
"""

from __future__ import annotations

import mmap
import struct
from collections.abc import Mapping
from enum import IntEnum, IntFlag

from engine.probe.calls import CallFlag, Capture, Category, FdType
from engine.probe.catalogue import EVENTS
from engine.probe.events import COLUMNS, ROWS
from engine.probe.hooks import PROCEXIT, TCP_SET_STATE

EVENT = struct.Struct("<QQqQQQQQQIIIIiIQHHBBH16s")
"""struct event: ts, latency, result, args[6], tgid, tid, uid, gid, fd, payload length, cgroup id,
row, cpu, category, fd type, flags, comm."""

SECTION = struct.Struct("<BBH")
"""struct section: kind, argument, length; its bytes follow, padded to 4."""

TUPLE = struct.Struct("<HHHxx16s16s")
"""struct tuple: family, local port, remote port, local address, remote address."""

CALL = struct.Struct("<HBBBBBB")
"""struct call: row, category, fd argument, enter capture, exit capture, argument, flags."""

CONFIG = struct.Struct("<II")
"""struct config: own tgid, scoped."""

STATS = struct.Struct("<QQQQ")
"""struct stats: produced, dropped, faults, unresolved."""

DELIVERED = struct.Struct(f"<{COLUMNS}Q")
"""struct delivered: events handed to the ring, by category; one for each row."""

NO_FD = -100_000
"""Kindling's number for an event without a file descriptor."""

CALLS = 512
COUNTED_ROWS = max(event.row for event in EVENTS) + 1
PIDS = 16384
CALLS_IN_FLIGHT = 16384
WAKE_EVERY = 8192


class EventFlag(IntFlag):
    """Flags of an event."""

    LATENCY = 1
    """`latency` is meaningful: the enter of this very call was seen."""
    MISSING = 2
    """The captured memory could not be read."""
    UNRESOLVED = 4
    """The file descriptor could not be judged; the category is `other` for want of a better."""
    NO_OWNER = 8
    """The current thread was merely interrupted; it did not cause the event."""


class SectionKind(IntEnum):
    """What the bytes of a section are."""

    TEXT = 1
    """A string as the program had it, with its NUL."""
    SOCKADDR = 2
    """A struct sockaddr."""
    TUPLE = 3
    """A struct tuple of this probe."""


class Slot(IntEnum):
    """Per-program slot of the counters and scratch buffers."""

    ENTER = 0
    EXIT = 1
    PROCEXIT = 2
    TCP = 3


def definitions(layout: Mapping[str, int], ring_bytes: int) -> dict[str, int]:
    """Every compiler definition `bpf/probe.c` asks for.

    Args:
        layout: Offsets of the running kernel; see `engine.probe.layout`.
        ring_bytes: Size of the ring, a power of two of pages.
    """
    shared: dict[str, int] = {
        "NO_FD": NO_FD,
        "CALLS": CALLS,
        "COUNTED_ROWS": COUNTED_ROWS,
        "PAIRS": ROWS // 2,
        "PIDS": PIDS,
        "CALLS_IN_FLIGHT": CALLS_IN_FLIGHT,
        "WAKE_EVERY": WAKE_EVERY,
        "RING_PAGES": ring_bytes // mmap.PAGESIZE,
        "EVENT_SIZE": EVENT.size,
        "SLOTS": len(Slot),
        "ROW_PROCEXIT": PROCEXIT.row,
        "ROW_TCP_SET_STATE": TCP_SET_STATE.row,
    }
    for prefix, numbers in (
        ("CAT", Category),
        ("FD", FdType),
        ("CAPTURE", Capture),
        ("CALL", CallFlag),
        ("EV", EventFlag),
        ("SLOT", Slot),
        ("SECTION", SectionKind),
    ):
        shared |= {f"{prefix}_{name}": int(value) for name, value in numbers.__members__.items()}
    return shared | dict(layout)
