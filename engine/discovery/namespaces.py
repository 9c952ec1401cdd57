"""The network namespaces of this box, each with a netlink socket inside it.

A dump sees the namespace its netlink socket was opened in, whoever asks later. So the socket is
opened once per namespace, by a thread that enters it for that alone and then ends: no thread
that does anything else ever changes its namespace. Entering one needs CAP_SYS_ADMIN; without it
only the namespace this process is in is looked at. A namespace is found by a process that is in
it and dropped when the last one has gone, so that the socket does not keep it alive.
"""

from __future__ import annotations

import ctypes
import os
import threading
import weakref
from collections.abc import Sequence
from collections.abc import Set as AbstractSet
from dataclasses import dataclass, field
from functools import cached_property
from itertools import islice

from engine.core.capabilities import effective, lacking
from engine.core.errors import FailedError
from engine.discovery.diag_messages import BoundSocket
from engine.discovery.processes import ProcessTable, Turn
from engine.discovery.sockdiag import SockDiag, Table

_CLONE_NEWNET = 0x40000000
_CHECKED = 8
"""Known processes looked at again per look, in turn: a process can change its namespace."""


@dataclass(slots=True)
class Dumped:
    """What one look at all namespaces came to."""

    came: list[BoundSocket] = field(default_factory=list)
    """What the look before did not tell, or told otherwise; nothing of a table that failed."""
    went: list[BoundSocket] = field(default_factory=list)
    """What the look before told and this one does not, or otherwise."""
    asked: int = 0
    """Tables asked for."""
    read: int = 0
    """Sockets read."""
    malformed: int = 0
    failures: list[FailedError] = field(default_factory=list)
    """One for each table that failed."""


class Namespaces:
    """The namespaces that processes of this box are in.

    Args:
        processes: Whose namespaces are looked for.
    """

    def __init__(self, processes: ProcessTable) -> None:
        self.own = read_netns(os.getpid()) or 0
        """Inode number of the namespace of this process; 0 if it is hidden."""
        self._processes = processes
        self._of: dict[int, int] = {}
        self._elsewhere: dict[int, int] = {}
        """The same, of those that are not in the own namespace."""
        self._opened: dict[int, SockDiag] = {}
        self._left: list[BoundSocket] = []
        """The sockets of namespaces that were dropped since the last dump."""
        self._lost: dict[int, FailedError] = {}
        self._turn = Turn()
        weakref.finalize(self, _close_all, self._opened)  # however it is let go

    def __len__(self) -> int:
        return len(self._opened)

    @cached_property
    def may_enter(self) -> bool:
        """Whether other namespaces can be looked at: whether this process has CAP_SYS_ADMIN.

        Raises:
            OSError: if /proc cannot be read.
        """
        return not lacking(["CAP_SYS_ADMIN"], effective())

    @property
    def lost(self) -> Sequence[FailedError]:
        """Why some of the namespaces cannot be looked at."""
        return tuple(self._lost.values())

    def of(self, pid: int) -> int:
        """The namespace a process is in, as far as is known; else the own one."""
        return self._of.get(pid, self.own)

    def note_processes(self) -> tuple[bool, AbstractSet[int]]:
        """Take in what the process table tells now.

        Returns:
            Whether a namespace was found that has not been dumped yet, and the processes that
            moved to another one.
        """
        if not self.may_enter:
            return False, frozenset()
        alive, fresh = self._processes.pids, self._processes.fresh
        ended = self._of.keys() - alive
        for pid in ended:
            del self._of[pid]
            self._elsewhere.pop(pid, None)
        in_turn = islice(self._turn.over(self._of), _CHECKED)
        moved = {pid for pid in {*fresh, *in_turn} if self._note(pid)}
        if not (ended or fresh or moved):
            return False, moved
        inhabited = {netns: pid for pid, netns in self._elsewhere.items()}
        for empty in self._opened.keys() - inhabited.keys() - {self.own}:
            self._drop(empty)
        for empty in self._lost.keys() - inhabited.keys():
            del self._lost[empty]
        unseen = inhabited.keys() - self._opened.keys() - self._lost.keys()
        entered = [netns for netns in unseen if self._enter(netns, inhabited[netns])]
        return bool(entered), moved

    def dump(self, tables: Sequence[Table]) -> Dumped:
        """The sockets of all namespaces."""
        dumped = Dumped(went=self._left)
        self._left = []
        if self.own not in self._opened:
            try:
                self._opened[self.own] = SockDiag(self.own)
            except FailedError as refused:
                dumped.asked = len(tables)
                dumped.failures = [refused] * len(tables)
        for diag in self._opened.values():
            for table in diag.known:
                if table not in tables:
                    dumped.went += diag.forget(table)
            for table in tables:
                _dump_table(diag, table, dumped)
        return dumped

    def close(self) -> None:
        """Release the sockets; a later dump opens them anew."""
        for netns in list(self._opened):
            self._drop(netns)
        self._of.clear()
        self._elsewhere.clear()
        self._lost.clear()

    def _note(self, pid: int) -> bool:
        """Look up the namespace of a process; returns whether it changed."""
        netns = read_netns(pid)
        if netns is None:
            return False
        before = self._of.get(pid)
        self._of[pid] = netns
        if netns != self.own:
            self._elsewhere[pid] = netns
        else:
            self._elsewhere.pop(pid, None)
        return before is not None and before != netns

    def _enter(self, netns: int, pid: int) -> bool:
        """Open a socket in the namespace of a process; returns whether that went well."""
        try:
            diag = _open_inside(pid, netns)
        except FileNotFoundError:
            return False  # the process has ended; if there are others, one of them is next
        except (OSError, FailedError) as refused:
            reason = refused.message if isinstance(refused, FailedError) else refused.strerror
            self._lost[netns] = FailedError(
                f"network namespace {netns} cannot be looked at: {reason}"
            )
            return False
        if diag:
            self._opened[netns] = diag
        return diag is not None

    def _drop(self, netns: int) -> None:
        """Look at a namespace no more."""
        diag = self._opened.pop(netns)
        for table in diag.known:
            self._left += diag.forget(table)
        diag.close()


