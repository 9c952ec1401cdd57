"""The base of every list in the console: rows drawn one line at a time, only those in view.

Textual's DataTable repaints every visible cell whenever one changes; this widget draws a
line when the screen asks for it and remembers the strip.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, ClassVar, Protocol, runtime_checkable

from rich.segment import Segment
from textual import events
from textual.binding import BindingType
from textual.geometry import Size
from textual.message import Message
from textual.strip import Strip

from tui.console.keymap import with_keys
from tui.console.keys import LIST_KEYS
from tui.console.opening import ask
from tui.console.widgets.columns import Column, RowT, Tone, fit, row_strip, title_text
from tui.console.widgets.row_cursor import RowCursor
from tui.console.widgets.row_strips import GUTTER, Palette, RowStrips
from tui.console.widgets.selection import SelectableLines

_TONES: tuple[Tone, ...] = ("dim", "strong", "good", "bad", "warn")


@runtime_checkable
class Tools(Protocol):
    """What holds the lines one filters and finds with, for the lists in it."""

    def write_filter(self, view: LineView[Any]) -> None:
        """Let somebody write a filter for a list."""

    def write_sought(self, view: LineView[Any]) -> None:
        """Let somebody write what to look for in a list."""


class LineView(RowCursor[RowT], SelectableLines, can_focus=True, inherit_bindings=False):
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

    def __init__(
        self,
        columns: Sequence[Column[RowT]],
        *,
        empty: str = "",
        widget_id: str | None = None,
    ) -> None:
        super().__init__(id=widget_id)
        self.columns = tuple(columns)
        self._empty = empty
        self._idle = False
        self.strips = RowStrips[RowT](self.row_key, self.draw_row)
        self._palette: Palette | None = None
        self._paged = 0
        """Rows that were in view before the size changed."""

    def badge(self) -> str:
        """A short notice at the right end of the headings; empty for none."""
        return ""

    # What is in view.

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
        self.strips.lay_out(fit(self.columns, max(1, self.size.width - GUTTER)))
        self.rows_changed()

    def rows_changed(self) -> None:
        """Forget the strips, take over the number of rows, draw."""
        self.strips.forget()
        self.fit_virtual_size()
        self.refresh()

    def fit_virtual_size(self) -> None:
        """Tell the scroll bar how much there is."""
        self.virtual_size = Size(self.size.width, self.row_count + self.title_rows)

    def notify_style_update(self) -> None:
        """Strips hold styles, so a new theme, or the focus, needs new strips."""
        super().notify_style_update()
        self.strips.forget()
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
        strip = self.strips.of(row, selected)
        style = self.palette.cursor if selected else base
        strip = strip.crop_extend(self.strips.left, self.strips.left + width, style)
        return self.mark_selected(strip, index)

    def draw_row(self, row: RowT, selected: bool) -> Strip:
        """One row as a strip of any width."""
        return row_strip(
            row,
            self.strips.layout,
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
        headings = title_text(self.strips.layout, self.sort_name(), descending=self.descending)
        titles = " " * GUTTER + headings
        strip = Strip([Segment(titles, style)])
        strip = strip.crop_extend(self.strips.left, self.strips.left + width, style)
        badge = self.badge()[:width]
        if not badge:
            return strip
        end = Strip([Segment(badge, self.get_component_rich_style("line--badge"))])
        return Strip.join([strip.crop(0, width - end.cell_length), end])

    # Selecting text.

    @property
    def left_edge(self) -> int:
        """The first cell of the rows that is in view."""
        return self.strips.left

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
        strip = self.strips.of(self.row_at(number), False)
        return Strip.join([Strip.blank(GUTTER), strip.crop(GUTTER, strip.cell_length)])

    # Keys.

    def action_sideways(self, direction: int) -> None:
        """Scroll sideways to where long text goes on."""
        self.strips.go_sideways(direction, self.size.width)
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
            self.title_clicked(event.x + self.strips.left)
            return
        index = self.top_row + event.y - self.title_rows
        if index < self.row_count:
            self.move_to(index)
            if event.chain > 1:
                self.action_choose()

    def title_clicked(self, x: int) -> None:
        """The headings were clicked at a cell."""
