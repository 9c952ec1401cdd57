"""Which container an event's process is in, by its cgroup."""

from __future__ import annotations

import os
import threading
import time
from collections.abc import Callable
from typing import NamedTuple

from engine.core.clock import SystemClock
from engine.core.containers import SHOWN_DIGITS, container_in, container_of
from engine.core.identity import ProcessStat, parse_stat

CGROUPS = "/sys/fs/cgroup"
PROC = "/proc"

_SLICE_NS = 20_000_000
"""How long a reader of events is kept for looking through the tree."""
_PAUSE = 4
"""Times what a look took, until the next: looking takes a fifth of the time at most."""
_KNOWN_MAX = 65_536
_PIDS_MAX = 16_384
_READ_MAX = 16_384
_NS = 1_000_000_000
_CLOCK = SystemClock()


class _Process(NamedTuple):
    started_ns: int
    looked_ns: int
    """Until then it was this process that had the pid."""
    container: str | None


class Containers:
    """Container ids of cgroups, and of processes where cgroups alone do not tell.

    A cgroup's number is that of its directory in the version 2 tree, and no other cgroup gets it
    later. Hosts that have version 1 trees too may keep their containers only there: then the
    process itself is asked, and answers for the events it can have caused.

    Args:
        cgroups: Where the trees are mounted.
        proc: Where the processes are.
        now_ns: CLOCK_MONOTONIC, which events are stamped with.
    """

    def __init__(
        self,
        cgroups: str = CGROUPS,
        proc: str = PROC,
        now_ns: Callable[[], int] = _CLOCK.monotonic_ns,
    ) -> None:
        self._proc = proc
        self._now_ns = now_ns
        self._tree = _version_2_tree(cgroups)
        self._by_process = self._tree != cgroups
        self._known: dict[int, str | None] = {}
        self._pending: list[tuple[str, str | None]] = []
        self._next_look_ns = 0
        self._processes: dict[int, _Process] = {}
        self._lock = threading.Lock()

    def of(self, cgroup: int, pid: int, ts_ns: int) -> str | None:
        """First 12 digits of the id of the container an event happened in.

        Args:
            cgroup: Id of the cgroup; 0 if the kernel has none.
            pid: The process, in the initial pid namespace.
            ts_ns: When, monotonic.

        Returns:
            None outside of containers, and where nobody can tell any more.
        """
        if cgroup not in self._known and self._tree is not None:
            self._look(cgroup)
        container = self._known.get(cgroup)
        if container is None and self._by_process:
            return self._of_process(pid, ts_ns)
        return container

    def _look(self, cgroup: int) -> None:
        """Go through the tree for a while, or on from where time was up.

        A cgroup that a whole look has not found has gone, or cannot be seen from here.
        """
        with self._lock:
            began = self._now_ns()
            if began < self._next_look_ns or self._tree is None or cgroup in self._known:
                return
            whole = not self._pending
            if whole:
                if len(self._known) > _KNOWN_MAX:
                    self._known.clear()
                self._begin(self._tree)
            ended = began
            while self._pending and ended < began + _SLICE_NS:
                self._enter(*self._pending.pop())
                ended = self._now_ns()
            if whole and not self._pending:
                self._known.setdefault(cgroup, None)
            self._next_look_ns = ended + _PAUSE * (ended - began)

    def _begin(self, tree: str) -> None:
        try:
            self._known[os.stat(tree).st_ino] = None
        except OSError:
            return
        self._pending.append((tree, None))

    def _enter(self, path: str, container: str | None) -> None:
        """Know the cgroups in one, which inherit its container."""
        try:
            with os.scandir(path) as entries:
                for entry in entries:
                    if entry.is_dir(follow_symlinks=False):
                        found = container_in(entry.name)
                        inner = found[:SHOWN_DIGITS] if found else container
                        self._known[entry.inode()] = inner
                        self._pending.append((entry.path, inner))
        except OSError:  # it has gone
            return

    def _of_process(self, pid: int, ts_ns: int) -> str | None:
        process = self._processes.get(pid)
        if process is None or ts_ns > process.looked_ns:
            process = self._processes[pid] = self._ask(pid)
        return process.container if ts_ns >= process.started_ns else None

    def _ask(self, pid: int) -> _Process:
        """What a process that lives tells of itself; nothing if it has ended.

        Of one that has ended nobody can tell any more, so its earlier events need not ask again.
        """
        if len(self._processes) >= _PIDS_MAX:
            self._processes.clear()
        gone = _Process(0, self._now_ns(), None)
        try:
            folder = os.open(f"{self._proc}/{pid}", os.O_PATH | os.O_DIRECTORY | os.O_CLOEXEC)
        except OSError:
            return gone
        try:
            container = container_of(os.fsdecode(_read("cgroup", folder)))
            looked = self._now_ns()
            started = _started_ns(parse_stat(pid, _read("stat", folder)))
        except (OSError, ValueError):
            return gone
        finally:
            os.close(folder)
        return _Process(started, looked, container and container[:SHOWN_DIGITS])


def _version_2_tree(cgroups: str) -> str | None:
    """Where the version 2 tree is: all there is, or beside trees of version 1."""
    for tree in (cgroups, f"{cgroups}/unified"):
        if os.path.exists(f"{tree}/cgroup.procs"):
            return tree
    return None


def _started_ns(stat: ProcessStat) -> int:
    """When a process started, monotonic; on a box that was suspended since, a little early."""
    return stat.identity.start_ticks * _NS // os.sysconf("SC_CLK_TCK") - _suspended_ns()


def _suspended_ns() -> int:
    """How long the box has been suspended since its boot."""
    return time.clock_gettime_ns(time.CLOCK_BOOTTIME) - _CLOCK.monotonic_ns()


def _read(name: str, folder: int) -> bytes:
    descriptor = os.open(name, os.O_RDONLY | os.O_CLOEXEC, dir_fd=folder)
    try:
        return os.read(descriptor, _READ_MAX)
    finally:
        os.close(descriptor)
