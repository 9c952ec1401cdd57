"""What is typed while a dialog or a screen opens is meant for it, never for what is below."""

from __future__ import annotations

from collections.abc import Sequence

import pytest
from textual import events
from textual.keys import _character_to_key

from engine.core.errors import ProcessGone
from tests.ui.driving import until
from tests.ui.fake_engine import FakeEngine, record
from tui.console import opening
from tui.console.app import ConsoleApp
from tui.console.screens.dialog import Dialog
from tui.console.screens.help import HelpScreen
from tui.console.screens.plugin import PluginScreen
from tui.console.screens.presets import PresetScreen


def type_at_once(app: ConsoleApp, keys: Sequence[str]) -> None:
    """Have keys come faster than anything can react, as over a slow line."""
    for key in keys:
        single = len(key) == 1
        app.post_message(
            events.Key(_character_to_key(key) if single else key, key if single else None)
        )


def values(app: ConsoleApp) -> list[str]:
    """What stands in the fields of the dialog on top."""
    assert isinstance(app.screen, Dialog)
    return [entry.value for entry in app.screen.entries]


async def test_keys_wait_for_what_they_are_meant_for() -> None:
    engine = FakeEngine()
    engine.set_cells(("syscall_exit-connect", "net", False), ("syscall_exit-read", "file", False))
    engine.set_table("plugin_state", [record("plugin_state", plugin="one", state="running")])
    engine.set_table("process", [record("process", pid=7, comm="x", start=1, ports=[])])
    app = ConsoleApp(engine)
    async with app.run_test(size=(120, 40)) as pilot:
        await until(pilot, lambda: engine.started.is_set(), "the engine")
        app.look_at_tables()

        # A path typed into a dialog; before, its 3 and t would have turned a switch, its q left.
        type_at_once(app, ["l", *"3tq/plugin", "tab", *"name"])
        await until(pilot, lambda: isinstance(app.screen, Dialog), "the dialog")
        await until(pilot, lambda: values(app)[1] == "name", "what was typed")
        assert values(app) == ["3tq/plugin", "name", ""]
        type_at_once(app, ["escape", "3"])
        await until(pilot, lambda: app.main.zoomed and app.main.active.number == 3, "pane 3")

        # A list that opens in a thread, and is left again: the keys behind are the pane's.
        type_at_once(app, ["p", "q", "2"])
        await until(pilot, lambda: app.main.active.number == 2, "pane 2")
        assert not isinstance(app.screen, PresetScreen)
        assert engine.calls == []

        # What is refused opens nothing; what follows acts where one still is.
        engine.refusal = ProcessGone("process 7 is gone")
        type_at_once(app, ["down", "w", "1"])
        await until(pilot, lambda: app.main.active.number == 1, "pane 1")
        assert engine.calls == [("explain", "7")]
        engine.refusal = None

        # A screen, and another over it; q closes each of them and leaves nothing else.
        type_at_once(app, ["down", "enter", "?", "q", "o", "q", "4"])
        await until(pilot, lambda: app.main.active.number == 4, "pane 4")
        assert not isinstance(app.screen, (PluginScreen, HelpScreen))
        assert app.is_running


async def test_keys_are_not_held_for_ever(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(opening, "LONGEST_S", 0.05)
    app = ConsoleApp(FakeEngine())
    async with app.run_test(size=(120, 40)) as pilot:
        app.expect()
        type_at_once(app, ["4"])
        await until(pilot, lambda: app.main.active.number == 4, "the key after all")
