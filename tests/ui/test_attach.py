"""Attaching the traffic capture of a process from the ports pane."""

from __future__ import annotations

import pytest

from engine.core.errors import RequirementError
from tests.ui.driving import until
from tests.ui.fake_engine import FakeEngine, record
from tui.console.app import ConsoleApp


def process_table(engine: FakeEngine, *, attached: bool) -> None:
    """One process with a port."""
    ports = ({"port": 8080, "proto": "tcp", "address": "127.0.0.1"},)
    engine.set_table(
        "process",
        [record("process", pid=42, comm="web", ports=ports, attached=attached, start=1)],
    )


@pytest.mark.parametrize(("attached", "command"), [(False, "attach"), (True, "detach")])
async def test_a_turns_the_capture_of_the_selected_process(attached: bool, command: str) -> None:
    engine = FakeEngine()
    process_table(engine, attached=attached)
    app = ConsoleApp(engine)
    async with app.run_test(size=(120, 30)) as pilot:
        app.look_at_tables()
        await pilot.press("2", "down", "a")
        await until(pilot, lambda: (command, "42") in engine.calls, "the command")


async def test_a_refusal_says_what_to_do() -> None:
    engine = FakeEngine()
    process_table(engine, attached=False)
    engine.refusal = RequirementError("no traffic can be captured: not root", fix="run as root")
    app = ConsoleApp(engine)
    async with app.run_test(size=(120, 30)) as pilot:
        app.look_at_tables()
        await pilot.press("2", "down", "a")
        await until(
            pilot,
            lambda: any("run as root" in one.message for one in app._notifications),
            "the refusal",
        )


async def test_without_a_process_nothing_is_asked_of_the_engine() -> None:
    engine = FakeEngine()
    app = ConsoleApp(engine)
    async with app.run_test(size=(120, 30)) as pilot:
        app.look_at_tables()
        await pilot.press("2", "a")
        await until(
            pilot,
            lambda: any("no process is selected" in one.message for one in app._notifications),
            "the refusal",
        )
    assert not [call for call in engine.calls if call[0] in ("attach", "detach")]
