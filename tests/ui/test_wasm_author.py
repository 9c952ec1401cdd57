"""The author's loop on the screen: build a plugin again, and see its new result."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest
from textual import events
from textual.pilot import Pilot

import fixtures
from engine.core.settings import Settings
from engine.live import LiveEngine
from engine.selection import Selection, WasmMode
from tests.ui.driving import screen_text, text_of, until
from tests.unit.wasm import wat
from tests.unit.wasm.calls import one_info
from tui.console.app import ConsoleApp
from tui.console.screens.call import CallScreen
from tui.console.screens.load_wasm import LoadWasmDialog
from tui.console.screens.rerun import RerunDialog
from tui.console.screens.wasm import WasmScreen

CAPTURE = Path(fixtures.__file__).parent / "captures" / "http.pcap"


def build(folder: Path, endpoint: str, name: str = "mine") -> Path:
    """A plugin that gives every request this endpoint."""
    result = one_info(req={"endpoint": endpoint})
    stop = wat.send_result(result) + wat.STOP
    wasm = wat.plugin(hooks=wat.HTTP_REQUEST, result=result, request=stop)
    return wat.save(folder, wasm, name)


@asynccontextmanager
async def author(
    folder: Path, monkeypatch: pytest.MonkeyPatch, *mode: WasmMode, size: tuple[int, int]
) -> AsyncIterator[tuple[LiveEngine, ConsoleApp, Pilot[None]]]:
    """The console over a capture that has been read, with the author's plugin."""
    monkeypatch.setenv("XDG_CACHE_HOME", str(folder))
    path = build(folder, "/before")
    selection = Selection(capture=CAPTURE, wasm=(path,), wasm_mode=frozenset(mode))
    engine = LiveEngine(selection, Settings())
    app = ConsoleApp(engine)
    try:
        async with app.run_test(size=size) as pilot:
            await until(pilot, lambda: engine.last_seq("wasm_result") > 0)
            await until(pilot, lambda: engine.snapshot().sources["traffic"].state == "off")
            await pilot.press("4")
            app.look()
            yield engine, app, pilot
    finally:
        engine.stop()


async def test_a_rebuilt_plugin_shows_its_new_result_for_the_same_message_where_one_looks(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with author(tmp_path, monkeypatch, "watch", size=(160, 45)) as (_engine, app, pilot):
        await pilot.press("o", "down", "enter")
        app.look()
        await pilot.press("3", "end", "up", "enter")
        await until(pilot, lambda: isinstance(app.screen, CallScreen), "the inspector")
        await until(pilot, lambda: "+ after  /before" in screen_text(pilot), "the old result")
        assert "/after" not in screen_text(pilot)
        build(tmp_path, "/after")
        await until(
            pilot,
            lambda: "infos[0].request.endpoint: /before → /after" in screen_text(pilot),
            "the new result",
        )
        await pilot.press("5", "enter")
        await until(pilot, lambda: "+ after  /after" in screen_text(pilot), "all of it")
        assert "Compared with call" in screen_text(pilot)


async def test_a_reload_shows_every_message_that_came_out_differently(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with author(tmp_path, monkeypatch, size=(120, 40)) as (engine, app, pilot):
        await pilot.press("o", "down", "enter")
        await until(pilot, lambda: isinstance(app.screen, WasmScreen), "the plugin's screen")
        done = engine.last_seq("wasm_result")
        build(tmp_path, "/after")
        await pilot.press("R")
        screen = app.screen
        assert isinstance(screen, WasmScreen)
        await until(pilot, lambda: screen.runs.row_count == done, "the repetitions")
        assert f"{done}, of which {done} differ" in screen_text(pilot)
        assert "/before → /after" in screen_text(pilot)


async def test_edited_bytes_and_cuts_are_run_by_the_real_plugin(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with author(tmp_path, monkeypatch, size=(80, 24)) as (engine, app, pilot):
        await pilot.press("up", "e")
        await until(pilot, lambda: isinstance(app.screen, RerunDialog), "the dialog")
        done = engine.last_seq("wasm_result")
        await pilot.press("delete", "delete", *"50", "tab", *"3,1", "enter")
        await until(pilot, lambda: isinstance(app.screen, CallScreen), "the inspector")
        runs = engine.since("wasm_result", done).records
        assert [run.get("payload") for run in runs] == ["504554", "50"]
        await until(pilot, lambda: "the same" in screen_text(pilot), "what came of it")


async def test_a_plugin_is_loaded_and_unloaded_while_the_console_runs(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with author(tmp_path, monkeypatch, size=(80, 24)) as (engine, app, pilot):
        other = build(tmp_path, "/other", "other")
        await pilot.press("l")
        await until(pilot, lambda: isinstance(app.screen, LoadWasmDialog), "the dialog")
        focused = app.focused
        assert focused is not None
        focused.post_message(events.Paste(str(other)))
        await pilot.pause()
        await pilot.press("enter")
        await until(pilot, lambda: "other" in text_of(app.main.panes[3].parts[1]), "the plugin")
        await pilot.press("o", "end", "u", "y")
        await until(pilot, lambda: "other" not in text_of(app.main.panes[3].parts[1]), "gone")
        assert [row.get("plugin") for row in engine.snapshot().tables["wasm_plugin"]] == ["mine"]
