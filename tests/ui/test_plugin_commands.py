"""Loading, unloading and restarting plugins, and sending them tasks."""

from __future__ import annotations

import threading
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest
from textual.app import App
from textual.pilot import Pilot

from engine.core.errors import PluginError
from tests.ui.driving import screen_text, until
from tests.ui.fake_engine import FakeEngine, record
from tui.console.app import ConsoleApp
from tui.console.screens.dialog import Dialog
from tui.console.screens.plugin import PluginScreen
from tui.console.widgets.entry import Entry


@pytest.fixture
def executable(tmp_path: Path) -> Path:
    path = tmp_path / "my-plugin"
    path.write_text("#!/bin/sh\n")
    path.chmod(0o755)
    return path


@asynccontextmanager
async def console(
    engine: FakeEngine, *keys: str, size: tuple[int, int] = (80, 24)
) -> AsyncIterator[tuple[ConsoleApp, Pilot[None]]]:
    """The console with two plugins, after some keys."""
    engine.set_table(
        "plugin_state",
        [
            record("plugin_state", pid=7, plugin=name, state="running", pgid=7)
            for name in ("one", "two")
        ],
    )
    app = ConsoleApp(engine)
    async with app.run_test(size=size) as pilot:
        app.look_at_tables()
        await pilot.press(*keys)
        yield app, pilot


async def dialog_of(app: ConsoleApp, pilot: Pilot[None]) -> Dialog[object]:
    """The dialog on top, once it is there."""
    await until(pilot, lambda: isinstance(app.screen, Dialog), "the dialog")
    dialog = app.screen
    assert isinstance(dialog, Dialog)
    await pilot.pause()
    return dialog


async def closed(app: ConsoleApp, pilot: Pilot[None]) -> None:
    """Wait until no dialog is on top."""
    await until(pilot, lambda: not isinstance(app.screen, Dialog), "the end of the dialog")


async def type_text(pilot: Pilot[None], text: str) -> None:
    """Paste text into the field that has the focus, as a terminal does it."""
    from textual import events

    focused = pilot.app.focused
    assert focused is not None
    focused.post_message(events.Paste(text))
    await pilot.pause()


def told(app: App[None]) -> str:
    """What the console has reported."""
    return "\n".join(notification.message for notification in app._notifications)


def entry(dialog: Dialog[object], name: str) -> Entry:
    """A field of a dialog."""
    found = next(one for one in dialog.entries if one.name == name)
    assert isinstance(found, Entry)
    return found


# Load.


async def test_load_asks_for_path_name_and_detail_and_loads(executable: Path) -> None:
    engine = FakeEngine()
    async with console(engine, "l") as (app, pilot):
        dialog = await dialog_of(app, pilot)
        await type_text(pilot, str(executable))
        await pilot.press("down")
        await type_text(pilot, "mine")
        await pilot.press("down")
        await type_text(pilot, "{}")
        await pilot.press("enter")
        await closed(app, pilot)
        assert engine.calls == [("load_plugin", str(executable), "mine", "{}")]
        await until(pilot, lambda: "plugin mine is loaded" in told(app), "the report")
        assert app.screen is app.main
        assert dialog.entries[0].problem == ""


@pytest.mark.parametrize(
    ("path", "name", "field", "problem"),
    [
        ("", "", "path", "a path is needed"),
        ("/nowhere/at/all", "", "path", "there is no such file"),
        ("/tmp", "", "path", "this is a directory"),
        ("{executable}", "not a name", "name", "invalid plugin name 'not a name'"),
    ],
)
async def test_load_says_what_is_wrong_and_where(
    path: str, name: str, field: str, problem: str, executable: Path
) -> None:
    engine = FakeEngine()
    async with console(engine, "l") as (app, pilot):
        dialog = await dialog_of(app, pilot)
        await type_text(pilot, path.format(executable=executable))
        await pilot.press("down")
        await type_text(pilot, name)
        await pilot.press("enter")
        await until(pilot, lambda: problem in entry(dialog, field).problem, problem)
        assert f"✗ {problem}" in screen_text(pilot)
        assert app.focused is entry(dialog, field).input
        assert engine.calls == []
        await pilot.press("x")
        assert entry(dialog, field).problem == "", "it is being mended"


