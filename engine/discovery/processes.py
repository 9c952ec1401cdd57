"""Which processes there are, and which came since the last look."""

from __future__ import annotations

import os
from bisect import bisect_right
from collections.abc import Iterable, Iterator
from collections.abc import Set as AbstractSet
from itertools import chain


class Turn:
    """Goes round a changing set of pids, continuing behind the last one taken."""

    def __init__(self) -> None:
        self._last = 0

    def over(self, pids: Iterable[int]) -> Iterator[int]:
        """Each pid once, beginning with the one whose turn it is."""
        ordered = sorted(pids)
        start = bisect_right(ordered, self._last)
        for pid in chain(ordered[start:], ordered[:start]):
            self._last = pid
            yield pid


class ProcessTable:
    """The pids of this box.

    Listing /proc tells without a call per process whether a pid means another process now: every
    process gets a new inode number for its directory.
    """

    def __init__(self) -> None:
        self.pids: AbstractSet[int] = frozenset()
        """Every process there is."""
        self.appeared: AbstractSet[int] = frozenset()
        """Those that are new or reused since the last look."""
        self.fresh: AbstractSet[int] = frozenset()
        """Those that are new or reused since one of the last two looks: between fork and exec a
        process is what its parent is, so it is looked at a second time."""
        self._inodes: dict[str, int] = {}
        self._appeared_before: AbstractSet[int] = frozenset()

    def look(self, *, again: bool = False) -> AbstractSet[int]:
        """List the processes; returns those that ended or whose pid means another process now.

        Args:
            again: This is a further try of the same look, not a new look.

        Raises:
            OSError: if /proc cannot be read.
        """
        if not again:
            self._appeared_before, self.appeared = self.appeared, frozenset()
        before, now = self._inodes, _list_proc()
        if now != before:
            self._inodes = now
            ended = {int(name) for name in before.keys() - now.keys() if name.isdigit()}
            appeared = {
                int(name)
                for name, inode in now.items()
                if before.get(name) != inode and name.isdigit()
            }
            self.pids = (self.pids - ended) | appeared
            self.appeared = (self.appeared | appeared) & self.pids
        else:
            ended = appeared = set()
        self.fresh = (self.appeared | self._appeared_before) & self.pids
        return ended | appeared


def _list_proc() -> dict[str, int]:
    """Names in /proc with the inode numbers they have."""
    with os.scandir("/proc") as entries:
        return {entry.name: entry.inode() for entry in entries}
