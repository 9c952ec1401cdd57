"""Why a process is selected or not, asked in the ports pane."""

from __future__ import annotations

import os
import subprocess

import pytest
from textual.pilot import Pilot

from tests.ui.driving import until
from tests.ui.fake_engine import FakeEngine, record
from tui.console.app import ConsoleApp
from tui.console.screens.ports import PortsDialog
from tui.console.screens.why import WhyDialog, WhyScreen
from tui.console.widgets.entry import Entry


@pytest.fixture
def engine() -> FakeEngine:
    engine = FakeEngine()
    mine = record("process", os.getpid(), "python", ports=[{"port": 80, "proto": "tcp"}], start=1)
    engine.set_table("process", [mine])
    return engine


@pytest.fixture
def gone() -> int:
    """The pid of a process that has ended."""
    with subprocess.Popen(["true"]) as child:
        child.wait()
    return child.pid


async def ports_pane(pilot: Pilot[None], app: ConsoleApp) -> None:
    await pilot.press("2")
    app.look_at_tables()
    await until(pilot, lambda: app.main.active.number == 2)


def shown_by(app: ConsoleApp) -> str:
    return "\n".join(str(widget.render()) for widget in app.screen.query("Static"))


@pytest.mark.parametrize("size", [(80, 24), (160, 45)])
async def test_w_tells_why_the_selected_process_is_listed(
    engine: FakeEngine, size: tuple[int, int]
) -> None:
    app = ConsoleApp(engine)
    async with app.run_test(size=size) as pilot:
        await ports_pane(pilot, app)
        await pilot.press("down", "w")
        await until(pilot, lambda: isinstance(app.screen, WhyScreen))
        shown = shown_by(app)
        assert "not selected: --open-port: open_ports is" in shown
        assert "FAIL open_ports: expected 1, actual" in shown
        assert str(os.getppid()) in shown
        await pilot.press("escape")
        await until(pilot, lambda: app.screen is app.main)
    assert engine.calls == [("explain", str(os.getpid()))]


async def test_any_process_can_be_asked_about(engine: FakeEngine, gone: int) -> None:
    app = ConsoleApp(engine)
    async with app.run_test(size=(120, 40)) as pilot:
        await ports_pane(pilot, app)
        await pilot.press("W")
        await until(pilot, lambda: isinstance(app.screen, WhyDialog))
        dialog = app.screen
        assert isinstance(dialog, WhyDialog)
        entry = dialog.entries[0]
        assert isinstance(entry, Entry)
        pid = entry.input
        pid.value = " "
        await pilot.press("enter")
        await until(pilot, lambda: dialog.entries[0].problem)
        pid.value = str(gone)
        await pilot.press("enter")
        await until(pilot, lambda: dialog.refusal.display)
        assert f"there is no process {gone}" in str(dialog.refusal.render())
        pid.value = str(os.getppid())
        await pilot.press("enter")
        await until(pilot, lambda: isinstance(app.screen, WhyScreen))
        assert "open_ports: expected 1" in shown_by(app)


async def test_without_a_selected_process_w_says_what_to_do() -> None:
    app = ConsoleApp(FakeEngine())
    async with app.run_test(size=(120, 40)) as pilot:
        await ports_pane(pilot, app)
        await pilot.press("w")
        await until(pilot, lambda: list(app._notifications))
        (notice,) = app._notifications
        assert "no process is selected" in notice.message


async def test_other_ports_can_be_looked_for(engine: FakeEngine) -> None:
    app = ConsoleApp(engine)
    async with app.run_test(size=(120, 40)) as pilot:
        await ports_pane(pilot, app)
        await pilot.press("e")
        await until(pilot, lambda: isinstance(app.screen, PortsDialog))
        dialog = app.screen
        assert isinstance(dialog, PortsDialog)
        ports = dialog.entries[0]
        assert isinstance(ports, Entry)
        ports.input.value = "80-"
        await pilot.press("enter")
        await until(pilot, lambda: "invalid int enum" in ports.problem, "said there")
        assert ports.value == "80-", "what was typed is kept"
        ports.input.value = "80,443"
        await pilot.press("enter")
        await until(pilot, lambda: app.screen is app.main)
    assert engine.calls == [("set_ports", "80,443")]
