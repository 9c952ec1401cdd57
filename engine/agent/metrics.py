"""What a plugin process uses, and rates from counters.

The /proc files are opened once per process: a read then costs about 2 us, and answers ESRCH
when the process is gone, so a reused pid is never mistaken for the plugin.
"""

from __future__ import annotations

import os
from collections import deque
from collections.abc import Callable
from functools import cache
from pathlib import Path
from typing import NamedTuple

from engine.core.identity import parse_stat
from engine.core.sanitise import clean

TICKS_PER_SECOND = os.sysconf("SC_CLK_TCK")
PAGE_BYTES = os.sysconf("SC_PAGE_SIZE")
MAX_DIRECTORY_ENTRIES = 20_000
"""More files than these are not added up."""


class Reading(NamedTuple):
    """What one look at a process showed; its counters count from its start."""

    at_ns: int
    """Monotonic."""
    comm: str
    pgid: int | None
    cpu_s: float
    """User and system time."""
    started: int
    """Unix seconds."""
    rss: int
    """Bytes."""
    fds: int | None
    read_bytes: int | None
    """From storage."""
    write_bytes: int | None
    """To storage."""


class Speeds(NamedTuple):
    """What a process used between two readings; None is unknown."""

    cpu: float | None = None
    """Share of one core."""
    read_speed: float | None = None
    """Bytes per second from storage."""
    write_speed: float | None = None
    """Bytes per second to storage."""


class Usage(NamedTuple):
    """A reading, and the speeds since the one before it."""

    reading: Reading | None = None
    """None if the process is gone."""
    speeds: Speeds = Speeds()


class ProcessMeter:
    """Samples one process; made while the process cannot have been reaped."""

    def __init__(self, pid: int) -> None:
        self._pid = pid
        self._stat = _open(f"/proc/{pid}/stat", os.O_RDONLY)
        self._io = _open(f"/proc/{pid}/io", os.O_RDONLY)
        self._fds = _open(f"/proc/{pid}/fd", os.O_RDONLY | os.O_DIRECTORY)
        self._previous: Reading | None = None

    def sample(self, now_ns: int) -> Usage:
        """Read the process; `now_ns` is monotonic."""
        reading = self.read(now_ns)
        if reading is None:
            return Usage()
        previous, self._previous = self._previous, reading
        return Usage(reading, speeds_between(previous, reading) if previous else Speeds())

    def read(self, now_ns: int) -> Reading | None:
        """Look at the process once; None if it is gone."""
        try:
            stat = parse_stat(self._pid, os.pread(self._stat, 4096, 0))
            pgid = os.getpgid(self._pid)
        except (OSError, ValueError):
            return None
        io = self._read_io()
        return Reading(
            now_ns,
            clean(stat.comm, 16),
            pgid,
            stat.cpu_ticks / TICKS_PER_SECOND,
            boot_time() + stat.identity.start_ticks // TICKS_PER_SECOND,
            stat.rss_pages * PAGE_BYTES,
            self._count_fds(),
            io.get(b"read_bytes"),
            io.get(b"write_bytes"),
        )

    def _read_io(self) -> dict[bytes, int]:
        try:
            lines = os.pread(self._io, 4096, 0).splitlines()
        except OSError:
            return {}
        pairs = (line.partition(b":") for line in lines)
        return {name: int(number) for name, _, number in pairs}

    def _count_fds(self) -> int | None:
        try:
            # The size of the directory is the number of descriptors since Linux 6.2, 0 before.
            return os.fstat(self._fds).st_size or len(os.listdir(self._fds))
        except OSError:
            return None

    def close(self) -> None:
        """Close the /proc files. May be called twice."""
        for descriptor in (self._stat, self._io, self._fds):
            if descriptor >= 0:
                os.close(descriptor)
        self._stat = self._io = self._fds = -1


def speeds_between(before: Reading, after: Reading) -> Speeds:
    """What the process used between two readings."""
    elapsed_s = (after.at_ns - before.at_ns) / 1e9
    if elapsed_s <= 0:
        return Speeds()
    return Speeds(
        (after.cpu_s - before.cpu_s) / elapsed_s,
        _speed(before.read_bytes, after.read_bytes, elapsed_s),
        _speed(before.write_bytes, after.write_bytes, elapsed_s),
    )


def _speed(before: int | None, after: int | None, elapsed_s: float) -> float | None:
    return None if before is None or after is None else (after - before) / elapsed_s


@cache
def boot_time() -> int:
    """When this box was started, Unix seconds."""
    for line in Path("/proc/stat").read_bytes().splitlines():
        if line.startswith(b"btime "):
            return int(line.split()[1])
    return 0


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


def directory_size(directory: Path, cancelled: Callable[[], bool] = lambda: False) -> int | None:
    """Sum of the sizes of the files below a directory, links not followed, in bytes.

    None if it holds too many files to be added up, or `cancelled` answered True.
    """
    total = entries = 0
    pending = [os.fspath(directory)]
    while pending:
        try:
            found = list(os.scandir(pending.pop()))
        except OSError:
            continue
        entries += len(found)
        if entries > MAX_DIRECTORY_ENTRIES or cancelled():
            return None
        for entry in found:
            try:
                if entry.is_dir(follow_symlinks=False):
                    pending.append(entry.path)
                else:
                    total += entry.stat(follow_symlinks=False).st_size
            except OSError:
                continue
    return total
