"""Looking for a row without hiding the others, and going to a time."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import replace

from textual.pilot import Pilot

from tests.ui.driving import screen_text, text_of, until
from tests.ui.fake_engine import NOW_NS, FakeEngine, record
from tui.console.app import ConsoleApp
from tui.console.format import count
from tui.console.screens.go_to import GoToDialog
from tui.console.widgets.stream import StreamView
from tui.console.widgets.stream_rows import KEPT, PULLED

S = 1_000_000_000


@asynccontextmanager
async def on_events(
    engine: FakeEngine,
) -> AsyncIterator[tuple[ConsoleApp, StreamView, Pilot[None]]]:
    """The console with the stream of pane 3 focused and full."""
    app = ConsoleApp(engine)
    async with app.run_test(size=(100, 30)) as pilot:
        await pilot.press("3", "o")
        stream = app.main.events.stream
        await until(pilot, lambda: stream.row_count > 0)
        yield app, stream, pilot


def named(*comms: str) -> FakeEngine:
    """An engine with an event for each name, a second apart, the last one now."""
    engine = FakeEngine(capacity=200_000)
    first_ns = NOW_NS - (len(comms) - 1) * S
    for number, comm in enumerate(comms):
        event = record("kernel_event", 7, comm, name="openat", category="file")
        engine.emit(replace(event, ts_ns=first_ns + number * S))
    return engine


def at(stream: StreamView) -> int | None:
    """Number of the record under the cursor."""
    row = stream.cursor_row
    return None if row is None else row.seq


FOUND_TWICE = ("cat", "nginx worker", "cat", "sh", "nginx worker", "cat")


async def test_the_cursor_goes_to_the_next_hit_round_the_end_and_no_row_is_hidden() -> None:
    async with on_events(named(*FOUND_TWICE)) as (app, stream, pilot):
        await pilot.press("home", "ctrl+f", *"nginx w", "enter")
        assert at(stream) == 2
        assert stream.row_count == len(FOUND_TWICE)
        assert app.focused is stream
        await pilot.press("n")
        assert at(stream) == 5
        assert "went round" not in screen_text(pilot)
        await pilot.press("n")
        assert at(stream) == 2
        assert "went round" in screen_text(pilot)
        await pilot.press("N")
        assert at(stream) == 5


async def test_a_condition_is_looked_for_in_the_language_of_filters() -> None:
    async with on_events(named(*FOUND_TWICE)) as (_app, stream, pilot):
        await pilot.press("home", "ctrl+f", *'comm ~ "^s" and pid == 7', "enter")
        assert at(stream) == 4


async def test_a_mistake_in_a_condition_is_told() -> None:
    async with on_events(named(*FOUND_TWICE)) as (app, stream, pilot):
        await pilot.press("home", "ctrl+f", *"com == cat", "enter")
        await until(pilot, lambda: "there is no field com" in screen_text(pilot))
        assert at(stream) == 1
        assert app.focused is app.main.events.find_bar.input


async def test_what_is_nowhere_is_told_and_the_cursor_stays() -> None:
    async with on_events(named(*FOUND_TWICE)) as (_app, stream, pilot):
        await pilot.press("home", "down", "ctrl+f", *"apache", "enter")
        await until(pilot, lambda: "no more" in screen_text(pilot))
        assert at(stream) == 2


async def test_the_only_one_there_is_no_more_of() -> None:
    async with on_events(named(*FOUND_TWICE)) as (_app, stream, pilot):
        await pilot.press("home", "ctrl+f", *"sh", "enter")
        assert at(stream) == 4
        await pilot.press("n")
        await until(pilot, lambda: "no more" in screen_text(pilot))
        assert at(stream) == 4


async def test_n_is_offered_only_while_something_is_looked_for() -> None:
    async with on_events(named(*FOUND_TWICE)) as (app, stream, pilot):
        offered = {command.title for command in app.get_system_commands(app.screen)}
        assert "Find" in offered
        assert "Next" not in offered
        await pilot.press("ctrl+f", *"cat", "enter")
        offered = {command.title for command in app.get_system_commands(app.screen)}
        assert {"Next", "Before"} <= offered
        await pilot.press("ctrl+f", "escape")
        assert not app.main.events.find_bar.display
        assert not stream.check_action("find_next", (1,))


async def test_tables_are_searched_too_and_each_list_has_its_own_search() -> None:
    engine = FakeEngine()
    rows = [record("process", pid, f"server{pid}", ports=[{"port": pid}]) for pid in (1, 2, 3)]
    engine.set_table("process", rows)
    app = ConsoleApp(engine)
    async with app.run_test(size=(160, 45)) as pilot:
        await pilot.press("2")
        app.look_at_tables()
        await pilot.press("ctrl+f", *"server2", "enter")
        await until(pilot, lambda: "›" in text_of(app.main.panes[1].parts[0]))
        assert "server2" in next(line for line in screen_text(pilot).splitlines() if "›" in line)
        await pilot.press("1")
        assert not app.main.plugins.find_bar.display


async def test_find_and_filter_work_together() -> None:
    async with on_events(named(*FOUND_TWICE)) as (_app, stream, pilot):
        await pilot.press("slash", *"not comm == sh", "enter")
        await until(pilot, lambda: stream.row_count == 5)
        await pilot.press("home", "ctrl+f", *"sh", "enter")
        await until(pilot, lambda: "no more" in screen_text(pilot))
        assert "5 of 6" in screen_text(pilot)


async def test_hostile_text_is_looked_for_as_text() -> None:
    async with on_events(named("cat", "[/red]")) as (_app, stream, pilot):
        await pilot.press("home", "ctrl+f", *'"[/red]"', "enter")
        assert at(stream) == 2


# Times.


async def go_to(pilot: Pilot[None], text: str) -> None:
    """Ask for a time in the dialog."""
    await pilot.press("ctrl+g")
    await until(pilot, lambda: isinstance(pilot.app.screen, GoToDialog), "the dialog")
    await pilot.press(*text, "enter")


async def test_a_time_before_now_is_gone_to_and_the_stream_stands_still() -> None:
    async with on_events(named(*["cat"] * 10)) as (app, stream, pilot):
        await go_to(pilot, "-3s")
        await until(pilot, lambda: app.screen is app.main)
        assert at(stream) == 7
        assert not stream.following
        await go_to(pilot, "now")
        await until(pilot, lambda: at(stream) == 10)


async def test_what_is_no_time_is_told_in_the_dialog() -> None:
    async with on_events(named("cat")) as (app, _stream, pilot):
        await go_to(pilot, "soon")
        await until(pilot, lambda: "this is no time" in screen_text(pilot))
        await pilot.press("escape")
        await until(pilot, lambda: app.screen is app.main)


async def test_a_time_out_of_the_stream_is_fetched_with_what_was_around_it() -> None:
    engine = named(*(f"c{number}" for number in range(3 * KEPT)))
    async with on_events(engine) as (_app, stream, pilot):
        seq = 3 * KEPT - 10_000
        await go_to(pilot, "-10000s")
        await until(pilot, lambda: at(stream) == seq)
        assert f"c{seq - 2}" in text_of(stream), "and what was before it"
        waiting = stream.row_at(stream.row_count - 1).seq
        await until(pilot, lambda: f"+{count(3 * KEPT - waiting)} new" in text_of(stream))
        await pilot.press("f")
        await until(pilot, lambda: stream.row_at(stream.row_count - 1).seq == 3 * KEPT)


async def test_a_time_is_gone_to_among_the_rows_of_a_filter() -> None:
    engine = named(*("rare" if number % 5_000 == 0 else "c" for number in range(4 * PULLED * 2)))
    async with on_events(engine) as (_app, stream, pilot):
        await pilot.press("slash", *"comm == rare", "enter")
        await until(pilot, lambda: stream.row_count == 4)
        await go_to(pilot, f"-{4 * PULLED * 2 - 5_500}s")
        await until(pilot, lambda: at(stream) == 10_001, "the first one since then")


async def test_before_everything_that_is_kept_the_oldest_is_gone_to_and_that_is_told() -> None:
    engine = FakeEngine(capacity=100)
    for second in range(300):
        event = record("kernel_event", 7, "cat", name="openat", category="file")
        engine.emit(replace(event, ts_ns=NOW_NS - (300 - second) * S))
    async with on_events(engine) as (app, stream, pilot):
        await go_to(pilot, "-290s")
        await until(pilot, lambda: at(stream) == 201)
        (notice,) = app._notifications
        assert notice.message == "this is the oldest that is kept"


async def test_a_time_to_come_follows() -> None:
    engine = named("cat", "cat")
    async with on_events(engine) as (_app, stream, pilot):
        engine.pass_time(60)
        await pilot.press("up")
        await go_to(pilot, "now")
        await until(pilot, lambda: stream.following)


async def test_tables_have_no_time_to_go_to() -> None:
    app = ConsoleApp(FakeEngine())
    async with app.run_test(size=(100, 30)) as pilot:
        await pilot.press("2")
        assert "Time" not in {each.title for each in app.get_system_commands(app.screen)}
        await pilot.press("ctrl+g")
        assert app.screen is app.main
