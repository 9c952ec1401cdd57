"""What was chosen by hand, and how it outlives the process it was chosen for.

A choice holds for the program rather than the pid: what takes the place of a process that ended
is treated as that one was.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import NamedTuple

from engine.core.identity import ProcessId
from engine.discovery.evaluate import DELETED
from engine.discovery.facts import ProcessFacts, age_s
from engine.discovery.matching import Matched

_TICK_S = 0.02
"""Start times are counted in hundredths of a second."""


class Traits(NamedTuple):
    """What a process that is started again has in common with the one before."""

    exe: str
    argv: tuple[str, ...]
    container: str | None
    criterion: str | None = None
    """None of a process that was not listed; then any will do."""
    ports: frozenset[tuple[int, str]] = frozenset()

    @classmethod
    def of(cls, facts: ProcessFacts, matched: Matched | None) -> Traits:
        """The traits of a process, listed or not."""
        exe = (facts.exe or "").removesuffix(DELETED)
        if matched is None:
            return cls(exe, facts.argv, facts.container)
        match = matched.match
        # What is inherited names the parent, which is another one after a restart.
        criterion = match.criterion if match.verdict == "selected" else match.verdict
        ports = frozenset((each.port, each.proto) for each in match.ports)
        return cls(exe, facts.argv, facts.container, criterion, ports)

    def met_by(self, other: Traits) -> bool:
        """Whether another process is the same service: executable, container and criterion, and
        a port or all arguments."""
        if (self.exe, self.container) != (other.exe, other.container):
            return False
        if self.criterion not in (None, other.criterion):
            return False
        return bool(self.ports & other.ports) or self.argv == other.argv


@dataclass(slots=True)
class Choice:
    """One process that somebody chose to capture, or not to."""

    process: ProcessId
    wanted: bool
    traits: Traits
    since_s: float
    """When it was chosen, in seconds since boot; what was there by then takes nobody's place."""
    in_place_of: int | None = None
    """The pid of the one it was made for, if that has ended."""


class Choices:
    """The choices that hold now, and those that wait for a process to come back."""

    def __init__(self) -> None:
        self._held: dict[int, Choice] = {}
        self._awaited: list[Choice] = []

    @property
    def awaited(self) -> tuple[Choice, ...]:
        """Choices to capture whose process has ended."""
        return tuple(each for each in self._awaited if each.wanted)

    def make(
        self, facts: ProcessFacts, matched: Matched | None, wanted: bool, place: int | None = None
    ) -> Choice:
        """Choose for a process; takes the place of an earlier choice."""
        now_s = time.clock_gettime(time.CLOCK_BOOTTIME)
        choice = Choice(facts.identity, wanted, Traits.of(facts, matched), now_s, place)
        self._held[facts.identity.pid] = choice
        return choice

    def holds(self, process: ProcessId) -> bool:
        """Whether a process was chosen to be captured."""
        held = self._held.get(process.pid)
        return held is not None and held.wanted and held.process == process

    def drop(self, pid: int) -> None:
        """Leave a process to what its criterion says."""
        self._held.pop(pid, None)

    def of(self, facts: ProcessFacts, matched: Matched) -> Choice | None:
        """What was chosen for a process, or for the one whose place it takes."""
        held = self._held.get(facts.identity.pid)
        if held is not None and held.process == facts.identity:
            held.traits = Traits.of(facts, matched)
            return held
        if not self._awaited:
            return None
        traits, age = Traits.of(facts, matched), age_s(facts.identity)
        now_s = time.clock_gettime(time.CLOCK_BOOTTIME)
        for awaited in self._awaited:
            if awaited.traits.met_by(traits) and now_s - age >= awaited.since_s - _TICK_S:
                self._awaited.remove(awaited)
                return self.make(facts, matched, awaited.wanted, awaited.process.pid)
        return None

    def sweep(self, lives: Callable[[ProcessId], bool]) -> list[Choice]:
        """Begin to wait for the processes that have ended; returns their choices."""
        ended = [each for each in self._held.values() if not lives(each.process)]
        for each in ended:
            del self._held[each.process.pid]
            self._awaited.append(each)
        return ended
