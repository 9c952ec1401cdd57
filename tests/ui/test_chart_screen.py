"""One figure drawn, chosen from all there are, on a live engine and in a replay."""

from __future__ import annotations

import re
from dataclasses import replace
from pathlib import Path

import fixtures
from engine.core.counters import Counters
from engine.core.source import SourceStatus
from engine.recording.replay import ReplayEngine
from tests.ui.driving import screen_text, until
from tests.ui.fake_engine import FakeEngine, record
from tui.console.app import ConsoleApp
from tui.console.figures import FigureId
from tui.console.palette import matches
from tui.console.screens.chart import NOTHING, ChartScreen

READ = re.compile(r"\d\d:\d\d:\d\d  100/s")
RECORDING = Path(fixtures.__file__).parent / "recordings" / "first-light.jsonl"


class Counting(FakeEngine):
    """A probe that loses some of its events."""

    def count_to(self, kept: int, lost: int) -> None:
        counters = Counters(kept + lost, kept, {"ring_full": lost}, 1.0)
        with self._lock:
            sources = {"probe": SourceStatus("probe", "running", counters=counters)}
            self._snapshot = replace(self._snapshot, sources=sources)


async def test_a_figure_is_chosen_read_and_left() -> None:
    engine = Counting()
    app = ConsoleApp(engine)
    async with app.run_test(size=(120, 40)) as pilot:
        await pilot.press("3", "H")
        await until(pilot, lambda: isinstance(app.screen, ChartScreen), "the chart")
        screen = app.screen
        assert isinstance(screen, ChartScreen)
        assert screen.figure == FigureId("source", "probe", "kept")
        for second in range(1, 6):
            engine.pass_time(1)
            engine.count_to(100 * second, 10 if second >= 3 else 0)
            app.look_at_tables()
        await until(pilot, lambda: "last 100/s" in screen_text(pilot), "the figure")
        assert "▼ losses in 1 of" in screen_text(pilot)

        await pilot.press("left", "left")
        await until(pilot, lambda: READ.search(screen_text(pilot)), "the cursor")
        await pilot.press("w")
        assert screen.window_s == 300
        await pilot.press("minus", "minus")
        assert screen.window_s == 60

        await pilot.press("slash", *"dropped ring")
        await until(pilot, lambda: screen.figures.row_count == 1, "the search")
        await pilot.press("enter", "down", "enter")
        await until(pilot, lambda: screen.figure.name == "dropped: ring_full", "another figure")
        assert screen.focused is screen.chart

        await pilot.press("escape")
        await until(pilot, lambda: app.screen is app.main)


async def test_the_chart_begins_with_what_is_selected_and_says_when_there_is_nothing() -> None:
    engine = FakeEngine()
    engine.set_table("plugin_state", [record("plugin_state", plugin="one", state="running")])
    app = ConsoleApp(engine)
    async with app.run_test(size=(60, 20)) as pilot:
        await until(pilot, lambda: app.main.plugins.table.row_count == 1)
        await pilot.press("H")
        await until(pilot, lambda: isinstance(app.screen, ChartScreen), "the chart")
        screen = app.screen
        assert isinstance(screen, ChartScreen)
        assert screen.figure == FigureId("plugin", "one", "records")
        await until(pilot, lambda: "nothing is known of it" in screen_text(pilot), "no figures")
        app.main.history.forget()
        await pilot.press("tab")
        app.look_at_tables()
        assert screen.figures.empty_text == NOTHING


async def test_a_replay_has_the_figures_of_where_it_is() -> None:
    engine = ReplayEngine(RECORDING, instant=True)
    app = ConsoleApp(engine)
    kept = FigureId("source", "probe", "kept")
    async with app.run_test(size=(80, 24)) as pilot:
        history = app.main.history
        await until(pilot, lambda: history.newest_ns and kept in history.figures, "the past")
        assert history.newest_ns <= engine.playhead.last_ns
        found = matches(app.commands_of(app.screen), "chart probe kept")
        assert found[0].command.title == "Chart source probe kept"
        await app.show_chart(kept)
        await until(pilot, lambda: "last " in screen_text(pilot).splitlines()[3], "the chart")
        screen = app.screen_stack[-1]
        assert isinstance(screen, ChartScreen)
        assert screen.figure == kept
    engine.close()
