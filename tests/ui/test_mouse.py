"""What a key does, the mouse does too; and text is selected with it."""

from __future__ import annotations

from textual.geometry import Offset
from textual.pilot import Pilot
from textual.widget import Widget

from tests.ui.driving import text_of, until
from tests.ui.fake_engine import FakeEngine, record
from tests.ui.test_subject import told
from tui.console.app import ConsoleApp
from tui.console.screens.detail import DetailScreen
from tui.console.screens.process import ProcessScreen
from tui.console.screens.record import RecordScreen
from tui.console.widgets.header import HeaderLine, crumb_at
from tui.console.widgets.hexdump import HexView
from tui.console.widgets.table import TableView


async def drag(pilot: Pilot[None], widget: Widget, start: Offset, end: Offset) -> None:
    """Press the button at one cell of a widget and let it go at another."""
    await pilot.mouse_down(widget, offset=start)
    await pilot.hover(widget, offset=end)
    await pilot.mouse_up(widget, offset=end)
    await pilot.pause()


def populated() -> FakeEngine:
    engine = FakeEngine()
    engine.set_table(
        "process",
        [
            record("process", pid, comm, start=1, ppid=7, ports=[{"port": port, "proto": "tcp"}])
            for pid, comm, port in ((5, "nginx", 80), (6, "redis", 22), (7, "sshd", 443))
        ],
    )
    engine.emit_events(200)
    engine.emit(record("plugin_record", 9, "mine", plugin="mine", data_type=7, fields={"a": "b"}))
    engine.keep_frame(1, b"0123456789abcdef" * 3)
    return engine


async def test_rows_headings_titles_tabs_and_steps_of_the_way_are_clicked() -> None:
    app = ConsoleApp(populated())
    async with app.run_test(size=(120, 40)) as pilot:
        app.look()
        ports = app.main.panes[1].parts[0]
        assert isinstance(ports, TableView)
        await until(pilot, lambda: ports.row_count == 3, "the ports")

        heading = text_of(ports).splitlines()[0].index("process")
        await pilot.click(ports, offset=(heading, 0))
        assert [row.record.comm for row in ports.rows] == ["nginx", "redis", "sshd"], "sorted"
        await pilot.click(ports, offset=(heading, 0))
        assert [row.record.comm for row in ports.rows] == ["sshd", "redis", "nginx"], "turned round"
        await pilot.click(ports, offset=(3, 2))
        assert app.main.active.number == 2
        assert ports.cursor_row is not None
        assert ports.cursor_row.record.comm == "redis"
        await pilot.click(ports, offset=(3, 2), times=2)
        await until(pilot, lambda: isinstance(app.screen, ProcessScreen), "a double click opens")
        process = app.screen
        assert isinstance(process, ProcessScreen)
        await pilot.click(process.parts[1], offset=(6, 0))
        await until(pilot, lambda: process.single and process.active is process.parts[1])
        await pilot.click("TabStrip", offset=(text_of(process.tabs).index("[2"), 0))
        await until(pilot, lambda: not process.single, "its tab leads back")
        await pilot.press("escape")

        await pilot.click("#pane-3", offset=(6, 0))
        await until(pilot, lambda: app.main.zoomed and app.main.active.number == 3, "a title zooms")
        await pilot.click("TabStrip", offset=(text_of(app.main.tabs).index("[3") + 1, 0))
        await until(pilot, lambda: not app.main.zoomed, "its tab leads back")

        await pilot.click(ports, offset=(3, 1))
        await pilot.press("X")
        await until(pilot, lambda: app.main.scope is not None, "one scope")
        await pilot.click(ports, offset=(3, 2))
        await pilot.press("x")
        await until(pilot, lambda: len(app.main.outer_scopes) == 1, "another in it")
        header = text_of(app.main.header)
        assert "7 sshd + tree › 6 redis" in header
        await pilot.click(HeaderLine, offset=(header.index("7 sshd"), 0))
        await until(pilot, lambda: app.main.outer_scopes == (), "back to the first")
        assert app.main.scope is not None
        await pilot.click(HeaderLine, offset=(header.index("testbox"), 0))
        await until(pilot, lambda: app.main.scope is None, "back to the host")


