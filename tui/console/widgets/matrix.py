"""The subscription matrix: events down, categories across, every applicable cell a switch."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import ClassVar, TypeAlias

from rich.segment import Segment
from rich.style import Style
from textual import events
from textual.binding import BindingType
from textual.geometry import Size
from textual.message import Message
from textual.scroll_view import ScrollView
from textual.strip import Strip

from engine.core.records import Record
from engine.core.sanitise import clean
from tui.console.format import count, rate
from tui.console.keys import MATRIX_KEYS
from tui.console.widgets.columns import cell

CellKey: TypeAlias = tuple[str, str]
"""Event and category."""

_CELL = 8
_LABEL_MAX = 26
_PREFIXES = {
    "syscall_enter-": " enter",
    "syscall_exit-": " exit",
    "tracepoint-": " tp",
    "kprobe-": " kp",
    "kretprobe-": " krp",
}


@dataclass(frozen=True, slots=True)
class Cell:
    """One switch as the engine reports it."""

    event: str
    category: str
    on: bool
    rate: float
    total: int
    unavailable: str

    @property
    def key(self) -> CellKey:
        """What identifies the cell."""
        return (self.event, self.category)

    @staticmethod
    def of(record: Record) -> Cell:
        """The cell a `subscription` record describes."""
        per_second, total = record.get("rate"), record.get("total")
        return Cell(
            event=str(record.get("event") or ""),
            category=str(record.get("category") or ""),
            on=bool(record.get("on")),
            rate=float(per_second) if isinstance(per_second, (int, float)) else 0.0,
            total=total if isinstance(total, int) else 0,
            unavailable=str(record.get("unavailable") or ""),
        )


def short_name(event: str) -> str:
    """A subscription name with its prefix turned into a short ending: `openat exit`."""
    for prefix, ending in _PREFIXES.items():
        if event.startswith(prefix):
            return clean(event.removeprefix(prefix)) + ending
    return clean(event)


class MatrixView(ScrollView, can_focus=True, inherit_bindings=False):
    """Switches in rows of events and columns of categories, each with its rate."""

    ALLOW_SELECT = False
    COMPONENT_CLASSES: ClassVar[set[str]] = {
        "matrix--title",
        "matrix--cursor",
        "matrix--on",
        "matrix--off",
        "matrix--unavailable",
    }
    BINDINGS: ClassVar[list[BindingType]] = [*MATRIX_KEYS]

    class Toggled(Message):
        """Somebody turned a switch."""

        def __init__(self, cell: Cell, wanted: bool) -> None:
            super().__init__()
            self.cell = cell
            self.wanted = wanted

    class CursorMoved(Message):
        """The cursor stands on another cell, or what its cell says has changed."""

    def __init__(self) -> None:
        super().__init__()
        self._cells: dict[CellKey, Cell] = {}
        self._wanted: dict[CellKey, bool] = {}
        self._unanswered: Counter[CellKey] = Counter()
        self._events: tuple[str, ...] = ()
        self._categories: tuple[str, ...] = ()
        self._label_width = 0
        self.cursor_key: CellKey | None = None

    # Contents.

    @property
    def cells(self) -> Mapping[CellKey, Cell]:
        """All cells by event and category."""
        return self._cells

    @property
    def cursor_cell(self) -> Cell | None:
        """The cell under the cursor."""
        return self._cells.get(self.cursor_key) if self.cursor_key else None

    def is_on(self, key: CellKey) -> bool:
        """The state of a switch, counting one that was just turned as done."""
        return self._wanted.get(key, self._cells[key].on)

    def set_cells(self, cells: Sequence[Cell]) -> None:
        """Take over the engine's picture."""
        by_key = {one.key: one for one in cells}
        if by_key == self._cells:
            return
        self._cells = by_key
        self._events = tuple(dict.fromkeys(one.event for one in cells))
        self._categories = tuple(dict.fromkeys(one.category for one in cells))
        widest = max((len(short_name(event)) for event in self._events), default=0)
        self._label_width = min(widest, _LABEL_MAX) + 1
        if self.cursor_key not in by_key:
            self.cursor_key = next(iter(by_key), None)
        self.virtual_size = Size(
            self._label_width + _CELL * len(self._categories), len(self._events) + 1
        )
        self.refresh()
        self.post_message(self.CursorMoved())

    def settle(self, key: CellKey) -> None:
        """The engine has answered a switch; after the last its own picture counts again."""
        self._unanswered[key] -= 1
        if self._unanswered[key] <= 0:
            del self._unanswered[key]
            self._wanted.pop(key, None)
            self.refresh()

    # Acting.

    def action_switch(self) -> None:
        """Turn the switch under the cursor."""
        under_cursor = self.cursor_cell
        if under_cursor is None:
            return
        wanted = not self.is_on(under_cursor.key)
        if not under_cursor.unavailable:
            self._wanted[under_cursor.key] = wanted
            self.refresh()
        self._unanswered[under_cursor.key] += 1
        self.post_message(self.Toggled(under_cursor, wanted))

    def action_move(self, down: int, across: int) -> None:
        """Move the cursor to the next applicable cell in a direction."""
        if self.cursor_key is None:
            return
        event = self._events.index(self.cursor_key[0])
        category = self._categories.index(self.cursor_key[1])
        target = (
            self._across(event, category, across) if across else self._down(event, category, down)
        )
        if target is not None:
            self._go(target)

    def _across(self, event: int, category: int, step: int) -> CellKey | None:
        position = category + step
        while 0 <= position < len(self._categories):
            key = (self._events[event], self._categories[position])
            if key in self._cells:
                return key
            position += step
        return None

    def _down(self, event: int, category: int, step: int) -> CellKey | None:
        """The applicable cell nearest to the column in the next row."""
        position = event + step
        if not 0 <= position < len(self._events):
            return None
        row = [
            (abs(column - category), (self._events[position], name))
            for column, name in enumerate(self._categories)
            if (self._events[position], name) in self._cells
        ]
        return min(row)[1]

    def _go(self, key: CellKey) -> None:
        self.cursor_key = key
        row = self._events.index(key[0])
        left = self._label_width + _CELL * self._categories.index(key[1])
        page = max(1, self.size.height - 1)
        top, first = self.scroll_offset.y, self.scroll_offset.x
        if row < top:
            top = row
        elif row >= top + page:
            top = row - page + 1
        if left + _CELL > first + self.size.width:
            first = left + _CELL - self.size.width
        elif left < first + self._label_width:
            first = left - self._label_width
        self.scroll_to(x=first, y=top, animate=False, force=True)
        self.refresh()
        self.post_message(self.CursorMoved())

    def on_click(self, event: events.Click) -> None:
        """A click turns the switch it hits."""
        row = self.scroll_offset.y + event.y - 1
        column = (self.scroll_offset.x + event.x - self._label_width) // _CELL
        if event.y < 1 or not 0 <= row < len(self._events):
            return
        if not 0 <= column < len(self._categories) or event.x < self._label_width:
            return
        key = (self._events[row], self._categories[column])
        if key in self._cells:
            self._go(key)
            self.action_switch()

    # Drawing.

    def render_line(self, y: int) -> Strip:
        """One line: the categories, or an event and its switches."""
        width, base = self.size.width, self.rich_style
        if y == 0:
            return self._title_strip(width)
        row = self.scroll_offset.y + y - 1
        if row >= len(self._events):
            return Strip.blank(width, base)
        event = self._events[row]
        label = Segment(cell(" " + short_name(event), self._label_width), base)
        switches = Strip([self._switch((event, name)) for name in self._categories])
        return self._with_label(label, switches, base)

    def _title_strip(self, width: int) -> Strip:
        style = self.get_component_rich_style("matrix--title")
        titles = "".join(cell(" " + clean(name), _CELL) for name in self._categories)
        label = Segment(cell(" event", self._label_width), style)
        return self._with_label(label, Strip([Segment(titles, style)]), style)

    def _with_label(self, label: Segment, cells: Strip, style: Style) -> Strip:
        """The label stays, the cells scroll sideways."""
        left, width = self.scroll_offset.x, self.size.width
        room = max(0, width - self._label_width)
        shown = cells.crop_extend(left, left + room, style) if room else Strip([])
        return Strip.join(
            [Strip([label]).crop_extend(0, min(width, self._label_width), style), shown]
        )

    def _switch(self, key: CellKey) -> Segment:
        one = self._cells.get(key)
        if one is None:
            return Segment(" " * _CELL, self.rich_style)
        on = self.is_on(key)
        if one.unavailable:
            text, name = "×", "matrix--unavailable"
        elif on:
            text, name = f"● {rate(one.rate)}", "matrix--on"
        else:
            text, name = "○", "matrix--off"
        cursor = key == self.cursor_key
        mark = "›" if cursor else " "
        style = self.rich_style + self.get_component_rich_style(name, partial=True)
        if cursor:
            style += self.get_component_rich_style("matrix--cursor", partial=True)
        return Segment(cell(mark + text, _CELL), style)


def describe(one: Cell, on: bool) -> str:
    """A cell in one line: full name, state, rate, total, or why it cannot be switched."""
    name = f"{clean(one.event)}:{clean(one.category)}"
    if one.unavailable:
        return f"× {name} unavailable: {clean(one.unavailable)}"
    if not on:
        return f"○ {name} off · t switches it on"
    return f"● {name} on · {rate(one.rate)}/s · {count(one.total)} so far"
