"""The subscription matrix: events down in families, categories across, every cell a switch."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import ClassVar

from rich.segment import Segment
from rich.style import Style
from textual import events
from textual.binding import BindingType
from textual.geometry import Size
from textual.message import Message
from textual.scroll_view import ScrollView
from textual.strip import Strip

from engine.core.records import Record
from tui.console.keymap import with_keys
from tui.console.keys import MATRIX_KEYS
from tui.console.opening import ask
from tui.console.widgets.cells import EVERYTHING, CellKey, Line
from tui.console.widgets.finder import Finder
from tui.console.widgets.matrix_cursor import NAME, MatrixCursor
from tui.console.widgets.matrix_line import CELL, LABEL, TOO_MUCH, contents, title
from tui.console.widgets.switches import VIEWS, Switches


class MatrixView(ScrollView, can_focus=True, inherit_bindings=False):
    """Switches in lines of events and columns of categories, each with its rate.

    The cursor stands on a line and in a column; the first column holds the names, and turning
    the switch there turns all of the line.
    """

    ALLOW_SELECT = False
    COMPONENT_CLASSES: ClassVar[set[str]] = {
        "matrix--title",
        "matrix--family",
        "matrix--cursor",
        "matrix--on",
        "matrix--off",
        "matrix--unavailable",
    }
    BINDINGS: ClassVar[list[BindingType]] = [*MATRIX_KEYS]

    class Toggled(Message):
        """Somebody turned a switch, or several at once."""

        def __init__(self, keys: Sequence[CellKey], wanted: bool) -> None:
            super().__init__()
            self.keys = tuple(keys)
            self.wanted = wanted

    class CursorMoved(Message):
        """The cursor stands elsewhere, or what is under it has changed."""

    class Cleared(Message):
        """Nothing is looked for any more."""

    class CostAsked(Message):
        """Somebody wants to know what the probe costs, or no longer."""

    class PresetsAsked(Message):
        """Somebody wants to choose a preset."""

    def __init__(self, finder: Finder) -> None:
        super().__init__()
        self.finder = finder
        """Where one types what to look for."""
        self.switches = Switches()
        self.cursor = MatrixCursor(self.switches)
        self._styles: dict[tuple[str, bool], Style] = {}

    # Contents.

    def set_rows(self, records: Sequence[Record]) -> None:
        """Take over the engine's picture."""
        if self.switches.take(records):
            self._changed()

    def settle(self, keys: Iterable[CellKey]) -> None:
        """The engine has answered; its own picture counts again."""
        self.switches.settle(keys)
        self.refresh()

    def find(self, text: str) -> None:
        """Show only the events that fit, and go to the first unless the cursor is on one."""
        self.switches.find(text)
        if self.switches.search:
            self.cursor.leave_unless_on_event()
        self._changed()

    def _changed(self) -> None:
        """Other lines, or the same ones saying something else."""
        lines, columns = self.switches.lines, self.switches.categories
        self.cursor.stay()
        self.virtual_size = Size(LABEL + CELL * len(columns), len(lines) + 1)
        self.refresh()
        self.post_message(self.CursorMoved())

    # Acting.

    def action_switch(self) -> None:
        """Turn what is under the cursor: on if nothing of it is on, else off."""
        if self.cursor.line is not None:
            self._turn(self.cursor.line, self.cursor.column)

    def action_open(self) -> None:
        """Open or close a family; turn any other switch."""
        line, column = self.cursor.line, self.cursor.column
        if line is not None and not column and line.kind == "family":
            self._set_open(line, not self.switches.is_open(line.name))
        elif line is EVERYTHING and not column:
            self.action_open_all()
        else:
            self.action_switch()

    def action_switch_line(self) -> None:
        """Turn the whole line."""
        if self.cursor.line is not None:
            self._turn(self.cursor.line, NAME)

    def action_switch_column(self) -> None:
        """Turn the whole column, as far as it is in view."""
        if self.cursor.column:
            self._turn(EVERYTHING, self.cursor.column)

    def _turn(self, line: Line, column: str) -> None:
        turn = self.switches.toggle(line, column)
        if turn.refused:
            self.notify(with_keys(self.app, TOO_MUCH), markup=False)
        elif turn.keys:
            self.refresh()
            self.post_message(self.Toggled(turn.keys, turn.wanted))

    def action_open_all(self) -> None:
        """Open every family, or close them all."""
        self.switches.open_all()
        self._changed()
        self._show_cursor()

    def action_view(self) -> None:
        """Go on to the next view: all events, those that are on, those that deliver."""
        following = VIEWS[(VIEWS.index(self.switches.view) + 1) % len(VIEWS)]
        self.switches.set_view(following)
        self._changed()
        self._show_cursor()

    def action_find(self) -> None:
        """Ask for words to look for."""
        self.finder.open(self)

    def action_presets(self) -> None:
        """Ask for a preset."""
        ask(self, self.PresetsAsked())

    def action_cost(self) -> None:
        """Ask what the probe costs, or no longer."""
        self.post_message(self.CostAsked())

    def action_clear(self) -> None:
        """Show everything again."""
        self.switches.set_view("all")
        self.find("")
        self.post_message(self.Cleared())

    def check_action(self, action: str, parameters: tuple[object, ...]) -> bool | None:
        """There is nothing to clear where everything is shown."""
        if action == "clear":
            return bool(self.switches.search) or self.switches.view != "all"
        return True

    # Moving.

    def action_move(self, down: int, across: int) -> None:
        """Move the cursor to the next switch in a direction."""
        if not across:
            position = self.cursor.position
            self._tell_moved(position is not None and self.cursor.go_to(position + down))
        elif (family := self.cursor.family_to_turn(across)) is not None:
            self._set_open(family, across > 0)
        else:
            self._tell_moved(self.cursor.go_across(across))

    def action_page(self, pages: int) -> None:
        """Move the cursor by pages."""
        self._tell_moved(self.cursor.go_to((self.cursor.position or 0) + pages * self._page))

    def action_edge(self, last: bool) -> None:
        """Go to the first or the last line."""
        self._tell_moved(self.cursor.go_to(len(self.switches.lines) - 1 if last else 0))

    @property
    def _page(self) -> int:
        return max(1, self.size.height - 1)

    def _set_open(self, line: Line, opened: bool) -> None:
        self.switches.set_open(line.name, opened)
        self._changed()

    def _go(self, line: Line, column: str) -> None:
        self.cursor.go(line, column)
        self._tell_moved()

    def _tell_moved(self, moved: bool = True) -> None:
        """Show where the cursor is, if it has gone somewhere."""
        if moved:
            self._show_cursor()
            self.refresh()
            self.post_message(self.CursorMoved())

    def _show_cursor(self) -> None:
        """Scroll to where the cursor is."""
        position = self.cursor.position or 0
        top, first = self.scroll_offset.y, self.scroll_offset.x
        column, columns = self.cursor.column, self.switches.categories
        if position < top:
            top = position
        elif position >= top + self._page:
            top = position - self._page + 1
        if column in columns:
            left = LABEL + CELL * columns.index(column)
            if left + CELL > first + self.size.width:
                first = left + CELL - self.size.width
            elif left < first + LABEL:
                first = left - LABEL
        self.scroll_to(x=first, y=top, animate=False, force=True)

    def on_click(self, event: events.Click) -> None:
        """A click turns the switch it hits, or opens the family."""
        row = self.scroll_offset.y + event.y - 1
        if event.y < 1 or not 0 <= row < len(self.switches.lines):
            return
        line = self.switches.lines[row]
        if event.x < LABEL:
            self._go(line, NAME)
            if line.kind == "family":
                self.action_open()
            return
        position = (self.scroll_offset.x + event.x - LABEL) // CELL
        if position < len(self.switches.categories):
            column = self.switches.categories[position]
            if self.switches.sum_of(line, column):
                self._go(line, column)
                self.action_switch()

    # Drawing.

    def notify_style_update(self) -> None:
        """A new theme, or the focus, needs other styles."""
        super().notify_style_update()
        self._styles.clear()

    def _style(self, name: str, here: bool = False) -> Style:
        """A style over the widget's own; resolving one walks up the tree, so they are kept.

        Args:
            name: Of a component; empty for the widget's own.
            here: Whether the cursor is there.
        """
        if (name, here) not in self._styles:
            style = self.rich_style
            for each in (name, "cursor" if here else ""):
                if each:
                    style += self.get_component_rich_style(f"matrix--{each}", partial=True)
            self._styles[name, here] = style
        return self._styles[name, here]

    def render_line(self, y: int) -> Strip:
        """One line: the categories, or a line of switches."""
        width = self.size.width
        if y == 0:
            style = self._style("title")
            return self._joined(*title(self.switches, style), style)
        row = self.scroll_offset.y + y - 1
        if row >= len(self.switches.lines):
            text = "   nothing fits" if row == 1 and self.switches.cells else ""
            return Strip([Segment(text, self._style("off"))]).crop_extend(0, width, self._style(""))
        line = self.switches.lines[row]
        column = self.cursor.column if line == self.cursor.line else None
        return self._joined(*contents(self.switches, line, column, self._style), self._style(""))

    def _joined(self, label: Segment, cells: Strip, style: Style) -> Strip:
        """The label stays, the cells scroll sideways."""
        left, width = self.scroll_offset.x, self.size.width
        room = max(0, width - LABEL)
        shown = cells.crop_extend(left, left + room, style) if room else Strip([])
        return Strip.join([Strip([label]).crop_extend(0, min(width, LABEL), style), shown])
