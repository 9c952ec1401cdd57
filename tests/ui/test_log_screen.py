"""What the engine tells about itself has lists like everything else: found, filtered, opened."""

from __future__ import annotations

from engine.core.records import Record
from tests.ui.driving import screen_text, until
from tests.ui.fake_engine import FakeEngine, record
from tui.console.app import ConsoleApp
from tui.console.screens.detail import DetailScreen
from tui.console.screens.log import LogScreen, counters_text


def test_the_counters_of_a_source_are_one_word() -> None:
    stats = record(
        "stats",
        sources={
            "agent": {"seen": 12_345, "kept": 12_000, "dropped": {"a": 300, "b": 45}, "lag_ms": 4},
            "probe": {"seen": 0, "kept": 0, "dropped": {}},
            "[/red]\x1b": "hostile",
        },
    )
    assert counters_text(stats) == "agent 12.3k/12.0k/345 4.00ms  probe 0/0/0  [/red]␛ "
    assert counters_text(record("stats")) == ""


def opened(app: ConsoleApp) -> Record:
    """The record whose detail is on top."""
    assert isinstance(app.screen, DetailScreen)
    return app.screen.subject


async def test_the_log_and_the_latest_states_can_be_looked_through() -> None:
    engine = FakeEngine()
    engine.emit(
        record("log", source="probe", level="info", text="compiling"),
        record("log", source="wasm", level="error", text="[/red] refused"),
        record("stats", elapsed_s=1.0, sources={"agent": {"seen": 3, "kept": 2, "dropped": {}}}),
        record("probe_state", produced=77, read=77, dropped={}),
        record("traffic_state", flows=1, messages=55, protocols={"HTTP": 55}),
    )
    app = ConsoleApp(engine)
    async with app.run_test(size=(120, 40)) as pilot:
        await until(pilot, lambda: engine.started.is_set(), "the engine")
        await pilot.press("L")
        await until(pilot, lambda: "[/red] refused" in screen_text(pilot), "the log")
        screen = app.screen
        assert isinstance(screen, LogScreen)
        every = ("compiling", "agent 3/2/0", "77", "HTTP=55")
        await until(pilot, lambda: all(told in screen_text(pilot) for told in every), "the states")

        await pilot.press("slash", *"level == error", "enter")
        await until(pilot, lambda: screen.log_lines.row_count == 1, "the filter")
        await pilot.press("up", "y", "enter")
        await until(pilot, lambda: isinstance(app.screen, DetailScreen), "the detail")
        assert '"text":"[/red] refused"' in app.clipboard
        assert opened(app).kind == "log"
        await pilot.press("escape", "tab", "tab", "up", "enter")
        await until(pilot, lambda: isinstance(app.screen, DetailScreen), "another detail")
        assert opened(app).kind == "probe_state"
        await pilot.press("escape", "f")
        await until(pilot, lambda: all(each.following for each in screen.streams), "the newest")
