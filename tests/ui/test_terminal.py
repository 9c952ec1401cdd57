"""The console on a real terminal: what it writes, and how it leaves."""

from __future__ import annotations

import re
import signal
from pathlib import Path

import pytest

from tests.ui.terminal import Terminal
from tests.waiting import wait_until

MODULE = "tests.ui.console_on_terminal"
LEFT_ALTERNATE_SCREEN = b"\x1b[?1049l"
CURSOR_SHOWN = b"\x1b[?25h"
MOUSE_OFF = (b"\x1b[?1000l", b"\x1b[?1003l", b"\x1b[?1006l")
PASTE_OFF = b"\x1b[?2004l"

_POINTER_SHAPE = re.compile(rb"\x1b\]22;[a-z-]*\x07")
"""The framework's own: it sets the shape of the mouse pointer."""
_ALLOWED = re.compile(
    rb"\x1b\[[0-9;]*m"  # colour and style
    rb"|\x1b\[[0-9;]*H"  # cursor position
    rb"|\x1b\[[?<>]?[0-9;]*[hlupnq$]+"  # modes and queries the framework uses
    rb"|\x1b\[\?[0-9;]+\$p"
    rb"|\x1b\[[0-9;]*[JK]"
    rb"|[\t\r\n]"
)


@pytest.fixture
def report(tmp_path: Path) -> Path:
    return tmp_path / "report"


def assert_restored(terminal: Terminal) -> None:
    """The alternate screen is left, the cursor shown, mouse and paste reports are off."""
    left = terminal.written.rfind(LEFT_ALTERNATE_SCREEN)
    assert left > terminal.written.rfind(b"\x1b[?1049h")
    assert terminal.written.rfind(CURSOR_SHOWN) > terminal.written.rfind(b"\x1b[?25l")
    for off in MOUSE_OFF:
        assert terminal.written.rfind(off) > terminal.written.rfind(off.replace(b"l", b"h"))
    assert PASTE_OFF in terminal.written
    assert terminal.attributes() == terminal.attributes_before


def test_q_leaves_the_terminal_as_it_was_and_stops_the_engine(report: Path) -> None:
    with Terminal(MODULE, str(report)) as terminal:
        wait_until(report.exists)
        terminal.press("q")
        assert terminal.wait() == 0
        assert_restored(terminal)
    assert report.read_text().split() == ["started", "stopped"]


def test_ctrl_c_leaves_the_terminal_as_it_was_and_stops_the_engine(report: Path) -> None:
    with Terminal(MODULE, str(report), size=(40, 10)) as terminal:
        wait_until(report.exists)
        terminal.press("\x03")
        assert terminal.wait() == 0
        assert_restored(terminal)
    assert report.read_text().split() == ["started", "stopped"]


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT, signal.SIGHUP])
def test_signals_leave_the_terminal_as_it_was_and_stop_the_engine(
    number: signal.Signals, report: Path
) -> None:
    with Terminal(MODULE, str(report), size=(80, 24)) as terminal:
        wait_until(report.exists)
        terminal.send(number)
        assert terminal.wait() == 130
        assert_restored(terminal)
        assert b"Traceback" not in terminal.written
    assert report.read_text().split() == ["started", "stopped"]


def test_a_terminal_that_goes_away_ends_the_console_and_stops_the_engine(report: Path) -> None:
    with Terminal(MODULE, str(report)) as terminal:
        wait_until(report.exists)
        terminal.hang_up()
        assert terminal.wait() == 130
    assert report.read_text().split() == ["started", "stopped"]


def test_a_terminal_that_stops_reading_does_not_keep_sigterm_from_ending_it(report: Path) -> None:
    with Terminal(MODULE, str(report)) as terminal:
        wait_until(report.exists)
        terminal.send(signal.SIGTERM)
        assert terminal.wait(reading=False) == 130
    assert report.read_text().split() == ["started", "stopped"]


def test_a_fault_leaves_the_terminal_as_it_was_and_stops_the_engine(report: Path) -> None:
    with Terminal(MODULE, str(report), "breaks") as terminal:
        assert terminal.wait() == 1
        assert_restored(terminal)
        assert b"a fault in the engine" in terminal.written
    assert report.read_text().split() == ["started", "stopped"]


def test_hostile_text_in_any_pane_reaches_the_terminal_as_text(report: Path) -> None:
    with Terminal(MODULE, str(report), size=(200, 60)) as terminal:
        terminal.read_until(b"gnp.exe")
        for key, answer in (
            ("1", b"[1 Plugins]"),
            ("\t", b"[2 Ports]"),
            ("3", b"[3 Events!]"),
            ("4", b"[4 Traffic]"),
        ):
            begin = len(terminal.written)
            terminal.press(key)
            terminal.read_until(answer, after=begin)
            terminal.read_until(b"END", after=begin)
        begin = len(terminal.written)
        terminal.press("\r")
        terminal.read_until(b"escape closes", after=begin)
        terminal.press("q")
        terminal.read_until(b"[4 Traffic]", after=len(terminal.written))
        terminal.press("q")
        assert terminal.wait() == 0
        written = _POINTER_SHAPE.sub(b"", terminal.written)
    assert b"\x1b]" not in written, "an operating system command, such as a window title"
    assert b"\x07" not in written
    assert b"\x08" not in written
    assert not re.search(rb"\xc2[\x80-\x9f]", written), "a C1 control character"
    assert "\u202e".encode() not in written
    assert b"[/red][bold]" in written, "markup is text"
    leftover = _ALLOWED.sub(b"", written)
    assert not re.search(rb"[\x00-\x1f\x7f]", leftover), leftover[:200]


def test_no_color_is_honoured(report: Path) -> None:
    with Terminal(MODULE, str(report), environment={"NO_COLOR": "1"}) as terminal:
        terminal.read_until(b"Plugins")
        terminal.press("q")
        assert terminal.wait() == 0
        written = terminal.written
    for red, green, blue in re.findall(rb"[34]8;2;(\d+);(\d+);(\d+)", written):
        assert red == green == blue
    for number in map(int, re.findall(rb"[34]8;5;(\d+)", written)):
        assert number in (0, 7, 8, 15, 16, 59, 102, 145, 188, 231) or 232 <= number <= 255
    assert "► 1 Plugins".encode() in written
