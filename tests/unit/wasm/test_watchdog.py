"""Epochs pass while calls are made, and only then."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator

import pytest

from engine.wasm.watchdog import TICKS, Watchdog
from tests.waiting import wait_until


class Epochs:
    """Counts the epochs that have passed."""

    def __init__(self) -> None:
        self.passed = 0
        self.watchdog = Watchdog(self.advance, deadline_ms=10, linger_s=0.02)

    def advance(self) -> None:
        """One epoch."""
        self.passed += 1


@pytest.fixture
def epochs() -> Iterator[Epochs]:
    """A watchdog with a deadline of 10 ms that sleeps soon."""
    counted = Epochs()
    yield counted
    counted.watchdog.stop()


def test_no_thread_runs_before_the_first_call() -> None:
    before = threading.active_count()
    Epochs()
    assert threading.active_count() == before


def test_a_calls_epochs_pass(epochs: Epochs) -> None:
    epochs.watchdog.arm()
    wait_until(lambda: epochs.passed >= TICKS)


def test_it_sleeps_when_no_call_is_made_and_wakes_for_the_next(epochs: Epochs) -> None:
    for _ in range(3):
        epochs.watchdog.arm()
        before = epochs.passed
        wait_until(lambda: epochs.passed >= before + TICKS)  # noqa: B023
        wait_until(lambda: epochs.watchdog.asleep)


def test_it_stops_awake_or_asleep_and_can_begin_again(epochs: Epochs) -> None:
    epochs.watchdog.arm()
    epochs.watchdog.stop()
    epochs.watchdog.arm()
    wait_until(lambda: epochs.watchdog.asleep)
    epochs.watchdog.stop()
    epochs.watchdog.stop()
    stopped_at = epochs.passed
    epochs.watchdog.arm()
    wait_until(lambda: epochs.passed > stopped_at)


def test_a_late_watchdog_does_not_catch_up() -> None:
    """The first epoch takes as long as five; the four after it take their full time."""
    stamps: list[float] = []

    def advance() -> None:
        if not stamps:
            threading.Event().wait(0.1)
        stamps.append(time.monotonic())

    watchdog = Watchdog(advance, deadline_ms=200)
    watchdog.arm()
    wait_until(lambda: len(stamps) > 4)
    watchdog.stop()
    assert stamps[4] - stamps[0] >= 4 * 0.02
