"""Attaching the traffic capture of a process from the ports pane."""

from __future__ import annotations

import os

import pytest
from textual.pilot import Pilot

from engine.core.errors import RequirementError
from engine.core.fields import JsonValue
from tests.ui.driving import screen_text, until
from tests.ui.fake_engine import FakeEngine, record
from tui.console.app import ConsoleApp
from tui.console.panes.captures import attached_text, cost_text
from tui.console.screens.detail import DetailScreen
from tui.console.screens.why import WhyScreen

PORTS: JsonValue = ({"port": 8080, "proto": "tcp", "address": "127.0.0.1"},)


def process_table(
    engine: FakeEngine, *, attached: bool = False, pid: int | None = 42, **more: JsonValue
) -> None:
    """One process with a port."""
    engine.set_table(
        "process",
        [record("process", pid=pid, comm="web", ports=PORTS, attached=attached, start=1, **more)],
    )
    state = "attached" if attached else "detached"
    capture = record("capture_state", pid, "web", state=state, payloads=7, payload_bytes=900,
                     dropped=2, us_per_payload=12.5, cause="by hand", start=1)  # fmt: skip
    engine.set_table("capture_state", [capture])


async def press_in_ports(app: ConsoleApp, pilot: Pilot[None], *keys: str) -> None:
    app.look_at_tables()
    await pilot.press("2", *keys)


async def told(pilot: Pilot[None], app: ConsoleApp, text: str) -> None:
    await until(pilot, lambda: any(text in each.message for each in app._notifications), text)


@pytest.mark.parametrize(("attached", "command"), [(False, "attach"), (True, "detach")])
async def test_a_turns_the_capture_of_the_selected_process(attached: bool, command: str) -> None:
    engine = FakeEngine()
    process_table(engine, attached=attached)
    app = ConsoleApp(engine)
    async with app.run_test(size=(120, 30)) as pilot:
        await press_in_ports(app, pilot, "down", "a")
        await until(pilot, lambda: (command, "42") in engine.calls, "the command")


async def test_a_refusal_says_what_to_do() -> None:
    engine = FakeEngine()
    process_table(engine)
    engine.refusal = RequirementError("no traffic can be captured: not root", fix="run as root")
    app = ConsoleApp(engine)
    async with app.run_test(size=(120, 30)) as pilot:
        await press_in_ports(app, pilot, "down", "a")
        await told(pilot, app, "run as root")


async def test_without_a_process_nothing_is_asked_of_the_engine() -> None:
    engine = FakeEngine()
    app = ConsoleApp(engine)
    async with app.run_test(size=(120, 30)) as pilot:
        await press_in_ports(app, pilot, "a")
        await told(pilot, app, "no process is selected")
    assert not [call for call in engine.calls if call[0] in ("attach", "detach")]


@pytest.mark.parametrize("key", ["a", "w"])
async def test_a_port_whose_owner_is_hidden_is_named(key: str) -> None:
    engine = FakeEngine()
    process_table(engine, pid=None)
    app = ConsoleApp(engine)
    async with app.run_test(size=(120, 30)) as pilot:
        await press_in_ports(app, pilot, "down", key)
        await told(pilot, app, "the owner of port 8080 is not visible")
    assert not engine.calls


async def test_a_process_that_is_not_listed_is_attached_where_its_reasons_are_shown() -> None:
    engine = FakeEngine()
    app = ConsoleApp(engine)
    async with app.run_test(size=(120, 30)) as pilot:
        await press_in_ports(app, pilot, "W")
        await until(pilot, lambda: app.screen is not app.main)
        await pilot.press(*str(os.getpid()), "enter")
        await until(pilot, lambda: isinstance(app.screen, WhyScreen), "the reasons")
        await pilot.press("a")
        await until(pilot, lambda: ("attach", str(os.getpid())) in engine.calls, "the command")


async def test_enter_shows_what_the_capture_costs() -> None:
    engine = FakeEngine()
    process_table(engine, attached=True)
    app = ConsoleApp(engine)
    async with app.run_test(size=(120, 30)) as pilot:
        await press_in_ports(app, pilot, "down", "enter")
        await until(pilot, lambda: "Its traffic" in screen_text(pilot), "the process")
        await pilot.press("2", "down", "enter")
        await until(pilot, lambda: isinstance(app.screen, DetailScreen), "the detail")
        shown = "\n".join(str(widget.render()) for widget in app.screen.query("Static"))
        assert "attached" in shown
        await until(pilot, lambda: "capture" in screen_text(pilot), "what it belongs to")
        await pilot.press("3", "end", "enter")
        await until(pilot, lambda: "payload_bytes" in screen_text(pilot), "the capture itself")


@pytest.mark.parametrize(
    ("process", "capture", "mark", "cost"),
    [
        ({"attached": False}, None, "no", "-"),
        ({"attached": False}, {"payloads": 3, "payload_bytes": 9}, "no", "-"),
        ({"attached": True}, {"payloads": 0, "payload_bytes": 0, "dropped": 0}, "yes", "0 0B"),
        (
            {"attached": True},
            {"payloads": 12_345, "payload_bytes": 900, "dropped": 0, "us_per_payload": 12.5},
            "yes",
            "12.3k 900B 12.5µs",
        ),
        (
            {"attached": True},
            {"payloads": 3, "payload_bytes": 900, "dropped": 4, "us_per_payload": 12.5},
            "yes",
            "3 900B 4 lost 12.5µs",
        ),
        ({"attached": False, "capture_error": "not root"}, None, "✗", "-"),
    ],
)
def test_the_columns_tell_whether_and_at_what_cost(
    process: dict[str, JsonValue], capture: dict[str, JsonValue] | None, mark: str, cost: str
) -> None:
    row = record("process", 42, "web", ports=PORTS, **process)
    spent = capture and record("capture_state", 42, "web", **capture)
    assert (attached_text(row), cost_text(row, spent or None)) == (mark, cost)


def test_a_port_without_an_owner_has_no_capture() -> None:
    assert attached_text(record("process", ports=PORTS, attached=False)) == "-"


async def test_a_refusal_stands_on_the_row() -> None:
    engine = FakeEngine()
    process_table(engine, capture_error="no traffic can be captured: not root")
    app = ConsoleApp(engine)
    async with app.run_test(size=(120, 30)) as pilot:
        await press_in_ports(app, pilot)
        await until(pilot, lambda: "✗ no traffic can be captured: not root" in screen_text(pilot))


async def test_a_restart_of_a_captured_process_is_told() -> None:
    engine = FakeEngine()
    process_table(engine, attached=True)
    app = ConsoleApp(engine)
    async with app.run_test(size=(120, 30)) as pilot:
        app.look_at_tables()
        await pilot.pause()
        assert not app._notifications
        ended = record("capture_state", 42, "web", state="awaited", cause="by hand", start=1)
        engine.set_table("capture_state", [ended])
        app.look_at_tables()
        await told(pilot, app, "web/42 has ended; when it is started again")
        again = record("capture_state", 43, "web", state="attached", cause="in place of 42",
                       start=2)  # fmt: skip
        engine.set_table("capture_state", [ended, again])
        app.look_at_tables()
        await told(pilot, app, "web/43 is captured in place of 42")
        app.look_at_tables()
        assert len(app._notifications) == 2
