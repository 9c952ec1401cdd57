"""Where a thread's time goes: segments that add up, and what ended each wait."""

from __future__ import annotations

import os
from collections.abc import Iterator
from dataclasses import replace
from itertools import pairwise
from pathlib import Path

import pytest

from engine.core.records import Record
from engine.probe.filters import Filters
from tests.kernel.actor import Actor
from tests.kernel.conftest import Watch, attributes
from tests.waiting import wait_until

pytestmark = pytest.mark.kernel

SCRIPT = Path(__file__).with_name("task_process.py")
SLEEPS = 12
SLEEP_NS = 5_000_000
UNSEEN_NS = 500_000_000
DAY_NS = 86_400_000_000_000


@pytest.fixture
def tasks() -> Iterator[Actor]:
    with Actor(SCRIPT) as one:
        yield one


def values(record: Record, name: str) -> list[object]:
    value = attributes(record)[name]
    assert isinstance(value, list)
    return value


def numbers(record: Record, name: str) -> list[int]:
    found = [value for value in values(record, name) if isinstance(value, int)]
    assert len(found) == len(values(record, name))
    return found


def alternate(kinds: list[object]) -> bool:
    """Whether a thread was on a processor and waited by turns."""
    return all((one == "on") != (other == "on") for one, other in pairwise(kinds))


def untold(records: list[Record]) -> list[int]:
    """Lengths of what is between records: the kernel tells of no switch away from some threads."""
    times = [(attributes(one)["start_time"], attributes(one)["end_time"]) for one in records]
    gaps = [start - end for (_, end), (start, _) in pairwise(times)]
    return [gap for gap in gaps if gap]


def idle(records: list[Record]) -> list[int]:
    """Lengths of the waits in a sleep: more than one, where it lost the processor on the way."""
    return [
        length
        for record in records
        for length, kind in zip(
            numbers(record, "time_specs"), values(record, "time_type"), strict=True
        )
        if kind == "idle"
    ]