def read_netns(pid: int) -> int | None:
    """Inode number of the network namespace of a process; None if it is gone or hidden."""
    try:
        link = os.readlink(f"/proc/{pid}/ns/net")
    except OSError:
        return None
    return int(link.removeprefix("net:[").removesuffix("]"))


def _dump_table(diag: SockDiag, table: Table, into: Dumped) -> None:
    into.asked += 1
    try:
        answer = diag.dump(table)
    except FailedError as failure:
        into.failures.append(failure)
    else:
        into.came += answer.came
        into.went += answer.went
        into.read += len(answer.messages)
        into.malformed += answer.malformed


def _open_inside(pid: int, netns: int) -> SockDiag | None:
    """A netlink socket in the namespace a process is in; None if that is another one by now.

    Raises:
        OSError: if the namespace cannot be entered.
        FailedError: if it gives no such socket.
    """
    opened: list[SockDiag] = []
    failures: list[OSError | FailedError] = []

    def enter() -> None:
        try:
            descriptor = os.open(f"/proc/{pid}/ns/net", os.O_RDONLY | os.O_CLOEXEC)
            try:
                if os.fstat(descriptor).st_ino == netns:
                    _set_namespace(descriptor)
                    opened.append(SockDiag(netns))
            finally:
                os.close(descriptor)
        except (OSError, FailedError) as failure:
            failures.append(failure)

    thread = threading.Thread(target=enter, name="discovery-netns", daemon=True)
    thread.start()
    thread.join()
    if failures:
        raise failures[0]
    return opened[0] if opened else None


def _set_namespace(descriptor: int) -> None:
    """Enter a network namespace with this thread; setns(2)."""
    library = ctypes.CDLL(None, use_errno=True)
    if library.setns(descriptor, _CLONE_NEWNET):
        number = ctypes.get_errno()
        raise OSError(number, os.strerror(number))


def _close_all(opened: dict[int, SockDiag]) -> None:
    for diag in opened.values():
        diag.close()
    opened.clear()
