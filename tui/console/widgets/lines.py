"""The base of every list in the console: rows drawn one line at a time, only those in view.

Textual's DataTable repaints every visible cell whenever one changes; this widget draws a
line when the screen asks for it and remembers the strip. Rows are known by key, so the
cursor stays on its row wherever that row moves.
"""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Hashable, Mapping, Sequence
from typing import Any, ClassVar, Generic, NamedTuple, Protocol, runtime_checkable

from rich.segment import Segment
from rich.style import Style
from textual import events
from textual.binding import BindingType
from textual.cache import LRUCache
from textual.geometry import Size
from textual.message import Message
from textual.scroll_view import ScrollView
from textual.strip import Strip

from engine.core.filters import Filter
from engine.core.records import Record
from tui.console.keymap import with_keys
from tui.console.keys import LIST_KEYS
from tui.console.opening import ask
from tui.console.scope import Process, Scope
from tui.console.widgets.columns import (
    Column,
    Layout,
    Remark,
    RowT,
    Tone,
    fit,
    row_strip,
    title_text,
)
from tui.console.widgets.selection import SelectableLines

GUTTER = 1
"""Cells left of the first column; the cursor's mark stands there."""

_SIDEWAYS = 8
_TONES: tuple[Tone, ...] = ("dim", "strong", "good", "bad", "warn")


class Palette(NamedTuple):
    """The styles rows are drawn with."""

    base: Style
    cursor: Style
    tones: Mapping[Tone, Style]


@runtime_checkable
class Tools(Protocol):
    """What holds the lines one filters and finds with, for the lists in it."""

    def write_filter(self, view: LineView[Any]) -> None:
        """Let somebody write a filter for a list."""

    def write_sought(self, view: LineView[Any]) -> None:
        """Let somebody write what to look for in a list."""


