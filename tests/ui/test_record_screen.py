"""The record inspector: both readings, the faults, the bytes, and the neighbours."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import pytest
from textual.pilot import Pilot

from engine.core.fields import JsonValue
from engine.core.records import Record
from tests.ui.driving import screen_text, until
from tests.ui.fake_engine import FakeEngine, record
from tui.console.app import ConsoleApp
from tui.console.screens.record import NOT_KEPT, RecordScreen, reading_content
from tui.console.widgets.frames import LARGEST, FrameStream
from tui.console.widgets.hexdump import PER_LINE, ascii_text, hex_text

BODY = b"\x08\xd9\x36\x10" + bytes(range(64, 96))


def sent(**values: JsonValue) -> Record:
    """A record of the plugin."""
    shown: dict[str, JsonValue] = {"plugin": "mine", "data_type": 7001, "timestamp": 0, **values}
    return record("plugin_record", pid=77, comm="mine", **shown)


@asynccontextmanager
async def inspecting(
    engine: FakeEngine, size: tuple[int, int] = (160, 45), *keys: str
) -> AsyncIterator[tuple[ConsoleApp, Pilot[None]]]:
    """The console with the inspector of the newest record on top."""
    app = ConsoleApp(engine)
    async with app.run_test(size=size) as pilot:
        app.look()
        await pilot.press("o", "up", *keys, "enter")
        await until(pilot, lambda: isinstance(app.screen, RecordScreen), "the inspector")
        await pilot.pause()
        yield app, pilot


async def test_it_shows_the_reading_beside_the_bytes() -> None:
    engine = FakeEngine()
    engine.emit(sent(timestamp=1_795_205_777, fields={"key": "value"}, faults=[], size=36))
    engine.keep_frame(1, BODY)
    async with inspecting(engine) as (_app, pilot):
        shown = screen_text(pilot)
        for evidence in (
            "record 1 of mine",
            "7001",
            "1795205777   2026-11-20 20:16:17 UTC",
            "key  value",
            "the same",
            "24 00 00 00  length 36, little-endian",
            "000000  08 d9 36 10 40 41 42 43  44 45 46 47 48 49 4a 4b  ..6.@ABCDEFGHIJK",
            "000020  5c 5d 5e 5f  ",
        ):
            assert evidence in shown


async def test_at_80x24_the_bytes_are_one_key_away_and_fit() -> None:
    engine = FakeEngine()
    engine.emit(sent())
    engine.keep_frame(1, BODY)
    async with inspecting(engine, (80, 24)) as (_app, pilot):
        assert "Read tolerantly" in screen_text(pilot)
        await pilot.press("2")
        await until(pilot, lambda: "46 47 48 49 4a 4b  ..6.@ABCDEFGHIJK" in screen_text(pilot))


def test_a_record_a_real_agent_misreads_says_how_and_why() -> None:
    shown = str(
        reading_content(sent(faults=["data_type_zero"], agent_reading="data_type 1795205777"))
    )
    assert "Read by a real agent\ndata_type 1795205777" in shown
    assert "✗ data_type_zero\n  it is left off the wire" in shown


def test_a_fault_nobody_has_explained_is_shown_all_the_same() -> None:
    shown = str(reading_content(sent(faults=["[/red]\x1b[31m"])))
    assert "✗ [/red]␛[31m" in shown


def test_a_record_that_could_not_be_read_at_all_has_no_values() -> None:
    shown = str(reading_content(sent(data_type=None, timestamp=None, fields={}, faults=["x"])))
    assert "data_type   -" in shown
    assert "fields      none" in shown


def test_thousands_of_fields_are_cut() -> None:
    shown = str(reading_content(sent(fields={f"f{number}": "v" for number in range(600)})))
    assert "f499" in shown
    assert "… 100 more, see the bytes" in shown
    assert "f500" not in shown


async def test_a_piece_that_is_no_record_shows_its_reason_and_its_bytes() -> None:
    engine = FakeEngine()
    engine.emit(
        record(
            "plugin_fault",
            plugin="mine",
            reason="over_long",
            length=9_000_000,
            bytes="40545389aabb",
            agent_reading="an agent takes it",
        )
    )
    engine.set_table("plugin_state", [record("plugin_state", plugin="mine", state="running")])
    app = ConsoleApp(engine)
    async with app.run_test(size=(160, 45)) as pilot:
        app.look()
        await pilot.press("down", "enter")
        await until(pilot, lambda: app.screen is not app.main, "the plugin")
        await pilot.press("4", "enter")
        await until(pilot, lambda: isinstance(app.screen, RecordScreen), "the inspector")
        shown = screen_text(pilot)
        for evidence in (
            "fault 1 of mine",
            "over_long",
            "9.00MB (9000000 B)",
            "skipped",
            "an agent takes it",
            "000000  40 54 53 89 aa bb",
        ):
            assert evidence in shown
        assert "little-endian" not in shown, "its prefix is among the bytes"


async def test_bytes_that_are_gone_are_said_to_be_gone() -> None:
    engine = FakeEngine()
    engine.emit(sent(fields={"key": "value"}))
    async with inspecting(engine) as (_app, pilot):
        assert NOT_KEPT in screen_text(pilot)
        assert "key  value" in screen_text(pilot)


async def test_the_bytes_of_what_is_in_view_outlive_those_the_engine_keeps() -> None:
    engine = FakeEngine()
    engine.emit(*(sent(fields={"number": str(number)}) for number in range(1, 101)))
    for seq in range(1, 101):
        engine.keep_frame(seq, BODY)
    app = ConsoleApp(engine)
    async with app.run_test(size=(160, 45)) as pilot:
        app.look()
        await pilot.press("o")
        await until(pilot, lambda: app.main.plugins.records.row_count == 100, "the records")
        for seq in range(1, 101):
            engine.keep_frame(seq, None)
        await pilot.press("up", "enter")
        await until(pilot, lambda: "..6.@ABC" in screen_text(pilot), "the bytes")
        assert "record 100 of mine" in screen_text(pilot)


async def test_long_frames_are_not_kept_on_the_screen_side() -> None:
    engine = FakeEngine()
    engine.emit(sent(size=LARGEST), sent(size=LARGEST + 1))
    engine.keep_frame(1, BODY)
    engine.keep_frame(2, BODY)
    app = ConsoleApp(engine)
    async with app.run_test(size=(160, 45)):
        app.look()
        records = app.main.plugins.records
        assert isinstance(records, FrameStream)
        assert records.frames == {1: BODY}


async def test_it_stays_on_its_record_while_others_arrive() -> None:
    engine = FakeEngine(capacity=10)
    engine.emit(sent(fields={"number": "first"}))
    engine.keep_frame(1, BODY)
    async with inspecting(engine) as (app, pilot):
        before = screen_text(pilot)
        engine.emit(*(sent(fields={"number": str(number)}) for number in range(100)))
        engine.keep_frame(1, None)
        app.look()
        await pilot.pause()
        assert screen_text(pilot) == before


async def test_n_and_p_go_through_the_records_of_the_plugin() -> None:
    engine = FakeEngine()
    engine.emit(sent(), record("plugin_record", plugin="other"), sent(), sent())
    for seq in (1, 3, 4):
        engine.keep_frame(seq, bytes([seq] * PER_LINE))
    async with inspecting(engine, (160, 45), "up") as (_app, pilot):
        assert "record 3 of mine" in screen_text(pilot)
        await pilot.press("p")
        await until(pilot, lambda: "record 1 of mine" in screen_text(pilot), "the previous one")
        assert "01 01 01" in screen_text(pilot)
        await pilot.press("p")
        await until(pilot, lambda: "no earlier one is kept" in screen_text(pilot))
        await pilot.press("n")
        await until(pilot, lambda: "record 3 of mine" in screen_text(pilot), "the next one")
        await pilot.press("n")
        await until(pilot, lambda: "record 4 of mine" in screen_text(pilot), "the last one")
        assert "04 04 04" in screen_text(pilot)
        await pilot.press("n")
        await until(pilot, lambda: "there is no newer one yet" in screen_text(pilot))


async def test_a_frame_of_megabytes_opens_at_once_and_scrolls_to_its_end() -> None:
    engine = FakeEngine()
    engine.emit(sent(size=8 << 20))
    engine.keep_frame(1, b"\0" * ((8 << 20) - 4) + b"last")
    async with inspecting(engine, (80, 24)) as (_app, pilot):
        await pilot.press("2", "end")
        await until(pilot, lambda: "7ffff0" in screen_text(pilot), "the last line")
        assert "............last" in screen_text(pilot)


@pytest.mark.parametrize("length", range(PER_LINE + 1))
def test_the_hex_of_any_number_of_bytes_is_as_wide_as_a_whole_line(length: int) -> None:
    chunk = bytes(range(0xF0, 0xF0 + length))
    assert len(hex_text(chunk)) == len(hex_text(bytes(PER_LINE)))
    assert bytes.fromhex(hex_text(chunk)) == chunk


def test_only_printable_ascii_is_shown_as_such() -> None:
    assert ascii_text(bytes(range(256))).strip(".") == "".join(map(chr, range(0x20, 0x7F))).strip(
        "."
    )
    assert len(ascii_text(bytes(range(256)))) == 256