async def test_load_stays_open_when_the_engine_refuses(executable: Path) -> None:
    engine = FakeEngine()
    engine.refusal = PluginError("plugin x is [/red] running", fix="give it another name")
    async with console(engine, "l") as (app, pilot):
        await dialog_of(app, pilot)
        await type_text(pilot, str(executable))
        await pilot.press("enter")
        await until(pilot, lambda: "✗ plugin x is [/red] running" in screen_text(pilot), "why")
        assert "give it another name" in screen_text(pilot)
        engine.refusal = None
        await pilot.press("enter")
        await closed(app, pilot)
        assert len(engine.calls) == 2


async def test_tab_completes_the_path_then_goes_on(executable: Path) -> None:
    engine = FakeEngine()
    async with console(engine, "l") as (app, pilot):
        dialog = await dialog_of(app, pilot)
        path = entry(dialog, "path")
        await type_text(pilot, f"{executable.parent}/my")
        await until(pilot, lambda: "my-plugin*" in screen_text(pilot), "what fits")
        await pilot.press("tab")
        await until(pilot, lambda: path.value == str(executable), "the whole name")
        await pilot.press("tab")
        await until(pilot, lambda: app.focused is entry(dialog, "name").input, "the next field")
        await pilot.press("shift+tab")
        assert app.focused is path.input
        await pilot.press("backspace", "right")
        await until(pilot, lambda: path.value == str(executable), "right completes as well")
        await pilot.press("right", "right")
        assert app.focused is path.input, "and stays where it is"


async def test_what_is_pasted_into_a_field_cannot_disturb_the_screen() -> None:
    engine = FakeEngine()
    async with console(engine, "l") as (app, pilot):
        dialog = await dialog_of(app, pilot)
        await type_text(pilot, "\x1b]0;owned\x07[/red]\u202e")
        assert entry(dialog, "path").value == "␛]0;owned␇[/red]\\u202e"
        await until(pilot, lambda: "[/red]" in screen_text(pilot), "it is text")


@pytest.mark.parametrize("key", ["l", "T", "u"])
async def test_escape_leaves_every_dialog_and_changes_nothing(key: str) -> None:
    engine = FakeEngine()
    async with console(engine, "down", key) as (app, pilot):
        await dialog_of(app, pilot)
        await pilot.press("escape")
        await closed(app, pilot)
        assert app.screen is app.main
        assert engine.calls == []


# Unload and restart.


async def test_unload_says_what_will_happen_and_does_it_when_told_so() -> None:
    engine = FakeEngine()
    async with console(engine, "down", "down", "u") as (app, pilot):
        await dialog_of(app, pilot)
        shown = " ".join(screen_text(pilot).split())
        assert "Unload two?" in shown
        assert "SIGKILL" in shown
        assert "10 s" in shown
        await pilot.press("y")
        await closed(app, pilot)
        await until(pilot, lambda: engine.calls == [("unload_plugin", "two")], "the call")


@pytest.mark.parametrize("key", ["n", "escape", "enter"])
async def test_unload_does_nothing_unless_it_is_wanted(key: str) -> None:
    engine = FakeEngine()
    async with console(engine, "down", "u") as (app, pilot):
        await dialog_of(app, pilot)
        await pilot.press(key)
        await closed(app, pilot)
        assert engine.calls == []


async def test_the_buttons_are_reached_by_keyboard_and_by_mouse() -> None:
    engine = FakeEngine()
    async with console(engine, "down", "u") as (app, pilot):
        await dialog_of(app, pilot)
        await pilot.press("shift+tab", "enter")
        await closed(app, pilot)
        await until(pilot, lambda: len(engine.calls) == 1, "the call")
        await pilot.press("u")
        await dialog_of(app, pilot)
        await pilot.click("#cancel")
        await closed(app, pilot)
        assert len(engine.calls) == 1


async def test_restart_is_done_and_told() -> None:
    engine = FakeEngine()
    async with console(engine, "down", "R") as (app, pilot):
        await until(pilot, lambda: engine.calls == [("restart_plugin", "one")], "the call")
        await until(pilot, lambda: "stops, then starts again" in told(app), "the report")


async def test_a_refused_restart_says_why() -> None:
    engine = FakeEngine()
    engine.refusal = PluginError("plugin one is still being loaded", fix="wait until it runs")
    async with console(engine, "down", "R") as (app, pilot):
        await until(pilot, lambda: "still being loaded" in told(app), "why")


