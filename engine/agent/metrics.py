"""What a plugin process uses, its last words on stderr, and rates from counters.

The /proc files are opened once per process: a read then costs about 2 us, and answers ESRCH
when the process is gone, so a reused pid is never mistaken for the plugin.
"""

from __future__ import annotations

import os
from collections import deque
from typing import NamedTuple

from engine.core.identity import parse_stat
from engine.core.sanitise import clean

TICKS_PER_SECOND = os.sysconf("SC_CLK_TCK")
PAGE_BYTES = os.sysconf("SC_PAGE_SIZE")
STDERR_TAIL_BYTES = 4096
STDERR_LINE = 200


class Usage(NamedTuple):
    """What a process uses; None is unknown."""

    comm: str | None = None
    cpu: float | None = None
    """Share of one core since the previous sample."""
    rss: int | None = None
    """Bytes."""
    fds: int | None = None


class ProcessMeter:
    """Samples one process; made while the process cannot have been reaped."""

    def __init__(self, pid: int) -> None:
        self._pid = pid
        self._stat = _open(f"/proc/{pid}/stat", os.O_RDONLY)
        self._fds = _open(f"/proc/{pid}/fd", os.O_RDONLY | os.O_DIRECTORY)
        self._previous: tuple[int, int] | None = None

    def sample(self, now_ns: int) -> Usage:
        """Read the process; `now_ns` is monotonic."""
        try:
            line = os.pread(self._stat, 4096, 0)
            read = parse_stat(self._pid, line)
        except (OSError, ValueError):
            return Usage()
        cpu = None
        if self._previous is not None and now_ns > self._previous[0]:
            ticks = read.cpu_ticks - self._previous[1]
            cpu = ticks / TICKS_PER_SECOND / ((now_ns - self._previous[0]) / 1e9)
        self._previous = (now_ns, read.cpu_ticks)
        return Usage(clean(read.comm, 16), cpu, read.rss_pages * PAGE_BYTES, self._count_fds())

    def _count_fds(self) -> int | None:
        try:
            # The size of the directory is the number of descriptors since Linux 6.2, 0 before.
            return os.fstat(self._fds).st_size or len(os.listdir(self._fds))
        except OSError:
            return None

    def close(self) -> None:
        """Close the /proc files. May be called twice."""
        for descriptor in (self._stat, self._fds):
            if descriptor >= 0:
                os.close(descriptor)
        self._stat = self._fds = -1


def _open(path: str, flags: int) -> int:
    try:
        return os.open(path, flags | os.O_CLOEXEC)
    except OSError:
        return -1


class RateMeter:
    """Records and bytes per second over a sliding window."""

    def __init__(self, window_s: float = 2.0, at_least_s: float = 1.0) -> None:
        self._window_ns = int(window_s * 1e9)
        self._at_least_ns = int(at_least_s * 1e9)
        self._samples: deque[tuple[int, int, int]] = deque()

    def sample(self, now_ns: int, count: int, size: int) -> tuple[float, float]:
        """Take the counters in; returns count/s and bytes/s, 0 until the window is long enough."""
        samples = self._samples
        samples.append((now_ns, count, size))
        while len(samples) > 2 and samples[1][0] <= now_ns - self._window_ns:
            samples.popleft()
        then_ns, count_then, size_then = samples[0]
        if now_ns - then_ns < self._at_least_ns:
            return 0.0, 0.0
        elapsed = (now_ns - then_ns) / 1e9
        return (count - count_then) / elapsed, (size - size_then) / elapsed


def last_line(descriptor: int) -> str:
    """The last line of a stderr file that is not blank, fit to be shown."""
    try:
        size = os.fstat(descriptor).st_size
        tail = os.pread(descriptor, STDERR_TAIL_BYTES, max(0, size - STDERR_TAIL_BYTES))
    except OSError:
        return ""
    lines = [line for line in tail.splitlines() if line.strip()]
    return clean(lines[-1].strip(), STDERR_LINE) if lines else ""
