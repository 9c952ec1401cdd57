"""Every key is explained, has an id, and is in the palette."""

from __future__ import annotations

from engine.core.kinds import KERNEL_EVENT
from engine.core.settings import LoadedSettings, Settings
from tests.ui.driving import text_of, until
from tests.ui.fake_engine import FakeEngine
from tui.console.app import ConsoleApp
from tui.console.keymap import all_bindings, read_keymap
from tui.console.keys import LIST_KEYS, PLUGIN_KEYS, SECTIONS
from tui.console.options import ConsoleOptions
from tui.console.screens.help import HelpScreen, in_order_of_use


def test_every_binding_has_an_id_of_its_own_a_name_and_an_explanation() -> None:
    ids = [binding.id for _title, binding in all_bindings()]
    assert len(set(ids)) == len(ids)
    assert None not in ids
    assert all(binding.description and binding.tooltip for _title, binding in all_bindings())


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


def test_the_help_begins_with_where_one_is() -> None:
    here = {binding.id for binding in (*PLUGIN_KEYS, *LIST_KEYS)}
    titles = [title for title, _bindings in in_order_of_use(SECTIONS, here)]
    assert titles[:3] == ["Plugins", "In lists", "Keys"]
    assert len(titles) == len(SECTIONS)


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


async def test_a_key_of_the_settings_is_the_one_that_works_and_is_told_everywhere() -> None:
    keys = {"pane.2": "P", "pause": "f8", "help": "z"}
    keymap = read_keymap(LoadedSettings(Settings(keys=keys), {}))
    app = ConsoleApp(FakeEngine(), ConsoleOptions(keymap))
    async with app.run_test(size=(120, 40)) as pilot:
        await pilot.press("P")
        assert app.main.active.number == 2
        await pilot.press("2")
        await pilot.press("1")
        await pilot.press("2")
        assert app.main.active.number == 1, "the former key does nothing"
        await pilot.press("f8")
        assert app.main.active.paused
        await until(pilot, lambda: "f8 Pause" in text_of(app.main.keys), "the key line")
        offered = {command.title: command.help for command in app.get_system_commands(app.screen)}
        assert offered["Pause"].endswith("(f8)")
        assert offered["Zoom Ports"].endswith("(P)")
        await pilot.press("z")
        await until(pilot, lambda: isinstance(app.screen, HelpScreen), "the help")
        lines = [
            line.split(maxsplit=1)
            for widget in app.screen.query("Static")
            for line in str(widget.render()).splitlines()
        ]
        assert ["z", "Keys, columns and symbols"] in lines
        assert ["f8", "Hold this pane still, or let it go on"] in lines