async def test_without_a_selection_the_console_asks_for_one() -> None:
    engine = FakeEngine()
    async with console(engine, "R") as (app, pilot):
        await until(pilot, lambda: "no plugin is selected" in told(app), "the hint")
        assert engine.calls == []


async def test_a_recording_cannot_be_acted_on() -> None:
    engine = FakeEngine()
    engine.relabel("replay first-light.jsonl")
    async with console(engine, "l") as (app, pilot):
        await until(pilot, lambda: "a recording has no plugins" in told(app), "why")
        assert app.screen is app.main


async def test_the_screen_goes_on_while_the_engine_is_slow() -> None:
    engine = SlowEngine()
    async with console(engine, "down", "R") as (app, pilot):
        await until(pilot, engine.entered.is_set, "the call")
        engine.pass_time(3_600)
        await until(pilot, lambda: "up 1:00:00" in screen_text(pilot), "the header")
        engine.leave.set()
        await until(pilot, lambda: "starts again" in told(app), "the report")


class SlowEngine(FakeEngine):
    """Takes its time to restart a plugin."""

    def __init__(self) -> None:
        super().__init__()
        self.entered, self.leave = threading.Event(), threading.Event()

    def restart_plugin(self, name: str) -> None:
        self.entered.set()
        assert self.leave.wait(10)


# Tasks.


async def test_a_task_is_sent_and_its_token_shown() -> None:
    engine = FakeEngine()
    async with console(engine, "down", "T") as (app, pilot):
        await dialog_of(app, pilot)
        await pilot.press("7", "0", "tab")
        await type_text(pilot, '{"rate": 5}')
        await pilot.press("enter")
        await closed(app, pilot)
        assert engine.calls == [("send_task", "one", "70", '{"rate": 5}')]
        report = "task 70 for one has the token token-1"
        await until(pilot, lambda: report in told(app), "the token")


async def test_what_becomes_of_a_task_is_in_the_row() -> None:
    engine = FakeEngine()
    async with console(engine) as (app, pilot):
        replied = record("plugin_state", plugin="one", state="running", last_task="7 -> ok")
        engine.set_table("plugin_state", [replied])
        app.look_at_tables()
        await until(pilot, lambda: "7 -> ok" in screen_text(pilot), "the reply")


async def test_the_last_task_of_each_plugin_is_remembered() -> None:
    engine = FakeEngine()
    async with console(engine, "down", "T") as (app, pilot):
        await dialog_of(app, pilot)
        await pilot.press("7", "tab", "x", "enter")
        await closed(app, pilot)
        await pilot.press("down", "T")
        other = await dialog_of(app, pilot)
        assert [field.value for field in other.entries] == ["", ""]
        await pilot.press("escape")
        await closed(app, pilot)
        await pilot.press("up", "T")
        again = await dialog_of(app, pilot)
        assert [field.value for field in again.entries] == ["7", "x"]


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("", "a whole number from -2147483648 to 2147483647 is needed"),
        ("seven", "'seven' is not a whole number"),
        ("2147483648", "'2147483648' is not a whole number from -2147483648 to 2147483647"),
    ],
)
async def test_a_task_type_is_a_number_of_32_bits(text: str, problem: str) -> None:
    engine = FakeEngine()
    async with console(engine, "down", "T") as (app, pilot):
        dialog = await dialog_of(app, pilot)
        await type_text(pilot, text)
        await pilot.press("enter")
        await until(pilot, lambda: problem in entry(dialog, "type").problem, problem)
        assert engine.calls == []


@pytest.mark.parametrize(
    ("key", "call"), [("R", "restart_plugin"), ("u", "unload_plugin"), ("T", "send_task")]
)
async def test_the_screen_of_a_plugin_acts_on_it_too(key: str, call: str) -> None:
    engine = FakeEngine()
    async with console(engine, "down", "down", "enter") as (app, pilot):
        await until(pilot, lambda: isinstance(app.screen, PluginScreen), "the screen")
        await pilot.press(key)
        if key != "R":
            await dialog_of(app, pilot)
            await pilot.press(*("y" if key == "u" else "1"), *([] if key == "u" else ["enter"]))
        await until(pilot, lambda: engine.calls, "the call")
        assert engine.calls[0][:2] == (call, "two")
        await until(pilot, lambda: isinstance(app.screen, PluginScreen), "back on the screen")
