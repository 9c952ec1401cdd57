"""What takes long is told in the header, and ended where the engine can end it."""

from __future__ import annotations

import asyncio
import threading
from pathlib import Path

import fixtures
from engine.core.progress import TaskFacts
from engine.recording.replay import ReplayEngine
from tests.ui.driving import screen_text, until
from tests.ui.fake_engine import FakeEngine
from tui.console.app import ConsoleApp
from tui.console.widgets.header import tasks_text

RECORDING = Path(fixtures.__file__).parent / "recordings" / "first-light.jsonl"


def test_only_what_takes_long_is_told_the_oldest_first() -> None:
    brief, first, second = TaskFacts(1, "a", 0.4), TaskFacts(2, "b", 9), TaskFacts(3, "c", 3)
    assert tasks_text([brief], 0) == ""
    assert tasks_text([brief, first, second], 0) == "◐ b 9 s +1"


def test_the_sign_turns() -> None:
    task = [TaskFacts(1, "compiling", 3, 1, 2)]
    assert [tasks_text(task, spun)[0] for spun in range(5)] == list("◐◓◑◒◐")
    assert tasks_text(task, 0)[1:] == " compiling 50% 3 s"


async def test_a_long_task_is_told_and_cancelled_by_a_key_or_the_palette() -> None:
    engine = FakeEngine()
    ended = threading.Event()
    app = ConsoleApp(engine)
    async with app.run_test(size=(120, 30)) as pilot:
        with engine.tasks.begin("compiling the kernel programs", ended.set):
            await until(pilot, lambda: "compiling the kernel programs" in screen_text(pilot))
            await until(pilot, lambda: "K Cancel" in screen_text(pilot), "the key")
            await pilot.press("H")
            await until(pilot, lambda: "compiling the kernel" in screen_text(pilot), "on a screen")
            await pilot.press("escape")
            await until(pilot, lambda: app.screen is app.main)
            offered = {command.title for command in app.commands_of(app.screen)}
            assert "Cancel compiling the kernel programs" in offered
            await pilot.press("K")
            await until(pilot, lambda: "Cancel compiling" in screen_text(pilot), "the question")
            await pilot.press("y")
            await until(pilot, ended.is_set, "its end")
            await until(pilot, lambda: "being cancelled" in screen_text(pilot))
        await until(pilot, lambda: "compiling" not in screen_text(pilot), "silence")
        assert "K Cancel" not in screen_text(pilot)


async def test_the_console_goes_on_while_a_replay_looks_something_up() -> None:
    """Whoever asked the engine now would have to wait; so nobody does, and keys still work."""
    engine = ReplayEngine(RECORDING, instant=True)
    release, entered = threading.Event(), threading.Event()

    def look_up() -> None:
        with engine.tasks.begin("looking up the moment"), engine._lock:
            entered.set()
            release.wait(20)

    app = ConsoleApp(engine)
    async with app.run_test(size=(120, 30)) as pilot:
        await until(pilot, lambda: app.main.history.newest_ns, "the past")
        lookup = asyncio.create_task(asyncio.to_thread(look_up))
        await until(pilot, entered.is_set)
        await until(pilot, lambda: "looking up the moment" in screen_text(pilot), "the header")
        await pilot.press("4")
        assert app.main.zoomed
        release.set()
        await lookup
        await until(pilot, lambda: "looking up" not in screen_text(pilot))
    engine.close()
