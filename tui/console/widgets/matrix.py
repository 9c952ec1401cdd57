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
from tui.console.widgets.finder import Finder
from tui.console.widgets.matrix_line import CELL, LABEL, TOO_MUCH, contents, title
from tui.console.widgets.switches import (
    EVERYTHING,
    VIEWS,
    CellKey,
    Line,
    Sum,
    Switches,
)

_NAME = ""
"""The column of the names: a switch there is all of its line."""


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
        self._line: Line | None = None
        self._column = _NAME
        self._styles: dict[tuple[str, bool], Style] = {}

    # The cursor.

    @property
    def cursor_line(self) -> Line | None:
        """The line the cursor is on."""
        return self._line

    @property
    def cursor_column(self) -> str:
        """The category the cursor is in; empty on the name."""
        return self._column

    @property
    def cursor_key(self) -> CellKey | None:
        """The cell under the cursor; None on a name or a family."""
        line = self._line
        return (line.name, self._column) if line and line.kind == "event" and self._column else None

    @property
    def cursor_sum(self) -> Sum | None:
        """What is under the cursor."""
        return self.switches.sum_of(self._line, self._column) if self._line else None

    def _position(self) -> int | None:
        try:
            return None if self._line is None else self.switches.lines.index(self._line)
        except ValueError:
            return None

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
        if self.switches.search and self._line and self._line.kind != "event":
            self._line = None
        self._changed()

    def _changed(self) -> None:
        """Other lines, or the same ones saying something else."""
        lines, columns = self.switches.lines, self.switches.categories
        if self._position() is None:
            self._line = self._nearest()
        if self._line and self._column and self.switches.sum_of(self._line, self._column) is None:
            self._column = self._column_near(self._line)
        self.virtual_size = Size(LABEL + CELL * len(columns), len(lines) + 1)
        self.refresh()
        self.post_message(self.CursorMoved())

    def _nearest(self) -> Line | None:
        """Where the cursor goes when its line is gone: the family, else the first event.

        Where there is no event in view it goes to a name, so that a key pressed by chance does
        not switch a family on.
        """
        lines = self.switches.lines
        if self._line is not None and self._line.kind == "event" and self._line.name:
            family = self.switches.family_line(self._line)
            if family in lines and not self.switches.search:
                return family
        for line in lines:
            if line.kind == "event":
                self._column = self._column or self._column_near(line)
                return line
        self._column = _NAME
        return EVERYTHING if lines else None

    # Acting.

    def action_switch(self) -> None:
        """Turn what is under the cursor: on if nothing of it is on, else off."""
        if self._line is not None:
            self._turn(self._line, self._column)

    def action_open(self) -> None:
        """Open or close a family; turn any other switch."""
        line = self._line
        if line is not None and not self._column and line.kind == "family":
            self._set_open(line, not self.switches.is_open(line.name))
        elif line is EVERYTHING and not self._column:
            self.action_open_all()
        else:
            self.action_switch()

    def action_switch_line(self) -> None:
        """Turn the whole line."""
        if self._line is not None:
            self._turn(self._line, _NAME)

    def action_switch_column(self) -> None:
        """Turn the whole column, as far as it is in view."""
        if self._column:
            self._turn(EVERYTHING, self._column)

    def _turn(self, line: Line, column: str) -> None:
        keys = self.switches.keys_of(line, column)
        if not keys:
            return
        usable = [key for key in keys if not self.switches.cells[key].unavailable] or keys
        on = [key for key in usable if self.switches.is_on(key)]
        turned, wanted = (on, False) if on else (usable, True)
        if self.switches.is_whole(line, column):
            turned = on or [key for key in self.switches.put_off if key in usable]
            self.switches.put_off = tuple(on)
        if not turned:
            self.notify(with_keys(self.app, TOO_MUCH), markup=False)
            return
        self.switches.turn(turned, wanted)
        self.refresh()
        self.post_message(self.Toggled(turned, wanted))

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
        if across:
            self._across(across)
        elif (position := self._position()) is not None:
            self._go_to(position + down)

    def action_page(self, pages: int) -> None:
        """Move the cursor by pages."""
        self._go_to((self._position() or 0) + pages * self._page)

    def action_edge(self, last: bool) -> None:
        """Go to the first or the last line."""
        self._go_to(len(self.switches.lines) - 1 if last else 0)

    @property
    def _page(self) -> int:
        return max(1, self.size.height - 1)

    def _go_to(self, position: int) -> None:
        lines = self.switches.lines
        if lines:
            line = lines[min(max(position, 0), len(lines) - 1)]
            self._go(line, self._column_near(line) if self._column else _NAME)

    def _across(self, step: int) -> None:
        line = self._line
        if line is None:
            return
        columns = (_NAME, *self.switches.categories)
        position = columns.index(self._column) + step if self._column in columns else 0
        if line.kind == "family" and step > 0 and not self._column:
            if not self.switches.is_open(line.name):
                return self._set_open(line, True)
        elif position < 0:
            return self._outwards(line)
        while 0 <= position < len(columns):
            if not columns[position] or self.switches.sum_of(line, columns[position]):
                return self._go(line, columns[position])
            position += step
        return None

    def _outwards(self, line: Line) -> None:
        """From an event to its family; from an open family to a closed one."""
        if line.kind == "event":
            self._go(self.switches.family_line(line), _NAME)
        elif line.kind == "family" and self.switches.is_open(line.name):
            self._set_open(line, False)

    def _set_open(self, line: Line, opened: bool) -> None:
        self.switches.set_open(line.name, opened)
        self._changed()

    def _column_near(self, line: Line) -> str:
        """The column of a line with a switch that is nearest to the cursor's."""
        columns = self.switches.categories
        here = columns.index(self._column) if self._column in columns else 0
        with_switch = [
            (abs(position - here), column)
            for position, column in enumerate(columns)
            if self.switches.sum_of(line, column)
        ]
        return min(with_switch)[1] if with_switch else _NAME

    def _go(self, line: Line, column: str) -> None:
        self._line, self._column = line, column
        self._show_cursor()
        self.refresh()
        self.post_message(self.CursorMoved())

    def _show_cursor(self) -> None:
        """Scroll to where the cursor is."""
        position = self._position() or 0
        top, first, columns = self.scroll_offset.y, self.scroll_offset.x, self.switches.categories
        if position < top:
            top = position
        elif position >= top + self._page:
            top = position - self._page + 1
        if self._column in columns:
            left = LABEL + CELL * columns.index(self._column)
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
            self._go(line, _NAME)
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
        column = self._column if line == self._line else None
        return self._joined(*contents(self.switches, line, column, self._style), self._style(""))

    def _joined(self, label: Segment, cells: Strip, style: Style) -> Strip:
        """The label stays, the cells scroll sideways."""
        left, width = self.scroll_offset.x, self.size.width
        room = max(0, width - LABEL)
        shown = cells.crop_extend(left, left + room, style) if room else Strip([])
        return Strip.join([Strip([label]).crop_extend(0, min(width, LABEL), style), shown])
