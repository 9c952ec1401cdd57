"""The console on a real terminal: what it writes, and how it leaves."""

from __future__ import annotations

import json
import re
import signal
import sys
from pathlib import Path

import pytest

from engine.agent import sdk
from engine.core.kinds import KINDS
from tests.hostile import EVIL, hostile_cast, long_record
from tests.ui.fake_engine import NOW_NS
from tests.ui.terminal import Terminal
from tests.waiting import wait_until

MODULE = "tests.ui.console_on_terminal"
LEFT_ALTERNATE_SCREEN = b"\x1b[?1049l"
CURSOR_SHOWN = b"\x1b[?25h"
MOUSE_OFF = (b"\x1b[?1000l", b"\x1b[?1003l", b"\x1b[?1006l")
PASTE_OFF = b"\x1b[?2004l"

_ON_PURPOSE = re.compile(rb"\x1b\](22;[a-z-]*|52;c;[A-Za-z0-9+/=]*)\x07")
"""The framework's own: the shape of the mouse pointer, and what is copied, which is in base64."""
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


@pytest.mark.parametrize(("size", "name"), [((0, 0), "xterm-256color"), ((80, 24), "dumb")])
def test_a_terminal_of_no_size_or_kind_is_drawn_on_and_left(
    report: Path, size: tuple[int, int], name: str
) -> None:
    with Terminal(MODULE, str(report), size=size, environment={"TERM": name}) as terminal:
        terminal.read_until(b"Plugins")
        terminal.press("q")
        assert terminal.wait() == 0
        assert_restored(terminal)


def test_ctrl_c_leaves_the_terminal_as_it_was_and_stops_the_engine(report: Path) -> None:
    with Terminal(MODULE, str(report), size=(40, 10)) as terminal:
        wait_until(report.exists)
        terminal.press("\x03")
        assert terminal.wait() == 0
        assert_restored(terminal)
    assert report.read_text().split() == ["started", "stopped"]


@pytest.mark.fault("signal to the console")
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


@pytest.mark.fault("terminal gone or no longer read")
def test_a_terminal_that_goes_away_ends_the_console_and_stops_the_engine(report: Path) -> None:
    with Terminal(MODULE, str(report)) as terminal:
        wait_until(report.exists)
        terminal.hang_up()
        assert terminal.wait() == 130
    assert report.read_text().split() == ["started", "stopped"]


@pytest.mark.fault("terminal gone or no longer read")
def test_a_terminal_that_stops_reading_does_not_keep_sigterm_from_ending_it(report: Path) -> None:
    with Terminal(MODULE, str(report)) as terminal:
        wait_until(report.exists)
        terminal.send(signal.SIGTERM)
        assert terminal.wait(reading=False) == 130
    assert report.read_text().split() == ["started", "stopped"]


@pytest.mark.fault("fault in the console")
def test_a_fault_leaves_the_terminal_as_it_was_and_stops_the_engine(report: Path) -> None:
    with Terminal(MODULE, str(report), "breaks") as terminal:
        assert terminal.wait() == 1
        assert_restored(terminal)
        assert b"a fault in the engine" in terminal.written
    assert report.read_text().split() == ["started", "stopped"]


def show(terminal: Terminal, keys: str, *evidence: bytes) -> None:
    """Press keys and wait until everything named has been written since."""
    begin = len(terminal.written)
    terminal.press(keys)
    for text in evidence:
        terminal.read_until(text, after=begin)


def leave(terminal: Terminal, keys: str = "q") -> bytes:
    """Quit; what the program has written, but what it tells the terminal on purpose."""
    terminal.press(keys)
    assert terminal.wait() == 0
    return _ON_PURPOSE.sub(b"", terminal.written)


def assert_harmless(written: bytes) -> None:
    """Nothing in it is obeyed by a terminal but what the framework writes itself."""
    assert b"\x1b]" not in written, "an operating system command, such as a window title"
    assert b"\x07" not in written
    assert b"\x08" not in written
    assert not re.search(rb"\xc2[\x80-\x9f]", written), "a C1 control character"
    for invisible in "\u202e\u2066\u200b\u200d\ufeff\xad":
        assert invisible.encode() not in written
    leftover = _ALLOWED.sub(b"", written)
    assert not re.search(rb"[\x00-\x1f\x7f]", leftover), leftover[:200]


def test_hostile_text_in_any_pane_reaches_the_terminal_as_text(report: Path) -> None:
    with Terminal(MODULE, str(report), size=(200, 60)) as terminal:
        terminal.read_until(b"gnp.exe")
        show(terminal, "1", b"[1 Plugins]", b"END")
        show(terminal, "\t", b"[2 Ports]", b"END")
        show(terminal, "3", b"[3 Events!]", b"END")
        show(terminal, "4", b"[4 Traffic]", b"1.23s")
        written = leave(terminal)
    assert_harmless(written)
    assert b"[/red][bold]" in written, "markup is text"


