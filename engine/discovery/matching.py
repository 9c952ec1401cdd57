"""The second stage: which of the processes meet a criterion."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import NamedTuple, Protocol

from engine.discovery.candidate import Candidate
from engine.discovery.evaluate import decide
from engine.discovery.judge import Judge
from engine.discovery.language import Languages
from engine.discovery.matcher import CriteriaMatcher, ProcessEvent
from engine.discovery.observed import Event, Identity, Observed, Port, Scope
from engine.discovery.policy import Policy
from engine.discovery.process_sockets import LocalPorts
from engine.discovery.stages import QUEUE_BATCHES, Stage
from engine.discovery.trace import Decision, Verdict

_OF_TRAFFIC = frozenset({"traces", "metrics"})
"""What Beyla exports of traffic."""


class Match(NamedTuple):
    """Why a process is listed, and what follows from it."""

    criterion: str
    """As it is shown."""
    ports: tuple[Port, ...]
    """The ports to show."""
    verdict: Verdict = "selected"
    attach: bool = False
    """Whether its traffic is to be captured."""


class Matcher(Protocol):
    """Decides which processes are listed."""

    @property
    def scope(self) -> Scope:
        """What it has to be shown."""

    @property
    def inherits(self) -> bool:
        """Whether a process can be listed because its parent is."""

    def match(self, process: Observed) -> Match | None:
        """Decide about a process; may be sockets without a visible process.

        Returns:
            Why it is listed; None if it is not.
        """

    def forget(self, process: Observed) -> None:
        """It has ended."""


class PolicyMatcher:
    """Decides by Beyla's lists: a port selects a process, not itself.

    Args:
        policy: The lists in force.
        show_all: Whether processes that are not selected are listed too.
        attach: Whether the traffic of what is selected is to be captured, where its criteria do
            not tell with `exports`.
    """

    def __init__(self, policy: Policy, *, show_all: bool = False, attach: bool = False) -> None:
        portless = show_all or policy.inherit or policy.wants_portless
        self.scope = Scope(connections=policy.faithful, portless=portless)
        self.inherits = policy.inherit
        self._policy = policy
        self._show_all = show_all
        self._attach = attach
        self._criteria = CriteriaMatcher(policy)
        self._judge = Judge(policy, Languages(faithful=policy.faithful), lambda _: LocalPorts())

    def match(self, process: Observed) -> Match | None:
        """Every port of a process that is selected or surveyed, none of another; without a
        process, the ports that are wanted by themselves."""
        facts = process.facts
        if facts is None:
            return self._match_unowned(process)
        ports = LocalPorts(_numbers(process.ports), _numbers(process.client_ports))
        candidate = self._judge.candidate(facts, ports)
        self._criteria.take([ProcessEvent("changed", candidate)])
        decision = self._criteria.decision(candidate.pid)
        if decision is None or not (decision.is_listed or self._show_all):
            return None
        if not (decision.is_listed or process.ports or facts.exe or facts.argv):
            return None  # a kernel thread or a zombie
        reason = "" if decision.verdict == "not selected" else decision.reason
        shown = process.ports + (process.client_ports if self._policy.faithful else ())
        return Match(reason, shown, decision.verdict, self._wants_capture(decision))

    def forget(self, process: Observed) -> None:
        """Its children inherit nothing any more."""
        if process.pid is not None:
            self._criteria.take([ProcessEvent("deleted", Candidate(process.pid))])

    def _wants_capture(self, decision: Decision) -> bool:
        """What its criteria export says so; where they leave that open, what was asked for."""
        if not decision.is_selected or decision.exports is None:
            return decision.is_selected and self._attach
        return bool(_OF_TRAFFIC.intersection(decision.exports))

    def _match_unowned(self, process: Observed) -> Match | None:
        reasons: dict[Port, str] = {}
        for port in process.ports:
            decision = decide(self._policy, Candidate(0, ports=(port.port,)))
            if decision.is_selected:
                reasons[port] = decision.reason
        shown = process.ports if self._show_all else tuple(reasons)
        verdict: Verdict = "selected" if reasons else "not selected"
        return (
            Match(" or ".join(dict.fromkeys(reasons.values())), shown, verdict) if shown else None
        )


def _numbers(ports: Sequence[Port]) -> tuple[int, ...]:
    return tuple(dict.fromkeys(port.port for port in ports))


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


class MatcherStage(Stage[Observed, Matched]):
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
        match = self._matcher.match(process)
        self._remember(process.key, match)
        return (Matched(process, match), "") if match else (None, "not_matched")

    def forget(self, item: Observed) -> None:
        """Tell the matcher."""
        self._matcher.forget(item)
        self._remember(item.key, None)

    def _remember(self, key: int, match: Match | None) -> None:
        before = self._matches.get(key)
        if (before and before.verdict) != (match and match.verdict):
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
