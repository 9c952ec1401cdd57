"""Which processes there are, and which came since the last look."""

from __future__ import annotations

import errno
import os
import time
from collections.abc import Collection, Iterable, Iterator
from collections.abc import Set as AbstractSet

LOOKS_PER_LISTING = 5
"""One look of so many lists /proc."""
_MOST_ASKED = 128
"""Numbers asked for one by one; if more were given, listing is cheaper."""
_COMING_S = 0.1
"""How long a number without a process is asked for again, at each look and at least once."""


class Turn:
    """Goes round a changing set of pids, continuing behind the last one taken.

    What joins the set has its turn in the next round.
    """

    def __init__(self) -> None:
        self._rest: list[int] = []
        """Of this round, the next one last."""

    def over(self, pids: Collection[int]) -> Iterator[int]:
        """Each pid once, beginning with the one whose turn it is."""
        taken = set[int]()
        while len(taken) < len(pids):
            if not self._rest:
                self._rest = sorted(taken.symmetric_difference(pids), reverse=True)
            pid = self._rest.pop()
            if pid in pids and pid not in taken:
                taken.add(pid)
                yield pid


class ProcessTable:
    """The pids of this box.

    Listing /proc tells without a call per process whether a pid means another process now: every
    process gets a new inode number for its directory. But it costs more than all the rest of a
    look, so most looks do without: the kernel gives pids in turn and tells the last one, so only
    the numbers since then can be new processes, and signal 0 tells whether one ended. A process
    that chose its pid itself (clone3 with set_tid, as CRIU does) is found at the next listing.

    A number is given some time before its process can be seen, which may be long on a busy box;
    so those that are nobody's are asked for again.
    """

    def __init__(self) -> None:
        self.pids: AbstractSet[int] = frozenset()
        """Every process there is."""
        self.appeared: AbstractSet[int] = frozenset()
        """Those that are new or reused since the last look."""
        self.fresh: AbstractSet[int] = frozenset()
        """Those that are new or reused since one of the last two looks: between fork and exec a
        process is what its parent is, so it is looked at a second time."""
        self._inodes: dict[int, int] = {}
        self._can_ask = _can_ask()
        self._last_pid = 0
        self._awaited: dict[int, float] = {}
        """Numbers that were nobody's, and until when they are asked for again."""
        self._looks_since_listing = LOOKS_PER_LISTING
        self._appeared_before: AbstractSet[int] = frozenset()

    def look(self, *, again: bool = False, asked: Iterable[int] | None = None) -> AbstractSet[int]:
        """Find the processes; returns those that ended or whose pid means another process now.

        Args:
            again: This is a further try of the same look, not a new look.
            asked: The processes whose end matters now; that of others shows at the next listing.
                None means all.

        Raises:
            OSError: if /proc cannot be read.
        """
        if not again:
            self._appeared_before, self.appeared = self.appeared, frozenset()
            self._looks_since_listing += 1
        last_pid = _last_pid() if self._can_ask else 0
        numbers = _given_since(self._last_pid, last_pid)
        if self._looks_since_listing >= LOOKS_PER_LISTING or numbers is None:
            self._looks_since_listing = 0
            ended, appeared = self._list()
        else:
            numbers = {*numbers, *self._awaited}
            ended, appeared = self._ask(numbers, self.pids if asked is None else asked)
        if numbers is None:
            numbers = range(max(1, last_pid + 1 - _MOST_ASKED), last_pid + 1)
        self._await({*numbers, *self._awaited})
        self._last_pid = last_pid
        if ended or appeared:
            self.pids = (self.pids - ended) | appeared
        self.appeared = (self.appeared | appeared) & self.pids
        self.fresh = (self.appeared | self._appeared_before) & self.pids
        return ended | appeared

    def _await(self, numbers: Iterable[int]) -> None:
        """Note which numbers are nobody's, of those given of late."""
        now_s, before = time.monotonic(), self._awaited
        self._awaited = {
            number: before.get(number, now_s + _COMING_S)
            for number in numbers
            if number not in self._inodes and before.get(number, now_s) >= now_s
        }

    def _list(self) -> tuple[set[int], set[int]]:
        """Compare /proc with what was there before: pids that ended, and that appeared."""
        before, now = self._inodes, _list_proc()
        self._inodes = now
        appeared = {pid for pid, inode in now.items() if before.get(pid) != inode}
        return before.keys() - now.keys(), appeared

    def _ask(self, numbers: Iterable[int], asked: Iterable[int]) -> tuple[set[int], set[int]]:
        """The same for some pids that are known, and the numbers that can be new ones."""
        ended, appeared = {pid for pid in asked if not _exists(pid)}, set[int]()
        for pid in numbers:
            inode = _inode_of_process(pid)
            if inode is not None and self._inodes.get(pid) != inode:
                self._inodes[pid] = inode
                appeared.add(pid)
            elif inode is None and pid in self.pids:
                ended.add(pid)
        ended -= appeared
        for pid in ended:
            self._inodes.pop(pid, None)
        return ended, appeared


def _list_proc() -> dict[int, int]:
    """Pids with the inode numbers of their directories."""
    with os.scandir("/proc") as entries:
        return {int(entry.name): entry.inode() for entry in entries if entry.name.isdigit()}


def _last_pid() -> int:
    """The number given to the newest process or thread; 0 if that cannot be told.

    Raises:
        OSError: if /proc cannot be read.
    """
    try:
        descriptor = os.open("/proc/loadavg", os.O_RDONLY | os.O_CLOEXEC)
        try:
            newest = int(os.read(descriptor, 256).split()[4])
        finally:
            os.close(descriptor)
        return newest if os.readlink("/proc/self") == str(os.getpid()) else 0
    except (IndexError, ValueError):
        return 0


def _given_since(before: int, now: int) -> Iterable[int] | None:
    """The numbers given since; None if that cannot be told, or they are too many."""
    if not before or not 0 <= now - before <= _MOST_ASKED:
        return None  # when they begin anew, too
    return range(before + 1, now + 1)


def _exists(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        return True
    return True


def _inode_of_process(pid: int) -> int | None:
    """Inode number of the directory; None if it has ended or is a mere thread."""
    try:
        os.close(os.pidfd_open(pid))
        return os.stat(f"/proc/{pid}").st_ino
    except OSError as failure:
        if failure.errno in (errno.EMFILE, errno.ENFILE):
            raise
        return None


def _can_ask() -> bool:
    """Whether a process can be told from a thread by its number: Linux 5.3, and no filter."""
    try:
        os.close(os.pidfd_open(os.getpid()))
    except OSError:
        return False
    return True
