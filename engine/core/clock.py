"""The one owner of time: monotonic and wall nanoseconds, and their text form."""

from __future__ import annotations

import time
from datetime import UTC, datetime
from pathlib import Path
from typing import Protocol

_OFFSETS = Path("/proc/self/timens_offsets")
"""Absent from kernels without time namespaces."""


class Clock(Protocol):
    """Where the engine takes the time from; tests supply their own."""

    def monotonic_ns(self) -> int:
        """Nanoseconds of CLOCK_MONOTONIC, the kernel's `bpf_ktime_get_ns`."""

    def wall_ns(self) -> int:
        """Nanoseconds since the Unix epoch."""


class SystemClock:
    """The machine's clocks; in a time namespace, too, the monotonic one is the kernel's own."""

    def __init__(self) -> None:
        self._ahead_ns = _namespace_ahead_ns()

    def monotonic_ns(self) -> int:
        """Nanoseconds of CLOCK_MONOTONIC as the kernel counts them."""
        return time.monotonic_ns() - self._ahead_ns

    def wall_ns(self) -> int:
        """Nanoseconds since the Unix epoch."""
        return time.time_ns()


def _namespace_ahead_ns() -> int:
    """How far this time namespace's monotonic clock is ahead of the kernel's, in ns."""
    try:
        lines = _OFFSETS.read_text(encoding="utf-8").splitlines()
    except OSError:
        return 0
    found = [line.split()[1:] for line in lines if line.startswith("monotonic ")]
    return sum(int(seconds) * 1_000_000_000 + int(nanos) for seconds, nanos in found)


def monotonic_to_wall_offset_ns(clock: Clock) -> int:
    """What to add to a monotonic stamp to get wall time, in ns.

    The wall clock is read between two monotonic readings and compared with their middle.
    """
    before = clock.monotonic_ns()
    wall = clock.wall_ns()
    after = clock.monotonic_ns()
    return wall - (before + after) // 2


def rfc3339(wall_ns: int) -> str:
    """Wall nanoseconds as RFC 3339 text with nine decimals, in UTC."""
    seconds, nanos = divmod(wall_ns, 1_000_000_000)
    return f"{datetime.fromtimestamp(seconds, UTC):%Y-%m-%dT%H:%M:%S}.{nanos:09d}Z"


def parse_rfc3339(text: str) -> int:
    """Wall nanoseconds of a text written by `rfc3339`.

    Raises:
        ValueError: if the text has another form.
    """
    head, dot, tail = text.partition(".")
    if not dot or not tail.endswith("Z") or not tail[:-1].isdigit():
        raise ValueError(f"not an RFC 3339 time with a fraction and Z: {text!r}")
    moment = datetime.strptime(head, "%Y-%m-%dT%H:%M:%S").replace(tzinfo=UTC)
    return int(moment.timestamp()) * 1_000_000_000 + int(tail[:-1][:9].ljust(9, "0"))


def local_time_of_day(wall_ns: int) -> str:
    """`HH:MM:SS.mmm` in the box's own zone, for columns."""
    seconds, nanos = divmod(wall_ns, 1_000_000_000)
    return f"{datetime.fromtimestamp(seconds):%H:%M:%S}.{nanos // 1_000_000:03d}"
