"""The inspector of one call of a Wasm plugin."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import pytest
from textual.pilot import Pilot

from tests.ui.driving import screen_text, text_of, until
from tests.ui.fake_engine import FakeEngine
from tests.ui.wasm_calls import PAYLOAD, call, message, plugin, repetition
from tui.console.app import ConsoleApp
from tui.console.screens.call import CallScreen

LARGE, SMALL = (160, 45), (80, 24)


@asynccontextmanager
async def inspecting(
    engine: FakeEngine, size: tuple[int, int] = LARGE, *keys: str
) -> AsyncIterator[tuple[ConsoleApp, CallScreen, Pilot[None]]]:
    """The console with the inspector of the plugin's newest call on top."""
    engine.set_table("wasm_plugin", [plugin()])
    app = ConsoleApp(engine)
    async with app.run_test(size=size) as pilot:
        await pilot.press("4")
        app.look()
        await pilot.press("o", "down", "enter", "3")
        app.look()
        await pilot.press("up", *keys, "enter")
        await until(pilot, lambda: isinstance(app.screen, CallScreen), "the inspector")
        screen = app.screen
        assert isinstance(screen, CallScreen)
        await pilot.pause()
        yield app, screen, pilot


async def test_call_result_output_payload_and_runs_are_in_view_where_there_is_room() -> None:
    engine = FakeEngine()
    engine.emit(call(), message())
    engine.keep_frame(1, PAYLOAD)
    async with inspecting(engine) as (_app, _screen, pilot):
        await until(pilot, lambda: "http: yes" in screen_text(pilot), "the decision")
        shown = screen_text(pilot)
        for evidence in (
            "call 1 of mine  on_http_req  result",
            "stopped the chain with a result",
            "28 bytes client → server: http: yes",
            "Decoded, dialect g5",
            "- before /a",
            "+ after  /new",
            "info: hello",
            "printed",
            "vm_read_payload(0x10, 64) = 28",
            "000000  47 45 54 20 2f 61 20 48  54 54 50 2f 31 2e 31 0d  GET /a HTTP/1.1.",
            "not repeated yet",
        ):
            assert evidence in shown, evidence


@pytest.mark.parametrize(
    ("key", "evidence"),
    [
        ("1", "stopped the chain"),
        ("2", "Decoded, dialect g5"),
        ("3", "info: hello"),
        ("4", "GET /a HTTP/1.1."),
        ("5", "not repeated yet"),
    ],
)
async def test_at_80x24_every_part_is_one_key_away(key: str, evidence: str) -> None:
    engine = FakeEngine()
    engine.emit(call())
    engine.keep_frame(1, PAYLOAD)
    async with inspecting(engine, SMALL) as (_app, screen, pilot):
        await pilot.press(key)
        await until(pilot, lambda: evidence in screen_text(pilot), evidence)
        assert f"[{key} " in text_of(screen.tabs)
        assert [part.display for part in screen.parts].count(True) == 1


async def test_a_payload_longer_than_its_record_holds_is_shown_in_full() -> None:
    engine = FakeEngine()
    engine.emit(call())
    engine.keep_frame(1, bytes(8_000) + b"the end")
    async with inspecting(engine) as (_app, _screen, pilot):
        await pilot.press("4", "end")
        await until(pilot, lambda: "the end" in screen_text(pilot), "the last bytes")


async def test_a_payload_the_engine_does_not_keep_is_taken_from_its_record() -> None:
    engine = FakeEngine()
    engine.emit(call())
    async with inspecting(engine) as (_app, _screen, pilot):
        assert "GET /a HTTP/1.1." in screen_text(pilot)


async def test_repetitions_appear_while_one_looks() -> None:
    engine = FakeEngine()
    engine.emit(call(), call())
    async with inspecting(engine) as (app, _screen, pilot):
        engine.emit(repetition(2), repetition(1), repetition(2, after=""))
        app.look_at_streams()
        await until(pilot, lambda: "the same" in screen_text(pilot), "the repetitions")
        shown = screen_text(pilot)
        assert "1 differs: infos[0].request.endpoint: /new → /newer" in shown
        assert shown.count("1 differs") == 1, "the other one repeats another call"


async def test_a_repetition_opens_with_what_it_did_differently() -> None:
    engine = FakeEngine()
    engine.emit(call(), repetition(1))
    async with inspecting(engine, LARGE, "up") as (app, first, pilot):
        await until(pilot, lambda: first.runs.row_count == 1, "the repetition")
        await pilot.press("5", "enter")
        await until(pilot, lambda: app.screen is not first, "the repetition's own screen")
        await pilot.pause()
        shown = screen_text(pilot)
        assert "call 2 of mine  on_http_req  result  repeats call 1" in shown
        assert "Compared with call 1" in shown
        await pilot.press("escape")
        await until(pilot, lambda: app.screen is first, "back")


async def test_again_and_edit_run_this_call_and_go_to_the_runs() -> None:
    engine = FakeEngine()
    engine.emit(call())
    engine.repetitions = (repetition(1),)
    async with inspecting(engine, SMALL) as (app, screen, pilot):
        await pilot.press("a")
        await until(pilot, lambda: "1 differs" in screen_text(pilot), "the run")
        assert "[5 Run again]" in screen_text(pilot)
        assert app.screen is screen
        await pilot.press("e")
        await until(pilot, lambda: "Payload, in hex" in screen_text(pilot), "the dialog")
        await pilot.press("enter")
        await until(pilot, lambda: screen.runs.row_count == 2, "the other run")
        assert engine.calls == [("rerun_payload", "1", "", "")] * 2


async def test_n_and_p_go_through_the_calls_of_the_plugin() -> None:
    engine = FakeEngine()
    engine.emit(call(), call(plugin="other"), call(export="parse_payload"), repetition(1))
    async with inspecting(engine) as (_app, screen, pilot):
        assert screen.call.seq == 4
        await pilot.press("p")
        await until(pilot, lambda: "call 3 of mine  parse_payload" in screen_text(pilot))
        await pilot.press("p")
        await until(pilot, lambda: "call 1 of mine" in screen_text(pilot))
        await until(pilot, lambda: screen.runs.row_count == 1, "its own repetition")
        await pilot.press("p")
        await until(pilot, lambda: "no earlier one is kept" in screen_text(pilot))
        await pilot.press("n", "n")
        await until(pilot, lambda: "call 4 of mine" in screen_text(pilot))
        await until(pilot, lambda: screen.runs.row_count == 0, "nothing repeats that one")
        await pilot.press("n")
        await until(pilot, lambda: "there is no newer one yet" in screen_text(pilot))


async def test_it_stays_on_its_call_while_others_are_made() -> None:
    engine = FakeEngine(capacity=10)
    engine.emit(call(export="check_payload"))
    async with inspecting(engine) as (app, screen, pilot):
        engine.emit(*(call() for _ in range(100)))
        app.look()
        await pilot.pause()
        assert screen.call.seq == 1
        assert "check_payload" in screen_text(pilot)
