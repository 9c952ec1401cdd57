"""Which processes' traffic is captured, and that it stays so when they are started again."""

from __future__ import annotations

import os
import threading
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

from engine.core.errors import BoxscopeError, FailedError
from engine.core.identity import ProcessId, read_stat
from engine.core.kinds import PROCESS
from engine.core.records import Record
from engine.core.sanitise import clean
from engine.core.source import Logbook

_LOOK_EVERY_S = 0.1
_ATTACHED = PROCESS.index["attached"]


@dataclass(frozen=True, slots=True)
class Traits:
    """What a process that was started again has in common with the one before."""

    exe: str
    criterion: str
    ports: frozenset[tuple[int, str]]

    @classmethod
    def of(cls, row: Record) -> Traits:
        """The traits of a listed process."""
        return cls(str(row.get("exe")), str(row.get("criterion")), _ports(row))

    def met_by(self, row: Record) -> bool:
        """Whether a process is the same service: executable, criterion and one of its ports."""
        same = (str(row.get("exe")), str(row.get("criterion"))) == (self.exe, self.criterion)
        return same and bool(_ports(row) & self.ports)


@dataclass(slots=True)
class _Attachment:
    identity: ProcessId
    automatic: bool
    traits: Traits | None = None
    """None while it was not listed."""


class Attacher:
    """Keeps the set of processes that are listened to.

    Args:
        logbook: The engine's log.
        listen: Listens to exactly these processes.
        rows: The processes that discovery lists now.
        automatic: Whether every listed process is attached.
    """

    def __init__(
        self,
        logbook: Logbook,
        listen: Callable[[frozenset[int]], None],
        rows: Callable[[], Sequence[Record]],
        *,
        automatic: bool = False,
    ) -> None:
        self._logbook = logbook
        self._listen = listen
        self._rows = rows
        self._automatic = automatic
        self._lock = threading.Lock()
        self._attached: dict[int, _Attachment] = {}
        self._awaited: list[Traits] = []
        """Services that ended while they were attached."""
        self._refused: set[ProcessId] = set()
        """Processes that were detached by hand and would be attached again."""
        self._pids: frozenset[int] = frozenset()
        self._stop = threading.Event()
        self._thread: threading.Thread | None = None

    @property
    def pids(self) -> frozenset[int]:
        """The processes that are listened to."""
        return self._pids

    def start(self) -> None:
        """Follow what comes and goes, in a thread."""
        self._stop.clear()
        self._thread = threading.Thread(target=self._run, name="attacher", daemon=True)
        self._thread.start()

    def stop(self) -> None:
        """End the thread; nothing is listened to any more."""
        self._stop.set()
        thread, self._thread = self._thread, None
        if thread is not None:
            thread.join()

    def attach(self, pid: int) -> None:
        """Listen to a process, and to the one that takes its place.

        Raises:
            ProcessGone: there is no such process.
            FailedError: it is this process, or hidden.
            BoxscopeError: the kernel refuses.
        """
        if pid == os.getpid():
            raise FailedError("boxscope does not listen to itself")
        try:
            identity = read_stat(pid).identity
        except PermissionError as error:
            raise FailedError(f"process {pid} is hidden from this user", fix="run as root") from (
                error
            )
        with self._lock:
            self._refused.discard(identity)
            self._attached[pid] = _Attachment(identity, automatic=False)
            self._learn()
            try:
                self._apply()
            except BoxscopeError:
                del self._attached[pid]
                raise

    def detach(self, pid: int) -> None:
        """Listen to a process no longer.

        Raises:
            FailedError: it was not attached.
            BoxscopeError: the kernel refuses.
        """
        with self._lock:
            gone = self._attached.pop(pid, None)
            if gone is None:
                raise FailedError(f"process {pid} is not attached")
            self._refused.add(gone.identity)
            self._apply()

    def look(self) -> None:
        """Drop what has ended, find what took its place, attach what is to be attached.

        Raises:
            BoxscopeError: the kernel refuses.
        """
        with self._lock:
            self._drop_ended()
            self._learn()
            self._find_successors()
            if self._automatic:
                self._attach_listed()
            self._apply()

    def marked(self, rows: Sequence[Record]) -> tuple[Record, ...]:
        """The rows with what is attached marked."""
        return tuple(_with_mark(row, row.pid in self._pids) for row in rows)

    def _run(self) -> None:
        said = ""
        while not self._stop.wait(_LOOK_EVERY_S):
            try:
                self.look()
                said = ""
            except (BoxscopeError, OSError) as error:
                text = error.message if isinstance(error, BoxscopeError) else str(error)
                if text != said:
                    self._logbook.write("traffic", "error", clean(text))
                    said = text

    def _drop_ended(self) -> None:
        for pid, each in list(self._attached.items()):
            if _identity(pid) == each.identity:
                continue
            del self._attached[pid]
            if each.traits is not None and not each.automatic:
                self._awaited.append(each.traits)
        self._refused = {each for each in self._refused if _identity(each.pid) == each}

    def _learn(self) -> None:
        """Remember by what each process would be known again."""
        for row in self._rows():
            each = self._attached.get(row.pid or 0)
            if each is not None and row.get("start") == each.identity.start_ticks:
                each.traits = Traits.of(row)

    def _find_successors(self) -> None:
        if not self._awaited:
            return
        for row in self._rows():
            if row.pid is None or row.pid in self._attached:
                continue
            traits = next((one for one in self._awaited if one.met_by(row)), None)
            if traits is not None and self._add(row, automatic=False):
                self._awaited.remove(traits)

    def _attach_listed(self) -> None:
        listed = {row.pid for row in self._rows()}
        for pid, each in list(self._attached.items()):
            if each.automatic and pid not in listed:
                del self._attached[pid]
        for row in self._rows():
            if row.pid is not None and row.pid not in self._attached and row.pid != os.getpid():
                self._add(row, automatic=True)

    def _add(self, row: Record, *, automatic: bool) -> bool:
        pid = row.pid or 0
        identity = _identity(pid)
        if identity is None or identity in self._refused:
            return False
        if identity.start_ticks != row.get("start"):
            return False
        self._attached[pid] = _Attachment(identity, automatic, Traits.of(row))
        return True

    def _apply(self) -> None:
        pids = frozenset(self._attached)
        if pids == self._pids:
            return
        self._listen(pids)
        for pid in sorted(pids - self._pids):
            self._logbook.write("traffic", "info", f"listening to process {pid}")
        for pid in sorted(self._pids - pids):
            self._logbook.write("traffic", "info", f"no longer listening to process {pid}")
        self._pids = pids


def _identity(pid: int) -> ProcessId | None:
    try:
        stat = read_stat(pid)
    except (BoxscopeError, PermissionError):
        return None
    return None if stat.state in "ZX" else stat.identity


def _ports(row: Record) -> frozenset[tuple[int, str]]:
    ports = row.get("ports")
    if not isinstance(ports, list | tuple):
        return frozenset()
    return frozenset(
        (port, str(each.get("proto")))
        for each in ports
        if isinstance(each, dict) and isinstance(port := each.get("port"), int)
    )


def _with_mark(row: Record, attached: bool) -> Record:
    if row.values[_ATTACHED] is attached:
        return row
    values = (*row.values[:_ATTACHED], attached, *row.values[_ATTACHED + 1 :])
    return replace(row, values=values)
