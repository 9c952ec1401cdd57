"""Which processes the matcher's stage passes on, whatever the matcher is."""

from __future__ import annotations

from dataclasses import dataclass, field

from engine.core.identity import ProcessId
from engine.discovery.facts import ProcessFacts
from engine.discovery.matching import Match, Matched, MatcherStage
from engine.discovery.observed import Change, Event, Observed, Port, Scope, observed

PORTLESS = Scope(portless=True)


@dataclass
class ByPort:
    """Selects the processes with a port, and their descendants."""

    port: int
    inherits: bool = True
    scope: Scope = PORTLESS
    asked: list[int | None] = field(default_factory=list)

    selected: set[int] = field(default_factory=set)

    def match(self, process: Observed) -> Match | None:
        assert process.facts is not None
        self.asked.append(process.pid)
        self.selected.discard(process.key)
        why = "inherited" if process.facts.ppid in self.selected else ""
        if self.port in {each.port for each in process.ports}:
            why = f"port {self.port}"
        if not why:
            return None
        self.selected.add(process.key)
        return Match(why, process.ports)

    def forget(self, process: Observed) -> None:
        self.selected.discard(process.key)


def process(pid: int, ppid: int = 1, port: int = 0, start: int | None = None) -> Observed:
    identity = ProcessId(pid, pid if start is None else start)
    facts = ProcessFacts(identity, b"x", ppid, "/bin/x", (), "root", None, None)
    made = observed(facts, 4, ())
    ports = (Port(port, "tcp", "*"),) if port else ()
    return Observed(facts, made.netns, (), ports)


class Rig:
    """The stage with a matcher, and what it told."""

    def __init__(self, matcher: ByPort) -> None:
        self.out: list[Event[Matched]] = []
        self.stage = MatcherStage(matcher, dict)
        self.stage.emit = self.out.extend

    def tell(self, *events: tuple[Change, Observed]) -> list[tuple[str, int | None, str]]:
        self.out.clear()
        self.stage.put([Event(change, each) for change, each in events])
        self.stage.pump()
        return [
            (each.change, each.item.process.pid, each.item.match.criterion) for each in self.out
        ]


def test_parents_are_decided_before_their_children() -> None:
    rig = Rig(ByPort(80))
    told = rig.tell(
        ("created", process(30, 20)),
        ("created", process(20, 10)),
        ("created", process(10, port=80)),
    )
    assert told == [
        ("created", 10, "port 80"),
        ("created", 20, "inherited"),
        ("created", 30, "inherited"),
    ]


def test_a_child_is_asked_again_when_its_parent_comes_to_be_listed() -> None:
    """Beyla misses a child that was seen before its parent matched."""
    rig = Rig(ByPort(80))
    assert (
        rig.tell(
            ("created", process(10)), ("created", process(20, 10)), ("created", process(30, 20))
        )
        == []
    )
    told = rig.tell(("changed", process(10, port=80)))
    assert told == [
        ("created", 10, "port 80"),
        ("created", 20, "inherited"),
        ("created", 30, "inherited"),
    ]


def test_what_was_inherited_ends_with_the_parent() -> None:
    rig = Rig(ByPort(80))
    rig.tell(("created", process(10, port=80)), ("created", process(20, 10)))
    told = rig.tell(("deleted", process(10, port=80)))
    assert told == [("deleted", 10, "port 80"), ("deleted", 20, "inherited")]


def test_without_inheritance_children_are_not_asked_again() -> None:
    matcher = ByPort(80, inherits=False)
    rig = Rig(matcher)
    rig.tell(("created", process(10)), ("created", process(20, 10)))
    matcher.asked.clear()
    assert rig.tell(("changed", process(10, port=80))) == [("created", 10, "port 80")]
    assert matcher.asked == [10]


def test_another_matcher_is_applied_to_everything() -> None:
    rig = Rig(ByPort(80))
    rig.tell(("created", process(10, port=80)), ("created", process(20, port=90)))
    rig.out.clear()
    rig.stage.set_matcher(ByPort(90))
    assert {(each.change, each.item.process.pid) for each in rig.out} == {
        ("deleted", 10),
        ("created", 20),
    }
    assert rig.stage.counters.balanced


def test_a_pid_in_its_next_life_is_another_process() -> None:
    rig = Rig(ByPort(80))
    rig.tell(("created", process(10, port=80)))
    assert rig.tell(("changed", process(10, port=80, start=99))) == [
        ("deleted", 10, "port 80"),
        ("created", 10, "port 80"),
    ]
