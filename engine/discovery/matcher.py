"""The second stage of discovery: which of the processes that come and go are selected.

Beyla looks at a process once and never again. Here a process that changes is decided about anew,
and so are the children that were seen before their parent was selected; `faithful` leaves both.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Literal

from engine.discovery.candidate import Candidate
from engine.discovery.evaluate import decide
from engine.discovery.policy import Policy
from engine.discovery.trace import Decision

Change = Literal["created", "changed", "deleted"]


@dataclass(frozen=True, slots=True)
class ProcessEvent:
    """What became of a process."""

    change: Change
    candidate: Candidate


@dataclass(frozen=True, slots=True)
class MatchEvent:
    """What became of a selection: a process was selected, is selected otherwise, or no more."""

    change: Change
    candidate: Candidate
    decision: Decision


class CriteriaMatcher:
    """Remembers what was decided about each process."""

    def __init__(self, policy: Policy) -> None:
        self._policy = policy
        self._known: dict[int, tuple[Candidate, Decision]] = {}
        self._children: dict[int, set[int]] = {}
        """By parent, the known processes."""

    def decision(self, pid: int) -> Decision | None:
        """What was decided about a process; None if it never came by."""
        known = self._known.get(pid)
        return known[1] if known else None

    def take(self, events: Iterable[ProcessEvent]) -> list[MatchEvent]:
        """Decide about a batch, in its order."""
        return [out for event in events for out in self._take(event)]

    def _take(self, event: ProcessEvent) -> Iterator[MatchEvent]:
        candidate, pid = event.candidate, event.candidate.pid
        known = self._known.get(pid)
        former = known[1] if known and known[1].is_selected else None
        if event.change == "deleted":
            if known:
                self._forget(known[0])
            if known and former:
                yield MatchEvent("deleted", known[0], former)
        elif not (former and self._policy.faithful):
            if known:
                self._forget(known[0])
            yield from self._settle(candidate, former)

    def _settle(self, candidate: Candidate, former: Decision | None) -> Iterator[MatchEvent]:
        """Decide, remember, tell what is new, and do the same for the children it concerns."""
        parent = self.decision(candidate.ppid)
        decision = decide(self._policy, candidate, parent)
        self._known[candidate.pid] = candidate, decision
        self._children.setdefault(candidate.ppid, set()).add(candidate.pid)
        if decision.is_selected:
            if former is None or former != decision:
                yield MatchEvent("changed" if former else "created", candidate, decision)
        elif former:
            yield MatchEvent("deleted", candidate, former)
        if bool(former) != decision.is_selected and not self._policy.faithful:
            for pid in sorted(self._children.get(candidate.pid, ())):
                child, last = self._known[pid]
                if last.verdict in ("not selected", "inherited"):
                    yield from self._settle(child, last if last.is_selected else None)

    def _forget(self, candidate: Candidate) -> None:
        self._known.pop(candidate.pid, None)
        siblings = self._children.get(candidate.ppid, set())
        siblings.discard(candidate.pid)
        if not siblings:
            self._children.pop(candidate.ppid, None)
