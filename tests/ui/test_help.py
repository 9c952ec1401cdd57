"""Every key is explained, has an id, and is in the palette."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from textual.binding import Binding

from engine.core.kinds import KERNEL_EVENT
from tests.ui.driving import until
from tests.ui.fake_engine import FakeEngine
from tui.console.app import ConsoleApp
from tui.console.keys import (
    CONFIRM_KEYS,
    DIALOG_KEYS,
    KEYS,
    LIST_KEYS,
    MATRIX_KEYS,
    PART_KEYS,
    PATH_KEYS,
    PLUGIN_KEYS,
    PORT_KEYS,
    RECORD_KEYS,
    RECORDING_KEYS,
    REPLAY_KEYS,
    SECTIONS,
    STREAM_KEYS,
)
from tui.console.screens.detail import DetailScreen
from tui.console.screens.help import HelpScreen


def bindings() -> Iterator[Binding]:
    for _title, section in SECTIONS:
        yield from section
    for owner in (HelpScreen, DetailScreen):
        yield from (binding for binding in owner.BINDINGS if isinstance(binding, Binding))


def test_every_binding_has_an_id_of_its_own_a_name_and_an_explanation() -> None:
    ids = [binding.id for binding in bindings()]
    assert len(set(ids)) == len(ids)
    assert None not in ids
    assert all(binding.description and binding.tooltip for binding in bindings())


@pytest.mark.parametrize(
    "together",
    [
        (KEYS, RECORDING_KEYS, REPLAY_KEYS, PLUGIN_KEYS, LIST_KEYS),
        (KEYS, RECORDING_KEYS, REPLAY_KEYS, PORT_KEYS, LIST_KEYS),
        (KEYS, RECORDING_KEYS, REPLAY_KEYS, MATRIX_KEYS),
        (PART_KEYS, PLUGIN_KEYS, STREAM_KEYS, LIST_KEYS),
        (PART_KEYS, RECORD_KEYS),
        (DIALOG_KEYS, PATH_KEYS),
        (DIALOG_KEYS, CONFIRM_KEYS),
    ],
)
def test_no_key_means_two_things_in_one_place(together: tuple[tuple[Binding, ...], ...]) -> None:
    keys = [key for section in together for binding in section for key in binding.key.split(",")]
    twice = {key for key in keys if keys.count(key) > 1}
    assert twice <= {"escape"}, "escape closes the innermost thing that is open"


def test_letters_that_other_panes_use_are_left_to_them() -> None:
    keys = {key for binding in PLUGIN_KEYS for key in binding.key.split(",")}
    assert not keys & {"slash", "space", "f", "x", "s", "r", "t", "q", "0", "1", "2", "3", "4"}


async def test_the_help_names_every_key_and_every_field() -> None:
    app = ConsoleApp(FakeEngine())
    async with app.run_test(size=(120, 40)) as pilot:
        await pilot.press("question_mark")
        await until(pilot, lambda: isinstance(app.screen, HelpScreen))
        shown = "\n".join(str(widget.render()) for widget in app.screen.query("Static"))
        for _title, section in SECTIONS:
            assert all(binding.tooltip in shown for binding in section)
        assert all(f"{field.name} " in shown for field in KERNEL_EVENT.fields)
        assert all(field.help in shown for field in KERNEL_EVENT.fields)
        await pilot.press("escape")
        await until(pilot, lambda: app.screen is app.main)


async def test_the_palette_offers_what_the_keys_do_here() -> None:
    app = ConsoleApp(FakeEngine())
    async with app.run_test(size=(120, 40)) as pilot:
        await pilot.press("3")
        offered = {command.title for command in app.get_system_commands(app.screen)}
        assert {"Toggle", "Pause", "Help", "Quit", "Zoom Ports", "All panes", "Theme"} <= offered
        assert "Sort" not in offered, "there is no table in this pane"
        await pilot.press("2")
        offered = {command.title for command in app.get_system_commands(app.screen)}
        assert "Sort" in offered
        assert "Toggle" not in offered


async def test_the_palette_offers_what_can_be_done_to_plugins_in_their_pane_only() -> None:
    app = ConsoleApp(FakeEngine())
    async with app.run_test(size=(120, 40)) as pilot:
        wanted = {"Load", "Task", "Restart", "Unload"}
        assert wanted <= {command.title for command in app.get_system_commands(app.screen)}
        await pilot.press("2")
        assert not wanted & {command.title for command in app.get_system_commands(app.screen)}


async def test_a_command_of_the_palette_does_what_its_key_does() -> None:
    app = ConsoleApp(FakeEngine())
    async with app.run_test(size=(120, 40)) as pilot:
        await pilot.press("ctrl+p")
        await until(pilot, lambda: app.screen is not app.main)
        await pilot.press(*"Zoom Traffic")
        await pilot.pause()
        await pilot.press("enter", "enter")
        await until(pilot, lambda: app.screen is app.main and app.main.zoomed)
        assert app.main.active.number == 4


async def test_a_keymap_changes_a_key_by_its_id() -> None:
    app = ConsoleApp(FakeEngine())
    app.set_keymap({"pane.2": "p"})
    async with app.run_test(size=(120, 40)) as pilot:
        await pilot.press("p")
        assert app.main.active.number == 2
