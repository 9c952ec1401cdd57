"""Rows of an answer as text: cells for people, CSV for spreadsheets, JSON Lines for programs."""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path

from engine.core.errors import FailedError, UsageError
from engine.core.sanitise import clean
from engine.recording.export import new_file
from engine.recording.lines import finite

Value = int | float | str | bytes | None
Row = Sequence[Value]
"""A row of an answer."""

ROWS = 1_000
"""Rows of an answer at most, unless somebody asks for more."""
_LONGEST = 1 << 20


def cell_text(value: Value) -> str:
    """A value as people read it, safe to show; bytes in hex, absent ones empty."""
    match value:
        case None:
            return ""
        case bytes():
            return value.hex()
        case float():
            return f"{value:.6g}" if abs(value) < 1e6 else f"{value:.1f}"
    return clean(str(value), _LONGEST)


def csv_lines(names: Sequence[str], rows: Iterable[Row]) -> Iterator[str]:
    """The names, then a line for each row; nothing where there are no columns."""
    line = io.StringIO()
    writer = csv.writer(line, lineterminator="\n")
    for row in (names, *rows) if names else ():
        writer.writerow([cell_text(value) for value in row])
        yield line.getvalue()
        line.seek(0)
        line.truncate()


def json_lines(names: Sequence[str], rows: Iterable[Row]) -> Iterator[str]:
    """An object for each row; bytes in hex, and nothing but ASCII, so that all is exact.

    Infinity is text: JSON has no such number.

    A name that is there already, or is `kind`, gets a number: `pid`, `pid_2`.
    """
    distinct = list(_distinct(names))
    for row in rows:
        values = {
            name: value.hex() if isinstance(value, bytes) else finite(value)
            for name, value in zip(distinct, row, strict=True)
        }
        yield json.dumps({"kind": "row", **values}, separators=(",", ":")) + "\n"


def _distinct(names: Sequence[str]) -> Iterator[str]:
    taken = {"kind"}
    for name in names:
        number, distinct = 2, name
        while distinct in taken:
            number, distinct = number + 1, f"{name}_{number}"
        taken.add(distinct)
        yield distinct


FORMS = {".csv": csv_lines, ".jsonl": json_lines}
"""What writes an answer, by the end of the file's name."""


def write_answer(path: Path, names: Sequence[str], rows: Sequence[Row]) -> int:
    """Write rows into a new file that only its owner can read; returns how many.

    Raises:
        UsageError: the name does not say in which form.
        FailedError: there is a file of that name, or it cannot be written.
    """
    lines = FORMS.get(path.suffix.lower())
    if lines is None:
        raise UsageError(
            f"{clean(path.name)!r} does not say in which form", fix="a name with .csv or .jsonl"
        )
    try:
        with new_file(path) as file:
            file.writelines(lines(names, rows))
    except FileExistsError as error:
        raise FailedError(f"there is a file {path} already", fix="choose another name") from error
    except (OSError, ValueError) as error:
        reason = error.strerror if isinstance(error, OSError) else error
        raise FailedError(
            f"cannot write {path}: {reason}",
            fix="choose a directory that can be written, with room on its disk",
        ) from error
    return len(rows)
