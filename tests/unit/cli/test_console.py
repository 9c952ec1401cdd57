"""The terminal as the console finds it."""

from __future__ import annotations

import io
import sys

import pytest

from engine.core.settings import load_settings
from engine.workspace import OpenedWorkspace
from tests.ui.fake_engine import FakeEngine
from tui.cli import console
from tui.console import run


def test_whatever_is_drawn_can_be_written(monkeypatch: pytest.MonkeyPatch) -> None:
    drawn = io.BytesIO()
    terminal = io.TextIOWrapper(drawn, encoding="ascii", errors="backslashreplace")
    monkeypatch.setattr(sys, "stderr", terminal)

    def draw(*_asked: object) -> int:
        sys.stderr.write("┃ \udc80")
        sys.stderr.flush()
        return 0

    monkeypatch.setattr(run, "run_console", draw)
    monkeypatch.setattr(console, "require_terminal", lambda: None)
    assert console.open_console(FakeEngine(), load_settings(), OpenedWorkspace()) == 0
    assert drawn.getvalue().decode() == r"┃ \udc80"
