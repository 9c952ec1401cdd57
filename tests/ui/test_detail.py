"""Enter on a row shows everything known about it."""

from __future__ import annotations

import pytest

from engine.core.records import Record
from tests.ui.driving import until
from tests.ui.fake_engine import FakeEngine, record
from tui.console.app import ConsoleApp
from tui.console.screens.detail import DetailScreen

OWNER = record("process", 5, "server", exe="/usr/bin/server", ports=[{"port": 80}], start=1)
PARSER = record("wasm_plugin", plugin="parser", state="loaded", path="/opt/parser.wasm")


@pytest.mark.parametrize(
    ("row", "keys", "evidence"),
    [
        (OWNER, ("2", "down", "enter"), "/usr/bin/server"),
        (PARSER, ("4", "o", "down", "enter"), "/opt/parser.wasm"),
    ],
)
async def test_every_table_opens_the_detail_of_its_rows(
    row: Record, keys: tuple[str, ...], evidence: str
) -> None:
    engine = FakeEngine()
    engine.set_table(row.kind, [row])
    app = ConsoleApp(engine)
    async with app.run_test(size=(120, 40)) as pilot:
        await pilot.press(keys[0])
        app.look_at_tables()
        await pilot.press(*keys[1:])
        await until(pilot, lambda: isinstance(app.screen, DetailScreen))
        assert evidence in shown_by(app)


async def test_the_detail_of_a_wasm_plugin_shows_its_last_results_only_its_own() -> None:
    engine = FakeEngine()
    engine.set_table("wasm_plugin", [PARSER])
    for plugin in ("parser", "other"):
        engine.emit(record("wasm_result", plugin=plugin, export=f"hook_of_{plugin}"))
    app = ConsoleApp(engine)
    async with app.run_test(size=(120, 40)) as pilot:
        await pilot.press("4", "o", "down", "enter")
        await until(pilot, lambda: isinstance(app.screen, DetailScreen))
        shown = shown_by(app)
        assert "hook_of_parser" in shown
        assert "hook_of_other" not in shown


def shown_by(app: ConsoleApp) -> str:
    """The text of the screen on top."""
    return "\n".join(str(widget.render()) for widget in app.screen.query("Static"))
