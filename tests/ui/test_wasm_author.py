"""The author's loop on the screen: build a plugin again, and see its new result."""

from __future__ import annotations

from pathlib import Path

import pytest

import fixtures
from engine.core.settings import Settings
from engine.live import LiveEngine, Selection
from tests.ui.driving import until
from tests.ui.test_detail import shown_by
from tests.unit.wasm import wat
from tests.unit.wasm.calls import one_info
from tui.console.app import ConsoleApp
from tui.console.screens.detail import DetailScreen

CAPTURE = Path(fixtures.__file__).parent / "captures" / "http.pcap"


def build(folder: Path, endpoint: str) -> Path:
    """A plugin that gives every request this endpoint."""
    result = one_info(req={"endpoint": endpoint})
    stop = wat.send_result(result) + wat.STOP
    wasm = wat.plugin(hooks=wat.HTTP_REQUEST, result=result, request=stop)
    return wat.save(folder, wasm, "mine")


async def test_a_rebuilt_plugin_shows_its_new_result_for_the_same_messages(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    path = build(tmp_path, "/before")
    mode = frozenset({"watch"})
    selection = Selection(capture=CAPTURE, wasm=(path,), wasm_mode=mode)
    engine = LiveEngine(selection, Settings())
    app = ConsoleApp(engine)
    async with app.run_test(size=(160, 45)) as pilot:
        await until(pilot, lambda: engine.last_seq("wasm_result") > 0)
        await until(pilot, lambda: engine.snapshot().sources["traffic"].state == "off")
        await pilot.press("4")
        app.look_at_tables()
        await pilot.press("o", "down", "enter")
        await until(pilot, lambda: isinstance(app.screen, DetailScreen))
        assert "/before" in shown_by(app)
        assert "/after" not in shown_by(app)
        await pilot.press("escape")
        done = engine.last_seq("wasm_result")
        build(tmp_path, "/after")
        await until(pilot, lambda: engine.last_seq("wasm_result") > done)
        await pilot.press("enter")
        await until(pilot, lambda: isinstance(app.screen, DetailScreen))
        shown = shown_by(app)
        assert "/after" in shown
        assert "rerun_of=" in shown
        assert "infos[0].request.endpoint" in shown
    engine.stop()
