"""Where the cursor of the matrix goes, without a screen."""

from __future__ import annotations

from engine.core.records import Record
from tests.ui.fake_engine import record
from tui.console.widgets.cells import EVERYTHING, Line
from tui.console.widgets.matrix_cursor import NAME, MatrixCursor
from tui.console.widgets.switches import Switches

OPENAT, READ, CONNECT = "syscall_exit-openat", "syscall_exit-read", "syscall_exit-connect"
FILE, NET = Line("family", "file"), Line("family", "net")


def cells(*keys: tuple[str, str]) -> tuple[Record, ...]:
    return tuple(
        record("subscription", event=event, category=category, on=False, rate=0.0, total=0)
        for event, category in keys
    )


def matrix() -> tuple[Switches, MatrixCursor]:
    """Everything, io: read (file, net), file: openat (file), net: connect (net)."""
    switches = Switches()
    switches.take(cells((OPENAT, "file"), (READ, "file"), (READ, "net"), (CONNECT, "net")))
    cursor = MatrixCursor(switches)
    cursor.stay()
    return switches, cursor


def test_it_begins_on_a_switch_of_an_event_and_not_of_a_family() -> None:
    _switches, cursor = matrix()
    assert cursor.key == (READ, "file")


def test_down_a_column_it_takes_the_nearest_switch_that_a_line_has() -> None:
    switches, cursor = matrix()
    cursor.go(Line("event", READ), "net")
    cursor.go_to(switches.lines.index(Line("event", OPENAT)))
    assert cursor.key == (OPENAT, "file")


def test_across_it_passes_what_is_no_switch_and_ends_at_the_edge() -> None:
    _switches, cursor = matrix()
    cursor.go(Line("event", CONNECT), NAME)
    assert cursor.go_across(1)
    assert cursor.key == (CONNECT, "net")
    assert not cursor.go_across(1)
    assert cursor.go_across(-1)
    assert (cursor.line, cursor.column) == (Line("event", CONNECT), NAME)


def test_left_of_a_name_is_its_family_and_left_of_that_it_closes() -> None:
    switches, cursor = matrix()
    cursor.go(Line("event", CONNECT), NAME)
    assert cursor.go_across(-1)
    assert cursor.line == NET
    assert cursor.family_to_turn(-1) == NET
    assert cursor.family_to_turn(1) is None, "it is open already"
    switches.set_open("net", False)
    assert cursor.family_to_turn(1) == NET
    assert cursor.family_to_turn(-1) is None


def test_it_goes_to_the_family_of_an_event_that_is_hidden() -> None:
    switches, cursor = matrix()
    cursor.go(Line("event", OPENAT), "file")
    switches.set_open("file", False)
    cursor.stay()
    assert (cursor.line, cursor.column) == (FILE, "file")


def test_it_goes_to_a_name_where_no_event_is_in_view_and_nowhere_without_lines() -> None:
    switches, cursor = matrix()
    cursor.go(Line("event", "gone"), "file")
    switches.open_all()
    cursor.stay()
    assert (cursor.line, cursor.column) == (EVERYTHING, NAME)
    switches.take(())
    cursor.stay()
    assert cursor.line is None
    assert not cursor.go_to(0)


def test_of_switches_that_are_turned_off_the_same_are_turned_on_again() -> None:
    switches, _cursor = matrix()
    assert switches.toggle(EVERYTHING).refused, "not everything at once"
    assert switches.toggle(NET).keys == ((CONNECT, "net"),)
    off, on = switches.toggle(EVERYTHING), switches.toggle(EVERYTHING)
    assert (off.keys, off.wanted) == (((CONNECT, "net"),), False)
    assert (on.keys, on.wanted) == (((CONNECT, "net"),), True)
