"""The cursor of a list: it stays on its row wherever that moves, and goes to what is looked for."""

from __future__ import annotations

from collections.abc import Hashable

from textual.message import Message
from textual.scroll_view import ScrollView

from engine.core.filters import Filter
from tui.console.scope import Process
from tui.console.widgets.columns import RowT
from tui.console.widgets.rows import Rows


class RowCursor(Rows[RowT], ScrollView):
    """Rows under headings that are scrolled through with a cursor, known by its row's key."""

    cursor_key: Hashable | None = None
    sought: Filter | None = None
    """What is looked for, without hiding the other rows."""
    sought_text = ""
    """The same as it was written."""

    class Moved(Message):
        """The cursor stands on another row."""

        def __init__(self, row: object) -> None:
            super().__init__()
            self.row = row

    # What is in view.

    @property
    def title_rows(self) -> int:
        """1 when there is room for the headings."""
        return 1 if self.size.height > 1 else 0

    @property
    def page_rows(self) -> int:
        """Rows in view at once."""
        return max(1, self.size.height - self.title_rows)

    @property
    def top_row(self) -> int:
        """Position of the first row in view."""
        return self.scroll_offset.y

    # Where it is.

    @property
    def cursor_index(self) -> int | None:
        """Where the cursor's row is now; None without a cursor or when its row is gone."""
        return None if self.cursor_key is None else self.index_of(self.cursor_key)

    @property
    def cursor_row(self) -> RowT | None:
        """The row under the cursor."""
        index = self.cursor_index
        return None if index is None else self.row_at(index)

    @property
    def chosen_row(self) -> RowT | None:
        """The row that keys act on: the one under the cursor, or the only one there is."""
        row = self.cursor_row
        return self.row_at(0) if row is None and self.row_count == 1 else row

    @property
    def process(self) -> Process | None:
        """The process of the row that keys act on, if it has one."""
        row = self.chosen_row
        record = None if row is None else self.record_of(row)
        if record is None or record.pid is None:
            return None
        return Process(record.pid, record.comm or "")

    # Moving.

    def move_to(self, index: int) -> None:
        """Put the cursor on the row at a position and bring that row into view."""
        if not self.row_count:
            return
        index = min(max(index, 0), self.row_count - 1)
        row = self.row_at(index)
        key = self.row_key(row)
        if key != self.cursor_key:
            self.cursor_key = key
            self.post_message(self.Moved(row))
        if index < self.top_row:
            self.scroll_to(y=index, animate=False, force=True)
        elif index >= self.top_row + self.page_rows:
            self.scroll_to(y=index - self.page_rows + 1, animate=False, force=True)
        self.refresh()

    def action_cursor(self, step: int) -> None:
        """Move the cursor; without one, begin at the edge of what is in view."""
        index = self.cursor_index
        if index is None:
            last = min(self.top_row + self.page_rows, self.row_count) - 1
            self.move_to(last if step < 0 else self.top_row)
        else:
            self.move_to(index + step)

    def action_page(self, pages: int) -> None:
        """Move the cursor by pages."""
        index = self.cursor_index
        start = self.top_row if index is None else index
        self.move_to(start + pages * self.page_rows)

    def action_first(self) -> None:
        """Go to the first row."""
        self.move_to(0)

    def action_last(self) -> None:
        """Go to the last row."""
        self.move_to(self.row_count - 1)

    # Looking for something.

    def look_for(self, sought: Filter | None, text: str = "") -> None:
        """Have something looked for, or nothing any more."""
        self.sought, self.sought_text = sought, text
        self.refresh_bindings()

    def seek(self, step: int, *, stay: bool = False) -> str:
        """Go to the next row that is looked for (1) or the one before (-1), round the end.

        Args:
            step: Which way.
            stay: Stay on the row under the cursor if it is one.

        Returns:
            What to tell: nothing, that it went round the end, or that there is none.
        """
        rows, here = self.row_count, self.cursor_index
        begin = here
        if begin is None:
            begin = self.top_row - 1 if step > 0 else min(self.top_row + self.page_rows, rows)
        for offset in range(0 if stay and here is not None else 1, rows + 1):
            index = begin + step * offset
            if not self._is_sought(index % rows):
                continue
            if offset and index % rows == here:
                break
            self.move_to(index % rows)
            return "" if 0 <= index < rows else "went round"
        return "no more"

    def _is_sought(self, index: int) -> bool:
        record = self.record_of(self.row_at(index))
        return record is not None and self.sought is not None and self.sought.matches(record)
