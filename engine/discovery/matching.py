"""The second stage: which of the processes meet a criterion."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import NamedTuple, Protocol

from engine.discovery.matcher import Criterion
from engine.discovery.observed import RECEIVERS, Event, Identity, Observed, Port, Scope
from engine.discovery.stages import QUEUE_BATCHES, Stage


class Match(NamedTuple):
    """Why a process is listed, and what follows from it."""

    criterion: str
    """As it is shown."""
    ports: tuple[Port, ...]
    """The ports to show."""
    attach: bool = False
    """Whether the criterion asks for its traffic to be captured."""


class Matcher(Protocol):
    """Decides which processes are listed."""

    @property
    def scope(self) -> Scope:
        """What it has to be shown."""

    @property
    def inherits(self) -> bool:
        """Whether a process can be listed because its parent is."""

    def match(self, process: Observed, parent: Match | None) -> Match | None:
        """Decide about a process.

        Args:
            process: As it is now; may be sockets without a visible process.
            parent: Why its parent is listed, if it is.

        Returns:
            Why it is listed; None if it is not.
        """


@dataclass(frozen=True, slots=True)
class CriterionMatcher:
    """One criterion on ports and executable: a port selects a process, not itself."""

    criterion: Criterion
    scope: Scope = RECEIVERS
    inherits: bool = False

    def match(self, process: Observed, parent: Match | None) -> Match | None:
        """Every port of a process that is selected, none of another; without a process, the
        ports that are wanted by themselves."""
        criterion = self.criterion
        if process.facts is None:
            shown = tuple(each for each in process.ports if criterion.selects((each.port,), None))
            return Match(str(criterion), shown) if shown else None
        ports = [each.port for each in process.ports]
        if not criterion.selects(ports, process.facts.exe):
            return None
        return Match(str(criterion), process.ports)


@dataclass(frozen=True, slots=True)
class Matched:
    """A process that is listed, and why."""

    process: Observed
    match: Match

    @property
    def key(self) -> int:
        """That of the process."""
        return self.process.key

    @property
    def identity(self) -> Identity:
        """That of the process."""
        return self.process.identity


class CriteriaMatcher(Stage[Observed, Matched]):
    """Passes on the processes that the matcher selects.

    A child is decided after its parent where both are new, and once more when its parent comes
    to be listed or no longer is, if the matcher lets children inherit.
    """

    def __init__(
        self,
        matcher: Matcher,
        upstream: Callable[[], Mapping[int, Observed]],
        capacity: int = QUEUE_BATCHES,
    ) -> None:
        super().__init__("discovery-match", upstream, capacity)
        self._matcher = matcher
        self._matches: dict[int, Match] = {}
        self._turned: set[int] = set()

    @property
    def scope(self) -> Scope:
        """What the matcher has to be shown."""
        return self._matcher.scope

    def set_matcher(self, matcher: Matcher) -> None:
        """Decide by another matcher from now on, about everything."""
        with self._working:
            self._matcher = matcher
            self.reconsider()

    def handle(self, event: Event[Observed]) -> tuple[Matched | None, str]:
        """Ask the matcher."""
        process = event.item
        parent = self._matches.get(process.facts.ppid) if process.facts else None
        match = self._matcher.match(process, parent)
        self._remember(process.key, match)
        return (Matched(process, match), "") if match else (None, "not_matched")

    def forget(self, item: Observed) -> None:
        """Its children inherit nothing any more."""
        self._remember(item.key, None)

    def _remember(self, key: int, match: Match | None) -> None:
        if self._matches.get(key) != match:
            self._turned.add(key)
        if match:
            self._matches[key] = match
        else:
            self._matches.pop(key, None)

    def _work(self, events: Sequence[Event[Observed]]) -> None:
        super()._work(sorted(events, key=_elders_first))
        while self._turned and self._matcher.inherits:
            parents, self._turned = self._turned, set()
            super()._work(
                [
                    Event("changed", each)
                    for each in self._known.values()
                    if each.facts and each.facts.ppid in parents
                ]
            )
        self._turned.clear()


def _elders_first(event: Event[Observed]) -> tuple[bool, int]:
    start = event.item.identity.start_ticks
    return event.change != "deleted", 0 if start is None else start
