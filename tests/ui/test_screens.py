"""What is shown over the panes is imported when it is asked for."""

from __future__ import annotations

import subprocess
import sys

import pytest
from textual.screen import Screen

from tui.console import screens

PROGRAM = """
import sys
import tui.console.app
print(*sorted(name for name in sys.modules if name.startswith("tui.console.screens.")))
"""


def test_the_first_paint_waits_for_the_panes_only() -> None:
    done = subprocess.run([sys.executable, "-c", PROGRAM], capture_output=True, text=True)
    own = {name.removeprefix("tui.console.screens.") for name in done.stdout.split()}
    assert own == {"main", "parts"}


def test_each_is_found_by_its_name() -> None:
    screens.import_all()
    for name in screens.NAMES:
        assert getattr(screens, name).__name__ == name
    assert issubclass(screens.HelpScreen, Screen)


def test_a_name_of_none_is_refused() -> None:
    with pytest.raises(AttributeError, match="has no attribute 'NoScreen'"):
        screens.NoScreen  # noqa: B018
