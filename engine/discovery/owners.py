"""Which processes hold a socket, found through /proc/PID/fd.

A socket has as many owners as processes hold it: pre-forked workers share one listener. Walking
every descriptor of every process is the dear part of a scan, so it is done only when a socket
appears that nobody is known to hold. What is known is kept per process, looked after by four
cheaper rules:

- a process that appeared since the last look is walked, and once more at the next look, because
  between fork and exec it holds what its parent holds;
- a process that ended, or whose pid means another process now, is forgotten;
- known holders are asked in turn whether the descriptor still is that socket;
- all processes are walked in turn, some at each look, for sockets handed over by SCM_RIGHTS.

Sockets are told apart by their inode number alone. It is one series for all network namespaces,
and a process may well hold a socket of another namespace than its own.
"""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping, Sequence
from collections.abc import Set as AbstractSet
from itertools import islice

from engine.discovery.processes import ProcessTable, Turn

_LINKS_CHECKED = 32
"""Known descriptors looked at again per look, and at most a quarter of that in one process."""
_WALK_BUDGET = 128
"""Work of walking in turn per look: one per descriptor and _WALK_COST per process."""
_WALK_COST = 8
_SOCKET_LINK = "socket:["
_NOTHING: Mapping[int, int] = {}


class Owners:
    """What is known about who holds which socket."""

    def __init__(self, processes: ProcessTable | None = None) -> None:
        self.processes = processes or ProcessTable()
        self.unowned: AbstractSet[int] = frozenset()
        """Wanted inodes no visible process holds."""
        self.every_end = False
        """Whether the end of processes without sockets must show at once, too."""
        self.newly_unowned = False
        """Whether some of them were not already unowned at the look before."""
        self.holders: dict[int, list[int]] = {}
        """By inode, the pids of its holders."""
        self._wanted: AbstractSet[int] = frozenset()
        self._held: dict[int, dict[int, int]] = {}
        self._touched: set[int] = set()
        self._denied: set[int] = set()
        self._turn_to_check = Turn()
        self._turn_to_walk = Turn()

    @property
    def denied(self) -> bool:
        """Whether there are processes whose descriptors this process may not read."""
        return bool(self._denied)

    def held_by(self, pid: int) -> AbstractSet[int]:
        """The wanted inodes a process holds."""
        return self._held.get(pid, _NOTHING).keys()

    def take_touched(self) -> set[int]:
        """The processes that hold other sockets than when this was last asked."""
        touched, self._touched = self._touched, set()
        return touched

    def resolve(
        self, wanted: AbstractSet[int], *, again: bool = False
    ) -> Mapping[int, Sequence[int]]:
        """Find the holders of sockets.

        Args:
            wanted: Inodes of the sockets.
            again: This is a further try of the same look, not a new look.

        Returns:
            By inode, the pids of its holders; inodes in `unowned` are not in it. It is kept up to
            date by later calls.

        Raises:
            OSError: if /proc cannot be read.
        """
        for pid in self.processes.look(again=again, asked=self._asked()):
            self._hold(pid, {})
            self._denied.discard(pid)
        self._forget(wanted)
        fresh = self.processes.fresh
        for pid in fresh:
            self._walk(pid, wanted)
        walked = set(fresh)
        walked.update(self._check_holders(wanted))
        walked.update(self._walk_some(wanted))
        holders = self.holders
        if wanted - holders.keys() - self.unowned:
            for pid in self.processes.pids - walked:
                self._walk(pid, wanted)
        missing = wanted - holders.keys()
        self.newly_unowned = bool(missing - self.unowned)
        self.unowned = missing
        return holders

    def _asked(self) -> set[int] | None:
        """The holders whose end does not show by the end of a socket."""
        if self.every_end:
            return None
        shared = (pids for pids in self.holders.values() if len(pids) > 1)
        return {pid for pids in shared for pid in pids}

    def look_at(self, pid: int) -> None:
        """Look again at what one process holds of the sockets known."""
        self._walk(pid, self._wanted)

    def _forget(self, wanted: AbstractSet[int]) -> None:
        """Drop what is known about sockets that are gone."""
        gone, self._wanted = self._wanted - wanted, set(wanted)
        for inode in gone & self.holders.keys():
            for pid in tuple(self.holders[inode]):
                rest = self._held[pid]
                self._hold(pid, {each: fd for each, fd in rest.items() if each != inode})

    def _check_holders(self, wanted: AbstractSet[int]) -> list[int]:
        """Look at known descriptors in turn; walks and returns the processes that differ."""
        changed, checked = [], 0
        for pid in self._turn_to_check.over(self._held):
            sockets = self._held[pid]
            links = list(islice(sockets.items(), _LINKS_CHECKED // 4))
            if all(_is_held(pid, fd, inode) for inode, fd in links):
                if len(links) < len(sockets):
                    for inode, fd in links:  # to the end of the dict: the others come next
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
        for pid in self._turn_to_walk.over(self.processes.pids - self.processes.fresh):
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
        """Note what a process holds now."""
        before = self._held.get(pid, _NOTHING)
        if before.keys() != sockets.keys():
            self._touched.add(pid)
            for inode in before.keys() - sockets.keys():
                holders = self.holders[inode]
                holders.remove(pid)
                if not holders:
                    del self.holders[inode]
            for inode in sockets.keys() - before.keys():
                self.holders.setdefault(inode, []).append(pid)
        if sockets:
            self._held[pid] = sockets
        else:
            self._held.pop(pid, None)


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
