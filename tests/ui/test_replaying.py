"""A replay is held, gone through, sped up and searched by keys; the header tells where it is."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

from textual.pilot import Pilot

from engine.recording.replay import ReplayEngine
from tests.ui.driving import screen_text, until
from tests.ui.fake_engine import FakeEngine
from tests.ui.test_plugin_commands import told
from tests.unit.recording.test_replay import ManualClock
from tui.console.app import ConsoleApp
from tui.console.screens.seek import SeekDialog

RECORDING = Path(__file__).parents[2] / "fixtures" / "recordings" / "first-light.jsonl"


@asynccontextmanager
async def replayed() -> AsyncIterator[tuple[ConsoleApp, Pilot[None], ReplayEngine, ManualClock]]:
    """The console over a replay that goes on when the test says so."""
    clock = ManualClock()
    engine = ReplayEngine(RECORDING, clock=clock)
    app = ConsoleApp(engine)
    async with app.run_test(size=(160, 40)) as pilot:
        await until(pilot, lambda: not engine.playhead.held, "it plays")
        yield app, pilot, engine, clock
    engine.close()


def header(pilot: Pilot[None]) -> str:
    """The first line of the screen."""
    return screen_text(pilot).splitlines()[0]


async def test_space_holds_it_and_lets_it_go_on() -> None:
    async with replayed() as (_app, pilot, engine, clock):
        await until(pilot, lambda: "▶" in header(pilot), "it plays")
        clock.now_ns = 2_000_000_000
        await pilot.press("space")
        await until(pilot, lambda: "‖ held" in header(pilot), "it is held")
        clock.now_ns = 5_000_000_000
        facts = engine.playhead.facts()
        assert facts.now_ns == facts.first_ns + 2_000_000_000
        assert "0:00:02/" in header(pilot)
        await pilot.press("space")
        await until(pilot, lambda: "▶" in header(pilot), "it goes on")


async def test_its_speed_is_changed_and_told() -> None:
    async with replayed() as (_app, pilot, engine, _clock):
        await pilot.press("greater_than_sign", "greater_than_sign")
        await until(pilot, lambda: "×5" in header(pilot), "faster")
        await pilot.press(*["less_than_sign"] * 3)
        await until(pilot, lambda: "×0.5" in header(pilot), "slower")
        await pilot.press(*["less_than_sign"] * 20)
        assert engine.playhead.speed == 0.01


async def test_one_goes_to_a_moment_and_back() -> None:
    async with replayed() as (app, pilot, engine, _clock):
        for typed, seconds in (("+3s", 3), ("+1s", 1)):
            await pilot.press("colon")
            await until(pilot, lambda: isinstance(app.screen, SeekDialog) and app.focused, "dialog")
            await pilot.press(*typed, "enter")
            await until(pilot, lambda: app.screen is app.main, "back on the panes")
            facts = engine.playhead.facts()
            assert facts.now_ns == facts.first_ns + seconds * 1_000_000_000
        stream = app.main.events.stream
        last = engine.last_seq("kernel_event")
        await until(
            pilot,
            lambda: stream.row_count and stream.row_at(stream.row_count - 1).seq == last,
            "the stream has gone back, too",
        )


async def test_what_is_no_moment_is_said_in_the_dialog() -> None:
    async with replayed() as (app, pilot, _engine, _clock):
        await pilot.press("colon")
        await until(pilot, lambda: isinstance(app.screen, SeekDialog) and app.focused, "the dialog")
        await pilot.press(*"soon", "enter")
        await until(pilot, lambda: "is no moment" in screen_text(pilot), "what is wrong")


async def test_a_step_is_one_record_and_holds_it() -> None:
    async with replayed() as (_app, pilot, engine, _clock):
        before = engine.snapshot().wall_ns
        await pilot.press("full_stop")
        await until(pilot, lambda: engine.playhead.held, "it is held")
        assert engine.snapshot().wall_ns > before


async def test_the_next_problem_is_gone_to_and_told() -> None:
    async with replayed() as (app, pilot, engine, _clock):
        await pilot.press("exclamation_mark")
        await until(pilot, lambda: engine.playhead.held, "it is held")
        expected = ReplayEngine(RECORDING)
        found = expected.next_problem()
        expected.close()
        assert found
        await until(pilot, lambda: found in told(app), found)


async def test_the_keys_of_a_replay_and_of_recording_exclude_each_other() -> None:
    replay, record = {"Step", "Faster", "Go to", "Problem"}, {"Record", "Dump"}
    async with replayed() as (app, _pilot, _engine, _clock):
        offered = {command.title for command in app.get_system_commands(app.screen)}
        assert replay <= offered
        assert not record & offered
    live = ConsoleApp(FakeEngine())
    async with live.run_test(size=(120, 40)):
        offered = {command.title for command in live.get_system_commands(live.screen)}
        assert record <= offered
        assert not replay & offered
