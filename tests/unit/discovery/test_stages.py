"""Stages joined by bounded queues: nothing is lost but steps in between."""

from __future__ import annotations

import threading
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import pytest
from hypothesis import given
from hypothesis import strategies as st

from engine.discovery.observed import Change, Event, Identity
from engine.discovery.stages import Inbox, Stage
from tests.waiting import wait_until


@dataclass(frozen=True)
class Thing:
    """Something with a key, a life and a value."""

    key: int
    life: int = 0
    value: int = 0

    @property
    def identity(self) -> Identity:
        return Identity(self.key, self.life, 0)


class EvenOnly(Stage[Thing, Thing]):
    """Passes on what has an even value."""

    def handle(self, event: Event[Thing]) -> tuple[Thing | None, str]:
        return (event.item, "") if event.item.value % 2 == 0 else (None, "odd")


class Rig:
    """A stage with a state before it and a list behind it."""

    def __init__(self, capacity: int = 50) -> None:
        self.state: dict[int, Thing] = {}
        self.out: list[Event[Thing]] = []
        self.stage = EvenOnly("test", self._known, capacity)
        self.stage.emit = self.out.extend

    def _known(self) -> Mapping[int, Thing]:
        return dict(self.state)

    def tell(self, *events: Event[Thing]) -> None:
        """One batch, as a stage before would tell it: its state first."""
        for event in events:
            if event.change == "deleted":
                self.state.pop(event.item.key, None)
            else:
                self.state[event.item.key] = event.item
        self.stage.put(events)

    def told(self) -> list[tuple[Change, int, int]]:
        taken = [(each.change, each.item.key, each.item.value) for each in self.out]
        self.out.clear()
        return taken


def created(key: int, value: int = 0, life: int = 0) -> Event[Thing]:
    return Event("created", Thing(key, life, value))


def changed(key: int, value: int = 0, life: int = 0) -> Event[Thing]:
    return Event("changed", Thing(key, life, value))


def deleted(key: int, life: int = 0) -> Event[Thing]:
    return Event("deleted", Thing(key, life))


def test_events_go_through_in_order() -> None:
    rig = Rig()
    rig.tell(created(1), created(2))
    rig.tell(changed(1, 2), deleted(2))
    assert rig.told() == []
    rig.stage.pump()
    assert rig.told() == [
        ("created", 1, 0),
        ("created", 2, 0),
        ("changed", 1, 2),
        ("deleted", 2, 0),
    ]


def test_what_no_longer_qualifies_is_deleted_and_what_comes_to_is_created() -> None:
    rig = Rig()
    rig.tell(created(1), created(2, 1))
    rig.tell(changed(1, 1), changed(2, 2))
    rig.stage.pump()
    assert rig.told() == [("created", 1, 0), ("deleted", 1, 0), ("created", 2, 2)]
    rig.tell(deleted(1), deleted(2))
    rig.stage.pump()
    assert rig.told() == [("deleted", 2, 2)]


def test_another_life_is_deleted_and_created() -> None:
    rig = Rig()
    rig.tell(created(1, 2))
    rig.tell(changed(1, 4, life=1))
    rig.stage.pump()
    assert rig.told() == [("created", 1, 2), ("deleted", 1, 2), ("created", 1, 4)]


def test_counters_balance_and_name_reasons() -> None:
    rig = Rig()
    rig.tell(created(1), created(2, 1), created(3, 3))
    rig.stage.pump()
    counters = rig.stage.counters
    assert (counters.seen, counters.kept, counters.dropped) == (3, 1, {"odd": 2})
    assert counters.balanced


def test_a_stage_that_falls_behind_catches_up_with_the_state() -> None:
    rig = Rig(capacity=2)
    rig.tell(created(9))
    rig.stage.pump()
    rig.told()
    rig.tell(deleted(9), created(1, 2))
    rig.tell(changed(1, 4), created(2, 2))
    rig.tell(changed(1, 6))  # full: all three are superseded
    rig.tell(deleted(2), created(3, 8))  # so is this
    counters = rig.stage.counters
    assert counters.dropped == {"superseded": 7}
    assert counters.balanced
    assert rig.stage.resyncs == 1
    rig.stage.pump()
    assert rig.told() == [("deleted", 9, 0), ("created", 1, 6), ("created", 3, 8)]
    assert dict(rig.stage.told) == rig.state
    rig.tell(changed(3, 10))
    rig.stage.pump()
    assert rig.told() == [("changed", 3, 10)]
    assert rig.stage.resyncs == 1
    assert rig.stage.counters.balanced


