"""The screen about one Wasm plugin: figures by export, calls, and what a reload changed."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import pytest
from textual.pilot import Pilot

from engine.core.fields import JsonValue
from tests.ui.driving import screen_text, text_of, until
from tests.ui.fake_engine import FakeEngine
from tests.ui.wasm_calls import call, plugin, repetition
from tui.console.app import ConsoleApp
from tui.console.call_text import sections_content
from tui.console.screens.call import CallScreen
from tui.console.screens.wasm import WasmScreen, plugin_sections

LARGE, SMALL = (160, 45), (80, 24)


@asynccontextmanager
async def opened(
    engine: FakeEngine, size: tuple[int, int] = LARGE
) -> AsyncIterator[tuple[ConsoleApp, WasmScreen, Pilot[None]]]:
    """The console with the screen of the first plugin on top."""
    app = ConsoleApp(engine)
    async with app.run_test(size=size) as pilot:
        await pilot.press("4")
        app.look()
        await pilot.press("o", "down", "enter")
        await until(pilot, lambda: isinstance(app.screen, WasmScreen), "the screen")
        screen = app.screen
        assert isinstance(screen, WasmScreen)
        await pilot.pause()
        yield app, screen, pilot


async def test_figures_exports_calls_and_runs_are_in_view_where_there_is_room() -> None:
    engine = FakeEngine()
    engine.set_table("wasm_plugin", [plugin(start_logs=["info: started"])])
    engine.emit(call(), call(plugin="other", export="of_another"), repetition(1))
    async with opened(engine) as (_app, screen, pilot):
        await until(pilot, lambda: "1, of which 1 differ" in screen_text(pilot), "the run")
        shown = screen_text(pilot)
        for evidence in (
            "mine ● running  /opt/mine.wasm",
            "12.0µs, 90.0µs",
            "100ms",
            "65.5kB of 268MB, 0.0%",
            "info: started",
            "1 differs: infos[0].request.endpoint: /new → /newer",
        ):
            assert evidence in shown, evidence
        assert "on_http_req" in text_of(screen.exports)
        assert "request.endpoint=/new" in text_of(screen.calls)
        assert "of_another" not in shown


@pytest.mark.parametrize(
    ("key", "evidence"),
    [("1", "65.5kB of"), ("2", "fuel"), ("3", "request.endpoint"), ("4", "/newer")],
)
async def test_at_80x24_every_part_is_one_key_away(key: str, evidence: str) -> None:
    engine = FakeEngine()
    engine.set_table("wasm_plugin", [plugin()])
    engine.emit(call(), repetition(1))
    async with opened(engine, SMALL) as (app, screen, pilot):
        await pilot.press(key)
        app.look()
        await until(pilot, lambda: evidence in screen_text(pilot), evidence)
        assert f"[{key} " in text_of(screen.tabs)


@pytest.mark.parametrize(
    ("values", "evidence"),
    [
        ({}, "● running"),
        ({"renewed": 2}, "↻ renewed 2"),
        ({"poisoned": 3, "traps_left": 97}, "! poisoned 3, 97 left"),
        ({"poisoned": 3, "traps_left": None}, "! poisoned 3"),
        ({"state": "failed", "error": "unknown import"}, "✗ unknown import"),
        ({"refusals": ["random_get is not linked (use TinyGo 0.32)"]}, "✗ random_get is not"),
        ({"custom_filter": "Dubbo"}, "custom filter Dubbo"),
        ({"memory_limit": None}, "65.5kB"),
        ({"memory": None}, "memory        -"),
    ],
)
def test_the_state_tells_what_became_of_the_plugin(
    values: dict[str, JsonValue], evidence: str
) -> None:
    assert evidence in sections_content(plugin_sections(plugin(**values))).plain


async def test_only_what_differs_is_shown_until_d_shows_all() -> None:
    engine = FakeEngine()
    engine.set_table("wasm_plugin", [plugin()])
    engine.emit(call(), repetition(1, after=""))
    async with opened(engine) as (app, screen, pilot):
        await until(pilot, lambda: "none came out differently" in screen_text(pilot))
        await pilot.press("d")
        await until(pilot, lambda: "the same" in screen_text(pilot), "all of them")
        engine.emit(repetition(1))
        app.look_at_streams()
        await until(pilot, lambda: screen.runs.row_count == 2, "the new one")
        await pilot.press("d")
        await until(pilot, lambda: screen.runs.row_count == 1, "those that differ")
        assert "2, of which 1 differ" in screen_text(pilot)


async def test_a_call_opens_its_inspector() -> None:
    engine = FakeEngine()
    engine.set_table("wasm_plugin", [plugin()])
    engine.emit(call())
    async with opened(engine) as (app, _screen, pilot):
        app.look()
        await pilot.press("3", "up", "enter")
        await until(pilot, lambda: isinstance(app.screen, CallScreen), "the inspector")


async def test_figures_go_on_while_it_is_open() -> None:
    engine = FakeEngine()
    engine.set_table("wasm_plugin", [plugin()])
    async with opened(engine) as (app, screen, pilot):
        engine.set_table("wasm_plugin", [plugin(calls=4_711, renewed=1)])
        engine.emit(call())
        app.look()
        await until(pilot, lambda: "4711" in screen_text(pilot), "the calls")
        assert "↻ renewed 1" in screen_text(pilot)
        await until(pilot, lambda: screen.calls.row_count == 1)
        await pilot.press("space")
        assert screen.calls.paused
        await pilot.press("f")
        assert screen.calls.moving


async def test_reload_and_unload_act_on_it_until_it_is_gone() -> None:
    engine = FakeEngine()
    engine.set_table("wasm_plugin", [plugin()])
    async with opened(engine) as (app, _screen, pilot):
        await pilot.press("R")
        await until(pilot, lambda: engine.calls == [("reload_wasm", "mine")])
        engine.set_table("wasm_plugin", [])
        app.look()
        await until(pilot, lambda: "is not loaded any more" in screen_text(pilot))
        await pilot.press("R", "u")
        await pilot.pause()
        assert len(engine.calls) == 1
