"""The history of figures is fed by snapshots of a live engine, and by the records of a past."""

from __future__ import annotations

import math
from dataclasses import replace

import pytest

from engine.core.counters import Counters
from engine.core.errors import RecordingError
from engine.core.fields import JsonValue
from engine.core.kinds import STATS
from engine.core.records import Batch, Record, new_record
from engine.core.snapshot import ReplayFacts, Snapshot
from engine.core.source import SourceStatus
from engine.recording.lines import source_as_json
from tests.ui.fake_engine import NOW_NS, FakeEngine, record
from tui.console.figures import ALL, FigureId
from tui.console.history import KEPT, History
from tui.console.past import Past

SECOND = 1_000_000_000
KEPT_EVENTS = FigureId("source", "probe", "kept")
RECORDS = FigureId("plugin", "one", "records")


def running(rate: float) -> Record:
    return record("plugin_state", plugin="one", state="running", tx_rate=rate, cpu=0.1)


def past(engine: FakeEngine) -> Past:
    return Past(engine, History())


def values(of: Past, figure: FigureId) -> list[float]:
    return list(of.history.series(figure).values)


# Live.


def test_every_snapshot_of_a_live_engine_is_a_sample() -> None:
    engine = FakeEngine()
    fed = past(engine)
    for rate in (1.0, 2.0):
        engine.set_table("plugin_state", [running(rate)])
        engine.pass_time(1)
        fed.look(engine.snapshot())
        fed.look(engine.snapshot())
    assert values(fed, RECORDS) == [1, 2]


def test_messages_and_changes_of_processes_are_counted() -> None:
    engine = FakeEngine()
    fed = past(engine)
    for _ in range(2):
        engine.pass_time(1)
        fed.look(engine.snapshot())
        engine.emit(*(record("process", pid=1) for _ in range(3)))
        engine.emit(*(record("l7_message", dst="a:1", latency_ms=5.0) for _ in range(2)))
    engine.pass_time(1)
    fed.look(engine.snapshot())
    assert values(fed, FigureId("ports", ALL, "changes")) == [3, 3]
    assert values(fed, FigureId("service", ALL, "messages")) == [2, 2]
    assert values(fed, FigureId("service", ALL, "latency p95")) == [5, 5]


def test_a_clock_that_was_set_back_begins_the_history_anew() -> None:
    engine = FakeEngine()
    fed = past(engine)
    engine.set_table("plugin_state", [running(1)])
    fed.look(engine.snapshot())
    snapshot = replace(engine.snapshot(), wall_ns=NOW_NS - 60 * SECOND, elapsed_s=1.0)
    fed.look(snapshot)
    assert fed.history.newest_ns == snapshot.wall_ns
    assert values(fed, RECORDS) == [1]


def test_an_engine_that_was_started_again_leaves_a_gap_and_goes_on() -> None:
    engine = FakeEngine()
    fed = past(engine)
    for wall_s, elapsed_s, kept in ((1, 100, 10), (2, 101, 30), (3, 0, 5), (4, 1, 6)):
        counters = Counters(kept, kept)
        snapshot = replace(
            engine.snapshot(),
            wall_ns=wall_s * SECOND,
            elapsed_s=float(elapsed_s),
            sources={"probe": SourceStatus("probe", "running", counters=counters)},
        )
        fed.look(snapshot)
    found = values(fed, KEPT_EVENTS)
    assert (found[0], found[2]) == (20, 1)
    assert math.isnan(found[1])


# From records.


def told(second: int, kept: int) -> Record:
    """The counters of a moment, as an engine writes them."""
    status = SourceStatus("probe", "running", counters=Counters(kept, kept))
    stats: dict[str, JsonValue] = {
        "elapsed_s": float(second),
        "sources": {"probe": source_as_json(status)},
    }
    return new_record(STATS, stats, ts_ns=NOW_NS + second * SECOND)


def replayed(engine: FakeEngine, second: float) -> Snapshot:
    """The picture of a replay at a moment."""
    now_ns = NOW_NS + int(second * SECOND)
    facts = ReplayFacts(NOW_NS, NOW_NS + 5_000 * SECOND, now_ns, 1.0, False)
    return replace(engine.snapshot(), wall_ns=now_ns, elapsed_s=second, replay=facts)


def recorded(seconds: int) -> FakeEngine:
    """Ten events a second, and a plugin whose rate is the second."""
    engine = FakeEngine()
    for second in range(seconds):
        row = replace(running(float(second)), ts_ns=NOW_NS + second * SECOND - 1)
        engine.emit(row, told(second, 10 * second))
    return engine


async def test_a_replay_is_read_up_to_where_it_is_and_goes_on_from_there() -> None:
    engine = recorded(10)
    fed = past(engine)
    for second in (4.5, 6.5):
        assert fed.wants_records(replayed(engine, second))
        await fed.catch_up(replayed(engine, second))
    assert values(fed, RECORDS) == [0, 1, 2, 3, 4, 5, 6]
    assert values(fed, KEPT_EVENTS) == [10] * 6


async def test_a_replay_that_stands_still_is_not_read_again_and_again() -> None:
    engine = recorded(10)
    fed = past(engine)
    await fed.catch_up(replayed(engine, 4))
    assert not fed.wants_records(replayed(engine, 4))


async def test_a_replay_that_jumps_back_has_the_past_of_that_moment() -> None:
    engine = recorded(10)
    fed = past(engine)
    await fed.catch_up(replayed(engine, 9))
    await fed.catch_up(replayed(engine, 3))
    assert values(fed, RECORDS) == [0, 1, 2, 3]


async def test_a_jump_ahead_fills_the_quarter_of_an_hour_before_that_moment() -> None:
    engine = recorded(2 * KEPT)
    fed = past(engine)
    await fed.catch_up(replayed(engine, 5))
    await fed.catch_up(replayed(engine, 1_500))
    found = values(fed, RECORDS)
    assert (len(found), found[0], found[-1]) == (KEPT, 601, 1_500)


async def test_a_live_engine_that_ran_before_anybody_looked_has_a_past() -> None:
    engine = recorded(5)
    engine.pass_time(5)
    fed = past(engine)
    assert fed.wants_records(engine.snapshot())
    await fed.catch_up(engine.snapshot())
    assert not fed.wants_records(engine.snapshot())
    engine.set_table("plugin_state", [running(77)])
    engine.pass_time(1)
    fed.look(engine.snapshot())
    assert values(fed, RECORDS)[:5] == [0, 1, 2, 3, 4]
    assert values(fed, RECORDS)[-1] == 77


async def test_records_that_cannot_be_read_are_told_once() -> None:
    class Damaged(FakeEngine):
        def since(self, kind: str, seq: int, limit: int = 1_000) -> Batch:
            raise RecordingError("the recording is damaged")

    engine = Damaged()
    fed = past(engine)
    with pytest.raises(RecordingError):
        await fed.catch_up(replayed(engine, 5))
    assert not fed.wants_records(replayed(engine, 6))
