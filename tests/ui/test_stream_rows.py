"""Which records a stream holds of those there are, without a screen."""

from __future__ import annotations

import pytest

from engine.core.filters import Filter
from tests.ui.fake_engine import FakeEngine
from tui.console.widgets.choice import Choice
from tui.console.widgets.stream_rows import BACKLOG, KEPT, PULLED, SAMPLED, Skipped, StreamRows

KIND = "kernel_event"
EVERYTHING = Choice()
OF_DOGS = Choice(filter=Filter('comm == "dog"', (KIND,)))


def follow(rows: StreamRows, engine: FakeEngine) -> None:
    """One pull of a stream that follows."""
    rows.hold(engine.last_seq(KIND))
    rows.take(engine)


def told(rows: StreamRows) -> int:
    """Records that are rows, and those that rows say are missing."""
    return sum(row.number if isinstance(row, Skipped) else 1 for row in rows)


@pytest.mark.parametrize("arriving", [1, PULLED, PULLED + 1, 2 * PULLED, 2 * PULLED + 1, 9_000])
def test_every_record_is_a_row_or_counted_in_one(arriving: int) -> None:
    engine, rows = FakeEngine(capacity=1_000_000), StreamRows(KIND)
    engine.emit_events(10)
    follow(rows, engine)
    engine.emit_events(arriving)
    follow(rows, engine)
    assert told(rows) == 10 + arriving
    assert rows.index_of(10 + arriving) == len(rows) - 1, "the newest is there"


def test_of_a_flood_the_newest_are_taken_and_of_a_stream_the_last_are_kept() -> None:
    engine, rows = FakeEngine(capacity=1_000_000), StreamRows(KIND)
    engine.emit_events(1)
    follow(rows, engine)
    engine.emit_events(3 * PULLED)
    follow(rows, engine)
    assert len(rows) == 1 + 1 + SAMPLED
    for _pull in range(KEPT // PULLED + 1):
        engine.emit_events(PULLED)
        follow(rows, engine)
    assert len(rows) == KEPT


def test_a_stream_that_stands_still_counts_what_comes_and_takes_it_in_later() -> None:
    engine, rows = FakeEngine(), StreamRows(KIND)
    engine.emit_events(5)
    follow(rows, engine)
    rows.hold()
    engine.emit_events(3)
    assert rows.count(engine, engine.last_seq(KIND))
    assert not rows.count(engine, engine.last_seq(KIND)), "nothing more has come"
    assert (rows.pending, len(rows)) == (3, 5)
    assert not rows.take(engine)
    rows.go_on()
    follow(rows, engine)
    assert (rows.pending, len(rows)) == (0, 8)


def test_what_came_before_a_choice_is_looked_through_and_what_is_chosen_counted() -> None:
    engine, rows = FakeEngine(capacity=1_000_000), StreamRows(KIND)
    for comm in ("dog", "cat"):
        engine.emit_events(9_000, comm=comm)
    rows.choose(OF_DOGS)
    pulls = 0
    while pulls == 0 or rows.backlog_left:
        follow(rows, engine)
        pulls += 1
    assert 1 < pulls <= BACKLOG // PULLED
    assert (rows.shown, rows.looked_at) == (9_000, 18_000)
    rows.hold()
    engine.emit_events(2, comm="cat")
    engine.emit_events(1, comm="dog")
    rows.count(engine, engine.last_seq(KIND))
    assert rows.pending == 1, "only what would be shown is new"


def test_one_goes_back_to_what_was_held_before_another_choice() -> None:
    engine, rows = FakeEngine(), StreamRows(KIND)
    engine.emit_events(20)
    follow(rows, engine)
    rows.hold()
    before, held = list(rows), rows.held()
    rows.choose(OF_DOGS)
    rows.take(engine)
    assert list(rows) == []
    rows.choose(EVERYTHING)
    rows.go_back(held)
    assert list(rows) == before
    engine.emit_events(1)
    rows.count(engine, engine.last_seq(KIND))
    assert rows.pending == 1


def test_the_records_around_one_that_is_left_out_are_taken_for_those_there_are() -> None:
    engine, rows = FakeEngine(capacity=1_000_000), StreamRows(KIND)
    engine.emit_events(1)
    follow(rows, engine)
    engine.emit_events(20_000)
    follow(rows, engine)
    assert rows.covers(20_000)
    assert not rows.covers(9_000), "it is in the gap"
    rows.load_around(engine, 9_000)
    assert rows.covers(9_000)
    assert rows[rows.position(9_000)].seq == 9_000


def test_numbers_that_go_back_or_another_epoch_begin_anew() -> None:
    engine, rows = FakeEngine(), StreamRows(KIND)
    engine.emit_events(5)
    assert not rows.has_begun_anew(engine.epoch, 5)
    follow(rows, engine)
    assert not rows.has_begun_anew(engine.epoch, 6)
    assert rows.has_begun_anew(engine.epoch, 2)
    assert rows.has_begun_anew(engine.epoch + 1, 6)
