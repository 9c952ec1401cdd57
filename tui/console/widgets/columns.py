"""Columns: which fit a width, and one row of cells as a strip.

Columns of records come from the field declarations; a pane may add computed ones.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Generic, Literal, NamedTuple, TypeAlias, TypeVar

from rich.cells import cell_len, set_cell_size
from rich.segment import Segment
from rich.style import Style
from textual.strip import Strip

from engine.core.fields import Align, Field, RecordKind
from engine.core.records import Record
from engine.core.sanitise import ELLIPSIS
from tui.console.format import field_text

RowT = TypeVar("RowT")

Tone = Literal["", "dim", "strong", "good", "bad", "warn"]
"""How a cell is emphasised; every tone is also told by the text itself."""

SortKey: TypeAlias = tuple[bool, float | str]
"""Numbers before text, so that a column of mixed values still sorts."""
UNKNOWN: SortKey = (True, "")
"""What a row without a value sorts by."""

_NEEDED = 4
"""Columns of a higher priority number are nice to have."""
GAP = 1
"""Cells between two columns."""


@dataclass(frozen=True)
class Column(Generic[RowT]):
    """One column: where its text comes from and how much room it wants."""

    name: str
    title: str
    width: int
    text: Callable[[RowT], str]
    align: Align = "left"
    priority: int = 5
    """1 = shown even when narrow, 9 = first to go."""
    flex: bool = False
    """Takes all the room that is left; `width` is then the least it is shown with."""
    ample: int = 0
    """Width up to which a flexible column comes before columns that are nice to have, and up to
    which another one grows once those are chosen and the flexible one has got that."""
    tone: Callable[[RowT], Tone] | None = None
    sort_key: Callable[[RowT], SortKey] | None = None
    help: str = ""


class Remark(NamedTuple):
    """A sentence about a row that takes the place of the cells right of a column."""

    after: str
    """Name of the last column that is still shown."""
    text: str
    tone: Tone = "bad"


Layout = tuple[tuple[Column[RowT], int], ...]
"""The columns shown, left to right, with the width each has got."""


def fit(columns: Sequence[Column[RowT]], width: int) -> Layout[RowT]:
    """Choose the columns that fit `width` cells, by priority; what is left goes to the flexible.

    The order stays the declared one. The most important column is always shown, cut if need be.
    Columns that are nice to have get only what the flexible one does not need to be ample.
    """
    room = width
    chosen: list[Column[RowT]] = []
    flexible: Column[RowT] | None = None
    for column in sorted(columns, key=lambda column: column.priority):
        need = column.width + (GAP if chosen else 0)
        reserved = 0
        if flexible is not None and column.priority > _NEEDED:
            reserved = max(0, flexible.ample - flexible.width)
        if need <= room - reserved or not chosen:
            chosen.append(column)
            room -= need
            flexible = column if column.flex else flexible
    grown: dict[str, int] = {}
    for column in chosen:
        if column is not flexible and column.ample > column.width:
            spare = room - (max(0, flexible.ample - flexible.width) if flexible else 0)
            grown[column.name] = max(0, min(column.ample - column.width, spare))
            room -= grown[column.name]
    return tuple(
        (column, max(1, column.width + (room if column is flexible else min(0, room))))
        if column.name not in grown
        else (column, column.width + grown[column.name])
        for column in columns
        if column in chosen
    )


def record_columns(
    kind: RecordKind,
    names: Sequence[str],
    *,
    titles: Mapping[str, str] | None = None,
    widths: Mapping[str, int] | None = None,
    priorities: Mapping[str, int] | None = None,
    tones: Mapping[str, Callable[[Record], Tone]] | None = None,
    amples: Mapping[str, int] | None = None,
    flex: str = "",
    ample: int = 0,
) -> tuple[Column[Record], ...]:
    """Columns of a record kind made of its field declarations.

    Args:
        kind: The record kind.
        names: Fields to show, left to right.
        titles: Headings where the field's name would be too long.
        widths: Widths that differ from the declared ones.
        priorities: Priorities that differ from the declared ones.
        tones: Emphasis by field.
        amples: Widths up to which fields grow where there is room.
        flex: Name of the field that takes the rest of the line.
        ample: Width up to which that field comes before columns that are nice to have.

    Raises:
        KeyError: if the kind has no such field.
    """
    return tuple(
        record_column(
            kind.field(name),
            title=(titles or {}).get(name, name),
            width=(widths or {}).get(name),
            priority=(priorities or {}).get(name),
            tone=(tones or {}).get(name),
            flex=name == flex,
            ample=ample if name == flex else (amples or {}).get(name, 0),
        )
        for name in names
    )


def record_column(
    field: Field,
    *,
    title: str = "",
    width: int | None = None,
    priority: int | None = None,
    tone: Callable[[Record], Tone] | None = None,
    flex: bool = False,
    ample: int = 0,
) -> Column[Record]:
    """The column of one declared field."""
    return Column(
        name=field.name,
        title=title or field.name,
        width=field.width if width is None else width,
        text=lambda record: field_text(record, field),
        align=field.align,
        priority=field.priority if priority is None else priority,
        flex=flex,
        ample=ample,
        tone=tone,
        sort_key=lambda record: _sort_key(record, field.name),
        help=field.help,
    )


def lift(column: Column[Record], record_of: Callable[[RowT], Record | None]) -> Column[RowT]:
    """A column of records as one of rows that hold a record; empty where a row holds none."""
    tone_of, sort_key_of = column.tone, column.sort_key

    def text(row: RowT) -> str:
        record = record_of(row)
        return "" if record is None else column.text(record)

    def tone(row: RowT) -> Tone:
        record = record_of(row)
        return "" if record is None or tone_of is None else tone_of(record)

    def sort_key(row: RowT) -> SortKey:
        record = record_of(row)
        return UNKNOWN if record is None or sort_key_of is None else sort_key_of(record)

    return Column(
        name=column.name,
        title=column.title,
        width=column.width,
        text=text,
        align=column.align,
        priority=column.priority,
        flex=column.flex,
        ample=column.ample,
        tone=tone if tone_of else None,
        sort_key=sort_key if sort_key_of else None,
        help=column.help,
    )


def _sort_key(record: Record, name: str) -> SortKey:
    value = record.get(name)
    if isinstance(value, (int, float)):
        return (False, float(value))
    return (True, "" if value is None else str(value))


def cell(text: str, width: int, align: Align = "left") -> str:
    """`text` cut or padded to `width` cells; an ellipsis marks what was cut."""
    length = len(text) if text.isascii() else cell_len(text)
    if length > width:
        return set_cell_size(text, width - 1) + ELLIPSIS if width > 1 else text[:width]
    padding = " " * (width - length)
    return padding + text if align == "right" else text + padding


def row_strip(
    row: RowT,
    layout: Layout[RowT],
    *,
    mark: str,
    base: Style,
    tones: Mapping[Tone, Style],
    remark: Remark | None = None,
) -> Strip:
    """One row as a strip: the mark in the gutter, then the cells.

    The last column, if flexible, is not cut at its width, so that scrolling sideways shows
    the rest of it. A remark takes the place of the cells right of the column it names.
    """
    segments: list[Segment] = [Segment(mark, base)]
    last = len(layout) - 1
    for position, (column, width) in enumerate(layout):
        text = column.text(row)
        if position != last:
            text = cell(text, width, column.align) + " " * GAP
        elif not column.flex:
            text = cell(text, width, column.align)
        tone = column.tone(row) if column.tone else ""
        segments.append(Segment(text, base + tones[tone] if tone else base))
        if remark is not None and column.name == remark.after:
            segments.append(Segment(remark.text, base + tones[remark.tone]))
            break
    return Strip(segments).simplify()


def title_text(layout: Layout[RowT], sort_name: str = "", *, descending: bool = False) -> str:
    """The headings of the columns; an arrow marks the one the rows are sorted by, and which way."""
    arrow = "▼" if descending else "▲"
    return "".join(
        cell(column.title + (arrow if column.name == sort_name else ""), width, column.align)
        + " " * GAP
        for column, width in layout
    )
