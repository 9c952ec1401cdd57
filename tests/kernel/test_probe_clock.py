"""The wall clock is set while events flow."""

from __future__ import annotations

import time
from collections.abc import Iterator
from dataclasses import dataclass

import pytest

from engine.core.records import Record
from engine.core.source import Logbook
from engine.probe.probe import KernelProbe
from tests.kernel.actor import Actor
from tests.kernel.conftest import READY_S
from tests.waiting import wait_until

pytestmark = pytest.mark.kernel

HOUR = 3_600_000_000_000
MINUTE = 60_000_000_000
SLACK = 1_000_000_000
PATH = "/etc/passwd"


@dataclass
class MovableClock:
    """The machine's clocks, moved on."""

    wall_by: int = 0
    monotonic_by: int = 0

    def monotonic_ns(self) -> int:
        return time.monotonic_ns() + self.monotonic_by

    def wall_ns(self) -> int:
        return time.time_ns() + self.wall_by


@pytest.fixture
def clock() -> MovableClock:
    return MovableClock()


@pytest.fixture
def probe(clock: MovableClock, actor: Actor) -> Iterator[KernelProbe]:
    """A probe with that clock, which sees the actor open files."""
    one = KernelProbe(clock, Logbook(clock))
    one.set_pids(frozenset({actor.pid}))
    one.subscribe("syscall_exit-openat")
    one.start()
    assert one.wait_ready(READY_S), one.status()
    yield one
    one.stop()


def opened(probe: KernelProbe, actor: Actor) -> list[Record]:
    """Everything seen after one more file was opened."""
    actor.do("open_path", PATH)
    probe.drain()
    return list(probe.rings["kernel_event"].since(0).records)


def stamp_of(record: Record) -> int:
    mono = record.get("mono_ns")
    assert isinstance(mono, int)
    return mono


@pytest.mark.fault("clock set forwards and backwards")
def test_within_a_minute_events_follow_the_wall_clock_and_older_ones_keep_their_time(
    probe: KernelProbe, actor: Actor, clock: MovableClock
) -> None:
    before = time.time_ns()
    first = opened(probe, actor)[-1]
    assert before <= first.ts_ns <= time.time_ns()
    first_offset = first.ts_ns - stamp_of(first)

    clock.wall_by = HOUR
    still = opened(probe, actor)[-1]
    assert still.ts_ns - stamp_of(still) == first_offset  # nobody has looked at the clock since

    clock.monotonic_by = MINUTE

    def moved() -> bool:
        newest = opened(probe, actor)[-1]
        return newest.ts_ns - stamp_of(newest) != first_offset

    wait_until(moved)
    newest = opened(probe, actor)[-1]
    step = newest.ts_ns - stamp_of(newest) - first_offset
    assert abs(step - (HOUR - MINUTE)) < SLACK
    again = next(iter(opened(probe, actor)))
    assert (again.seq, again.ts_ns) == (1, first.ts_ns)
