"""The traffic pane: a row for each message, a row for each Wasm plugin."""

from __future__ import annotations

import pytest

from engine.core.fields import JsonValue
from tests.ui.driving import screen_text, until
from tests.ui.fake_engine import FakeEngine
from tests.ui.wasm_calls import message, plugin
from tui.console.app import ConsoleApp
from tui.console.traffic_text import ends_text

BOTH: dict[str, JsonValue] = {
    "client_pid": 11,
    "client_comm": "curl",
    "server_pid": 22,
    "server_comm": "nginx",
}


@pytest.mark.parametrize(
    ("values", "shown"),
    [
        (BOTH, "curl/11 → nginx/22:80"),
        ({"server_pid": 22, "server_comm": "nginx"}, "192.0.2.1:40000 → nginx/22:80"),
        ({"client_comm": "curl"}, "curl:40000 → 192.0.2.2:80"),
        ({}, "192.0.2.1:40000 → 192.0.2.2:80"),
        ({**BOTH, "dst": "[2001:db8::1]:7"}, "curl/11 → nginx/22:7"),
        ({**BOTH, "src": None, "dst": None}, "curl/11 → nginx/22"),
        ({"client_comm": "[/red]\x1b"}, "[/red]␛:40000 → 192.0.2.2:80"),
    ],
)
def test_both_ends_are_named_as_far_as_known(values: dict[str, JsonValue], shown: str) -> None:
    assert ends_text(message(**values)) == shown


@pytest.mark.parametrize("size", [(80, 24), (120, 40), (200, 60)])
async def test_the_row_tells_who_parsed_what_with_which_result(size: tuple[int, int]) -> None:
    engine = FakeEngine()
    engine.emit(message(**BOTH))
    app = ConsoleApp(engine)
    async with app.run_test(size=size) as pilot:
        await pilot.press("4")
        app.look()
        await until(pilot, lambda: "GET /a" in screen_text(pilot), "the message")
        shown = screen_text(pilot)
        for evidence in ("HTTP", "built-in+mine", "200", "2.50ms"):
            assert evidence in shown
        assert ("curl/11 → nginx/22:80" in shown) is (size[0] >= 120)
        assert ("192.0.2.1:40000 → 192.0.2.2:80" in shown) is (size[0] >= 200)


@pytest.mark.parametrize("size", [(80, 24), (160, 45)])
async def test_encrypted_traffic_is_named_and_said_to_be_unreadable(size: tuple[int, int]) -> None:
    engine = FakeEngine()
    engine.emit(message(protocol="TLS", request="ClientHello h.test", parsed_by="built-in"))
    app = ConsoleApp(engine)
    async with app.run_test(size=size) as pilot:
        await pilot.press("4")
        app.look()
        await until(pilot, lambda: "ClientHello h.test" in screen_text(pilot), "the message")
        shown = screen_text(pilot)
        assert "TLS" in shown
        assert "unreadable here" in shown


@pytest.mark.parametrize(
    ("values", "evidence"),
    [
        ({}, ("● running", "12.0µs", "90.0µs", "65.5kB", "100ms")),
        ({"traps": 5, "renewed": 5}, ("↻ renewed 5",)),
        ({"poisoned": 5, "traps_left": 95}, ("! poisoned 5",)),
        ({"state": "failed", "error": "no memory is exported"}, ("✗ no memory is exported",)),
    ],
)
async def test_the_row_of_a_plugin_tells_its_state_and_figures_at_80x24(
    values: dict[str, JsonValue], evidence: tuple[str, ...]
) -> None:
    engine = FakeEngine()
    engine.set_table("wasm_plugin", [plugin(**values)])
    app = ConsoleApp(engine)
    async with app.run_test(size=(80, 24)) as pilot:
        await pilot.press("4")
        app.look()
        await until(pilot, lambda: evidence[0] in screen_text(pilot), evidence[0])
        assert all(each in screen_text(pilot) for each in evidence)


async def test_without_a_plugin_the_pane_says_how_to_load_one() -> None:
    app = ConsoleApp(FakeEngine())
    async with app.run_test(size=(80, 24)) as pilot:
        await pilot.press("4")
        app.look()
        await until(pilot, lambda: "press l to load one" in screen_text(pilot))
