"""`/` shows the rows that are asked for, in every pane, and says what is wrong with a filter."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from textual import events
from textual.keys import _character_to_key
from textual.pilot import Pilot

from tests.ui.driving import screen_text, text_of, until
from tests.ui.fake_engine import FakeEngine, record
from tui.console.app import ConsoleApp
from tui.console.panes.ports import PortsPane
from tui.console.widgets.stream import StreamView
from tui.console.widgets.stream_rows import SOUGHT, Skipped


@asynccontextmanager
async def zoomed(engine: FakeEngine, *keys: str) -> AsyncIterator[tuple[ConsoleApp, Pilot[None]]]:
    """The console with some keys pressed."""
    app = ConsoleApp(engine)
    async with app.run_test(size=(100, 30)) as pilot:
        await pilot.press(*keys)
        yield app, pilot


def ports(app: ConsoleApp) -> PortsPane:
    """Pane 2."""
    pane = app.main.panes[1]
    assert isinstance(pane, PortsPane)
    return pane


def numbers(stream: StreamView) -> list[int]:
    """Numbers of the records in a stream."""
    return [row.seq for row in map(stream.row_at, range(stream.row_count))]


def with_ports() -> FakeEngine:
    """An engine that knows two processes."""
    engine = FakeEngine()
    engine.set_table(
        "process",
        [
            record("process", pid=80, comm="nginx", ports=[{"port": 80, "proto": "tcp"}]),
            record("process", pid=54, comm="named", ports=[{"port": 53, "proto": "udp"}]),
        ],
    )
    return engine


async def test_a_table_shows_the_rows_its_filter_chooses_and_their_number() -> None:
    async with zoomed(with_ports(), "2") as (app, pilot):
        await until(pilot, lambda: ports(app).table.row_count == 2)
        await pilot.press("slash", *"ports.port < 60", "enter")
        await until(pilot, lambda: ports(app).table.row_count == 1, "one row")
        assert "named" in text_of(ports(app).table)
        assert "1 of 2" in screen_text(pilot)
        assert app.focused is ports(app).table


async def test_what_is_typed_counts_at_once_and_escape_shows_everything_again() -> None:
    async with zoomed(with_ports(), "2") as (app, pilot):
        await until(pilot, lambda: ports(app).table.row_count == 2)
        await pilot.press("slash", *"ngi")
        await until(pilot, lambda: ports(app).table.row_count == 1, "one row")
        await pilot.press("escape")
        await until(pilot, lambda: ports(app).table.row_count == 2, "both rows")
        assert not ports(app).filter_bar.display
        assert app.focused is ports(app).table


async def test_a_mistake_is_told_under_its_column_and_changes_nothing() -> None:
    async with zoomed(with_ports(), "2") as (app, pilot):
        await until(pilot, lambda: ports(app).table.row_count == 2)
        await pilot.press("slash", *"com == nginx", "enter")
        await until(pilot, lambda: "there is no field com" in screen_text(pilot))
        lines = screen_text(pilot).splitlines()
        typed = next(line for line in lines if "com == nginx" in line)
        below = lines[lines.index(typed) + 1]
        assert below.index("^^^") == typed.index("com ==")
        assert ports(app).table.row_count == 2
        assert app.focused is ports(app).filter_bar.input


async def test_tab_completes_fields_operators_and_values() -> None:
    async with zoomed(with_ports(), "2") as (app, pilot):
        await until(pilot, lambda: ports(app).table.row_count == 2)
        bar = ports(app).filter_bar
        await pilot.press("slash", *"com", "tab")
        assert bar.input.value == "comm "
        await pilot.press(*"== n")
        await until(pilot, lambda: "named  nginx" in screen_text(pilot), "values seen")
        await pilot.press(*"g", "tab")
        assert bar.input.value == "comm == nginx "


async def test_a_stream_is_filtered_back_as_far_as_the_engine_remembers() -> None:
    engine = FakeEngine(capacity=20_000)
    engine.emit_events(1, comm="first")
    engine.emit_events(3 * SOUGHT)
    async with zoomed(engine, "3", "o") as (app, pilot):
        stream = app.main.events.stream
        await until(pilot, lambda: stream.row_count > 0)
        await pilot.press("slash", *"comm == first", "enter")
        await until(pilot, lambda: numbers(stream) == [1], "the first of all")
        await until(pilot, lambda: "1 of 15.0k" in screen_text(pilot), "how many it chose")
        engine.emit_events(1, comm="first")
        await until(pilot, lambda: numbers(stream) == [1, 3 * SOUGHT + 2], "new ones")


async def test_what_comes_too_fast_to_be_looked_at_is_said() -> None:
    engine = FakeEngine(capacity=50_000)
    async with zoomed(engine, "3", "o") as (app, pilot):
        stream = app.main.events.stream
        engine.emit_events(1, comm="rare")
        await until(pilot, lambda: stream.row_count == 1)
        await pilot.press("slash", *"comm == rare", "enter")
        await until(pilot, lambda: numbers(stream) == [1])
        engine.emit_events(SOUGHT + 7)
        app.look_at_streams()
        assert stream.row_at(1) == Skipped(8, 7)
        await until(pilot, lambda: "7 not looked at" in text_of(stream))


async def test_each_part_of_a_pane_has_a_filter_of_its_own() -> None:
    engine = FakeEngine()
    engine.set_table("plugin_state", [record("plugin_state", plugin=name) for name in ("a", "b")])
    engine.emit(*(record("plugin_record", plugin=name, data_type=7) for name in ("a", "b")))
    async with zoomed(engine, "1") as (app, pilot):
        pane = app.main.plugins
        await until(pilot, lambda: pane.table.row_count == 2 and pane.records.row_count == 2)
        await pilot.press("slash", *"plugin == a", "enter")
        await until(pilot, lambda: pane.table.row_count == 1)
        assert pane.records.row_count == 2
        await pilot.press("o", "slash", *"plugin == b", "enter")
        await until(pilot, lambda: pane.records.row_count == 1)
        assert pane.filter_bar.input.value == "plugin == b"
        await pilot.press("o")
        assert pane.filter_bar.input.value == "plugin == a"


async def test_hostile_text_is_offered_as_text() -> None:
    engine = FakeEngine()
    engine.set_table("process", [record("process", pid=1, comm="[/red] x")])
    async with zoomed(engine, "2") as (app, pilot):
        await until(pilot, lambda: ports(app).table.row_count == 1)
        await pilot.press("slash", *"comm == ")
        await until(pilot, lambda: '"[/red] x"' in screen_text(pilot))


def come_at_once(app: ConsoleApp, *keys: str) -> None:
    """Have keys come as over a slow line: the last is there before the first is carried out."""
    for key in keys:
        single = len(key) == 1
        app.post_message(
            events.Key(_character_to_key(key) if single else key, key if single else None)
        )


async def test_keys_that_come_at_once_count_in_their_order() -> None:
    engine = FakeEngine()
    engine.set_table("plugin_state", [record("plugin_state", plugin=name) for name in "abc"])
    async with zoomed(engine, "1") as (app, pilot):
        pane = app.main.plugins
        bar, table = pane.filter_bar, pane.table
        await until(pilot, lambda: table.row_count == 3)
        # None of what is typed sorts, loads or quits; what follows enter is for the table again.
        come_at_once(
            app, *"/plugin == q", "backspace", *"s", "ctrl+u", *"plugin >= b", "enter", "G"
        )
        await until(pilot, lambda: bar.text == "plugin >= b" and table.row_count == 2)
        assert app.focused is table
        assert bar.input.value == "plugin >= b"
        await until(pilot, lambda: table.cursor_row is not None)
        assert (row := table.cursor_row) is not None
        assert row.record.get("plugin") == "c"
        # A row that is picked right behind enter is picked of those that are left.
        come_at_once(app, "slash", "ctrl+u", *"plugin in (a, c)", "enter", "g", "down", "k")
        await until(pilot, lambda: bar.text.endswith(")") and table.cursor_index == 0)
        assert (row := table.cursor_row) is not None
        assert row.record.get("plugin") == "a"
        come_at_once(app, "ctrl+f", *"c", "escape", *"s")
        await until(pilot, lambda: table.sort_name() != "")
        assert not pane.find_bar.display
