"""Which processes hold a socket, found through /proc/PID/fd.

A socket has as many owners as processes hold it: pre-forked workers share one listener. Walking
every descriptor of every process is the dear part of a scan, so it is done only when a socket
appears that nobody is known to hold. What is known is kept per process, looked after by four
cheaper rules:

- a process that appeared since the last look is walked, and asked at the next look whether it
  still holds what it held, because between fork and exec that is what its parent holds;
- a process that ended, or whose pid means another process now, is forgotten;
- known holders are asked in turn whether the descriptor still is that socket, those that share one
  more often: when the only holder closes a socket, the socket is gone, unless it was handed over;
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

_SHARED_CHECKED, _OTHERS_CHECKED = 24, 8
"""Known descriptors looked at again per look, of holders that share a socket, and of others."""
_LINKS_OF_ONE = 8
"""How many of them at most in one process."""
_WALK_BUDGET = 64
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
        self._shared: set[int] = set()
        """The inodes with several holders."""
        self._turn_of_sharers = Turn()
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
        young = self.processes.fresh - self.processes.appeared
        checked = {pid for pid in young if not self._still_holds(pid)}
        checked.update(self._differing_holders())
        walked = checked | self.processes.appeared
        for pid in walked:
            self._walk(pid, wanted)
        walked.update(self._walk_some(wanted, walked))
        holders = self.holders
        missing = wanted - holders.keys()
        for likely in (young, self.processes.pids):
            if missing - self.unowned:
                for pid in likely - walked:
                    self._walk(pid, wanted)
                walked |= likely
                missing = wanted - holders.keys()
        self.newly_unowned = bool(missing - self.unowned)
        self.unowned = missing
        return holders

    def _asked(self) -> set[int] | None:
        """The holders whose end does not show by the end of a socket."""
        if self.every_end:
            return None
        return self._sharers()

    def _sharers(self) -> set[int]:
        return {pid for inode in self._shared for pid in self.holders[inode]}

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

    def _differing_holders(self) -> Iterator[int]:
        """Look at known descriptors in turn; the processes that do not hold what they held."""
        for turn, pids, budget in (
            (self._turn_of_sharers, self._sharers(), _SHARED_CHECKED),
            (self._turn_to_check, self._held, _OTHERS_CHECKED),
        ):
            checked = 0
            for pid in turn.over(pids):
                checked += min(len(self._held[pid]), _LINKS_OF_ONE)
                if not self._still_holds(pid):
                    yield pid
                if checked >= budget:
                    break

    def _still_holds(self, pid: int) -> bool:
        """Whether known descriptors of a process, some in turn if many, are what they were."""
        sockets = self._held.get(pid)
        if not sockets:
            return True
        links = list(islice(sockets.items(), _LINKS_OF_ONE))
        if not all(_is_held(pid, fd, inode) for inode, fd in links):
            return False
        if len(links) < len(sockets):
            for inode, fd in links:  # to the end of the dict: the others come next
                del sockets[inode]
                sockets[inode] = fd
        return True

    def _walk_some(self, wanted: AbstractSet[int], walked: AbstractSet[int]) -> Iterator[int]:
        spent = 0
        for pid in self._turn_to_walk.over(self.processes.pids):
            if pid in walked:
                continue
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
                if len(holders) == 1:
                    self._shared.discard(inode)
                elif not holders:
                    del self.holders[inode]
            for inode in sockets.keys() - before.keys():
                holders = self.holders.setdefault(inode, [])
                holders.append(pid)
                if len(holders) > 1:
                    self._shared.add(inode)
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