def test_a_batch_that_was_caught_up_with_already_does_no_harm() -> None:
    rig = Rig()
    rig.tell(created(1, 2))
    rig.stage.pump()
    rig.stage.put([created(1, 2)])
    rig.stage.put([deleted(5)])
    rig.stage.pump()
    assert rig.told() == [("created", 1, 2)]


def test_reconsidering_tells_only_what_differs() -> None:
    rig = Rig()
    rig.tell(created(1, 2))
    rig.stage.pump()
    rig.told()
    rig.stage.reconsider()
    assert rig.told() == []


@given(
    st.lists(
        st.lists(
            st.tuples(st.sampled_from(["set", "drop"]), st.integers(1, 4), st.integers(0, 5)),
            max_size=4,
        ),
        max_size=30,
    ),
    st.lists(st.booleans(), min_size=30, max_size=30),
    st.integers(1, 4),
)
def test_whenever_it_works_the_end_is_the_same(
    batches: list[list[tuple[str, int, int]]], pumps: list[bool], capacity: int
) -> None:
    rig = Rig(capacity)
    for batch, pump in zip(batches, pumps, strict=False):
        for what, key, value in batch:
            if what == "set":
                rig.tell(changed(key, value) if key in rig.state else created(key, value))
            elif key in rig.state:
                rig.tell(Event("deleted", rig.state[key]))
        if pump:
            rig.stage.pump()
    rig.stage.pump()
    expected = {key: each for key, each in rig.state.items() if each.value % 2 == 0}
    assert dict(rig.stage.told) == expected
    assert replay(rig.out) == expected
    assert rig.stage.counters.balanced


def replay(events: Sequence[Event[Thing]]) -> dict[int, Thing]:
    """What a listener to the events believes; fails if they contradict each other."""
    believed: dict[int, Thing] = {}
    for event in events:
        assert (event.change == "created") == (event.item.key not in believed)
        if event.change == "deleted":
            assert believed.pop(event.item.key) == event.item
        else:
            believed[event.item.key] = event.item
    return believed


def test_a_thread_works_as_batches_come_and_ends_when_told() -> None:
    rig = Rig()
    rig.stage.start()
    try:
        rig.tell(created(1, 2))
        wait_until(lambda: rig.stage.told)
    finally:
        rig.stage.stop()
    assert "test" not in [each.name for each in threading.enumerate()]
    rig.tell(created(2, 2))
    assert len(rig.stage.told) == 1
    rig.stage.start()
    try:
        wait_until(lambda: len(rig.stage.told) == 2)
    finally:
        rig.stage.stop()


class Broken(EvenOnly):
    """Fails as often as it is told."""

    failures = 0

    def handle(self, event: Event[Thing]) -> tuple[Thing | None, str]:
        if self.failures and event.item.key == 2:
            self.failures -= 1
            raise OSError(24, "Too many open files")
        return super().handle(event)


def test_work_that_failed_is_done_again_as_a_whole() -> None:
    rig = Rig()
    rig.stage = stage = Broken("test", rig._known)
    stage.emit = rig.out.extend
    stage.failures = 1
    rig.tell(created(1, 2), created(2, 4))
    with pytest.raises(OSError, match="Too many open files"):
        stage.pump()
    assert rig.told() == []
    stage.pump()
    assert rig.told() == [("created", 1, 2), ("created", 2, 4)]


def test_a_thread_tells_of_a_failure_and_tries_again() -> None:
    rig = Rig()
    rig.stage = stage = Broken("test", rig._known)
    stage.failures = 1
    told: list[Exception] = []
    stage.report = told.append
    stage.start()
    try:
        rig.tell(created(2, 4))
        wait_until(lambda: stage.told)
    finally:
        stage.stop()
    assert [str(each) for each in told] == ["[Errno 24] Too many open files"]


def test_the_queue_is_bounded() -> None:
    inbox = Inbox[Thing](capacity=3)
    assert [inbox.put([created(1)]) for _ in range(5)] == [0, 0, 0, 4, 1]
    assert inbox.take() == ([], True)
    assert inbox.overflows == 1
    assert inbox.put([created(1)]) == 0
    assert inbox.take() == ([created(1)], False)
