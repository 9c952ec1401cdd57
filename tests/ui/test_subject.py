"""One record, wherever it is shown, can be looked at, copied and written into a file."""

from __future__ import annotations

import json
import stat
from pathlib import Path

from textual.pilot import Pilot

from engine.recording.replay import ReplayEngine
from tests.ui.driving import screen_text, until
from tests.ui.fake_engine import NOW_NS, FakeEngine, record
from tests.ui.wasm_calls import call, message, plugin
from tui.console.app import ConsoleApp
from tui.console.screens.call import CallScreen
from tui.console.screens.detail import DetailScreen, GapScreen
from tui.console.screens.export import ALL, SELECTED, Exportable, ExportDialog
from tui.console.screens.message import MessageScreen
from tui.console.screens.process import ProcessScreen
from tui.console.widgets.entry import Entry
from tui.console.widgets.stream_rows import PULLED


def told(app: ConsoleApp) -> str:
    """What the newest notice says."""
    notices = list(app._notifications)
    return notices[-1].message if notices else ""


def entry(app: ConsoleApp, name: str) -> Entry:
    return next(one for one in app.screen.query(Entry) if one.name == name)


async def in_events(app: ConsoleApp, pilot: Pilot[None], rows: int) -> None:
    """Go to the stream of events, with the cursor on its last row."""
    await pilot.press("3", "o")
    app.look()
    await until(pilot, lambda: app.main.events.stream.row_count >= rows, "the events")
    await pilot.press("up")


async def test_a_row_is_copied_as_json_or_as_text_and_it_is_said_how_large_that_is() -> None:
    engine = FakeEngine()
    engine.emit_events(3)
    engine.emit(record("kernel_event", 5, "big", name="write", attributes={"data": "x" * 200_000}))
    app = ConsoleApp(engine)
    async with app.run_test(size=(120, 40)) as pilot:
        await in_events(app, pilot, 4)
        await pilot.press("y")
        await until(pilot, lambda: "copied kernel_event 4 as JSON, 200kB" in told(app), told(app))
        assert "some terminals take" in told(app)
        assert json.loads(app.clipboard)["attributes"] == {"data": "x" * 200_000}
        await pilot.press("up", "Y")
        await until(pilot, lambda: "copied kernel_event 3 as text" in told(app))
        assert "name=openat" in app.clipboard
        assert "\n" not in app.clipboard
        await pilot.press("F")
        await until(pilot, lambda: isinstance(app.screen, DetailScreen), "the detail")
        await pilot.press("n", "y")
        await until(pilot, lambda: "copied kernel_event 4 as JSON" in told(app), "of the detail")


async def test_the_rows_shown_or_the_selected_one_are_written_into_a_file(tmp_path: Path) -> None:
    path = tmp_path / "some.jsonl"
    engine = FakeEngine()
    engine.emit_events(20, comm="cat")
    engine.emit_events(5, comm="dog")
    app = ConsoleApp(engine)
    async with app.run_test(size=(80, 24)) as pilot:
        await in_events(app, pilot, 25)
        await pilot.press("slash", *'comm=="dog"', "enter")
        await until(pilot, lambda: app.main.events.stream.row_count == 5, "the filtered ones")
        await pilot.press("E")
        await until(pilot, lambda: isinstance(app.screen, ExportDialog), "the dialog")
        assert entry(app, "path").value.startswith("boxscope-kernel_event-")
        await until(pilot, lambda: "the 5 shown" in screen_text(pilot), "what there is")

        for value, problem in (
            ("", "a name for the file is needed"),
            (str(tmp_path), "no file that could be replaced"),
            (str(tmp_path / "none" / "x"), "there is no directory"),
        ):
            entry(app, "path").input.value = value
            entry(app, "rows").input.value = "both"
            await pilot.press("enter")
            await until(pilot, lambda: entry(app, "path").problem and entry(app, "rows").problem)
            assert problem in entry(app, "path").problem, "said under its field"
            assert "'both' means no record" in entry(app, "rows").problem
            assert entry(app, "rows").value == "both", "what was typed is kept"

        entry(app, "path").input.value = "/proc/nothing"
        entry(app, "rows").input.value = ALL
        await pilot.press("enter")
        await until(pilot, lambda: "cannot write /proc/nothing" in screen_text(pilot), "refused")
        entry(app, "path").input.value = str(path)
        await pilot.press("enter")
        await until(pilot, lambda: "5 records" in told(app), "that they are written")
        assert stat.S_IMODE(path.stat().st_mode) == 0o600

        await pilot.press("up", "E")
        await until(pilot, lambda: isinstance(app.screen, ExportDialog), "the dialog again")
        entry(app, "path").input.value = str(path)
        entry(app, "rows").input.value = SELECTED
        await pilot.press("enter")
        await until(
            pilot, lambda: "once more, and it is replaced" in entry(app, "path").problem, "asked"
        )
        replay = ReplayEngine(path, instant=True)
        replay.start()
        assert [each.comm for each in replay.since("kernel_event", 0).records] == ["dog"] * 5
        replay.close()
        await pilot.press("enter")
        await until(pilot, lambda: "1 records" in told(app), "that it is replaced")
    assert len(path.read_text().splitlines()) == 2


