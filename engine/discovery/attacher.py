"""The third stage: whose traffic is captured.

Capture is attached to a process that a criterion asks it for, or that somebody chose. What was
chosen by hand holds for the program rather than the pid: a process that takes the place of one
that ended, with the same executable, arguments and container, is attached again, and one that
was detached by hand stays detached.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import NamedTuple, Protocol

from engine.core.errors import BoxscopeError, FailedError, UsageError
from engine.core.identity import ProcessId
from engine.discovery.facts import ProcessFacts
from engine.discovery.matching import Matched
from engine.discovery.observed import Event, Identity
from engine.discovery.stages import QUEUE_BATCHES, Stage


class CaptureCost(NamedTuple):
    """What capturing the traffic of a process has cost since it was attached."""

    payloads: int
    payload_bytes: int
    cpu_ns: int
    """Time spent on them, in the kernel and here."""


class Capture(Protocol):
    """What captures traffic."""

    def attach(self, process: ProcessId) -> None:
        """Begin with a process.

        Raises:
            BoxscopeError: if that cannot be done.
        """

    def detach(self, process: ProcessId) -> None:
        """End with a process, which may have ended itself."""

    def costs(self) -> Mapping[ProcessId, CaptureCost]:
        """What is attached, with what it costs."""


@dataclass(frozen=True, slots=True)
class Listed:
    """A process that is listed, with what became of its traffic."""

    matched: Matched
    attached: bool

    @property
    def key(self) -> int:
        """That of the process."""
        return self.matched.key

    @property
    def identity(self) -> Identity:
        """That of the process."""
        return self.matched.identity


class _Program(NamedTuple):
    """What stays the same when a process is started again."""

    exe: str | None
    argv: tuple[str, ...]
    container: str | None


class Attacher(Stage[Matched, Listed]):
    """Attaches and detaches capture, and tells which processes are attached.

    Args:
        capture: Captures the traffic; without it nothing can be attached.
        warn: Told once for each program that could not be attached.
    """

    def __init__(
        self,
        upstream: Callable[[], Mapping[int, Matched]],
        warn: Callable[[str], None],
        capture: Capture | None = None,
        capacity: int = QUEUE_BATCHES,
    ) -> None:
        super().__init__("discovery-attach", upstream, capacity)
        self._capture = capture
        self._warn = warn
        self._warned: set[_Program] = set()
        self._chosen: dict[_Program, bool] = {}
        self._attached: dict[int, ProcessId] = {}

    def attach(self, pid: int) -> None:
        """Capture the traffic of a listed process, and of those that take its place.

        Raises:
            UsageError: if there is no row for it.
            BoxscopeError: if it cannot be captured.
        """
        with self._working:
            self.pump()
            matched, facts = self._listed(pid)
            if pid not in self._attached:
                self._begin(facts)
            self._chosen[_program(facts)] = True
            self._work([Event("changed", matched)])

    def detach(self, pid: int) -> None:
        """End capturing the traffic of a listed process, and of those that take its place.

        Raises:
            UsageError: if there is no row for it.
        """
        with self._working:
            self.pump()
            matched, facts = self._listed(pid)
            self._chosen[_program(facts)] = False
            self._work([Event("changed", matched)])

    def costs(self) -> Mapping[ProcessId, CaptureCost]:
        """What is attached, with what it costs."""
        return self._capture.costs() if self._capture else {}

    def handle(self, event: Event[Matched]) -> tuple[Listed | None, str]:
        """Attach or detach, as is wanted."""
        matched = event.item
        facts = matched.process.facts
        if facts is None:
            return Listed(matched, False), ""
        program, pid = _program(facts), facts.identity.pid
        wanted = self._chosen.get(program, matched.match.attach)
        if wanted and pid not in self._attached:
            try:
                self._begin(facts)
            except BoxscopeError as error:
                if program not in self._warned:
                    self._warned.add(program)
                    self._warn(f"process {pid} is not captured: {error.message}")
        elif not wanted:
            self._end(pid)
        return Listed(matched, pid in self._attached), ""

    def forget(self, item: Matched) -> None:
        """Detach what has gone."""
        self._end(item.key)

    def close(self) -> None:
        """Detach everything."""
        with self._working:
            for pid in list(self._attached):
                self._end(pid)

    def _listed(self, pid: int) -> tuple[Matched, ProcessFacts]:
        matched = self._known.get(pid)
        if matched is None or matched.process.facts is None:
            raise UsageError(f"process {pid} is not listed", fix="choose a process that is")
        return matched, matched.process.facts

    def _begin(self, facts: ProcessFacts) -> None:
        if self._capture is None:
            raise FailedError("traffic capture does not run here")
        self._capture.attach(facts.identity)
        self._attached[facts.identity.pid] = facts.identity

    def _end(self, pid: int) -> None:
        attached = self._attached.pop(pid, None)
        if attached and self._capture:
            try:
                self._capture.detach(attached)
            except BoxscopeError as error:
                self._warn(f"process {pid} is not released cleanly: {error.message}")


def _program(facts: ProcessFacts) -> _Program:
    return _Program(facts.exe, facts.argv, facts.container)
