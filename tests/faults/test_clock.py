"""The wall clock is set, forwards and backwards, while records come and are written."""

from __future__ import annotations

import sqlite3
import time
from dataclasses import dataclass
from pathlib import Path

import pytest

from engine.core.clock import SystemClock
from engine.core.settings import Settings
from engine.live import LiveEngine
from engine.recording.file import RecordingFile
from engine.recording.options import RecordingOptions
from engine.recording.recorder import Recorder
from engine.recording.replay import ReplayEngine
from engine.selection import Selection
from tests.faults.support import DEADLINE_S, FLOOD, number, plugin_row, wait_sent
from tests.ledgers import Ledger
from tests.unit.recording.test_recorder import SECOND, Rings, wait_kept
from tests.waiting import wait_until

STEPS_S = (3_600, -7_200, 86_400 * 365, -86_400 * 366, 0)
"""By how much the clock then is ahead of what it was at first."""


@dataclass
class SteppedClock(SystemClock):
    """The machine's clock, which somebody sets."""

    ahead_s: int = 0

    def __post_init__(self) -> None:
        super().__init__()

    def wall_ns(self) -> int:
        """Wall time as it was set."""
        return time.time_ns() + self.ahead_s * SECOND


@dataclass
class PassingClock(SteppedClock):
    """The same, and time passes on both when a test says so."""

    passed_ns: int = 0

    def wall_ns(self) -> int:
        """Wall time as it was set."""
        return super().wall_ns() + self.passed_ns

    def monotonic_ns(self) -> int:
        """Time that nobody sets."""
        return super().monotonic_ns() + self.passed_ns


@pytest.mark.fault("clock set forwards and backwards")
def test_steps_of_the_clock_lose_nothing_and_the_recording_replays(
    ledger: Ledger, tmp_path: Path
) -> None:
    clock = SteppedClock()
    recording = tmp_path / "r.db"
    engine = LiveEngine(Selection(agent=True, discovery=True), Settings(), clock=clock)
    with engine:
        engine.load_plugin(FLOOD, detail='{"rate": 1000}')
        engine.start_recording(recording)
        for ahead_s in STEPS_S * ledger.budget:
            ledger.inject()
            clock.ahead_s = ahead_s
            come = number(plugin_row(engine, "flood"), "tx_count") + 500
            wait_sent(engine, "flood", come)
            ledger.survive(engine.snapshot())
        facts = engine.stop_recording()
    counters = engine.snapshot().sources["recording"].counters
    assert facts is not None
    assert dict(counters.dropped) == {}
    file = RecordingFile.open(recording)
    rows = file.counts()
    file.close()
    ledger.lose(abs(counters.kept - sum(rows.values())))
    replay = ReplayEngine(recording)
    played = sum(1 for _ in replay.in_order(["plugin_record"]))
    replay.close()
    ledger.lose(rows["plugin_record"] - played)
    ledger.survive(number=0)


@pytest.mark.fault("clock set back in a recording that is bounded")
def test_a_bounded_recording_lets_the_oldest_go_whatever_the_clock_says(
    ledger: Ledger, tmp_path: Path
) -> None:
    clock, rings, bound = SteppedClock(), Rings(capacity=100_000), 1_000_000
    path = tmp_path / "r.db"
    recorder = Recorder(rings, path, RecordingOptions(max_bytes=bound), clock=clock)
    recorder.start()
    for part in range(1, 9):
        ledger.inject()
        clock.ahead_s = -3_600 * part
        for each in range(500):
            rings.add("log", ts_ns=clock.wall_ns(), text=f"{part} {each} {'x' * 600}")
        wait_kept(recorder, part * 500, DEADLINE_S)
        ledger.survive(recorder.counters)
    recorder.stop()
    file = RecordingFile.open(path)
    kept = [record.seq for record in file.records("log", 0, 2**62, 10_000)]
    ((gone,),) = file.database.execute("SELECT number FROM pruned WHERE kind = 'log'")
    file.close()
    assert kept == list(range(gone + 1, 4_001))
    assert len(kept) >= 500


@pytest.mark.fault("clock set in a recording that keeps the last while")
@pytest.mark.parametrize("step_s", [86_400, -86_400], ids=["forwards", "backwards"])
def test_what_is_kept_for_a_while_goes_by_time_that_passes(
    ledger: Ledger, tmp_path: Path, step_s: int
) -> None:
    clock, rings, path = PassingClock(), Rings(), tmp_path / "r.db"
    recorder = Recorder(rings, path, RecordingOptions(keep_s=60), clock=clock)
    recorder.start()

    def write(text: str, kept: int) -> None:
        rings.add("log", ts_ns=clock.wall_ns(), text=text)
        wait_kept(recorder, kept, DEADLINE_S)

    write("before the step", 1)
    ledger.inject()
    clock.ahead_s = step_s
    write("after it", 2)
    held = sqlite3.connect(path)
    shown = "SELECT text FROM log ORDER BY seq"
    assert held.execute(shown).fetchall() == [("before the step",), ("after it",)]
    clock.passed_ns = 61 * SECOND
    write("a minute later", 3)
    wait_until(lambda: len(held.execute(shown).fetchall()) == 1, DEADLINE_S)
    assert held.execute(shown).fetchall() == [("a minute later",)]
    assert held.execute("SELECT number FROM pruned WHERE kind = 'log'").fetchall() == [(2,)]
    held.close()
    ledger.survive(recorder.counters)
    recorder.stop()
