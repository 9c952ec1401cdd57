"""Selections that come and go as processes do."""

from __future__ import annotations

import random
from collections.abc import Iterable

from hypothesis import given
from hypothesis import strategies as st

from engine.discovery.candidate import Candidate
from engine.discovery.matcher import Change, CriteriaMatcher, MatchEvent, ProcessEvent
from tests.unit.discovery.yaml_policy import policy_from

PORT_22 = "open_port: 22"
SSHD = Candidate(10, 1, "/usr/bin/sshd", ports=(22,))
SHELL = Candidate(11, 10, "/bin/bash")
CURL = Candidate(12, 11, "/usr/bin/curl")


def created(*candidates: Candidate) -> list[ProcessEvent]:
    return [ProcessEvent("created", each) for each in candidates]


def told(events: Iterable[MatchEvent]) -> list[tuple[Change, int]]:
    return [(each.change, each.candidate.pid) for each in events]


def test_matches_come_in_the_order_of_the_batch() -> None:
    matcher = CriteriaMatcher(policy_from("open_port: 80-90"))
    batch = [Candidate(pid, exe="/x", ports=(port,)) for pid, port in ((5, 80), (3, 99), (4, 81))]
    assert told(matcher.take(created(*batch))) == [("created", 5), ("created", 4)]


def test_the_deletion_of_what_was_not_selected_is_not_told() -> None:
    matcher = CriteriaMatcher(policy_from("open_port: 80"))
    matcher.take(created(Candidate(1, exe="/x"), Candidate(2, exe="/x", ports=(80,))))
    gone = [ProcessEvent("deleted", Candidate(pid)) for pid in (1, 2, 3)]
    assert told(matcher.take(gone)) == [("deleted", 2)]
    assert told(matcher.take(gone)) == []


def test_children_share_the_selection_of_their_parent() -> None:
    matcher = CriteriaMatcher(policy_from(PORT_22))
    events = matcher.take(created(SSHD, SHELL, CURL, Candidate(13, 99, "/bin/other")))
    assert told(events) == [("created", 10), ("created", 11), ("created", 12)]
    decision = events[2].decision
    assert (decision.verdict, decision.inherited_from) == ("inherited", 11)
    assert decision.reason == "open_port 22, inherited from 11"


def test_a_child_that_came_before_its_parent_is_selected_with_it() -> None:
    matcher = CriteriaMatcher(policy_from(PORT_22))
    assert told(matcher.take(created(CURL, SHELL))) == []
    assert told(matcher.take(created(SSHD))) == [("created", 10), ("created", 11), ("created", 12)]


def test_faithful_misses_a_child_that_came_first() -> None:
    matcher = CriteriaMatcher(policy_from(PORT_22, faithful=True))
    assert told(matcher.take(created(SHELL, SSHD))) == [("created", 10)]


def test_an_excluded_child_does_not_inherit_and_hands_nothing_down() -> None:
    text = "open_port: 22\ndiscovery: {exclude_instrument: [{exe_path: '*/bash'}]}"
    matcher = CriteriaMatcher(policy_from(text))
    assert told(matcher.take(created(SSHD, SHELL, CURL))) == [("created", 10)]
    decision = matcher.decision(11)
    assert decision is not None
    assert decision.verdict == "excluded"


def test_a_change_is_decided_about_anew() -> None:
    matcher = CriteriaMatcher(policy_from(PORT_22))
    without = Candidate(10, 1, "/usr/bin/sshd")
    assert told(matcher.take(created(without, SHELL))) == []
    changed = [ProcessEvent("changed", SSHD)]
    assert told(matcher.take(changed)) == [("created", 10), ("created", 11)]
    assert told(matcher.take(changed)) == []
    back = [ProcessEvent("changed", without)]
    assert told(matcher.take(back)) == [("deleted", 10), ("deleted", 11)]


def test_faithful_never_looks_at_a_selected_process_again() -> None:
    matcher = CriteriaMatcher(policy_from(PORT_22, faithful=True))
    matcher.take(created(SSHD))
    assert told(matcher.take([ProcessEvent("changed", Candidate(10, 1, "/other"))])) == []
    decision = matcher.decision(10)
    assert decision is not None
    assert decision.is_selected


def test_a_selection_that_rests_on_something_else_is_told_as_changed() -> None:
    matcher = CriteriaMatcher(policy_from("open_port: 80-90"))
    matcher.take(created(Candidate(1, exe="/x", ports=(80,))))
    moved = [ProcessEvent("changed", Candidate(1, exe="/x", ports=(81,)))]
    assert told(matcher.take(moved)) == [("changed", 1)]


@given(st.randoms(use_true_random=False))
def test_the_selection_does_not_depend_on_the_order(chance: random.Random) -> None:
    family = [SSHD, SHELL, CURL, Candidate(13, 12, "/c"), Candidate(20, 1, "/x", ports=(80,))]
    events = created(*family)
    chance.shuffle(events)
    told_of = told(CriteriaMatcher(POLICY).take(events))
    assert sorted(told_of) == [("created", pid) for pid in (10, 11, 12, 13)]


POLICY = policy_from(PORT_22)
