"""Enter on a plugin shows everything about it, and goes on doing so."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import pytest
from textual.pilot import Pilot

from engine.core.fields import JsonValue
from engine.core.kinds import PLUGIN_STATE
from engine.core.records import Record
from tests.ui.driving import screen_text, text_of, until
from tests.ui.fake_engine import NOW_NS, FakeEngine, record
from tui.console.app import ConsoleApp
from tui.console.plugin_text import figures_content
from tui.console.screens.dialog import Dialog
from tui.console.screens.plugin import PluginScreen
from tui.console.screens.record import RecordScreen

LARGE, SMALL = (160, 45), (80, 24)


def plugin(**values: JsonValue) -> Record:
    """The row of a plugin that runs."""
    shown: dict[str, JsonValue] = {
        "plugin": "mine",
        "state": "running",
        "started": NOW_NS // 1_000_000_000 - 3_600,
        "tx_rate": 5.0,
        "tx_speed": 500.0,
        **values,
    }
    return record("plugin_state", pid=77, comm="mine", **shown)


@asynccontextmanager
async def opened(
    engine: FakeEngine, size: tuple[int, int] = LARGE
) -> AsyncIterator[tuple[ConsoleApp, PluginScreen, Pilot[None]]]:
    """The console with the screen of the first plugin on top."""
    app = ConsoleApp(engine)
    async with app.run_test(size=size) as pilot:
        app.look_at_tables()
        await pilot.press("down", "enter")
        await until(pilot, lambda: isinstance(app.screen, PluginScreen), "the screen")
        screen = app.screen
        assert isinstance(screen, PluginScreen)
        await pilot.pause()
        yield app, screen, pilot


async def test_all_parts_are_in_view_where_there_is_room() -> None:
    engine = FakeEngine()
    engine.set_table("plugin_state", [plugin(last_task="7 written", stderr=["one", "two"])])
    engine.emit(record("plugin_record", plugin="mine", data_type=9, fields={"key": "value"}))
    engine.emit(record("plugin_record", plugin="other", data_type=9, fields={"of": "other"}))
    engine.emit(record("plugin_fault", plugin="mine", reason="zero_length", agent_reading="dies"))
    async with opened(engine) as (_app, _screen, pilot):
        shown = screen_text(pilot)
        for evidence in (
            "mine ● running  pid 77  up 1:00:00",
            "7 written",
            "Records per second it sends.",
            "records  now 5/s",
            "two",
            "zero_length",
            "dies",
            "key=value",
        ):
            assert evidence in shown
        assert "of=other" not in shown


@pytest.mark.parametrize(
    ("key", "evidence"),
    [
        ("1", "tx_rate"),
        ("2", "now 500B/s"),
        ("3", "two"),
        ("4", "zero_length"),
        ("5", "key=value"),
    ],
)
async def test_at_80x24_every_part_is_one_key_away(key: str, evidence: str) -> None:
    engine = FakeEngine()
    engine.set_table("plugin_state", [plugin(stderr=["one", "two"])])
    engine.emit(record("plugin_record", plugin="mine", fields={"key": "value"}))
    engine.emit(record("plugin_fault", plugin="mine", reason="zero_length"))
    async with opened(engine, SMALL) as (app, screen, pilot):
        await pilot.press(key)
        app.look()
        await until(pilot, lambda: evidence in screen_text(pilot), evidence)
        assert f"[{key} " in text_of(screen.tabs)
        assert [part.display for part in screen.parts].count(True) == 1


def test_every_field_of_a_plugin_is_among_its_figures() -> None:
    shown = str(figures_content(plugin(error="x", exit_code=1, kill_in_s=1.0), 100))
    elsewhere = {"plugin", "stderr", "last_stderr"}
    assert all(
        f"{field.name} " in shown for field in PLUGIN_STATE.fields if field.name not in elsewhere
    )


async def test_it_is_live() -> None:
    engine = FakeEngine()
    engine.set_table("plugin_state", [plugin()])
    async with opened(engine) as (app, _screen, pilot):
        engine.set_table("plugin_state", [plugin(state="stopping", kill_in_s=3.2, tx_rate=9.0)])
        engine.emit(record("plugin_record", plugin="mine", fields={"fresh": "yes"}))
        engine.pass_time(1)
        await until(pilot, lambda: "◔ stopping 4 s" in screen_text(pilot), "the countdown")
        await until(pilot, lambda: "fresh=yes" in screen_text(pilot), "the record")
        assert "now 9/s" in screen_text(pilot)
        assert app.main.plugins.records.row_count == 0, "the panes, out of view, pull nothing"


async def test_a_plugin_that_was_unloaded_says_so() -> None:
    engine = FakeEngine()
    engine.set_table("plugin_state", [plugin(stderr=["last words"])])
    async with opened(engine) as (app, screen, pilot):
        engine.set_table("plugin_state", [])
        app.look_at_tables()
        await until(pilot, lambda: "not on the list any more" in screen_text(pilot))
        assert "last words" in screen_text(pilot)
        assert not screen.check_action("unload_plugin", ())


async def test_stderr_stays_at_its_end_until_one_scrolls_back() -> None:
    engine = FakeEngine()
    lines = [f"line {number}" for number in range(100)]
    engine.set_table("plugin_state", [plugin(stderr=lines)])
    async with opened(engine) as (app, _screen, pilot):
        await until(pilot, lambda: "line 99" in screen_text(pilot), "the end")
        engine.set_table("plugin_state", [plugin(stderr=[*lines, "line 100"])])
        app.look_at_tables()
        await until(pilot, lambda: "line 100" in screen_text(pilot), "the new end")
        await pilot.press("3", "home")
        await until(pilot, lambda: "line 0" in screen_text(pilot), "the beginning")
        app.look_at_tables()
        await pilot.pause()
        assert "line 0" in screen_text(pilot)


@pytest.mark.parametrize(("part", "kind"), [("4", "plugin_fault"), ("5", "plugin_record")])
async def test_enter_on_a_row_opens_the_inspector_over_it(part: str, kind: str) -> None:
    engine = FakeEngine()
    engine.set_table("plugin_state", [plugin()])
    engine.emit(record(kind, plugin="mine"))
    async with opened(engine) as (app, screen, pilot):
        await pilot.press(part, "enter")
        await until(pilot, lambda: isinstance(app.screen, RecordScreen), "the inspector")
        await pilot.press("escape")
        await until(pilot, lambda: app.screen is screen, "the plugin")


async def test_keys_go_round_the_parts_and_lead_back_to_the_panes() -> None:
    engine = FakeEngine()
    engine.set_table("plugin_state", [plugin()])
    async with opened(engine) as (app, screen, pilot):
        await pilot.press("tab", "shift+tab", "shift+tab")
        assert screen.active.heading == "Records"
        await pilot.press("2")
        assert [part.display for part in screen.parts] == [False, True, False, False, False]
        await pilot.press("escape")
        assert all(part.display for part in screen.parts)
        await pilot.press("escape")
        await until(pilot, lambda: app.screen is app.main, "the panes")


async def test_space_holds_its_streams_and_f_lets_them_go_on() -> None:
    engine = FakeEngine()
    engine.set_table("plugin_state", [plugin()])
    async with opened(engine) as (_app, screen, pilot):
        await pilot.press("space")
        engine.emit(record("plugin_record", plugin="mine"))
        await until(pilot, lambda: "PAUSED +1 new" in screen_text(pilot), "the badge")
        await pilot.press("f")
        await until(pilot, lambda: screen.records.row_count == 1, "the record")


@pytest.mark.parametrize("size", [(60, 20), (40, 10), (1, 1)])
async def test_no_size_of_the_terminal_is_too_small(size: tuple[int, int]) -> None:
    engine = FakeEngine()
    engine.set_table("plugin_state", [plugin()])
    engine.emit(record("plugin_record", plugin="mine"))
    async with opened(engine, size) as (app, screen, pilot):
        await pilot.press("3", "5")
        app.look()
        await pilot.press("enter")
        if not screen.records.row_count:
            return  # not a single line is left for records
        await until(pilot, lambda: isinstance(app.screen, RecordScreen), "the inspector")
        await pilot.press("2", "escape", "u")
        await until(pilot, lambda: isinstance(app.screen, Dialog), "the dialog")
        await pilot.press("escape")
