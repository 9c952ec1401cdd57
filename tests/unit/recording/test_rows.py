"""Rows as CSV and JSON Lines, on a screen and in a file."""

from __future__ import annotations

import csv
import io
import json
from pathlib import Path

import pytest

from engine.core.errors import BoxscopeError
from engine.recording.rows import cell_text, csv_lines, json_lines, write_answer

NAMES = ("name", "value")
ROWS = (("a,b", None), ('"\n', 1.5), ("\x1b[31m", b"\x00\xff"), ("é", 2**62))


def test_csv_is_read_back_with_what_a_terminal_obeys_made_visible() -> None:
    rows = list(csv.reader(io.StringIO("".join(csv_lines(NAMES, ROWS)))))
    assert rows[0] == ["name", "value"]
    assert rows[1:] == [["a,b", ""], ['"␊', "1.5"], ["␛[31m", "00ff"], ["é", str(2**62)]]


def test_json_lines_hold_every_value_as_it_is() -> None:
    lines = list(json_lines(NAMES, ROWS))
    assert all(line.isascii() and "\x1b" not in line for line in lines)
    assert [json.loads(line)["name"] for line in lines] == [row[0] for row in ROWS]
    assert [json.loads(line)["value"] for line in lines] == [None, 1.5, "00ff", 2**62]


def test_infinity_is_text_as_json_has_no_such_number() -> None:
    (line,) = json_lines(("a", "b"), [(float("inf"), float("-inf"))])
    assert json.loads(line) == {"kind": "row", "a": "Infinity", "b": "-Infinity"}


def test_columns_of_the_same_name_are_all_there() -> None:
    (line,) = json_lines(("pid", "kind", "pid"), [(1, "a", 2)])
    assert json.loads(line) == {"kind": "row", "pid": 1, "kind_2": "a", "pid_2": 2}


@pytest.mark.parametrize("name", ["answer.csv", "answer.jsonl", "ANSWER.CSV"])
def test_a_file_is_new_and_its_owners_only(tmp_path: Path, name: str) -> None:
    path = tmp_path / name
    assert write_answer(path, NAMES, ROWS) == len(ROWS)
    assert path.stat().st_mode & 0o777 == 0o600
    lines = csv_lines if name.lower().endswith("csv") else json_lines
    assert path.read_text() == "".join(lines(NAMES, ROWS))
    with pytest.raises(BoxscopeError, match="there is a file"):
        write_answer(path, NAMES, ROWS)


@pytest.mark.parametrize(
    ("name", "reason"),
    [("answer", "in which form"), ("no/answer.csv", "No such file"), ("a\0.csv", "null")],
)
def test_what_cannot_be_written_is_a_clear_error(tmp_path: Path, name: str, reason: str) -> None:
    with pytest.raises(BoxscopeError, match=reason) as refused:
        write_answer(tmp_path / name, NAMES, ROWS)
    assert refused.value.fix


def test_cells_are_short_and_safe() -> None:
    assert [cell_text(value) for value in (None, 0.1 + 0.2, 1e9, "\x07", b"\x01")] == [
        "",
        "0.3",
        "1000000000.0",
        "␇",
        "01",
    ]
