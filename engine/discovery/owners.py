"""Which processes hold a socket, found through /proc/PID/fd.

A socket has as many owners as processes hold it: pre-forked workers share one listener. Walking
every descriptor of every process is the dear part of a scan, so it is done only when a socket
appears that nobody is known to hold. What is known is kept per process, looked after by four
cheaper rules:

- a process that appeared since the last look is walked, and once more at the next look, because
  between fork and exec it holds what its parent holds;
- a process that ended, or whose pid means another process now, is forgotten (every process gets
  a new inode number for its /proc/PID, which listing /proc tells without a call per process);
- known holders are asked in turn whether the descriptor still is that socket;
- all processes are walked in turn, some at each look, for sockets handed over by SCM_RIGHTS.
"""

from __future__ import annotations

import os
from bisect import bisect_right
from collections.abc import Iterable, Iterator, Mapping, Sequence
from collections.abc import Set as AbstractSet
from itertools import chain, islice

_LINKS_CHECKED = 64
"""Known descriptors looked at again per look, and at most a quarter of that in one process."""
_WALK_BUDGET = 256
"""Work of walking in turn per look: one per descriptor and _WALK_COST per process."""
_WALK_COST = 8
_SOCKET_LINK = "socket:["


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


class Owners:
    """What is known about who holds which socket."""

    def __init__(self) -> None:
        self.fresh: AbstractSet[int] = frozenset()
        """Pids that are new or reused since one of the last two looks."""
        self.unowned: AbstractSet[int] = frozenset()
        """Wanted inodes no visible process holds."""
        self.newly_unowned = False
        """Whether some of them were not already unowned at the look before."""
        self._proc_inodes: dict[int, int] = {}
        self._appeared: AbstractSet[int] = frozenset()
        self._appeared_before: AbstractSet[int] = frozenset()
        self._wanted: AbstractSet[int] = frozenset()
        self._held: dict[int, dict[int, int]] = {}
        self._denied: set[int] = set()
        self._turn_to_check = Turn()
        self._turn_to_walk = Turn()

    @property
    def denied(self) -> bool:
        """Whether there are processes whose descriptors this process may not read."""
        return bool(self._denied)

    def resolve(
        self, wanted: AbstractSet[int], *, again: bool = False
    ) -> Mapping[int, Sequence[int]]:
        """Find the holders of sockets.

        Args:
            wanted: Inodes of the sockets.
            again: This is a further try of the same look, not a new look.

        Returns:
            By inode, the pids of its holders; inodes in `unowned` are not in it.

        Raises:
            OSError: if /proc cannot be read.
        """
        if not again:
            self._appeared_before, self._appeared = self._appeared, frozenset()
        self._note_processes()
        self._forget(wanted)
        for pid in self.fresh:
            self._walk(pid, wanted)
        walked = set(self.fresh)
        walked.update(self._check_holders(wanted))
        walked.update(self._walk_some(wanted))
        holders = self._holders()
        if wanted - holders.keys() - self.unowned:
            for pid in self._proc_inodes.keys() - walked:
                self._walk(pid, wanted)
            holders = self._holders()
        missing = wanted - holders.keys()
        self.newly_unowned = bool(missing - self.unowned)
        self.unowned = missing
        return holders

    def _note_processes(self) -> None:
        before, now = self._proc_inodes, _list_processes()
        appeared = {pid for pid, inode in now.items() if before.get(pid) != inode}
        for pid in (before.keys() - now.keys()) | appeared:
            self._held.pop(pid, None)
            self._denied.discard(pid)
        self._appeared |= appeared
        self.fresh = (self._appeared | self._appeared_before) & now.keys()
        self._proc_inodes = now

    def _forget(self, wanted: AbstractSet[int]) -> None:
        """Drop what is known about sockets that are gone."""
        gone, self._wanted = self._wanted - wanted, wanted
        if not gone:
            return
        for pid, sockets in list(self._held.items()):
            if not sockets.keys() <= wanted:
                self._hold(pid, {inode: fd for inode, fd in sockets.items() if inode in wanted})

    def _check_holders(self, wanted: AbstractSet[int]) -> list[int]:
        """Look at known descriptors in turn; walks and returns the processes that differ."""
        changed, checked = [], 0
        for pid in self._turn_to_check.over(self._held):
            sockets = self._held[pid]
            links = list(islice(sockets.items(), _LINKS_CHECKED // 4))
            if all(_is_held(pid, fd, inode) for inode, fd in links):
                for inode, fd in links:  # to the end of the dict, so that the others come next
                    del sockets[inode]
                    sockets[inode] = fd
            else:
                changed.append(pid)
            checked += len(links)
            if checked >= _LINKS_CHECKED:
                break
        for pid in changed:
            self._walk(pid, wanted)
        return changed

    def _walk_some(self, wanted: AbstractSet[int]) -> Iterator[int]:
        spent = 0
        for pid in self._turn_to_walk.over(self._proc_inodes.keys() - self.fresh):
            spent += _WALK_COST + self._walk(pid, wanted)
            yield pid
            if spent >= _WALK_BUDGET:
                return

    def _walk(self, pid: int, wanted: AbstractSet[int]) -> int:
        """Look at every descriptor of a process; returns how many there were."""
        found: dict[int, int] = {}
        names: list[str] = []
        self._denied.discard(pid)
        try:
            names = os.listdir(f"/proc/{pid}/fd")
            for name in names:
                link = _link(f"/proc/{pid}/fd/{name}")
                if link.startswith(_SOCKET_LINK):
                    inode = int(link[len(_SOCKET_LINK) : -1])
                    if inode in wanted:
                        found[inode] = int(name)
        except PermissionError:
            self._denied.add(pid)
        except (FileNotFoundError, ProcessLookupError):
            found.clear()
        self._hold(pid, found)
        return len(names)

    def _hold(self, pid: int, sockets: dict[int, int]) -> None:
        if sockets:
            self._held[pid] = sockets
        else:
            self._held.pop(pid, None)

    def _holders(self) -> dict[int, list[int]]:
        holders: dict[int, list[int]] = {}
        for pid, sockets in self._held.items():
            for inode in sockets:
                holders.setdefault(inode, []).append(pid)
        return holders


def _list_processes() -> dict[int, int]:
    """Pids with the inode number of their /proc directory."""
    with os.scandir("/proc") as entries:
        return {int(entry.name): entry.inode() for entry in entries if entry.name.isdigit()}


def _is_held(pid: int, fd: int, inode: int) -> bool:
    """Whether a descriptor still is that socket."""
    try:
        return _link(f"/proc/{pid}/fd/{fd}") == f"socket:[{inode}]"
    except PermissionError:
        return False


def _link(path: str) -> str:
    """What a descriptor is; empty if it was closed meanwhile.

    Raises:
        PermissionError: if the process may not be looked into.
    """
    try:
        return os.readlink(path)
    except (FileNotFoundError, ProcessLookupError):
        return ""
