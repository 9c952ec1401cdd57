"""Questions to an engine, live or replayed, from a thread of their own."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor

import pytest

from engine.core.errors import FailedError, UsageError
from engine.recording.asking import Asker
from engine.recording.replay import ReplayEngine
from tests.ui.fake_engine import FakeEngine, record
from tests.unit.recording.test_query import ENDLESS, FIRST_LIGHT
from tests.waiting import wait_until


@pytest.fixture
def engine() -> FakeEngine:
    """A live one that remembers three events."""
    engine = FakeEngine()
    engine.emit_events(3)
    return engine


@pytest.fixture
def asker(engine: FakeEngine) -> Iterator[Asker]:
    """Asks that engine."""
    asker = Asker(engine)
    yield asker
    asker.close()


def test_a_live_engine_is_asked_about_all_it_has_now(engine: FakeEngine, asker: Asker) -> None:
    assert asker.ask("SELECT count(*) AS n FROM events").rows == ((3,),)
    engine.emit_events(2)
    assert asker.ask("SELECT count(*) AS n FROM events")[:2] == (("n",), ((5,),))
    assert asker.held is not None
    assert asker.held.records == 5


def test_an_engine_whose_records_begin_anew_is_taken_in_anew() -> None:
    class Restarted(FakeEngine):
        began = 0

        @property
        def epoch(self) -> int:
            return self.began

    engine = Restarted()
    engine.emit_events(3)
    asker = Asker(engine)
    assert asker.ask("SELECT count(*) FROM events").rows == ((3,),)
    Restarted.__init__(engine)
    engine.began = 1
    engine.emit_events(1)
    assert asker.ask("SELECT count(*) FROM events").rows == ((1,),)
    asker.close()


def test_a_replay_is_asked_about_the_whole_recording_wherever_it_is() -> None:
    engine = ReplayEngine(FIRST_LIGHT)
    asker = Asker(engine)
    assert asker.ask("SELECT count(*) FROM events").rows == ((509,),)
    assert engine.last_seq("kernel_event") < 509
    assert asker.held is None
    asker.close()
    engine.close()


def test_live_data_can_be_read_only(asker: Asker) -> None:
    for sql in ("DELETE FROM kernel_event", "ATTACH ':memory:' AS a", "PRAGMA query_only = OFF"):
        with pytest.raises(UsageError, match="refused"):
            asker.ask(sql)
    assert asker.ask("SELECT count(*) FROM events").rows == ((3,),)


def test_bounds_are_said(engine: FakeEngine) -> None:
    engine.emit_events(100)
    asker = Asker(engine, rows=10, size=1_000)
    few = asker.ask("SELECT seq FROM events ORDER BY seq")
    assert (len(few.rows), few.cut) == (10, "rows")
    large = asker.ask("SELECT printf('%.*c', 600, 'x') FROM events")
    assert (len(large.rows), large.cut) == (2, "size")
    assert asker.ask("SELECT seq FROM events LIMIT 10").cut == ""
    asker.close()


def test_a_question_tells_how_far_it_is_and_ends_when_it_is_to(asker: Asker) -> None:
    with ThreadPoolExecutor() as threads:
        answer = threads.submit(asker.ask, ENDLESS)
        wait_until(lambda: asker.progress is not None and asker.progress.doing == "asking")
        asker.interrupt()
        with pytest.raises(FailedError, match="interrupted"):
            answer.result(10)
    assert asker.progress is None
    assert asker.ask("SELECT 1").rows == ((1,),)


def test_closing_ends_the_question_and_nothing_is_asked_any_more(asker: Asker) -> None:
    with ThreadPoolExecutor() as threads:
        answer = threads.submit(asker.ask, ENDLESS)
        wait_until(lambda: asker.progress is not None and asker.progress.doing == "asking")
        asker.close()
        with pytest.raises(FailedError, match="interrupted"):
            answer.result(10)
    with pytest.raises(FailedError, match="interrupted"):
        asker.ask(ENDLESS)


def test_records_that_come_meanwhile_do_not_disturb(engine: FakeEngine, asker: Asker) -> None:
    stop = threading.Event()

    def emit() -> None:
        while not stop.is_set():
            engine.emit(record("log", text="x"))

    thread = threading.Thread(target=emit)
    thread.start()
    try:
        counts = [asker.ask("SELECT count(*) FROM logs").rows[0][0] for _ in range(20)]
    finally:
        stop.set()
        thread.join()
    assert counts == sorted(int(str(number)) for number in counts)