async def test_text_is_selected_in_streams_tables_details_and_dumps_and_copied() -> None:
    app = ConsoleApp(populated())
    async with app.run_test(size=(120, 40)) as pilot:
        await pilot.press("3", "o")
        app.look()
        stream = app.main.events.stream
        await until(pilot, lambda: stream.row_count == 200, "the events")
        lines = text_of(stream).splitlines()
        at = lines[2].index("openat")
        await drag(pilot, stream, Offset(at, 2), Offset(at + 5, 2))
        assert not stream.following, "what is selected does not move on"
        assert stream.cursor_key is None, "to select is not to click"
        await pilot.press("ctrl+c")
        await until(pilot, lambda: app.clipboard == "openat", "the word")
        assert "copied 1 line of text, 6B" in told(app)
        assert not app.screen.selections
        await drag(pilot, stream, Offset(at, 2), Offset(3, 4))
        await pilot.press("ctrl+c")
        first, second, third = app.clipboard.splitlines()
        assert first.startswith("openat")
        assert second.strip() == lines[3].strip()
        assert lines[4].startswith(third)
        await pilot.click(stream, offset=(3, 3))
        assert not app.screen.selections
        assert stream.cursor_index is not None, "a click puts the cursor there"

        await pilot.press("F")
        await until(pilot, lambda: isinstance(app.screen, DetailScreen), "the detail")
        fields = app.screen.query("#fields Static").last()
        await drag(pilot, fields, Offset(0, 1), Offset(3, 1))
        await pilot.press("ctrl+c")
        await until(pilot, lambda: app.clipboard == "kind", "a name in the detail")
        await pilot.press("escape", "0", "2")
        ports = app.main.panes[1].parts[0]
        app.look()
        await until(pilot, lambda: "nginx" in text_of(ports), "the ports")
        y = next(y for y, line in enumerate(text_of(ports).splitlines()) if "nginx" in line)
        x = text_of(ports).splitlines()[y].index("nginx")
        await drag(pilot, ports, Offset(x, y), Offset(x + 4, y))
        await pilot.press("ctrl+c")
        await until(pilot, lambda: app.clipboard == "nginx", "a cell of a table")

        await pilot.press("1", "o")
        app.look()
        await pilot.press("up", "enter")
        await until(pilot, lambda: isinstance(app.screen, RecordScreen), "the record")
        dump = app.screen.query_one(HexView)
        await pilot.press("2")
        await until(pilot, lambda: "0123456789" in text_of(dump), "its bytes")
        x = text_of(dump).splitlines()[3].index("0123")
        await drag(pilot, dump, Offset(x, 3), Offset(x + 3, 3))
        await pilot.press("ctrl+c")
        await until(pilot, lambda: app.clipboard == "0123", "text beside the hex")
        await pilot.press("escape", "escape", "M")
        await until(pilot, lambda: "mouse is the terminal's" in told(app), "the mouse is let go")
        await pilot.press("M")
        await until(pilot, lambda: "mouse is boxscope's" in told(app), "and taken back")


def test_a_step_of_the_way_into_a_scope_is_found_by_its_cell() -> None:
    text, scopes = "a-box › 10 web + tree › 10 web · root", ("10 web + tree", "10 web")
    assert [crumb_at(text, scopes, x) for x in (0, 4, 6, 8, 20, 24, 29, 31)] == [
        0,
        0,
        None,
        1,
        1,
        2,
        2,
        None,
    ]
    assert crumb_at("… › 10 web", scopes, 5) == 2
    assert crumb_at("… › 10 web", scopes, 0) is None
    assert crumb_at("a-box · root", (), 0) == 0
