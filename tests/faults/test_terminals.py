"""The terminal under the console is resized without end, and taken away and given back."""

from __future__ import annotations

import signal
from pathlib import Path

import pytest

from tests.faults.support import CHANCE
from tests.ledgers import Ledger
from tests.ui.terminal import Terminal
from tests.ui.test_terminal import LEFT_ALTERNATE_SCREEN, MODULE, assert_restored

RESIZES = 200
SUSPENSIONS = 3


@pytest.fixture
def report(tmp_path: Path) -> Path:
    return tmp_path / "report"


@pytest.mark.fault("resize storm")
def test_a_console_that_was_resized_without_end_shows_what_is_asked_for(
    ledger: Ledger, report: Path
) -> None:
    resizes = RESIZES * ledger.budget
    with Terminal(MODULE, str(report), size=(80, 24)) as terminal:
        terminal.read_until(b"gnp.exe")
        ledger.inject(resizes)
        for _ in range(resizes):
            terminal.resize(CHANCE.randint(1, 250), CHANCE.randint(1, 80))
            terminal.read_what_is_there()
        terminal.resize(160, 45)
        begin = len(terminal.written)
        terminal.press("3")
        terminal.read_until(b"[3 Events!]", after=begin)
        terminal.press("q")
        assert terminal.wait() == 0
        assert b"Traceback" not in terminal.written
        assert_restored(terminal)
    ledger.survive(number=resizes)


@pytest.mark.fault("suspend and resume of the console")
def test_a_suspended_console_gives_the_terminal_back_and_comes_again(
    ledger: Ledger, report: Path
) -> None:
    with Terminal(MODULE, str(report), size=(160, 45)) as terminal:
        terminal.read_until(b"gnp.exe")
        for turn in range(SUSPENSIONS * ledger.budget):
            ledger.inject()
            begin = len(terminal.written)
            if turn % 2:
                terminal.send(signal.SIGTSTP)
            else:
                terminal.press("\x1a")
            terminal.read_until_stopped()
            assert LEFT_ALTERNATE_SCREEN in terminal.written[begin:]
            assert terminal.attributes() == terminal.attributes_before
            again = len(terminal.written)
            terminal.send(signal.SIGCONT)
            terminal.read_until(b"2 Ports", after=again)
            ledger.survive()
        ledger.inject()
        terminal.send(signal.SIGSTOP)
        terminal.read_until_stopped()
        terminal.send(signal.SIGCONT)
        begin = len(terminal.written)
        terminal.press("1")
        terminal.read_until(b"[1 Plugins]", after=begin)
        terminal.press("q")
        assert terminal.wait() == 0
        assert_restored(terminal)
        ledger.survive()
    assert report.read_text().split() == ["started", "stopped"]