def test_what_can_be_exported_is_told_in_words() -> None:
    one, more = record("log", text="a"), [record("log", text="b")] * 2
    assert Exportable(None, more).about == "all: the 2 shown; none is selected"
    assert Exportable(one, ()).about == "selected: the one this screen is about"
    assert (
        "the 2 shown, without 7 that were left out; or selected" in Exportable(one, more, 7).about
    )
    assert Exportable(None, more).records(SELECTED) == ()
    assert Exportable(one, more).records(ALL) == more


async def test_one_goes_from_a_message_over_its_call_to_its_plugin_and_process() -> None:
    engine = FakeEngine()
    engine.set_table("wasm_plugin", [plugin()])
    engine.emit(call(messages=[1]))
    engine.emit(message(client_pid=3, client_comm="curl", wasm_calls=[1], parsed_by="http"))
    app = ConsoleApp(engine)
    async with app.run_test(size=(120, 40)) as pilot:
        await pilot.press("4")
        app.look()
        await until(pilot, lambda: app.main.panes[3].lists[0].row_count, "the message")
        await pilot.press("up", "F")
        await until(pilot, lambda: "Wasm call" in screen_text(pilot), "what it belongs to")
        screen = app.screen
        assert isinstance(screen, DetailScreen)
        await pilot.press("3", "end", "enter")
        await until(pilot, lambda: isinstance(app.screen, CallScreen), "the call")
        await pilot.press("F")
        await until(pilot, lambda: isinstance(app.screen, DetailScreen), "the call in full")
        await until(pilot, lambda: "(b: others)" in screen_text(pilot), "that it has other bytes")
        assert "Payload, 28B" in screen_text(pilot)
        await pilot.press("b")
        await until(pilot, lambda: "Result, 9B" in screen_text(pilot), "its other bytes")
        detail = app.screen
        assert isinstance(detail, DetailScreen)
        await until(pilot, lambda: detail.links.row_count == 2, "its plugin and its message")
        await pilot.press("3", "end", "enter")
        await until(pilot, lambda: isinstance(app.screen, MessageScreen), "its message")
        await pilot.press("escape", "escape", "escape", "escape", "escape")
        await until(pilot, lambda: app.screen is screen, "the way back")
        await pilot.press("i")
        await until(pilot, lambda: isinstance(app.screen, ProcessScreen), "the client")
        assert "3 curl" in screen_text(pilot)


async def test_a_gap_in_a_stream_tells_why_and_a_detail_how_long_ago() -> None:
    engine = FakeEngine(capacity=100)
    engine.emit_events(1)
    app = ConsoleApp(engine)
    async with app.run_test(size=(120, 40)) as pilot:
        await pilot.press("3", "o")
        app.look()
        await until(pilot, lambda: app.main.events.stream.row_count, "the first")
        engine.emit_events(3 * PULLED)
        app.look_at_streams()
        await pilot.press("home", "down", "enter")
        await until(pilot, lambda: isinstance(app.screen, GapScreen), "the gap")
        await until(pilot, lambda: "reader_behind" in screen_text(pilot))
        assert "probe: 10 seen = 9 kept + 1 dropped" in screen_text(pilot)
        await pilot.press("enter", "end", "up", "enter")
        await until(pilot, lambda: isinstance(app.screen, DetailScreen), "the newest")
        engine.pass_time(75)
        app.look_at_tables()
        await until(pilot, lambda: "1m15s ago" in screen_text(pilot), "the time that has passed")
        assert str(NOW_NS)[:4] == "1790"
