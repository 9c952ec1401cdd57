"""The one writer to stdout: JSON Lines for programs, aligned columns for people."""

from __future__ import annotations

import shutil
import sys
from collections.abc import Callable, Iterable, Mapping, Sequence

from engine.core.clock import local_time_of_day
from engine.core.fields import Field, JsonValue
from engine.core.kinds import KINDS
from engine.core.records import Record
from engine.recording.lines import json_line
from engine.recording.rows import Row, cell_text, csv_lines, json_lines

_GAP = "  "


class JsonOutput:
    """One object a line."""

    def record(self, record: Record) -> None:
        """Print a record."""
        self.object(record.as_json())

    def object(self, shown: Mapping[str, JsonValue]) -> None:
        """Print any JSON object."""
        sys.stdout.write(json_line(shown))

    def flush(self) -> None:
        """Hand what was written to whoever reads."""
        sys.stdout.flush()


class ColumnOutput:
    """A line of columns a record; a kind's headings stand above its first record.

    Args:
        several_kinds: Whether records of different kinds come mixed; each line then begins
            with its kind.
        columns: Names of the fields to show, in their order; none means all that are not hidden.
        width: Where lines are cut; 0 leaves them whole.
    """

    def __init__(
        self, several_kinds: bool = False, columns: Sequence[str] = (), width: int = 0
    ) -> None:
        self._headed: set[str] = set()
        self._several_kinds = several_kinds
        self._columns = columns
        self._width = width

    def record(self, record: Record) -> None:
        """Print a record."""
        fields = self._fields_of(record)
        if record.kind not in self._headed:
            self._headed.add(record.kind)
            self._write_cells(_fit(field.name.upper(), field) for field in fields)
        self._write_cells(_fit(_cell(record, field), field) for field in fields)

    def object(self, shown: Mapping[str, JsonValue]) -> None:
        """Print statistics as a line a source; other objects as their values."""
        sources = shown.get("sources")
        if shown.get("kind") != "stats" or not isinstance(sources, Mapping):
            return
        sys.stdout.write(f"stats after {shown.get('elapsed_s')} s\n")
        for name, entry in sources.items():
            if isinstance(entry, Mapping):
                sys.stdout.write(_source_line(name, entry) + "\n")

    def _fields_of(self, record: Record) -> list[Field]:
        every = KINDS[record.kind].all_fields()
        if self._columns:
            by_name = {field.name: field for field in every}
            return [by_name[name] for name in self._columns]
        return [
            field
            for field in every
            if not field.hidden or (field.name == "kind" and self._several_kinds)
        ]

    def _write_cells(self, cells: Iterable[str]) -> None:
        sys.stdout.write(_cut(_GAP.join(cells).rstrip(), self._width) + "\n")

    def flush(self) -> None:
        """Hand what was written to whoever reads."""
        sys.stdout.flush()


Output = JsonOutput | ColumnOutput


def choose_output(
    as_json: bool, *, several_kinds: bool = False, columns: Sequence[str] = ()
) -> Output:
    """The writer for a command's `--json` flag.

    Columns that were chosen stand in the order of their weight, so a line is cut at the edge of
    the terminal, if there is one.
    """
    if as_json:
        return JsonOutput()
    cut = columns and sys.stdout.isatty()
    return ColumnOutput(several_kinds, columns, shutil.get_terminal_size().columns if cut else 0)


def write_lines(lines: Iterable[str]) -> None:
    """Print ready-made text."""
    sys.stdout.writelines(f"{line}\n" for line in lines)


def write_table(headings: Sequence[str], rows: Sequence[Sequence[str]], edge: int = 0) -> None:
    """Print rows under headings, columns as wide as their widest cell, cut at an edge if any."""
    widths = [max(len(row[i]) for row in (headings, *rows)) for i in range(len(headings))]
    for row in (headings, *rows):
        line = _GAP.join(cell.ljust(width) for cell, width in zip(row, widths, strict=True))
        sys.stdout.write(_cut(line.rstrip(), edge) + "\n")


def _cut(line: str, edge: int) -> str:
    """A line up to an edge; 0 leaves it whole."""
    return line[: edge - 1] + "…" if 0 < edge < len(line) else line


def write_rows(names: Sequence[str], rows: Sequence[Row]) -> None:
    """Print rows of values under their names, made safe to show; cut at the edge of a terminal."""
    shown = [[cell_text(value) for value in row] for row in rows]
    if not names:
        return
    edge = shutil.get_terminal_size().columns if sys.stdout.isatty() else 0
    write_table([cell_text(name) for name in names], shown, edge)


def write_csv(names: Sequence[str], rows: Sequence[Row]) -> None:
    """Print rows as comma-separated values under their names, made safe to show."""
    sys.stdout.writelines(csv_lines(names, rows))


def write_json_rows(names: Sequence[str], rows: Sequence[Row]) -> None:
    """Print each row as an object."""
    sys.stdout.writelines(json_lines(names, rows))


def _source_line(name: str, entry: Mapping[str, JsonValue]) -> str:
    dropped = entry.get("dropped")
    reasons = dropped if isinstance(dropped, Mapping) else {}
    lost = ", ".join(f"{count} {reason}" for reason, count in reasons.items()) or "0"
    line = (
        f"{name:<10} {entry.get('state', ''):<9} seen {entry.get('seen')}  "
        f"kept {entry.get('kept')}  dropped {lost}  lag {entry.get('lag_ms')} ms"
    )
    if entry.get("reason"):
        line += f"\n           {entry['reason']}"
    if entry.get("fix"):
        line += f"\n           to mend it: {entry['fix']}"
    return line


def _cell(record: Record, field: Field) -> str:
    if field.name == "ts":
        return local_time_of_day(record.ts_ns)
    value = record.get(field.name)
    match value:
        case None:
            return ""
        case bool():
            return "yes" if value else "no"
        case float():
            return f"{value:.1f}"
        case str():
            return value
        case Mapping():
            return " ".join(f"{key}={_plain(item)}" for key, item in value.items())
        case Sequence():
            return " ".join(_plain(item) for item in value)
    return str(value)


def _plain(value: JsonValue) -> str:
    if isinstance(value, Mapping):
        return "/".join(_plain(item) for item in value.values())
    return str(value)


def _fit(text: str, field: Field) -> str:
    aligned: Callable[[int], str] = text.rjust if field.align == "right" else text.ljust
    return aligned(max(field.width, len(field.name)))
