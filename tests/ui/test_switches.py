"""What the matrix shows of hundreds of switches, without a screen."""

from __future__ import annotations

import pytest

from engine.core.records import Record
from tests.ui.fake_engine import record
from tests.values import now
from tui.console.widgets.cells import EVERYTHING, Line, family_of, short_name
from tui.console.widgets.switches import ACTIVE_LOOKS, Switches

OPENAT, READ, CLOSE = "syscall_exit-openat", "syscall_exit-read", "kprobe-tcp_close"


def row(event: str, category: str, rate: float | None = None, *, why: str = "") -> Record:
    """A switch; one with a rate is on."""
    return record(
        "subscription",
        event=event,
        category=category,
        on=rate is not None,
        rate=rate or 0.0,
        total=int(rate or 0),
        unavailable=why,
    )


def three() -> tuple[Record, ...]:
    return (
        row(OPENAT, "file", 5.0),
        row(READ, "file"),
        row(READ, "net", 2.5),
        row(CLOSE, "net", why="no tracepoint"),
    )


@pytest.fixture
def switches() -> Switches:
    made = Switches()
    made.take(three())
    return made


@pytest.mark.parametrize(
    ("event", "categories", "family"),
    [
        (OPENAT, ["file"], "file"),
        (READ, ["file", "net", "ipc", "other"], "io"),
        ("syscall_exit-connect", ["net"], "net"),
        (CLOSE, ["net"], "tcp"),
        ("tracepoint-tcp_send_reset", ["net"], "tcp"),
        ("tracepoint-procexit", ["process"], "process"),
        ("no-known_name", ["fish"], "fish"),
    ],
)
def test_families(event: str, categories: list[str], family: str) -> None:
    assert family_of(event, categories) == family


@pytest.mark.parametrize(
    ("event", "shown"),
    [
        (OPENAT, "< openat"),
        ("syscall_enter-openat", "> openat"),
        (CLOSE, "- tcp_close"),
        ("odd", "odd"),
        ("", ""),
        ("syscall_exit-\x1b", "< ␛"),
    ],
)
def test_short_names_mark_the_direction_as_the_stream_does(event: str, shown: str) -> None:
    assert short_name(event) == shown


def test_a_line_sums_its_switches_up(switches: Switches) -> None:
    assert switches.sum_of(EVERYTHING) == (3, 2, 7.5, 7, "")
    assert switches.sum_of(Line("family", "io")) == (2, 1, 2.5, 2, "")
    assert switches.sum_of(Line("event", READ), "file") == (1, 0, 0.0, 0, "")
    assert switches.sum_of(Line("event", OPENAT), "net") is None


def test_a_switch_that_cannot_be_turned_counts_for_nothing_and_has_its_reason(
    switches: Switches,
) -> None:
    assert switches.sum_of(Line("family", "tcp")) == (0, 0, 0.0, 0, "no tracepoint")
    assert switches.sum_of(EVERYTHING, "net") == (1, 1, 2.5, 2, "")
    switches.turn([(CLOSE, "net")], True)
    assert not switches.is_on((CLOSE, "net"))


def test_a_turned_switch_counts_until_the_engine_has_answered_for_the_last_time(
    switches: Switches,
) -> None:
    key = (READ, "file")
    switches.turn([key], True)
    switches.turn([key], False)
    switches.turn([key], True)
    switches.settle([key])
    switches.settle([key])
    assert switches.is_on(key)
    switches.settle([key])
    assert not switches.is_on(key), "the engine has not switched it on"


def test_the_same_picture_again_changes_nothing(switches: Switches) -> None:
    assert not switches.take(three())
    rows = three()
    assert not switches.take(rows)
    assert not switches.take(rows)
    assert switches.take((*rows[:2], row(READ, "net", 3.0), rows[3]))


def test_only_rows_that_are_new_are_read_again(switches: Switches) -> None:
    rows = three()
    switches.take(rows)
    before = dict(switches.cells)
    switches.take((*rows[:2], row(READ, "net", 3.0), rows[3]))
    same = [key for key, cell in switches.cells.items() if cell is before[key]]
    assert same == [(OPENAT, "file"), (READ, "file"), (CLOSE, "net")]


def test_an_event_is_active_for_a_while_after_its_last_rate(switches: Switches) -> None:
    switches.set_view("active")
    assert Line("event", OPENAT) in switches.lines
    assert Line("event", READ) in switches.lines
    quiet = tuple(row(cell.event, cell.category) for cell in switches.cells.values())
    for _ in range(ACTIVE_LOOKS - 1):
        switches.take(quiet)
    assert Line("event", OPENAT) in switches.lines
    switches.take(quiet)
    assert switches.lines == (EVERYTHING,)


def test_a_column_that_nothing_in_view_needs_is_left_out(switches: Switches) -> None:
    assert now(switches.categories) == ("file", "net")
    switches.find("openat")
    assert switches.categories == ("file",)
    assert switches.keys_of(EVERYTHING) == [(OPENAT, "file")]


def test_a_closed_family_still_stands_for_all_its_switches(switches: Switches) -> None:
    switches.set_open("io", False)
    assert Line("event", READ) not in switches.lines
    assert switches.keys_of(Line("family", "io")) == [(READ, "file"), (READ, "net")]
    switches.find("read")
    assert Line("event", READ) in switches.lines, "what is searched for is in view"


def test_nothing_is_nothing() -> None:
    empty = Switches()
    assert not empty.take(())
    assert empty.lines == ()
    empty.find("x")
    empty.set_view("on")
    empty.open_all()
    assert empty.lines == ()