class LineView(ScrollView, SelectableLines, Generic[RowT], can_focus=True, inherit_bindings=False):
    """Rows in columns under a line of headings, with a cursor that follows its row."""

    COMPONENT_CLASSES: ClassVar[set[str]] = {
        "line--title",
        "line--cursor",
        "line--badge",
        *(f"line--{tone}" for tone in _TONES),
    }
    BINDINGS: ClassVar[list[BindingType]] = [*LIST_KEYS]

    class RowChosen(Message):
        """Somebody wants to see everything about a row."""

        def __init__(self, row: object, view: object = None) -> None:
            super().__init__()
            self.row = row
            self.view = view
            """The list the row is in."""

    class FindRepeated(Message):
        """Somebody wants to see the next row that is looked for, or the one before."""

        def __init__(self, view: LineView[Any], step: int) -> None:
            super().__init__()
            self.view = view
            self.step = step

    class CursorMoved(Message):
        """The cursor stands on another row."""

        def __init__(self, row: object) -> None:
            super().__init__()
            self.row = row

    def __init__(
        self,
        columns: Sequence[Column[RowT]],
        *,
        empty: str = "",
        widget_id: str | None = None,
    ) -> None:
        super().__init__(id=widget_id)
        self.columns = tuple(columns)
        self.filter: Filter | None = None
        """What chooses the rows, as far as somebody filters them."""
        self.scope: Scope | None = None
        """The process whose rows are shown; None for those of all."""
        self.sought: Filter | None = None
        """What is looked for, without hiding the other rows."""
        self.sought_text = ""
        """The same as it was written."""
        self._empty = empty
        self._idle = False
        self.cursor_key: Hashable | None = None
        self._layout_now: Layout[RowT] = ()
        self._strips: LRUCache[tuple[Hashable, bool], Strip] = LRUCache(1024)
        self._palette: Palette | None = None
        self._left = 0
        self._widest = 0
        self._paged = 0
        """Rows that were in view before the size changed."""

    # What a subclass tells about its rows.

    @property
    @abstractmethod
    def row_count(self) -> int:
        """How many rows there are."""

    @abstractmethod
    def row_at(self, index: int) -> RowT:
        """The row at a position, 0 on top."""

    @abstractmethod
    def row_key(self, row: RowT) -> Hashable:
        """What identifies a row."""

    @abstractmethod
    def index_of(self, key: Hashable) -> int | None:
        """Where the row of that key is now; None when it is gone."""

    @property
    def kinds(self) -> tuple[str, ...]:
        """Kinds of the records behind the rows; empty where rows cannot be filtered."""
        return ()

    def record_of(self, row: RowT) -> Record | None:
        """The record behind a row, if it is one or has one."""
        record = row if isinstance(row, Record) else getattr(row, "record", None)
        return record if isinstance(record, Record) else None

    @property
    def filter_counts(self) -> tuple[int, int]:
        """How many rows the filter has chosen, and of how many."""
        return (self.row_count, self.row_count)

    def set_filter(self, filter_: Filter | None) -> None:
        """Show the rows that a filter chooses only, or all again."""
        self.filter = filter_
        self.refilter()

    def enter_scope(self, scope: Scope) -> None:
        """Show the rows of one process only."""
        self.scope = scope
        self.refilter()

    def leave_scope(self, outer: Scope | None) -> None:
        """Show the rows of the scope around it, or of all processes."""
        self.scope = outer
        self.refilter()

    def refilter(self) -> None:
        """Choose the rows anew; the filter or the scope is another one."""

    def sort_name(self) -> str:
        """Name of the column the rows are sorted by; empty for their own order."""
        return ""

    @property
    def descending(self) -> bool:
        """Whether they are sorted the other way round."""
        return False

    def remark(self, row: RowT) -> Remark | None:
        """What stands in a row instead of the cells right of a column; None for the cells."""
        return None

    def badge(self) -> str:
        """A short notice at the right end of the headings; empty for none."""
        return ""

    # Geometry.

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

    def on_resize(self) -> None:
        """Choose the columns anew for the new width; the cursor's row stays in view."""
        index, top = self.cursor_index, self.top_row
        in_view = index is not None and top <= index < top + self._paged
        self.lay_out()
        self._paged = self.page_rows
        if index is not None and in_view and index >= top + self._paged:
            self.scroll_to(y=index - self._paged + 1, animate=False, force=True, immediate=True)

    def say_when_empty(self, text: str, *, idle: bool = False) -> None:
        """Choose what is shown instead of rows while there are none.

        Args:
            text: What is shown.
            idle: It tells why no row can come, whatever is asked for.
        """
        if (text, idle) != (self._empty, self._idle):
            self._empty, self._idle = text, idle
            self.refresh()

    @property
    def empty_text(self) -> str:
        """What is shown instead of rows while there are none."""
        if self._idle:
            return self._empty
        if self.filter is not None and self.filter_counts[1]:
            return "nothing passes the filter"
        if self.scope is not None and any(map(self.scope.concerns, self.kinds)):
            return f"nothing here of {self.scope}: escape shows all"
        return self._empty

    def lay_out(self) -> None:
        """Choose the columns that fit and forget every strip drawn for another width."""
        self._layout_now = fit(self.columns, max(1, self.size.width - GUTTER))
        self._left = self._widest = 0
        self.rows_changed()

    def rows_changed(self) -> None:
        """Forget the strips, take over the number of rows, draw."""
        self._strips.clear()
        self.fit_virtual_size()
        self.refresh()

    def fit_virtual_size(self) -> None:
        """Tell the scroll bar how much there is."""
        self.virtual_size = Size(self.size.width, self.row_count + self.title_rows)

    def notify_style_update(self) -> None:
        """Strips hold styles, so a new theme, or the focus, needs new strips."""
        super().notify_style_update()
        self._strips.clear()
        self._palette = None

    # Drawing.

    def render_line(self, y: int) -> Strip:
        """One line of the widget."""
        width, base = self.size.width, self.palette.base
        if y < self.title_rows:
            return self._title_strip(width)
        index = self.top_row + y - self.title_rows
        if index >= self.row_count:
            if index == 0 and (empty := self.empty_text):
                text = " " * GUTTER + with_keys(self.app, empty)
                style = base + self.palette.tones["dim"]
                return Strip([Segment(text, style)]).crop_extend(0, width, base)
            return Strip.blank(width, base)
        row = self.row_at(index)
        selected = self.row_key(row) == self.cursor_key
        strip = self._row_strip(row, selected)
        style = self.palette.cursor if selected else base
        strip = strip.crop_extend(self._left, self._left + width, style)
        return self.mark_selected(strip, index)

    # Selecting text.

    @property
    def left_edge(self) -> int:
        """The first cell of the rows that is in view."""
        return self._left

    def lines_in_view(self) -> range:
        """Positions of the rows in view."""
        return range(self.top_row, min(self.top_row + self.page_rows, self.row_count))

    def first_line_at(self) -> int:
        """Rows stand below the headings."""
        return self.title_rows

    def whole_line(self, number: int) -> Strip:
        """A row in full, without the mark of the cursor."""
        if number >= self.row_count:
            return Strip([])
        strip = self._row_strip(self.row_at(number), False)
        return Strip.join([Strip.blank(GUTTER), strip.crop(GUTTER, strip.cell_length)])

    def _row_strip(self, row: RowT, selected: bool) -> Strip:
        key = (self.row_key(row), selected)
        strip = self._strips.get(key)
        if strip is None:
            strip = self.draw_row(row, selected)
            self._strips[key] = strip
            self._widest = max(self._widest, strip.cell_length)
        return strip

    def draw_row(self, row: RowT, selected: bool) -> Strip:
        """One row as a strip of any width."""
        return row_strip(
            row,
            self._layout_now,
            mark="›" if selected else " ",
            base=self.palette.cursor if selected else self.palette.base,
            tones=self.palette.tones,
            remark=self.remark(row),
        )

    @property
    def palette(self) -> Palette:
        """The styles of the rows; resolving them walks up the tree, so they are kept."""
        if self._palette is None:
            self._palette = Palette(
                self.rich_style,
                self.get_component_rich_style("line--cursor"),
                {
                    tone: self.get_component_rich_style(f"line--{tone}", partial=True)
                    for tone in _TONES
                },
            )
        return self._palette

    def _title_strip(self, width: int) -> Strip:
        style = self.get_component_rich_style("line--title")
        headings = title_text(self._layout_now, self.sort_name(), descending=self.descending)
        titles = " " * GUTTER + headings
        strip = Strip([Segment(titles, style)])
        strip = strip.crop_extend(self._left, self._left + width, style)
        badge = self.badge()[:width]
        if not badge:
            return strip
        end = Strip([Segment(badge, self.get_component_rich_style("line--badge"))])
        return Strip.join([strip.crop(0, width - end.cell_length), end])

    # The cursor.

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

    def move_to(self, index: int) -> None:
        """Put the cursor on the row at a position and bring that row into view."""
        if not self.row_count:
            return
        index = min(max(index, 0), self.row_count - 1)
        row = self.row_at(index)
        key = self.row_key(row)
        if key != self.cursor_key:
            self.cursor_key = key
            self.post_message(self.CursorMoved(row))
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

    def action_sideways(self, direction: int) -> None:
        """Scroll sideways to where long text goes on."""
        furthest = max(0, self._widest - self.size.width)
        self._left = min(max(self._left + direction * _SIDEWAYS, 0), furthest)
        self.refresh()

    def action_choose(self) -> None:
        """Ask for the detail of the row under the cursor, else of the last one in view."""
        if not self.row_count:
            return
        if self.cursor_index is None:
            self.action_cursor(-1)
        row = self.chosen_row
        if row is not None:
            ask(self, self.RowChosen(row, self))

    def action_filter(self) -> None:
        """Ask for a filter."""
        if tools := self._tools:
            tools.write_filter(self)

    def action_find(self) -> None:
        """Ask for what to look for."""
        if tools := self._tools:
            tools.write_sought(self)

    @property
    def _tools(self) -> Tools | None:
        """Who has the lines to type in. Called, not told: what is typed next is meant for them."""
        return next((node for node in self.ancestors if isinstance(node, Tools)), None)

    def action_find_next(self, step: int) -> None:
        """Go on to where it is found again."""
        self.post_message(self.FindRepeated(self, step))

    def check_action(self, action: str, parameters: tuple[object, ...]) -> bool | None:
        """What applies to these rows."""
        match action:
            case "filter" | "find":
                return bool(self.kinds)
            case "find_next":
                return self.sought is not None
            case "go_to_time":
                return False
        return True

    def on_click(self, event: events.Click) -> None:
        """A click puts the cursor on a row, a second one opens its detail."""
        if self.text_selection is not None:
            return
        if event.y < self.title_rows:
            self.title_clicked(event.x + self._left)
            return
        index = self.top_row + event.y - self.title_rows
        if index < self.row_count:
            self.move_to(index)
            if event.chain > 1:
                self.action_choose()

    def title_clicked(self, x: int) -> None:
        """The headings were clicked at a cell."""

    def column_at(self, x: int) -> Column[RowT] | None:
        """The column that covers a cell of the row."""
        start = GUTTER
        for column, width in self._layout_now:
            if start <= x < start + width:
                return column
            start += width + 1
        return None
