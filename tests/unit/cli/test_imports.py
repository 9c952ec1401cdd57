"""What a verb does not need is not loaded."""

from __future__ import annotations

import subprocess
import sys

import pytest

PROGRAM = """
import sys
from tui.cli.main import main
code = main(sys.argv[1:])
loaded = sorted({name.split(".")[0] for name in sys.modules} & {"textual", "bcc", "rich"})
print("LOADED", loaded, "CODE", code)
"""


@pytest.mark.parametrize(
    "arguments",
    [
        ["--help"],
        ["--version"],
        ["doctor"],
        ["events", "--help"],
        ["events", "--list"],
        ["engine", "--help"],
        ["attach", "--headless", "--socket", "/no/such.sock"],
        ["modules", "check", "--help"],
        ["modules", "check", "/bin/sh"],
    ],
    ids=" ".join,
)
def test_neither_textual_nor_bcc_is_loaded(arguments: list[str]) -> None:
    done = subprocess.run(
        [sys.executable, "-c", PROGRAM, *arguments], capture_output=True, text=True, check=True
    )
    assert "LOADED [] CODE" in done.stdout


def test_help_loads_no_part_of_the_engine() -> None:
    program = "import sys, tui.cli.main; print([m for m in sys.modules if m.startswith('engine.')])"
    done = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, check=True
    )
    assert "agent" not in done.stdout
    assert "wasm" not in done.stdout
    assert "pydantic" not in done.stdout
