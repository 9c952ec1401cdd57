"""The chart of one figure: a widget that draws a line when it is looked at."""

from __future__ import annotations

from itertools import accumulate
from typing import ClassVar

from rich.segment import Segment
from rich.style import Style
from textual import events
from textual.binding import BindingType
from textual.message import Message
from textual.strip import Strip
from textual.widget import Widget

from tui.console.keys import CHART_KEYS
from tui.console.widgets.chart_text import LABELS, Chart, Column, cells_of, columns, draw, place_of

_TONES = ("strong", "dim", "bar", "lost", "cursor")


class ChartView(Widget, can_focus=True, inherit_bindings=False):
    """A chart with a cursor, which stays on its moment as time goes on."""

    ALLOW_SELECT = False
    COMPONENT_CLASSES: ClassVar[set[str]] = {f"chart--{tone}" for tone in _TONES}
    BINDINGS: ClassVar[list[BindingType]] = [*CHART_KEYS]

    class FigureAsked(Message):
        """Somebody wants to see the next figure, or the one before."""

        def __init__(self, step: int) -> None:
            super().__init__()
            self.step = step

    def __init__(self) -> None:
        super().__init__(id="chart")
        self._chart: Chart | None = None
        self.cursor_s: int | None = None
        """Where the cursor is, in Unix seconds; None without one."""
        self._strips: list[Strip] | None = None

    def show(self, chart: Chart) -> None:
        """Draw something else, or more of the same."""
        self._chart = chart
        self._changed()

    def _changed(self) -> None:
        self._strips = None
        self.refresh()

    def on_resize(self) -> None:
        """Draw anew for the room there is."""
        self._changed()

    def notify_style_update(self) -> None:
        """Strips hold styles."""
        super().notify_style_update()
        self._strips = None

    # Drawing.

    def render_line(self, y: int) -> Strip:
        """One line of the chart."""
        if self._strips is None:
            self._strips = self._drawn()
        base, width = self.rich_style, self.size.width
        if y >= len(self._strips):
            return Strip.blank(width, base)
        return self._strips[y].crop_extend(0, width, base)

    def _drawn(self) -> list[Strip]:
        if self._chart is None:
            return []
        base = self.rich_style
        styles: dict[str, Style] = {
            tone: base + self.get_component_rich_style(f"chart--{tone}", partial=True)
            for tone in _TONES
        }
        lines = draw(self._chart, self.size.width, self.size.height, self.cursor_s)
        return [
            Strip([Segment(text, styles.get(tone, base)) for text, tone in line]) for line in lines
        ]

    # The cursor.

    @property
    def _columns(self) -> list[Column]:
        """The columns as they are drawn now."""
        return columns(self._chart, max(1, self.size.width - LABELS - 1)) if self._chart else []

    def _move_to(self, place: int) -> None:
        spans = self._columns
        if spans:
            self.cursor_s = spans[min(max(place, 0), len(spans) - 1)].begin_s
            self._changed()

    def action_cursor(self, step: int) -> None:
        """Read the value to the left or right; begins with the newest."""
        spans = self._columns
        if spans:
            here = len(spans) if self.cursor_s is None else place_of(spans, self.cursor_s)
            self._move_to(min(here, len(spans)) + step if self.cursor_s is not None else len(spans))

    def action_first(self) -> None:
        """Read the oldest value."""
        self._move_to(0)

    def action_last(self) -> None:
        """Read no value any more, but follow the newest."""
        self.cursor_s = None
        self._changed()

    def on_click(self, event: events.Click) -> None:
        """Read the value that was clicked."""
        spans = self._columns
        if spans and event.x > LABELS:
            right = accumulate(cells_of(len(spans), self.size.width - LABELS - 1))
            self._move_to(sum(edge <= event.x - LABELS - 1 for edge in right))

    def action_figure(self, step: int) -> None:
        """Ask for another figure."""
        self.post_message(self.FigureAsked(step))
