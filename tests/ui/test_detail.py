"""Enter on a row shows everything known about it."""

from __future__ import annotations

from tests.ui.driving import until
from tests.ui.fake_engine import FakeEngine, record
from tui.console.app import ConsoleApp
from tui.console.screens.detail import DetailScreen

UNOWNED = record("process", exe="/usr/bin/server", ports=[{"port": 80}], start=1)


EVENT = record("kernel_event", 5, "server", name="openat", fd_name="/etc/hosts")


async def test_enter_on_a_port_whose_owner_is_hidden_shows_what_is_known() -> None:
    engine = FakeEngine()
    engine.set_table("process", [UNOWNED])
    app = ConsoleApp(engine)
    async with app.run_test(size=(120, 40)) as pilot:
        await pilot.press("2")
        app.look_at_tables()
        await pilot.press("down", "enter")
        await until(pilot, lambda: isinstance(app.screen, DetailScreen))
        assert "/usr/bin/server" in shown_by(app)


async def test_enter_on_an_event_shows_its_hidden_fields_too() -> None:
    engine = FakeEngine()
    engine.emit(EVENT)
    app = ConsoleApp(engine)
    async with app.run_test(size=(120, 40)) as pilot:
        await pilot.press("3", "o")
        app.look()
        await pilot.press("up", "enter")
        await until(pilot, lambda: isinstance(app.screen, DetailScreen))
        assert "/etc/hosts" in shown_by(app)
        assert "fd_inode" in shown_by(app)


def shown_by(app: ConsoleApp) -> str:
    """The text of the screen on top."""
    return "\n".join(str(widget.render()) for widget in app.screen.query("Static"))
