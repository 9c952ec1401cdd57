"""Modules in the console: loaded, called, judged, and what became of them."""

from __future__ import annotations

from pathlib import Path

from engine.core.errors import ModuleLoadError
from tests.ui.driving import screen_text, until
from tests.ui.fake_engine import FakeEngine, record
from tests.ui.test_plugin_commands import closed, console, dialog_of, told, type_text
from tui.console.screens.plugin import PluginScreen
from tui.console.screens.verdict import VerdictScreen

DOCTOR = Path(__file__).parents[2] / "fixtures" / "modules" / "doctor.py"


def modular() -> FakeEngine:
    """An engine with a module that has been through something."""
    engine = FakeEngine()
    engine.emit(
        *(
            record("module_event", plugin="one", event=event, text=text, file=str(DOCTOR))
            for event, text in (("opened", "its body is about to run"), ("panicked", "boom"))
        ),
        record("module_event", plugin="another", event="opened", text="somebody else's"),
        record("kernel_event", comm="sh", pid=8, name="execve", module="one"),
        record("kernel_event", comm="cat", pid=9, name="execve"),
    )
    return engine


def have_module(engine: FakeEngine) -> None:
    engine.set_table(
        "plugin_state",
        [record("plugin_state", pid=7, plugin="one", state="running", plugin_kind="module")],
    )


async def test_a_module_is_loaded_with_what_is_to_be_done_with_it() -> None:
    engine = FakeEngine()
    async with console(engine, "m") as (app, pilot):
        await dialog_of(app, pilot)
        for text in (str(DOCTOR), "Doctor", "HealthCheck() error", "HealthCheck"):
            await type_text(pilot, text)
            await pilot.press("down")
        await pilot.press("enter")
        await closed(app, pilot)
        assert engine.calls == [
            ("load_module", str(DOCTOR), "Doctor", "HealthCheck() error", "HealthCheck", "")
        ]
        assert "module doctor is loaded" in told(app)


async def test_what_refuses_a_module_keeps_the_dialog_open_and_says_why() -> None:
    engine = FakeEngine()
    engine.refusal = ModuleLoadError("it is no module", fix="give another")
    async with console(engine, "m") as (app, pilot):
        await dialog_of(app, pilot)
        await type_text(pilot, str(DOCTOR))
        await pilot.press("enter")
        await until(pilot, lambda: "it is no module" in screen_text(pilot), "the refusal")


async def test_an_interface_that_is_none_is_said_at_its_field() -> None:
    async with console(FakeEngine(), "m") as (app, pilot):
        await dialog_of(app, pilot)
        for text in (str(DOCTOR), "Doctor", "HealthCheck"):
            await type_text(pilot, text)
            await pilot.press("down")
        await pilot.press("enter")
        await until(pilot, lambda: "ends where" in screen_text(pilot), "the complaint")


async def test_a_method_is_called_with_arguments() -> None:
    engine = modular()
    async with console(engine) as (app, pilot):
        have_module(engine)
        app.look_at_tables()
        await pilot.press("c")
        await dialog_of(app, pilot)
        await type_text(pilot, "Poke")
        await pilot.press("down")
        await type_text(pilot, '2, "hard"')
        await pilot.press("enter")
        await closed(app, pilot)
        assert engine.calls == [("call_module", "one", "Poke", "2", "hard")]


async def test_a_plugin_that_is_no_module_cannot_be_called() -> None:
    async with console(FakeEngine()) as (app, pilot):
        assert app.main.plugins.check_action("call_module", ()) is False
        await pilot.press("c")
        await pilot.pause()
        assert len(app.screen_stack) == 1


async def test_the_verdict_on_a_loaded_module_is_a_screen() -> None:
    engine = modular()
    async with console(engine, size=(120, 40)) as (app, pilot):
        have_module(engine)
        app.look_at_tables()
        await pilot.press("v")
        await dialog_of(app, pilot)
        await pilot.press("enter")
        await until(pilot, lambda: isinstance(app.screen, VerdictScreen), "the verdict")
        await until(pilot, lambda: "Python module" in screen_text(pilot), "what it is")
        assert "nothing of it was executed" in screen_text(pilot)
        await pilot.press("escape")
        assert not isinstance(app.screen, VerdictScreen)


async def test_its_screen_tells_its_life_and_what_it_did() -> None:
    engine = modular()
    async with console(engine, size=(150, 45)) as (app, pilot):
        have_module(engine)
        app.look_at_tables()
        await pilot.press("enter")
        await until(pilot, lambda: isinstance(app.screen, PluginScreen), "its screen")
        await until(pilot, lambda: "panicked" in screen_text(pilot), "its life")
        shown = screen_text(pilot)
        assert "Life" in shown
        assert "sh@one" in shown
        assert "somebody else's" not in shown
        assert "cat" not in shown


async def test_an_event_of_a_module_bears_its_name_in_the_stream() -> None:
    engine = modular()
    async with console(engine, "3", size=(120, 40)) as (app, pilot):
        app.look_at_streams()
        await until(pilot, lambda: "sh@one" in screen_text(pilot), "the name")