@pytest.mark.parametrize("size", [(200, 60), (80, 24)])
def test_hostile_text_about_a_message_and_its_calls_reaches_the_terminal_as_text(
    report: Path, size: tuple[int, int]
) -> None:
    with Terminal(MODULE, str(report), size=size) as terminal:
        terminal.read_until(b"gnp.exe")
        show(terminal, "4", b"[4 Traffic]", b"1.23s")
        show(terminal, "k\r", b"message 3", b"END")
        show(terminal, "2", b"[2 Why this parser]", b"END")
        show(terminal, "3", b"[3 Before and after]", b"END")
        show(terminal, "4", b"[4 Calls]", b"END")
        show(terminal, "\r", b"call 2 of", b"END")
        show(terminal, "2", b"[2 Result]", b"END")
        show(terminal, "3", b"[3 Output]", b"END")
        show(terminal, "4", b"[4 Payload]", b"1b 5d 30 3b")
        show(terminal, "5", b"[5 Run again]", b"END")
        show(terminal, "e", b"Payload, in hex", b"1b 5d 30 3b")
        show(terminal, "\x1b[200~\x9b31m\u202e[/red]\x1b[201~", b"is no hex digit")
        show(terminal, "\x1b", b"[5 Run again]")
        show(terminal, "0q", b"[4 Calls]")
        show(terminal, "0q", b"2 Ports")
        written = leave(terminal)
    assert_harmless(written)
    assert b"[/red][bold]" in written, "markup is text"


@pytest.mark.parametrize("size", [(200, 60), (120, 40)])
def test_hostile_text_about_a_wasm_plugin_reaches_the_terminal_as_text(
    report: Path, size: tuple[int, int]
) -> None:
    with Terminal(MODULE, str(report), size=size) as terminal:
        terminal.read_until(b"gnp.exe")
        show(terminal, "4", b"[4 Traffic]", b"1.23s")
        show(terminal, "o", b"Sort")
        show(terminal, "j\r", b"a trapped instance", b"END")
        show(terminal, "2", b"[2 Exports]", b"END")
        show(terminal, "3", b"[3 Calls]", b"END")
        show(terminal, "4", b"[4 Run again", b"END")
        show(terminal, "u", b"Unload", b"taken out of the chain")
        show(terminal, "n", b"[4 Run again")
        show(terminal, "0q", b"2 Ports")
        written = leave(terminal)
    assert_harmless(written)
    assert b"[/red][bold]" in written, "markup is text"


@pytest.mark.parametrize("size", [(160, 45), (80, 24)])
def test_hostile_text_about_a_plugin_reaches_the_terminal_as_text(
    report: Path, size: tuple[int, int]
) -> None:
    with Terminal(MODULE, str(report), size=size) as terminal:
        terminal.read_until(b"gnp.exe")
        show(terminal, "j\r", b"END", b"tx_rate")
        show(terminal, "3", b"[3 stderr]", b"[/red]")
        show(terminal, "4", b"[4 Faults]", b"END")
        show(terminal, "5", b"[5 Records]", b"END")
        show(terminal, "\r", b"record 3 of", b"END")
        show(terminal, "2", b"[2 Bytes]", b"1b 5d 30 3b")
        show(terminal, "0q", b"[5 Records]")
        show(terminal, "0q", b"2 Ports")
        written = leave(terminal)
    assert_harmless(written)
    assert b"[/red][bold]" in written, "markup is text"


def test_hostile_text_in_dialogs_and_reports_reaches_the_terminal_as_text(
    report: Path, tmp_path: Path
) -> None:
    (tmp_path / "evil\x1b]0;owned\x07[red]").touch()
    (tmp_path / "[bold]fine").touch()
    with Terminal(MODULE, str(report), size=(120, 40)) as terminal:
        terminal.read_until(b"gnp.exe")
        show(terminal, "ju", b"Unload", b"SIGKILL")
        show(terminal, "n", b"2 Ports")
        show(terminal, "T", b"task pipe")
        show(terminal, "7\r", b"has the token")
        show(terminal, "R", b"starts again")
        show(terminal, "l", b"/path/to/executable")
        show(terminal, f"\x1b[200~{tmp_path}/\x1b[201~", b"[bold]fine")
        show(terminal, "\x1b[200~\x9b31m\u202e[/red]\x1b[201~", b"[/red]")
        show(terminal, "\r", b"no such file")
        show(terminal, "\x1b", b"2 Ports")
        written = leave(terminal)
    assert_harmless(written)


