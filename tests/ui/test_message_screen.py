"""The inspector of one message."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import pytest
from textual.pilot import Pilot

from tests.ui.driving import screen_text, text_of, until
from tests.ui.fake_engine import FakeEngine
from tests.ui.wasm_calls import call, message
from tui.console.app import ConsoleApp
from tui.console.screens.call import CallScreen
from tui.console.screens.message import MessageScreen

LARGE, SMALL = (160, 45), (80, 24)


@asynccontextmanager
async def inspecting(
    engine: FakeEngine, size: tuple[int, int] = LARGE, *keys: str
) -> AsyncIterator[tuple[ConsoleApp, MessageScreen, Pilot[None]]]:
    """The console with the inspector of the newest message on top."""
    app = ConsoleApp(engine)
    async with app.run_test(size=size) as pilot:
        await pilot.press("4")
        app.look()
        await pilot.press("up", *keys, "enter")
        await until(pilot, lambda: isinstance(app.screen, MessageScreen), "the inspector")
        screen = app.screen
        assert isinstance(screen, MessageScreen)
        await pilot.pause()
        yield app, screen, pilot


async def test_it_shows_both_ends_the_decision_the_difference_and_the_calls() -> None:
    engine = FakeEngine()
    engine.emit(
        call(),
        message(
            client_pid=11,
            client_comm="curl",
            server_pid=22,
            server_comm="nginx",
            attributes={"tenant": "acme"},
            request_bytes=28,
        ),
    )
    async with inspecting(engine) as (_app, screen, pilot):
        await until(pilot, lambda: screen.calls.row_count == 1, "the call")
        shown = screen_text(pilot)
        for evidence in (
            "message 1  HTTP  GET /a",
            "built-in+mine",
            "answered   request and response",
            "192.0.2.1:40000   curl/11",
            "192.0.2.2:80   nginx/22",
            "tenant          acme",
            "28 bytes client → server: http: yes",
            "- before /a",
            "+ after  /new",
            "on_http_req",
            "request.endpoint=/new",
        ):
            assert evidence in shown, evidence


@pytest.mark.parametrize(
    ("key", "evidence"),
    [("1", "built-in+mine"), ("2", "http: yes"), ("3", "+ after  /new"), ("4", "on_http_req")],
)
async def test_at_80x24_every_part_is_one_key_away(key: str, evidence: str) -> None:
    engine = FakeEngine()
    engine.emit(call(), message())
    async with inspecting(engine, SMALL) as (_app, screen, pilot):
        await pilot.press(key)
        await until(pilot, lambda: evidence in screen_text(pilot), evidence)
        assert f"[{key} " in text_of(screen.tabs)


async def test_encrypted_traffic_is_said_to_be_unreadable() -> None:
    engine = FakeEngine()
    engine.emit(message(protocol="TLS", request="ClientHello h.test", parsed_by="built-in"))
    async with inspecting(engine) as (_app, _screen, pilot):
        shown = screen_text(pilot)
        assert "✗ encrypted: the content cannot be read here" in shown
        assert "unreadable" in shown


async def test_a_message_no_plugin_saw_says_so_and_cannot_be_run_again() -> None:
    engine = FakeEngine()
    engine.emit(message())
    async with inspecting(engine) as (_app, _screen, pilot):
        await until(pilot, lambda: "no plugin changed it" in screen_text(pilot))
        assert "no plugin was called for it" in screen_text(pilot)
        await pilot.press("a", "e")
        await pilot.pause()
        assert engine.calls == []


async def test_a_call_made_for_it_opens_its_own_inspector() -> None:
    engine = FakeEngine()
    engine.emit(call(), message())
    async with inspecting(engine) as (app, screen, pilot):
        await until(pilot, lambda: screen.calls.row_count == 1, "the call")
        await pilot.press("4", "enter")
        await until(pilot, lambda: isinstance(app.screen, CallScreen), "the inspector")


async def test_again_runs_the_call_under_the_cursor() -> None:
    engine = FakeEngine()
    engine.emit(call(), call(export="on_http_resp", infos=[]), message())
    async with inspecting(engine) as (_app, screen, pilot):
        await until(pilot, lambda: screen.calls.row_count == 2, "the calls")
        await pilot.press("a")
        await until(pilot, lambda: engine.calls == [("rerun_payload", "1", "", "")])
        await until(pilot, lambda: isinstance(pilot.app.screen, CallScreen), "the inspector")
        await pilot.press("escape")
        await until(pilot, lambda: pilot.app.screen is screen, "back")
        await pilot.press("4", "end", "a")
        await until(pilot, lambda: engine.calls[1:] == [("rerun_payload", "2", "", "")])


async def test_n_and_p_go_through_the_messages() -> None:
    engine = FakeEngine()
    engine.emit(message(request="GET /1"), message(request="GET /2", flow=8), call())
    async with inspecting(engine) as (_app, screen, pilot):
        await pilot.press("p")
        await until(pilot, lambda: "GET /1" in screen_text(pilot), "the previous one")
        await until(pilot, lambda: screen.calls.row_count == 1, "its own call")
        await pilot.press("p")
        await until(pilot, lambda: "no earlier one is kept" in screen_text(pilot))
        await pilot.press("n")
        await until(pilot, lambda: "GET /2" in screen_text(pilot), "the next one")
        await until(pilot, lambda: screen.calls.row_count == 0, "it has none")
        await pilot.press("n")
        await until(pilot, lambda: "there is no newer one yet" in screen_text(pilot))
