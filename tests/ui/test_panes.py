"""The four panes are alive, and one gets from each to each."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest
from textual.pilot import Pilot

from engine.core.fields import JsonValue
from engine.core.records import Record
from engine.recording.replay import ReplayEngine
from tests.ui.driving import screen_text, text_of, until, until_shown
from tests.ui.fake_engine import FakeEngine, record
from tui.console.app import ConsoleApp

RECORDING = Path(__file__).parents[2] / "fixtures" / "recordings" / "first-light.jsonl"


@asynccontextmanager
async def replayed(size: tuple[int, int]) -> AsyncIterator[tuple[ConsoleApp, Pilot[None]]]:
    """The console over the recording, all of it delivered."""
    app = ConsoleApp(ReplayEngine(RECORDING, instant=True))
    async with app.run_test(size=size) as pilot:
        events = app.main.events.stream
        await until(pilot, lambda: events.row_count > 0 or not app.main.events.in_view, "events")
        yield app, pilot


async def test_all_four_panes_show_rows_of_the_recording() -> None:
    async with replayed((160, 45)) as (app, pilot):
        plugins, ports, events, traffic = app.main.panes
        await until(pilot, lambda: "● running" in text_of(plugins.parts[0]), "a running plugin")
        await until(pilot, lambda: "tcp" in text_of(ports.parts[0]), "a port")
        assert "everything" in text_of(events.parts[0])
        assert "tcp_set" in text_of(events.parts[1])
        await until(pilot, lambda: "GET /" in text_of(traffic.parts[0]), "a message")
        await until(pilot, lambda: "● running" in text_of(traffic.parts[1]), "a Wasm plugin")


@pytest.mark.parametrize(
    ("key", "number", "evidence"),
    [("1", 1, "● running"), ("2", 2, "tcp"), ("3", 3, "everything"), ("4", 4, "GET /")],
)
async def test_at_80x24_every_pane_is_one_key_away_and_alive(
    key: str, number: int, evidence: str
) -> None:
    async with replayed((80, 24)) as (app, pilot):
        await pilot.press(key)
        assert [pane.number for pane in app.main.panes if pane.display] == [number]
        await until(pilot, lambda: evidence in screen_text(pilot), evidence)
        assert f"[{number} " in text_of(app.main.tabs)


async def test_a_digit_zooms_and_escape_or_zero_goes_back() -> None:
    async with ConsoleApp(FakeEngine()).run_test(size=(160, 45)) as pilot:
        app = pilot.app
        assert isinstance(app, ConsoleApp)
        for back in ("escape", "0"):
            await pilot.press("4")
            assert [pane.display for pane in app.main.panes] == [False, False, False, True]
            await pilot.press(back)
            assert all(pane.display for pane in app.main.panes)
            assert app.main.active.number == 4


async def test_tab_goes_round_the_panes_both_ways() -> None:
    async with ConsoleApp(FakeEngine()).run_test(size=(160, 45)) as pilot:
        app = pilot.app
        assert isinstance(app, ConsoleApp)
        visited = []
        for key in ("tab", "tab", "tab", "tab", "shift+tab"):
            await pilot.press(key)
            visited.append(app.main.active.number)
        assert visited == [2, 3, 4, 1, 4]


async def test_the_active_pane_is_marked_by_a_symbol_not_only_by_colour() -> None:
    async with ConsoleApp(FakeEngine()).run_test(size=(160, 45)) as pilot:
        await pilot.press("tab")
        titles = [pane.border_title for pane in pilot.app.screen.query("Pane")]
        assert [title.startswith("►") for title in titles if title] == [False, True, False, False]


async def test_a_click_into_a_pane_makes_it_the_active_one() -> None:
    engine = FakeEngine()
    async with ConsoleApp(engine).run_test(size=(160, 45)) as pilot:
        app = pilot.app
        assert isinstance(app, ConsoleApp)
        await pilot.click("#messages")
        assert app.main.active.number == 4


async def test_narrow_screens_change_panes_by_a_click_on_the_strip() -> None:
    async with ConsoleApp(FakeEngine()).run_test(size=(80, 24)) as pilot:
        app = pilot.app
        assert isinstance(app, ConsoleApp)
        await pilot.click("TabStrip", offset=(14, 0))
        assert app.main.active.number == 2


async def test_growing_and_shrinking_changes_between_grid_and_single_pane() -> None:
    async with ConsoleApp(FakeEngine()).run_test(size=(160, 45)) as pilot:
        app = pilot.app
        assert isinstance(app, ConsoleApp)
        await pilot.resize_terminal(80, 24)
        await until(pilot, lambda: [pane.display for pane in app.main.panes].count(True) == 1)
        await pilot.resize_terminal(160, 45)
        await until(pilot, lambda: all(pane.display for pane in app.main.panes))


@pytest.mark.parametrize(
    "size", [(160, 45), (120, 40), (80, 24), (60, 20), (40, 10), (20, 5), (5, 2), (1, 1)]
)
async def test_no_size_of_the_terminal_is_too_small(size: tuple[int, int]) -> None:
    async with replayed(size) as (app, pilot):
        for key in ("1", "2", "3", "t", "4", "o", "up", "enter", "escape", "0", "question_mark"):
            await pilot.press(key)
        app.look_at_tables()
        app.look_at_streams()
        await pilot.pause()


async def test_selecting_a_plugin_shows_its_records_only() -> None:
    engine = FakeEngine()
    engine.set_table(
        "plugin_state",
        [record("plugin_state", plugin=name, state="running") for name in ("first", "second")],
    )
    engine.emit(
        *(
            record("plugin_record", plugin=name, data_type=1000, fields={"of": name})
            for name in ("first", "second")
        )
    )
    app = ConsoleApp(engine)
    async with app.run_test(size=(160, 45)) as pilot:
        records = app.main.panes[0].parts[1]
        await until(pilot, lambda: "of=second" in text_of(records), "all records")
        assert "of=first" in text_of(records)
        await until(pilot, lambda: "second" in text_of(app.main.panes[0].parts[0]), "the plugins")
        await pilot.press("down", "down")
        await until(pilot, lambda: "of=first" not in text_of(records), "the first one's go")
        await until(pilot, lambda: "of=second" in text_of(records), "the second one's stay")
        engine.set_table("plugin_state", [])
        app.look_at_tables()
        await until(pilot, lambda: "of=first" in text_of(records), "all of them, as it is gone")


async def test_records_with_faults_are_marked() -> None:
    engine = FakeEngine()
    engine.emit(
        record("plugin_record", plugin="p", data_type=7, faults=["timestamp_zero"]),
        record("plugin_record", plugin="p", data_type=8, faults=[]),
    )
    app = ConsoleApp(engine)
    async with app.run_test(size=(80, 24)) as pilot:
        records = app.main.plugins.records
        await until(pilot, lambda: records.row_count == 2, "the records")
        marked = [line for line in text_of(records).splitlines() if "✗" in line]
        assert [line.split()[2:4] for line in marked] == [["✗", "7"]]


async def test_the_end_of_a_plugin_that_stops_is_counted_down() -> None:
    engine = FakeEngine()
    app = ConsoleApp(engine)
    async with app.run_test(size=(80, 24)) as pilot:
        for left, text in ((9.8, "stopping 10 s"), (0.4, "stopping 1 s")):
            stopping = record("plugin_state", plugin="p", state="stopping", kill_in_s=left)
            engine.set_table("plugin_state", [stopping])
            app.look_at_tables()
            await until_shown(pilot, text)


async def test_a_plugin_that_cannot_start_says_why_in_its_row() -> None:
    engine = FakeEngine()
    broken = record("plugin_state", plugin="broken", state="failed", error="no such file: /opt/x")
    engine.set_table("plugin_state", [broken])
    app = ConsoleApp(engine)
    async with app.run_test(size=(160, 45)) as pilot:
        table = app.main.panes[0].parts[0]
        await until(pilot, lambda: "✗ failed" in text_of(table), "the state")
        assert "✗ no such file: /opt/x" in text_of(table)


def owner(pid: int, port: int) -> Record:
    """A process that listens on a port."""
    ports: JsonValue = [{"port": port, "proto": "tcp", "address": "0.0.0.0"}]
    return record("process", pid=pid, comm=f"server{port}", ports=ports, start=1)


async def test_throughput_is_drawn_as_bars_of_the_last_seconds() -> None:
    engine = FakeEngine()
    app = ConsoleApp(engine)
    async with app.run_test(size=(160, 45)) as pilot:
        table = app.main.panes[0].parts[0]
        for rate in (1.0, 4.0, 8.0):
            row = record("plugin_state", plugin="p", state="running", tx_rate=rate)
            engine.set_table("plugin_state", [row])
            engine.pass_time(1)
            app.look_at_tables()
            app.look_at_tables()
        await until(pilot, lambda: "▁▄█" in text_of(table), "a bar for each second")


async def test_ports_that_come_and_go_are_marked_for_a_moment() -> None:
    engine = FakeEngine()
    old, new = owner(10, 80), owner(11, 8080)
    engine.set_table("process", [old])
    app = ConsoleApp(engine)
    async with app.run_test(size=(160, 45)) as pilot:
        table = app.main.panes[1].parts[0]
        await until(pilot, lambda: "server80 " in text_of(table), "the first one")
        assert "+" not in text_of(table), "what was there before is not new"
        engine.set_table("process", [old, new])
        app.look_at_tables()
        assert "+  8080" in text_of(table)
        engine.pass_time(10)
        engine.set_table("process", [new])
        app.look_at_tables()
        shown = text_of(table)
        assert "-    80" in shown
        assert "+" not in shown
        engine.pass_time(10)
        app.look_at_tables()
        assert "server80 " not in text_of(table)