class TestTime:
    @pytest.fixture
    def slept(self, watch: Watch, tasks: Actor) -> list[Record]:
        """Records of a thread that slept often and then ended."""
        watch.probe.set_pids(frozenset({tasks.pid}))
        watch.subscribe("tracepoint-cpu_analysis")
        tasks.do("sleep", SLEEPS, SLEEP_NS / 1e9)
        tasks.__exit__()
        wait_until(lambda: watch.records(tid=tasks.pid))
        return watch.records(tid=tasks.pid)

    def test_the_sleeps_are_waits_of_their_length(self, slept: list[Record]) -> None:
        lengths = idle(slept) + untold(slept)
        assert len(lengths) >= SLEEPS
        assert sum(lengths) >= SLEEPS * SLEEP_NS * 0.9

    def test_segments_add_up_and_follow_one_another(self, slept: list[Record]) -> None:
        end = 0
        for record in slept:
            facts = attributes(record)
            start, stop = facts["start_time"], facts["end_time"]
            assert isinstance(start, int)
            assert isinstance(stop, int)
            assert stop - start == sum(numbers(record, "time_specs"))
            assert start >= end
            end = stop
            kinds = values(record, "time_type")
            assert alternate(kinds)
            waits = len([kind for kind in kinds if kind != "on"])
            for name in ("runq_latency", "off_reason", "waker"):
                assert len(values(record, name)) == waits
            assert facts["on_ns"] + facts["off_ns"] == stop - start
            assert abs(record.ts_ns - stop) < DAY_NS
            assert record.get("category") == "process"
            assert record.get("name") == "cpu_event"

    @pytest.mark.parametrize("by", ["thread", "name"])
    def test_a_thread_chosen_by_itself_has_its_waits_told(
        self, watch: Watch, tasks: Actor, by: str
    ) -> None:
        """Whoever gives the processor away at its return is another thread, of another name."""
        chosen = Filters(tids=frozenset({tasks.pid}))
        if by == "name":
            tasks.do("rename", "a-sleeper")
            chosen = Filters(comms=frozenset({"a-sleeper"}))
        watch.probe.set_filters(chosen)
        watch.subscribe("tracepoint-cpu_analysis")
        tasks.do("sleep", SLEEPS, SLEEP_NS / 1e9)
        tasks.__exit__()
        wait_until(lambda: watch.records(tid=tasks.pid))
        told = watch.records(tid=tasks.pid)
        assert all(alternate(values(record, "time_type")) for record in told)
        assert len(idle(told) + untold(told)) >= SLEEPS

    def test_what_happened_while_it_was_off_is_in_no_segment(
        self, watch: Watch, tasks: Actor
    ) -> None:
        """The row was off, or the process not wanted, for some switches of the thread."""

        def sleep() -> None:
            tasks.do("sleep", SLEEPS, SLEEP_NS / 1e9)

        def sleep_unseen() -> None:
            sleep()
            tasks.do("sleep", 1, UNSEEN_NS / 1e9)

        watch.probe.set_pids(frozenset({tasks.pid}))
        watch.subscribe("tracepoint-cpu_analysis")
        sleep()
        watch.probe.unsubscribe("tracepoint-cpu_analysis")
        sleep_unseen()
        watch.subscribe("tracepoint-cpu_analysis")
        sleep()
        watch.probe.set_pids(frozenset({os.getpid()}))
        sleep_unseen()
        watch.probe.set_pids(frozenset({tasks.pid}))
        sleep()
        tasks.__exit__()
        wait_until(lambda: watch.records(tid=tasks.pid))
        told = watch.records(tid=tasks.pid)
        assert all(alternate(values(record, "time_type")) for record in told)
        assert len(idle(told) + untold(told)) >= SLEEPS
        assert max(idle(told)) < UNSEEN_NS

    def test_a_sleeping_thread_was_left_sleeping(self, slept: list[Record]) -> None:
        for record in slept:
            waits = [kind for kind in values(record, "time_type") if kind != "on"]
            for kind, reason in zip(waits, values(record, "off_reason"), strict=True):
                if kind == "idle":
                    assert reason in ("sleeping", "running")

    def test_who_gives_a_lock_free_is_its_waiters_waker(self, watch: Watch, tasks: Actor) -> None:
        watch.probe.set_pids(frozenset({tasks.pid}))
        watch.subscribe("tracepoint-cpu_analysis")
        tid = tasks.do("wait_in_turn")
        wait_until(lambda: watch.records(tid=tid))
        wakers = [
            waker
            for record in watch.records(tid=tid)
            for kind, waker in zip(
                [kind for kind in values(record, "time_type") if kind != "on"],
                values(record, "waker"),
                strict=True,
            )
            if kind == "lock"
        ]
        assert tasks.pid in wakers

    def test_other_processes_are_not_told(self, watch: Watch, tasks: Actor) -> None:
        watch.probe.set_pids(frozenset({tasks.pid}))
        watch.subscribe("tracepoint-cpu_analysis")
        tasks.do("end_thread")
        wait_until(watch.records)
        assert {one.pid for one in watch.records()} == {tasks.pid}


class TestSwitch:
    def test_each_sleep_is_a_switch_away(self, watch: Watch, tasks: Actor) -> None:
        tasks.wait_idle()
        watch.probe.set_pids(frozenset({tasks.pid}))
        watch.subscribe("tracepoint-sched_switch")
        tasks.do("sleep", SLEEPS, SLEEP_NS / 1e9)
        slept = [one for one in watch.records() if attributes(one)["state"] == "sleeping"]
        assert len(slept) in (SLEEPS, SLEEPS + 1)  # and that of waiting for the next command
        for record in slept:
            assert (record.pid, record.get("category")) == (tasks.pid, "scheduler")
            assert record.get("name") == "switch"
            assert attributes(record)["next"] != tasks.pid

    def test_the_category_kindling_gives_it_is_accepted(self, watch: Watch, tasks: Actor) -> None:
        watch.probe.set_pids(frozenset({tasks.pid}))
        watch.probe.set_filters(replace(watch.probe.filters, faithful=True))
        try:
            watch.subscribe("tracepoint-sched_switch:other")
            tasks.do("sleep", 1, 0.001)
            assert watch.records()
        finally:
            watch.probe.set_filters(replace(watch.probe.filters, faithful=False))