def test_hostile_text_in_the_detail_of_every_kind_of_record_reaches_the_terminal_as_text(
    report: Path,
) -> None:
    with Terminal(MODULE, str(report), "details", size=(200, 100)) as terminal:
        begin = 0
        for kind in KINDS:
            terminal.read_until(KINDS[kind].help.encode(), after=begin)
            terminal.read_until(b"LAST", after=begin)
            show(terminal, "y", f"copied {kind} as JSON".encode())
            begin = len(terminal.written)
            terminal.press("\x1b")
        terminal.read_until(b"2 Ports", after=begin)
        written = leave(terminal)
    assert_harmless(written)
    assert b"[/red][bold]" in written, "markup is text"


@pytest.fixture
def evil_recording(tmp_path: Path) -> Path:
    """A stream that somebody else has recorded, with a line that is no UTF-8 in it."""
    path = tmp_path / "evil\x1b]0;owned\x07.jsonl"
    cast = [
        *(long_record(kind, NOW_NS) for kind in KINDS),
        *hostile_cast(NOW_NS),
    ]
    host = {"kind": "recording", "host": dict.fromkeys(("hostname", "kernel", "rights"), EVIL)}
    with path.open("wb") as file:
        for shown in (host, *(each.as_json() for each in cast)):
            file.write(json.dumps(shown).encode() + b"\n")
        file.write(b'{"kind":"log","text":"\xff\x9b31m"}\n')
    return path


def test_a_hostile_recording_reaches_the_terminal_as_text(evil_recording: Path) -> None:
    with Terminal("tui.cli", "replay", str(evil_recording), size=(200, 60)) as terminal:
        terminal.read_until(b"gnp.exe")
        show(terminal, "1", b"[1 Plugins", b"END")
        show(terminal, "jF", b"listed as", b"END")
        show(terminal, "qG\r", b"tx_rate", b"END")
        show(terminal, "5", b"[5 Records]", b"END")
        show(terminal, "\r", b"record 3 of", b"END")
        show(terminal, "F", b"made by", b"END")
        show(terminal, "yYq", b"record 3 of")
        show(terminal, "0q0q2", b"[2 Ports", b"END")
        show(terminal, "j\r", b"5 Plugin", b"END")
        show(terminal, "3", b"[3 Events]", b"1.23s")
        show(terminal, "k\r", b"subscribed as", b"END")
        show(terminal, "3", b"belongs to", b"process")
        show(terminal, "0qq4", b"[4 Traffic", b"1.23s")
        show(terminal, "k\r", b"message 3", b"END")
        show(terminal, "F", b"seen in", b"END")
        show(terminal, "q4\r", b"call", b"END")
        show(terminal, "F", b"for message", b"END")
        show(terminal, "E", b"boxscope-wasm_result-")
        show(terminal, "\x1b", b"for message")
        written = leave(terminal, "\x03\x03")
    assert_harmless(written)
    assert b"[/red][bold]" in written, "markup is text"


HOSTILE_PLUGIN = """#!{python} -IS
import importlib.util, sys
spec = importlib.util.spec_from_file_location("sdk", {sdk!r})
sdk = sys.modules["sdk"] = importlib.util.module_from_spec(spec)
spec.loader.exec_module(sdk)
evil = {evil!r}
sys.stderr.buffer.write((evil + "STDERR\\n").encode() + b"\\xff\\x9b31m[/red]RAW\\n")
sys.stderr.flush()
with sdk.Client() as client:
    client.send_record(7, {{evil: evil + "VALUE"}})
    client.flush()
    while (task := client.receive_task()) is not None:
        client.reply(task, True, evil + "REPLY")
"""


def test_a_real_plugin_cannot_disturb_the_screen(tmp_path: Path) -> None:
    plugin = tmp_path / "hostile"
    plugin.write_text(
        HOSTILE_PLUGIN.format(
            python=sys.executable, sdk=sdk.__file__, evil="\x1b]0;o\x07[/red]\x9b"
        )
    )
    plugin.chmod(0o755)
    with Terminal("tests.ui.live_on_terminal", str(plugin)) as terminal:
        terminal.read_until(b"running")
        terminal.read_until(b"VALUE")
        show(terminal, "1", b"[1 Plugins]", b"RAW")
        show(terminal, "j\r", b"hostile", b"STDERR", b"RAW", b"VALUE")
        show(terminal, "T", b"task pipe")
        show(terminal, "7\r", b"REPLY", b"status=succeed")
        show(terminal, "5\x1b[A\r", b"record 2 of", b"5d 30", b"REPLY")
        show(terminal, "q", b"[5 Records]")
        show(terminal, "0q", b"2 Ports")
        written = leave(terminal)
    assert_harmless(written)
    assert b"[/red]" in written, "markup is text"


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
