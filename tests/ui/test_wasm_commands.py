"""Loading, reloading and unloading Wasm plugins, and running their calls again."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest
from textual import events
from textual.pilot import Pilot

from engine.core.errors import WasmError
from tests.ui.driving import screen_text, until
from tests.ui.fake_engine import FakeEngine
from tests.ui.wasm_calls import PAYLOAD, call, message, plugin, repetition
from tui.console.app import ConsoleApp
from tui.console.screens.call import CallScreen
from tui.console.screens.dialog import Dialog
from tui.console.screens.rerun import RerunDialog
from tui.console.widgets.entry import Entry
from tui.console.widgets.hexarea import HexEntry


@asynccontextmanager
async def console(
    engine: FakeEngine, *keys: str, size: tuple[int, int] = (80, 24)
) -> AsyncIterator[tuple[ConsoleApp, Pilot[None]]]:
    """The console in the traffic pane, with two plugins and a message, after some keys."""
    engine.set_table("wasm_plugin", [plugin(), plugin(plugin="other")])
    engine.emit(call(), message())
    engine.keep_frame(1, PAYLOAD)
    app = ConsoleApp(engine)
    async with app.run_test(size=size) as pilot:
        await pilot.press("4")
        app.look()
        await pilot.press(*keys)
        yield app, pilot


async def dialog_of(app: ConsoleApp, pilot: Pilot[None]) -> Dialog[object]:
    """The dialog on top, once it is there."""
    await until(pilot, lambda: isinstance(app.screen, Dialog), "the dialog")
    dialog = app.screen
    assert isinstance(dialog, Dialog)
    await pilot.pause()
    return dialog


async def paste(pilot: Pilot[None], text: str) -> None:
    """Paste text into the field that has the focus."""
    focused = pilot.app.focused
    assert focused is not None
    focused.post_message(events.Paste(text))
    await pilot.pause()


def told(app: ConsoleApp) -> str:
    """What the console has reported."""
    return "\n".join(notification.message for notification in app._notifications)


# Load, reload, unload.


async def test_load_asks_for_a_path_and_loads(tmp_path: Path) -> None:
    path = tmp_path / "new.wasm"
    path.write_bytes(b"\0asm")
    engine = FakeEngine()
    async with console(engine, "l") as (app, pilot):
        await dialog_of(app, pilot)
        await paste(pilot, str(path))
        await pilot.press("enter")
        await until(pilot, lambda: "Wasm plugin new is loaded" in told(app), "the report")
        assert engine.calls == [("load_wasm", str(path))]
        assert app.screen is app.main


@pytest.mark.parametrize(
    ("path", "problem"),
    [("", "a path is needed"), ("/nowhere", "there is no such file"), ("/tmp", "is a directory")],
)
async def test_load_says_what_is_wrong_with_the_path(path: str, problem: str) -> None:
    engine = FakeEngine()
    async with console(engine, "l") as (app, pilot):
        dialog = await dialog_of(app, pilot)
        await paste(pilot, path)
        await pilot.press("enter")
        await until(pilot, lambda: problem in dialog.entries[0].problem, problem)
        assert engine.calls == []


async def test_a_plugin_that_is_refused_leaves_the_dialog_open_and_says_why(
    tmp_path: Path,
) -> None:
    path = tmp_path / "bad.wasm"
    path.write_bytes(b"")
    engine = FakeEngine()
    engine.refusal = WasmError("unknown import [/red]random_get", fix="use TinyGo 0.32")
    async with console(engine, "l") as (app, pilot):
        dialog = await dialog_of(app, pilot)
        await paste(pilot, str(path))
        await pilot.press("enter")
        await until(pilot, lambda: dialog.refusal.display, "the refusal")
        await pilot.pause()
        assert "✗ unknown import [/red]random_get" in screen_text(pilot)
        assert "use TinyGo 0.32" in screen_text(pilot)


async def test_reload_tells_how_many_messages_came_out_differently() -> None:
    engine = FakeEngine()
    engine.repetitions = (repetition(1), repetition(1, after=""))
    async with console(engine, "o", "down", "R") as (app, pilot):
        await until(pilot, lambda: "is loaded again" in told(app), "the report")
        assert engine.calls == [("reload_wasm", "mine")]
        assert "2 messages offered again, 1 with another result" in told(app)


async def test_unload_asks_first() -> None:
    engine = FakeEngine()
    async with console(engine, "o", "down", "down", "u") as (app, pilot):
        await dialog_of(app, pilot)
        assert "Unload other?" in screen_text(pilot)
        await pilot.press("y")
        await until(pilot, lambda: engine.calls == [("unload_wasm", "other")], "the command")


async def test_unload_can_be_thought_better_of() -> None:
    engine = FakeEngine()
    async with console(engine, "o", "down", "u") as (app, pilot):
        await dialog_of(app, pilot)
        await pilot.press("n")
        await until(pilot, lambda: app.screen is app.main)
        assert engine.calls == []


@pytest.mark.parametrize(
    ("key", "what"),
    [("R", "Wasm plugin"), ("u", "Wasm plugin"), ("a", "message"), ("e", "message")],
)
async def test_without_a_selection_the_keys_say_what_to_do(key: str, what: str) -> None:
    async with console(FakeEngine(), key) as (app, pilot):
        await until(pilot, lambda: f"no {what} is selected" in told(app), "the complaint")
        assert "arrow keys" in told(app)


@pytest.mark.parametrize("keys", [("l",), ("o", "down", "R"), ("up", "a"), ("up", "e")])
async def test_a_recording_refuses_them(keys: tuple[str, ...]) -> None:
    engine = FakeEngine()
    engine.relabel("replay some.jsonl")
    async with console(engine, *keys) as (app, pilot):
        await until(pilot, lambda: "a recording has no Wasm plugins" in told(app), "the refusal")
        assert engine.calls == []


# Run again.


async def test_again_repeats_the_call_of_the_selected_message_and_shows_what_came() -> None:
    engine = FakeEngine()
    engine.repetitions = (repetition(1),)
    async with console(engine, "up", "a") as (app, pilot):
        await until(pilot, lambda: isinstance(app.screen, CallScreen), "the inspector")
        assert engine.calls == [("rerun_payload", "1", "", "")]
        shown = "infos[0].request.endpoint: /new → /newer"
        await until(pilot, lambda: shown in told(app), "the report")
        await until(pilot, lambda: "1 differs" in screen_text(pilot), "the run")


async def test_a_message_no_plugin_was_called_for_cannot_be_run_again() -> None:
    engine = FakeEngine()
    async with console(engine) as (app, pilot):
        engine.emit(message(flow=9))
        app.look()
        await pilot.press("up", "a")
        await until(pilot, lambda: "no call of a Wasm plugin is kept" in told(app))
        assert engine.calls == []


async def test_a_refused_run_is_told() -> None:
    engine = FakeEngine()
    engine.refusal = WasmError("call 1 is not kept", fix="choose a newer one")
    async with console(engine, "up", "a") as (app, pilot):
        await until(pilot, lambda: "call 1 is not kept" in told(app))
        assert app.screen is app.main


async def edited(engine: FakeEngine, app: ConsoleApp, pilot: Pilot[None]) -> HexEntry:
    """The bytes in the dialog."""
    dialog = await dialog_of(app, pilot)
    assert isinstance(dialog, RerunDialog)
    area = dialog.entries[0]
    assert isinstance(area, HexEntry)
    assert app.focused is area.area
    return area


async def test_bytes_are_edited_and_run_by_keyboard_alone() -> None:
    engine = FakeEngine()
    engine.repetitions = (repetition(1),)
    async with console(engine, "up", "e") as (app, pilot):
        area = await edited(engine, app, pilot)
        await until(
            pilot, lambda: "28 bytes · byte 0 (0x0), from there: GET /a" in screen_text(pilot)
        )
        await pilot.press("delete", "delete", *"50")
        assert area.value.startswith("50 45 54 20")
        await until(pilot, lambda: "28 bytes · byte 1 (0x1)" in screen_text(pilot))
        await pilot.press("enter")
        await until(pilot, lambda: engine.calls, "the command")
        changed = (b"P" + PAYLOAD[1:]).hex()
        assert engine.calls == [("rerun_payload", "1", changed, "")]
        await until(pilot, lambda: isinstance(app.screen, CallScreen), "the inspector")


async def test_bytes_that_were_left_alone_are_the_messages_own() -> None:
    engine = FakeEngine()
    engine.repetitions = (repetition(1), repetition(1, after=""))
    async with console(engine, "up", "e") as (app, pilot):
        await edited(engine, app, pilot)
        await pilot.press("tab", *"4, 8", "enter")
        await until(pilot, lambda: engine.calls, "the command")
        assert engine.calls == [("rerun_payload", "1", "", "4 8")]
        text = "call 1 was run 2 times, 1 with another result"
        await until(pilot, lambda: text in told(app), "the report")


async def test_what_is_no_hex_is_told_at_once_and_nothing_is_run() -> None:
    engine = FakeEngine()
    async with console(engine, "up", "e") as (app, pilot):
        area = await edited(engine, app, pilot)
        await pilot.press("x")
        fault = "✗ line 1, column 1: 'x' is no hex digit"
        await until(pilot, lambda: fault in screen_text(pilot), "the fault")
        await pilot.press("end", "enter")
        await until(pilot, lambda: "'x' is no hex digit" in area.problem, "the refusal")
        assert area.area.cursor_location == (0, 0)
        assert engine.calls == []
        await pilot.press("delete")
        await until(pilot, lambda: "28 bytes" in screen_text(pilot), "it is mended")


async def test_a_cut_beyond_the_end_is_refused() -> None:
    engine = FakeEngine()
    async with console(engine, "up", "e") as (app, pilot):
        area = await edited(engine, app, pilot)
        await pilot.press("tab", *"29", "enter")
        dialog = app.screen
        assert isinstance(dialog, RerunDialog)
        cuts = dialog.entries[1]
        await until(pilot, lambda: "29 is more than the 28 bytes" in cuts.problem, "the refusal")
        assert isinstance(cuts, Entry)
        assert app.focused is cuts.input
        assert area.problem == ""
        assert engine.calls == []


async def test_what_is_pasted_into_the_bytes_cannot_reach_the_terminal() -> None:
    engine = FakeEngine()
    async with console(engine, "up", "e") as (app, pilot):
        area = await edited(engine, app, pilot)
        await paste(pilot, "\x1b]0;title\x07\u202e[/red]")
        assert "␛]0;title␇\\u202e[/red]" in area.value
        assert "\x1b" not in screen_text(pilot)


async def test_a_payload_the_engine_does_not_keep_any_more_is_taken_from_its_record() -> None:
    engine = FakeEngine()
    async with console(engine) as (app, pilot):
        engine.keep_frame(1, None)
        await pilot.press("up", "e")
        area = await edited(engine, app, pilot)
        assert area.value.startswith("47 45 54 20")
