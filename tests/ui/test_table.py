"""Tables of states: the selection follows its row, sorting is stable."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import pytest
from textual.pilot import Pilot

from engine.core.fields import JsonValue
from engine.core.records import Record
from tests.ui.driving import text_of, until
from tests.ui.fake_engine import FakeEngine, record
from tui.console.app import ConsoleApp
from tui.console.panes.port_rows import PortRow
from tui.console.widgets.table import TableView, nearest_kept


def owner(pid: int, *ports: int, comm: str = "server") -> Record:
    sockets: list[JsonValue] = [
        {"port": port, "proto": "tcp", "address": "127.0.0.1"} for port in ports
    ]
    return record("process", pid=pid, comm=comm, ports=sockets, start=1)


@asynccontextmanager
async def on_ports(
    *owners: Record,
) -> AsyncIterator[tuple[FakeEngine, ConsoleApp, TableView[PortRow], Pilot[None]]]:
    """The console with pane 2 zoomed."""
    engine = FakeEngine()
    engine.set_table("process", owners)
    app = ConsoleApp(engine)
    async with app.run_test(size=(100, 30)) as pilot:
        await pilot.press("2")
        table = app.main.panes[1].parts[0]
        assert isinstance(table, TableView)
        await until(pilot, lambda: table.row_count > 0)
        yield engine, app, table, pilot


async def test_a_process_has_a_row_for_each_of_its_ports() -> None:
    async with on_ports(owner(5, 443, 80), owner(6, 81)) as (_engine, _app, table, _pilot):
        assert [(row.port, row.record.pid) for row in table.rows] == [(80, 5), (81, 6), (443, 5)]


async def test_the_selection_follows_its_row_when_others_come_before_it() -> None:
    async with on_ports(owner(5, 80), owner(6, 443)) as (engine, app, table, pilot):
        await pilot.press("down", "down")
        engine.set_table("process", [owner(4, 22), owner(5, 80), owner(6, 443)])
        app.look_at_tables()
        row = table.cursor_row
        assert row is not None
        assert row.port == 443
        marked = [line for line in text_of(table).splitlines() if line.startswith("›")]
        assert len(marked) == 1
        assert "443" in marked[0]


async def test_a_selected_row_that_goes_takes_the_selection_with_it() -> None:
    async with on_ports(owner(5, 80), owner(6, 443)) as (engine, app, table, pilot):
        await pilot.press("down")
        engine.set_table("process", [owner(6, 443)])
        app.look_at_tables()
        engine.pass_time(60)
        app.look_at_tables()
        assert table.cursor_row is None


@pytest.mark.parametrize(
    ("index", "kept", "found"),
    [
        (3, "abcefg", "e"),
        (3, "acg", "c"),
        (6, "ab", "b"),
        (0, "fg", "f"),
        (3, "d", "d"),
        (3, "", None),
    ],
)
def test_the_row_nearest_to_one_that_is_hidden(index: int, kept: str, found: str | None) -> None:
    assert nearest_kept("abcdefg", index, set(kept)) == found


async def test_a_filter_that_hides_the_selected_row_leaves_the_cursor_on_the_nearest_one() -> None:
    owners = [owner(pid, 70 + pid) for pid in range(5, 9)]
    async with on_ports(*owners) as (_engine, _app, table, pilot):
        await pilot.press("down", "down", "slash", *"pid in (5, 7, 8)", "enter")
        await until(pilot, lambda: table.row_count == 3)
        row = table.cursor_row
        assert row is not None
        assert row.record.pid == 7
        await pilot.press("slash", "ctrl+u", *"pid == 99", "enter")
        await until(pilot, lambda: table.row_count == 0)
        assert table.cursor_row is None
        await pilot.press("slash", "escape")
        await until(pilot, lambda: table.row_count == 4)
        assert table.cursor_row is row, "it comes back where no other took its place"


async def test_sorting_keeps_the_order_of_equal_rows_and_ends_where_it_began() -> None:
    owners = (owner(5, 80, comm="b"), owner(6, 81, comm="a"), owner(7, 82, comm="b"))
    async with on_ports(*owners) as (_engine, _app, table, pilot):
        orders: dict[str, list[int]] = {}
        for _ in range(20):
            await pilot.press("s")
            orders[table.sort_name()] = [row.port for row in table.rows]
        assert orders["comm"] == [81, 80, 82]
        assert orders[""] == [80, 81, 82]


async def test_a_click_on_a_heading_sorts_a_second_one_turns_it_round_a_third_ends_it() -> None:
    owners = (owner(9, 80), owner(6, 81), owner(7, 82))
    async with on_ports(*owners) as (_engine, _app, table, pilot):
        heading = text_of(table).splitlines()[0].index("pid")
        for expected, mark in (([81, 82, 80], "pid▲"), ([80, 82, 81], "pid▼"), ([80, 81, 82], "")):
            await pilot.click(table, offset=(heading, 0))
            assert [row.port for row in table.rows] == expected
            assert mark in text_of(table)


async def test_reversing_keeps_the_selection_in_view_and_the_unknown_last() -> None:
    owners = [owner(pid, pid, comm="web") for pid in range(100, 160)]
    unknown = record("process", ports=[{"port": 99, "proto": "tcp"}], start=1)
    async with on_ports(*owners, unknown) as (_engine, app, table, pilot):
        assert not app.check_action("reverse", ()), "nothing is sorted"
        await pilot.press("down", *["s"] * 4)
        assert table.sort_name() == "pid"
        await pilot.press("home", "S")
        assert [row.port for row in table.rows][:2] == [159, 158]
        assert [row.port for row in table.rows][-1] == 99, "its pid is not known"
        row = table.cursor_row
        assert row is not None
        assert row.port == 100
        marked = [line for line in text_of(table).splitlines() if line.startswith("›")]
        assert len(marked) == 1, "it is in view"
        await pilot.press("S")
        assert table.rows[0].port == 100


async def test_paused_the_table_holds_still_and_then_catches_up() -> None:
    async with on_ports(owner(5, 80)) as (engine, app, table, pilot):
        await pilot.press("space")
        engine.set_table("process", [owner(5, 80), owner(6, 443)])
        app.look_at_tables()
        assert table.row_count == 1
        await pilot.press("space")
        await until(pilot, lambda: table.row_count == 2)
