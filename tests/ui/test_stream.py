"""A stream follows, stands still, and never hides what it left out."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import pytest
from textual.pilot import Pilot

from engine.core.records import Record
from tests.ui.driving import screen_text, text_of, until
from tests.ui.fake_engine import FakeEngine, record
from tui.console.app import ConsoleApp
from tui.console.options import ConsoleOptions
from tui.console.widgets.lines import LineView
from tui.console.widgets.stream import StreamView
from tui.console.widgets.stream_rows import KEPT, PULLED, SAMPLED, Skipped


@asynccontextmanager
async def on_events(
    engine: FakeEngine,
) -> AsyncIterator[tuple[ConsoleApp, StreamView, Pilot[None]]]:
    """The console with pane 3 zoomed and its stream focused."""
    app = ConsoleApp(engine)
    async with app.run_test(size=(100, 30)) as pilot:
        await pilot.press("3", "o")
        yield app, app.main.events.stream, pilot


def newest(stream: StreamView) -> int:
    """Number of the last record shown."""
    return stream.row_at(stream.row_count - 1).seq if stream.row_count else 0


async def test_new_records_are_shown_and_the_newest_is_in_view() -> None:
    engine = FakeEngine()
    async with on_events(engine) as (_app, stream, pilot):
        for expected in (100, 200):
            engine.emit_events(100)
            await until(pilot, lambda: newest(stream) == engine.last_seq("kernel_event"))
            assert f"/tmp/{expected}" in text_of(stream)


async def test_moving_up_stops_following_and_counts_what_comes() -> None:
    engine = FakeEngine()
    async with on_events(engine) as (_app, stream, pilot):
        engine.emit_events(50)
        await until(pilot, lambda: stream.row_count == 50)
        await pilot.press("up")
        before = text_of(stream).splitlines()[1:]
        engine.emit_events(20_000)
        await until(pilot, lambda: "+20.0k new" in text_of(stream), "the badge")
        assert text_of(stream).splitlines()[1:] == before, "what is in view stays"
        await until(pilot, lambda: "Follow" in screen_text(pilot), "the key in the footer")


async def test_follow_goes_to_the_newest_record_and_says_what_was_left_out() -> None:
    engine = FakeEngine(capacity=1_000)
    async with on_events(engine) as (app, stream, pilot):
        engine.emit_events(50)
        await until(pilot, lambda: stream.row_count == 50)
        await pilot.press("up")
        engine.emit_events(3_000)
        await pilot.press("f")
        await until(pilot, lambda: newest(stream) == 3_050)
        assert "/tmp/3050" in text_of(stream)
        assert "new" not in text_of(stream).splitlines()[0]
        skipped = [row for row in map(stream.row_at, range(stream.row_count)) if row.seq <= 2_050]
        assert isinstance(skipped[-1], Skipped)
        assert skipped[-1].number == 2_000
        assert not app.check_action("follow", ())


async def test_more_records_than_one_pull_takes_leave_a_line_with_their_number() -> None:
    engine = FakeEngine(capacity=50_000)
    async with on_events(engine) as (app, stream, pilot):
        engine.emit_events(10)
        await until(pilot, lambda: stream.row_count == 10)
        engine.emit_events(PULLED + 500)
        app.look_at_streams()
        rows = [stream.row_at(index) for index in range(stream.row_count)]
        assert rows[10] == Skipped(510, 500)
        assert len(rows) == 10 + 1 + PULLED
        assert newest(stream) == PULLED + 510


async def test_of_a_flood_only_some_pages_are_taken() -> None:
    engine = FakeEngine(capacity=50_000)
    async with on_events(engine) as (app, stream, pilot):
        engine.emit_events(10)
        await until(pilot, lambda: stream.row_count == 10)
        engine.emit_events(2 * PULLED + 1)
        app.look_at_streams()
        rows = [stream.row_at(index) for index in range(stream.row_count)]
        assert rows[10] == Skipped(2 * PULLED + 11 - SAMPLED, 2 * PULLED + 1 - SAMPLED)
        assert len(rows) == 10 + 1 + SAMPLED
        assert newest(stream) == 2 * PULLED + 11


async def test_a_stream_keeps_a_bounded_number_of_rows() -> None:
    engine = FakeEngine(capacity=50_000)
    async with on_events(engine) as (app, stream, _pilot):
        for _ in range(4):
            engine.emit_events(PULLED)
            app.look_at_streams()
        assert stream.row_count == KEPT
        assert newest(stream) == 4 * PULLED


async def test_space_holds_the_stream_while_the_header_goes_on() -> None:
    engine = FakeEngine()
    async with on_events(engine) as (app, stream, pilot):
        engine.emit_events(5)
        await until(pilot, lambda: stream.row_count == 5)
        await pilot.press("space")
        engine.emit_events(7)
        engine.pass_time(3_600)
        await until(pilot, lambda: "up 1:00:00" in text_of(app.main.header), "the header")
        await until(pilot, lambda: "PAUSED +7" in text_of(stream), "the badge")
        assert stream.row_count == 5
        assert "PAUSED" in str(app.main.events.border_title)
        await pilot.press("space")
        await until(pilot, lambda: stream.row_count == 12, "the rest")
        assert "PAUSED" not in str(app.main.events.border_title)


async def test_the_selection_stays_on_its_record_while_others_come() -> None:
    engine = FakeEngine()
    async with on_events(engine) as (app, stream, pilot):
        engine.emit_events(5)
        await until(pilot, lambda: stream.row_count == 5)
        await pilot.press("up", "up", "up")
        assert stream.cursor_key == 3
        stream.following = True
        engine.emit_events(4)
        app.look_at_streams()
        row = stream.cursor_row
        assert isinstance(row, Record)
        assert row.seq == 3
        marked = [line for line in text_of(stream).splitlines() if line.startswith("›")]
        assert len(marked) == 1
        assert "/tmp/3" in marked[0]


async def test_scrolling_back_with_the_wheel_stops_following() -> None:
    engine = FakeEngine()
    async with on_events(engine) as (_app, stream, pilot):
        engine.emit_events(500)
        await until(pilot, lambda: stream.row_count == 500)
        await pilot._post_mouse_events([_scroll_up()], stream)
        await until(pilot, lambda: not stream.following)


def _scroll_up() -> type:
    from textual import events

    return events.MouseScrollUp


async def test_a_click_on_the_headings_follows_again() -> None:
    engine = FakeEngine()
    async with on_events(engine) as (_app, stream, pilot):
        engine.emit_events(500)
        await until(pilot, lambda: stream.row_count == 500)
        await pilot.press("pageup")
        assert not stream.following
        at = stream.cursor_index
        assert at is not None
        await pilot.press("pageup", "pagedown")
        assert stream.cursor_index == at
        await pilot.click(stream, offset=(50, 0))
        assert stream.following


async def test_long_text_is_reached_by_scrolling_sideways() -> None:
    engine = FakeEngine()
    async with on_events(engine) as (_app, stream, pilot):
        tail = "the-very-end"
        engine.emit(record("kernel_event", name="openat", attributes={"name": "/x" * 40 + tail}))
        await until(pilot, lambda: stream.row_count == 1)
        assert tail not in text_of(stream)
        await pilot.press(*["right"] * 14)
        assert tail in text_of(stream)
        await pilot.press(*["left"] * 14)
        assert "openat" in text_of(stream)


async def test_panes_out_of_view_pull_nothing_and_catch_up_when_shown() -> None:
    engine = FakeEngine()
    async with on_events(engine) as (app, stream, pilot):
        await pilot.press("1")
        engine.emit_events(30)
        app.look_at_streams()
        assert stream.row_count == 0
        await pilot.press("3")
        await until(pilot, lambda: stream.row_count == 30)


async def test_a_stream_that_comes_into_view_is_not_left_empty_until_the_next_tick() -> None:
    engine = FakeEngine()
    engine.emit_events(30)
    app = ConsoleApp(engine, ConsoleOptions(stream_redraws=0.001))
    async with app.run_test(size=(80, 24)) as pilot:
        await pilot.press("3")
        await until(pilot, lambda: app.main.events.stream.row_count == 30)


@pytest.mark.parametrize("key", ["enter", "escape", "q"])
async def test_enter_opens_every_field_of_a_record_and_a_key_closes_it(key: str) -> None:
    engine = FakeEngine()
    async with on_events(engine) as (app, stream, pilot):
        engine.emit_events(3)
        await until(pilot, lambda: stream.row_count == 3)
        await pilot.press("enter")
        await until(pilot, lambda: app.screen is not app.main, "the detail")
        shown = "\n".join(str(widget.render()) for widget in app.screen.query("Static"))
        assert "attributes" in shown
        assert "name = /tmp/3" in shown
        assert "File descriptor it worked on." in shown
        await pilot.press(key)
        await until(pilot, lambda: app.screen is app.main, "the panes")


async def test_opening_a_gap_does_nothing() -> None:
    engine = FakeEngine()
    async with on_events(engine) as (app, stream, pilot):
        stream.post_message(LineView.RowChosen(Skipped(5, 5)))
        await pilot.pause()
        assert app.screen is app.main
