"""What takes long is told on a terminal's stderr, and on nothing else."""

from __future__ import annotations

import io

import pytest

from engine.core.progress import Tasks
from tests.waiting import wait_until
from tui.cli.diagnostics import waiting


class Terminal(io.StringIO):
    """A stderr that may be a terminal."""

    def __init__(self, *, tty: bool) -> None:
        super().__init__()
        self._tty = tty

    def isatty(self) -> bool:
        return self._tty


def test_a_long_task_is_told_on_one_line_that_is_wiped_out(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    terminal = Terminal(tty=True)
    monkeypatch.setattr("sys.stderr", terminal)
    tasks = Tasks()
    with waiting(tasks), tasks.begin("opening box.jsonl") as task:
        task.advance(1, 2)
        wait_until(lambda: "boxscope: opening box.jsonl 50%" in terminal.getvalue())
    assert "\n" not in terminal.getvalue()
    assert terminal.getvalue().endswith("\r\x1b[K")


def test_nothing_is_told_of_what_is_brief(monkeypatch: pytest.MonkeyPatch) -> None:
    terminal = Terminal(tty=True)
    monkeypatch.setattr("sys.stderr", terminal)
    tasks = Tasks()
    with waiting(tasks), tasks.begin("opening"):
        pass
    assert terminal.getvalue() == ""


def test_nothing_is_told_where_there_is_no_terminal(monkeypatch: pytest.MonkeyPatch) -> None:
    terminal = Terminal(tty=False)
    monkeypatch.setattr("sys.stderr", terminal)
    with waiting(Tasks()):
        pass
    assert terminal.getvalue() == ""
