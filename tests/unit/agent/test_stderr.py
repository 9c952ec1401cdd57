"""What a plugin wrote to stderr: its last lines, kept when the file is emptied."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from engine.agent.stderr import KEPT_LINES, StderrHistory, read_stderr, tail_lines


@pytest.mark.parametrize(
    ("written", "shown"),
    [
        (b"", []),
        (b"\n\n", []),
        (b"one\ntwo\n", ["one", "two"]),
        (b"one\nnot finished", ["one", "not finished"]),
        (b"Traceback\nValueError: bad\n\n  \n", ["Traceback", "ValueError: bad"]),
        (b"1\n2\n3\n4\n", ["2", "3", "4"]),
        (b"x" * 10_000 + b"\nlast\n", ["last"]),
        (b"\x1b[31mred\x1b[0m \xff [/red]\n", ["␛[31mred␛[0m \\xff [/red]"]),
        (b"a\rb\n", ["a", "b"]),
    ],
)
def test_the_last_lines_that_are_not_blank(
    tmp_path: Path, written: bytes, shown: list[str]
) -> None:
    path = tmp_path / "demo.stderr"
    path.write_bytes(written)
    assert read_stderr(path, 3) == shown


def test_a_line_without_an_end_is_cut(tmp_path: Path) -> None:
    path = tmp_path / "demo.stderr"
    path.write_bytes(b"x" * 10_000)
    (line,) = read_stderr(path, 3)
    assert line == "x" * 199 + "…"


def test_what_cannot_be_read_is_no_lines(tmp_path: Path) -> None:
    assert read_stderr(tmp_path / "missing", 3) == []
    (tmp_path / "link").symlink_to("/etc/passwd")
    assert read_stderr(tmp_path / "link", 3) == []
    descriptor = os.open(os.devnull, os.O_RDONLY)
    os.close(descriptor)
    assert tail_lines(descriptor, 3) == []


def test_earlier_runs_stand_above_the_one_that_goes_on() -> None:
    history = StderrHistory()
    assert history.tail(["now"], 5) == ["now"]
    history.end_run(["out of milk"], "exited with code 3")
    assert history.tail(["now"], 5) == ["out of milk", "--- exited with code 3 ---", "now"]
    assert history.tail(["now"], 2) == ["--- exited with code 3 ---", "now"]
    assert history.tail(["a", "b", "c"], 2) == ["b", "c"]
    assert history.tail([], 1) == ["--- exited with code 3 ---"]


def test_earlier_runs_are_kept_within_bounds() -> None:
    history = StderrHistory()
    for number in range(3 * KEPT_LINES):
        history.end_run([str(number)], "gone")
    assert len(history.tail([], 10**6)) == KEPT_LINES
