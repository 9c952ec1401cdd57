"""The rows that answer a question in SQL: whatever columns they have."""

from __future__ import annotations

from collections.abc import Callable, Hashable, Iterator, Sequence
from itertools import islice
from typing import ClassVar, NamedTuple

from rich.cells import cell_len
from textual.binding import BindingType
from textual.message import Message

from engine.core.sanitise import clean
from engine.recording.query import Answer
from engine.recording.rows import Value, cell_text, json_lines
from tui.console.keys import ANSWER_KEYS
from tui.console.opening import ask
from tui.console.widgets.columns import GAP, UNKNOWN, Column, SortKey
from tui.console.widgets.row_strips import GUTTER
from tui.console.widgets.table import TableView

_WIDEST = 60
_MEASURED = 500
"""Rows whose values decide how wide a column is."""
_EDGE = 200
"""Characters of a value that are drawn; enter shows all of it."""


class AnswerRow(NamedTuple):
    """A row with its number, from 1."""

    number: int
    values: tuple[Value, ...]


def answer_columns(answer: Answer) -> Iterator[Column[AnswerRow]]:
    """A column for each of an answer's, as wide as what is in it; numbers stand right."""
    for position, name in enumerate(answer.columns):
        values = [row[position] for row in islice(answer.rows, _MEASURED)]
        title = clean(name, _WIDEST)
        widest = max((cell_len(cell_text(value)[:_EDGE]) for value in values), default=0)
        numeric = any(value is not None for value in values) and all(
            value is None or isinstance(value, (int, float)) for value in values
        )
        yield Column(
            name=str(position),
            title=title,
            width=min(max(widest, cell_len(title) + 1), _WIDEST),
            text=_text_of(position),
            align="right" if numeric else "left",
            priority=1,
            sort_key=_sort_key_of(position),
        )


def _text_of(position: int) -> Callable[[AnswerRow], str]:
    return lambda row: cell_text(row.values[position])[:_EDGE]


def _sort_key_of(position: int) -> Callable[[AnswerRow], SortKey]:
    def sort_key(row: AnswerRow) -> SortKey:
        match row.values[position]:
            case None:
                return UNKNOWN
            case int() | float() as number:
                return (False, number)
            case value:
                return (True, cell_text(value))

    return sort_key


class AnswerTable(TableView[AnswerRow]):
    """An answer; columns that find no room are reached with the arrow keys."""

    BINDINGS: ClassVar[list[BindingType]] = [*ANSWER_KEYS]

    class ExportAsked(Message):
        """Somebody wants the rows in a file."""

    def __init__(self, *, widget_id: str, empty: str) -> None:
        super().__init__((), _number_of, empty=empty, widget_id=widget_id)
        self.names: tuple[str, ...] = ()
        """Names of the columns."""

    def show_answer(self, answer: Answer) -> None:
        """Show the rows of another answer, in its own order."""
        self.names = answer.columns
        self.columns = tuple(answer_columns(answer))
        self._sorted_by, self._descending = None, False
        self.cursor_key = None
        self.scroll_to(y=0, animate=False, force=True)
        self.set_rows(
            [AnswerRow(number, row) for number, row in enumerate(answer.rows, 1)], redraw=True
        )
        self.lay_out()

    def lay_out(self) -> None:
        """Give every column its width, also where that is more than there is room for."""
        layout = tuple((column, column.width) for column in self.columns)
        self.strips.lay_out(layout, GUTTER + sum(column.width + GAP for column in self.columns))
        self.rows_changed()

    def as_json(self, rows: Sequence[AnswerRow]) -> str:
        """Rows as JSON Lines."""
        return "".join(json_lines(self.names, [row.values for row in rows]))

    def action_copy_row(self) -> None:
        """Copy the row under the cursor."""
        if (row := self.cursor_row) is not None:
            self.app.copy_to_clipboard(self.as_json([row]).rstrip("\n"))
            self.notify(f"row {row.number} is copied")

    def action_export_rows(self) -> None:
        """Ask for a file."""
        ask(self, self.ExportAsked())

    def check_action(self, action: str, parameters: tuple[object, ...]) -> bool | None:
        """What applies to an answer."""
        match action:
            case "copy_row":
                return self.cursor_index is not None
            case "export_rows" | "choose":
                return bool(self.rows)
        return super().check_action(action, parameters)


def _number_of(row: AnswerRow) -> Hashable:
    return row.number
