"""A process with its children, theirs and so on, followed as they come and go."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Iterator
from typing import NamedTuple

from engine.core.errors import ProcessGone
from engine.core.identity import ProcessId, read_stat
from engine.core.records import Record


class Kin(NamedTuple):
    """A process that is there, and those it descends from as far as they are known."""

    identity: ProcessId
    parents: tuple[int, ...]
    """Pids; its parent first."""


Listing = Callable[[], Iterable[Kin]]
"""Every process that is there now."""


class ProcessTree:
    """The processes that descend from one, itself included.

    Who was found stays one of them when its parent ends and another process adopts it. The pid
    of one that ended stays too, since records of it are still there, until it means a process
    that is none of them.

    Args:
        root: Pid of the process.
        listing: Tells which processes there are.
    """

    def __init__(self, root: int, listing: Listing) -> None:
        self.pids: frozenset[int] = frozenset({root})
        """The processes found so far."""
        self._root = root
        self._listing = listing
        self._living: frozenset[ProcessId] | None = None
        """Those there were at the last look."""

    def look(self) -> frozenset[int]:
        """Find who came and who went; reads what the listing reads, so not for the UI's thread."""
        there = {kin.identity.pid: kin for kin in self._listing()}
        if self._living is None:
            living = {self._root} & there.keys()
        else:
            living = {pid for pid, kin in there.items() if kin.identity in self._living}
        strangers = set(there)
        found = living
        while found:
            strangers -= found
            found = {pid for pid in strangers if living.intersection(there[pid].parents)}
            living |= found
        self._living = frozenset(there[pid].identity for pid in living)
        self.pids = (self.pids - strangers) | living | {self._root}
        return self.pids


def living_processes() -> Iterator[Kin]:
    """Every process /proc shows, with its parent."""
    for name in os.listdir("/proc"):
        if name.isdecimal():
            try:
                stat = read_stat(int(name))
            except (ProcessGone, PermissionError, ValueError):
                continue
            yield Kin(stat.identity, (stat.ppid,))


def told_processes(rows: Iterable[Record]) -> Iterator[Kin]:
    """The processes that rows of kind `process` tell of, with their parents."""
    for row in rows:
        start, ancestry = row.get("start"), row.get("ancestry")
        if row.pid is None:
            continue
        told = ancestry if isinstance(ancestry, (list, tuple)) else ()
        pids = [str(each).partition(" ")[0] for each in (row.get("ppid"), *told)]
        identity = ProcessId(row.pid, start if isinstance(start, int) else 0)
        yield Kin(identity, tuple(int(pid) for pid in pids if pid.isdecimal()))
