"""The screen about one process, the way from it into the panes, and back."""

from __future__ import annotations

import os
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import pytest
from textual.pilot import Pilot

from engine.core.errors import FailedError
from engine.core.fields import JsonValue
from engine.core.identity import own_identity
from tests.ui.driving import screen_text, text_of, until
from tests.ui.fake_engine import FakeEngine, record
from tui.console.app import ConsoleApp
from tui.console.panes.ports import PortsPane
from tui.console.screens.detail import DetailScreen
from tui.console.screens.plugin import PluginScreen
from tui.console.screens.process import ProcessScreen
from tui.console.screens.why import WhyScreen

ME = os.getpid()


def populated(start: int | None = None) -> FakeEngine:
    """This process with a port, an event, a message and a plugin, beside others."""
    engine = FakeEngine()
    if start is None:
        start = own_identity().start_ticks
    sockets: JsonValue = [{"port": 8080, "proto": "tcp", "address": "127.0.0.1"}]
    engine.set_table(
        "process",
        [
            record("process", 1, "init", ports=[{"port": 1, "proto": "tcp"}], start=1),
            record("process", ME, "web", ports=sockets, start=start, exe="/opt/web"),
        ],
    )
    engine.set_table(
        "plugin_state", [record("plugin_state", ME, "web", plugin="webplug", state="running")]
    )
    for pid, comm in ((1, "init"), (ME, "web")):
        engine.emit(
            record("kernel_event", pid, comm, name="openat", category="file"),
            record("l7_message", protocol="HTTP", request=f"GET /{comm}", server_pid=pid),
        )
    return engine


@asynccontextmanager
async def opened(
    engine: FakeEngine, size: tuple[int, int] = (160, 45)
) -> AsyncIterator[tuple[ConsoleApp, ProcessScreen, Pilot[None]]]:
    """The screen about this process, opened from the ports pane."""
    app = ConsoleApp(engine)
    async with app.run_test(size=size) as pilot:
        await pilot.press("2")
        app.look_at_tables()
        await pilot.press("down", "down", "enter")
        await until(pilot, lambda: isinstance(app.screen, ProcessScreen), "the screen")
        assert isinstance(app.screen, ProcessScreen)
        yield app, app.screen, pilot


async def test_it_shows_what_is_known_of_the_process_and_nothing_of_others() -> None:
    async with opened(populated()) as (_app, screen, pilot):
        await until(pilot, lambda: "Selected?" in screen_text(pilot), "the facts")
        await until(pilot, lambda: screen.events.row_count and screen.traffic.row_count)
        shown = screen_text(pilot)
        for evidence in (f"{ME} web", "8080", "openat", "GET /web", "running"):
            assert evidence in shown
        assert [one.pid for one in screen.events.records] == [ME]
        assert "GET /init" not in shown


@pytest.mark.parametrize(
    ("key", "evidence"),
    [("1", "Selected?"), ("2", "8080"), ("3", "openat"), ("4", "GET /web"), ("5", "running")],
)
async def test_at_80x24_every_part_is_one_key_away(key: str, evidence: str) -> None:
    async with opened(populated(), (80, 24)) as (_app, _screen, pilot):
        await pilot.press(key)
        await until(pilot, lambda: evidence in screen_text(pilot), evidence)


@pytest.mark.parametrize(
    ("key", "pane", "listed"),
    [("1", 2, "ports"), ("2", 2, "ports"), ("3", 3, "matrix"), ("4", 4, "messages"),
     ("5", 1, "plugins")],
)  # fmt: skip
async def test_x_goes_to_the_pane_of_a_part_scoped_and_escape_back_to_that_part(
    key: str, pane: int, listed: str
) -> None:
    engine = populated()
    async with opened(engine) as (app, screen, pilot):
        part = screen.parts[int(key) - 1]
        await pilot.press(key, "x")
        await until(pilot, lambda: app.main.scope is not None and app.screen is app.main)
        assert app.main.active.number == pane
        assert f"testbox › {ME} web" in screen_text(pilot)
        await until(pilot, lambda: engine.calls[-1:] == [("set_pids", str(ME))])
        app.main.overview()
        await pilot.press("escape")
        await until(pilot, lambda: isinstance(app.screen, ProcessScreen), "the screen again")
        again = app.screen
        assert isinstance(again, ProcessScreen)
        await until(pilot, lambda: again.active.id == part.id, "at the same part")
        assert app.main.scope is None
        await pilot.press("escape")
        assert app.main.active.number == 2, "and where one was before"
        by_port = app.main.panes[1]
        assert isinstance(by_port, PortsPane)
        row = by_port.table.cursor_row
        assert row is not None
        assert row.record.pid == ME


async def test_capital_x_goes_there_with_the_tree() -> None:
    async with opened(populated()) as (app, _screen, pilot):
        await pilot.press("X")
        await until(pilot, lambda: app.main.scope is not None)
        assert f"testbox › {ME} web + tree" in screen_text(pilot)


