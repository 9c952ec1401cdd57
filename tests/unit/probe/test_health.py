from __future__ import annotations

import errno
import os
import time

import pytest

from engine.core.clock import Clock
from engine.core.errors import ProbeError, RequirementError
from engine.probe import bpfsys
from engine.probe.bpfsys import ProgramRuns
from engine.probe.health import Health, Meter, ProgramCost, RunTimer
from tests.values import now

SECOND = 1_000_000_000
RING = 1 << 20


class HandClock(Clock):
    """Goes when told."""

    def __init__(self) -> None:
        self.now = SECOND

    def monotonic_ns(self) -> int:
        return self.now

    def wall_ns(self) -> int:
        return time.time_ns()


@pytest.fixture
def clock() -> HandClock:
    return HandClock()


@pytest.fixture
def meter(clock: HandClock) -> Meter:
    return Meter(clock, RING)


def test_the_fill_is_the_last_and_the_peak_the_highest_of_the_second(
    clock: HandClock, meter: Meter
) -> None:
    assert meter.health == Health(RING)
    meter.read(RING // 2, clock.now - 3_000_000)
    meter.read(RING // 4, None)
    assert (meter.health.ring_fill, meter.health.ring_peak) == (0.25, 0.5)
    clock.now += SECOND
    meter.second(None)
    assert meter.health.ring_peak == 0.5
    clock.now += SECOND
    meter.second(None)
    assert (meter.health.ring_fill, meter.health.ring_peak) == (0.25, 0.25)


def test_the_oldest_is_told_in_milliseconds_and_none_as_nothing(
    clock: HandClock, meter: Meter
) -> None:
    meter.read(64, clock.now - 3_500_000)
    assert meter.health.oldest_ms == 3.5
    meter.read(64, clock.now + 5)
    assert meter.health.oldest_ms == 0
    meter.read(0, None)
    assert meter.health.oldest_ms == 0


def test_programs_have_a_share_once_timed_for_a_second(clock: HandClock, meter: Meter) -> None:
    meter.second(None)
    assert meter.health.programs_cpu is None
    for run_ns in (5_000, 5_000 + SECOND // 4):
        clock.now += SECOND
        meter.second(run_ns)
    assert now(meter.health.programs_cpu) == 0.25
    clock.now += SECOND
    meter.second(None)
    assert meter.health.programs_cpu is None


def test_a_second_that_is_none_is_not_measured(clock: HandClock, meter: Meter) -> None:
    meter.read(RING, None)
    clock.now += 1_000
    meter.second(None)
    assert meter.health.reader_cpu == 0


def test_costs_are_those_since_the_beginning(monkeypatch: pytest.MonkeyPatch) -> None:
    descriptor = os.open(os.devnull, os.O_RDONLY)
    monkeypatch.setattr(bpfsys, "count_run_time", lambda: descriptor)
    timer = RunTimer()
    timer.start({"a": ProgramRuns(100, 10, 0)})
    assert now(timer.running)
    costs = timer.costs({"a": ProgramRuns(150, 12, 0), "b": ProgramRuns(7, 1, 0)})
    assert costs == {"a": ProgramCost(2, 50), "b": ProgramCost(1, 7)}
    timer.stop()
    timer.stop()
    assert not timer.running
    with pytest.raises(OSError, match="Bad file descriptor"):
        os.fstat(descriptor)


@pytest.mark.parametrize(
    ("code", "kind"), [(errno.EPERM, RequirementError), (errno.EINVAL, ProbeError)]
)
def test_a_refusal_to_time_is_told(
    monkeypatch: pytest.MonkeyPatch, code: int, kind: type[Exception]
) -> None:
    def refuse() -> int:
        raise OSError(code, os.strerror(code))

    monkeypatch.setattr(bpfsys, "count_run_time", refuse)
    timer = RunTimer()
    with pytest.raises(kind):
        timer.start({})
    assert not timer.running
