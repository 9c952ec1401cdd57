"""A table of states: rows replaced as a whole on each snapshot, known by key."""

from __future__ import annotations

from collections.abc import Callable, Container, Hashable, Sequence

from engine.core.records import Record
from tui.console.widgets.columns import UNKNOWN, Column, Remark, RowT
from tui.console.widgets.lines import LineView


def nearest_kept(
    keys: Sequence[Hashable], index: int, kept: Container[Hashable]
) -> Hashable | None:
    """The key that is kept nearest to a position; of two as near the later one, None of none."""
    nearest = sorted(range(len(keys)), key=lambda other: (abs(other - index), other < index))
    return next((keys[other] for other in nearest if keys[other] in kept), None)


class TableView(LineView[RowT]):
    """Keyed rows; sorting is stable and the cursor stays on its row."""

    def __init__(
        self,
        columns: Sequence[Column[RowT]],
        key: Callable[[RowT], Hashable],
        *,
        kind: str = "",
        empty: str = "",
        remark: Callable[[RowT], Remark | None] | None = None,
        widget_id: str | None = None,
    ) -> None:
        super().__init__(columns, empty=empty, widget_id=widget_id)
        self._kind = kind
        self._key = key
        self._remark = remark
        self._given: tuple[RowT, ...] = ()
        self._in_scope = 0
        self._rows: tuple[RowT, ...] = ()
        self._positions: dict[Hashable, int] = {}
        self._sorted_by: Column[RowT] | None = None
        self._descending = False

    @property
    def rows(self) -> tuple[RowT, ...]:
        """The rows as they stand."""
        return self._rows

    @property
    def row_count(self) -> int:
        """How many rows there are."""
        return len(self._rows)

    def row_at(self, index: int) -> RowT:
        """The row at a position."""
        return self._rows[index]

    def row_key(self, row: RowT) -> Hashable:
        """What identifies a row."""
        return self._key(row)

    def index_of(self, key: Hashable) -> int | None:
        """Where the row of that key is now."""
        return self._positions.get(key)

    @property
    def kinds(self) -> tuple[str, ...]:
        """The kind of the records behind the rows."""
        return (self._kind,) if self._kind else ()

    @property
    def filter_counts(self) -> tuple[int, int]:
        """Rows in the table, and rows there are in the scope."""
        return (len(self._rows), self._in_scope)

    def refilter(self) -> None:
        """Choose the rows anew; the cursor leaves a row that is hidden for the nearest in view."""
        rows, index = self._rows, self.cursor_index
        self._arrange()
        if index is None or self.cursor_index is not None:
            return
        key = nearest_kept([self._key(row) for row in rows], index, self._positions)
        if key is not None:
            self.move_to(self._positions[key])

    def remark(self, row: RowT) -> Remark | None:
        """The sentence that takes the place of a row's cells, if the table was given one."""
        return self._remark(row) if self._remark else None

    def sort_name(self) -> str:
        """Name of the column the rows are sorted by."""
        return self._sorted_by.name if self._sorted_by else ""

    @property
    def descending(self) -> bool:
        """Whether the largest row is on top."""
        return self._descending

    def set_rows(self, rows: Sequence[RowT], *, redraw: bool = False) -> None:
        """Take over a new picture; draws only if something differs or `redraw` is set."""
        given = tuple(rows)
        if given == self._given and not redraw:
            return
        self._given = given
        self._arrange()

    def action_sort(self) -> None:
        """Sort by the next column in view; after the last one, back to the own order."""
        sortable = [column for column, _width in self.strips.layout if column.sort_key]
        if self._sorted_by in sortable:
            following = sortable[sortable.index(self._sorted_by) + 1 :]
        else:
            following = sortable
        self._sort(following[0] if following else None)

    def action_reverse(self) -> None:
        """Turn the order round."""
        self._sort(self._sorted_by, descending=not self._descending)

    def title_clicked(self, x: int) -> None:
        """A click on a heading sorts by its column, a second one turns it round."""
        column = self.strips.column_at(x)
        if column is None or not column.sort_key:
            return
        again = column is self._sorted_by
        self._sort(None if again and self._descending else column, descending=again)

    def _sort(self, column: Column[RowT] | None, *, descending: bool = False) -> None:
        """Sort anew; the row under the cursor stays in view."""
        self._sorted_by = column
        self._descending = descending and column is not None
        self._arrange()
        self.refresh_bindings()
        if (index := self.cursor_index) is not None:
            self.move_to(index)

    def _arrange(self) -> None:
        scope, filter_ = self.scope, self.filter
        chosen = [row for row in self._given if scope is None or self._passes(scope.shows, row)]
        self._in_scope = len(chosen)
        if filter_ is not None:
            chosen = [row for row in chosen if self._passes(filter_.matches, row)]
        self._rows = tuple(self._sorted(chosen))
        self._positions = {self._key(row): index for index, row in enumerate(self._rows)}
        self.rows_changed()

    def _sorted(self, rows: list[RowT]) -> list[RowT]:
        """The rows in order; those without a value come last either way."""
        sort_key = self._sorted_by.sort_key if self._sorted_by else None
        if sort_key is None:
            return rows
        known = [row for row in rows if sort_key(row) != UNKNOWN]
        unknown = [row for row in rows if sort_key(row) == UNKNOWN]
        return sorted(known, key=sort_key, reverse=self._descending) + unknown

    def _passes(self, predicate: Callable[[Record], bool], row: RowT) -> bool:
        record = self.record_of(row)
        return record is not None and predicate(record)