@pytest.mark.parametrize("keys", [("3", "o", "up"), ("1", "down")])
async def test_i_opens_it_from_any_row_with_a_process(keys: tuple[str, ...]) -> None:
    app = ConsoleApp(populated())
    async with app.run_test(size=(160, 45)) as pilot:
        await pilot.press(keys[0])
        app.look()
        await pilot.press(*keys[1:], "i")
        await until(pilot, lambda: isinstance(app.screen, ProcessScreen))
        assert f"{ME} web" in screen_text(pilot)
        await pilot.press("escape")
        assert app.screen is app.main


async def test_enter_on_a_port_tells_of_it_and_on_an_event_its_detail() -> None:
    async with opened(populated()) as (app, screen, pilot):
        await until(pilot, lambda: screen.events.row_count)
        for part in ("2", "3"):
            await pilot.press(part, "up", "enter")
            await until(pilot, lambda: isinstance(app.screen, DetailScreen))
            await pilot.press("escape")
            assert app.screen is screen


async def test_w_tells_why_and_a_has_its_traffic_captured() -> None:
    engine = populated()
    async with opened(engine) as (app, _screen, pilot):
        await pilot.press("w")
        await until(pilot, lambda: isinstance(app.screen, WhyScreen))
        await pilot.press("escape", "a")
        await until(pilot, lambda: ("attach", str(ME)) in engine.calls)


async def test_in_a_recording_it_shows_what_was_told_of_the_process() -> None:
    engine = populated()
    engine.relabel("replay x")
    async with opened(engine) as (_app, _screen, pilot):
        await until(pilot, lambda: "/opt/web" in screen_text(pilot))
    assert not engine.calls


async def test_what_cannot_be_found_out_is_told_and_the_rest_is_shown() -> None:
    engine = populated()
    engine.refusal = FailedError("discovery does not run here")
    async with opened(engine) as (_app, _screen, pilot):
        await until(pilot, lambda: "discovery does not run here" in screen_text(pilot))
        assert "/opt/web" in screen_text(pilot)


async def test_a_pid_that_means_another_process_now_is_not_explained_as_this_one() -> None:
    async with opened(populated(start=1)) as (_app, _screen, pilot):
        await until(pilot, lambda: "its pid means another process now" in screen_text(pilot))
        assert "/opt/web" in screen_text(pilot)
        assert "Selected?" not in screen_text(pilot)


async def test_its_streams_can_be_held_and_followed() -> None:
    engine = populated()
    async with opened(engine) as (_app, screen, pilot):
        await until(pilot, lambda: screen.events.row_count == 1)
        await pilot.press("space")
        engine.emit(record("kernel_event", ME, "web", name="close", category="file"))
        await until(pilot, lambda: "PAUSED +1 new" in text_of(screen.events))
        await pilot.press("f")
        await until(pilot, lambda: screen.events.row_count == 2)


async def test_its_lists_can_be_filtered_and_searched() -> None:
    engine = populated()
    engine.emit(record("kernel_event", ME, "web", name="close", category="file"))
    async with opened(engine) as (app, screen, pilot):
        await until(pilot, lambda: screen.events.row_count == 2)
        await pilot.press("3", "slash", *"name == close", "enter")
        await until(pilot, lambda: screen.events.row_count == 1)
        assert "1 of 2" in screen_text(pilot)
        assert app.focused is screen.events
        await pilot.press("slash", "escape", "ctrl+f", *"openat", "enter")
        await until(pilot, lambda: screen.events.cursor_row is not None)
        await pilot.press("escape")
        assert app.screen is not app.main, "from one part to all"


async def test_the_records_of_a_plugin_can_be_filtered_on_its_screen() -> None:
    engine = populated()
    for number in (7, 8):
        engine.emit(record("plugin_record", ME, "web", plugin="webplug", data_type=number))
    app = ConsoleApp(engine)
    async with app.run_test(size=(160, 45)) as pilot:
        await pilot.press("1")
        app.look()
        await pilot.press("down", "enter")
        await until(pilot, lambda: isinstance(app.screen, PluginScreen))
        screen = app.screen
        assert isinstance(screen, PluginScreen)
        await until(pilot, lambda: screen.records.row_count == 2)
        offered = {command.title for command in app.get_system_commands(screen)}
        assert "Filter" not in offered, "figures are no list"
        await pilot.press("5", "slash", *"data_type == 8", "enter")
        await until(pilot, lambda: screen.records.row_count == 1)
        await pilot.press("4")
        assert not screen.filter_bar.display, "the faults have a filter of their own"


@pytest.mark.parametrize("size", [(200, 60), (60, 20), (40, 10), (5, 2), (1, 1)])
async def test_it_survives_any_size(size: tuple[int, int]) -> None:
    async with opened(populated(), size) as (_app, _screen, pilot):
        await pilot.press("1", "2", "3", "slash", "x", "escape", "ctrl+f", "x", "escape", "4", "5")
        screen_text(pilot)
