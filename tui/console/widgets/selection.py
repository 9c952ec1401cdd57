"""Selecting text with the mouse in widgets that draw their lines themselves.

Textual finds out where in a text the mouse is by marks in the style of every cell that is drawn.
Here the widget is asked instead, and only when a button is pressed: a stream draws its lines far
more often than somebody selects in it.
"""

from __future__ import annotations

from abc import abstractmethod

from rich.style import Style
from textual import events
from textual.geometry import Offset
from textual.screen import Screen
from textual.selection import Selection
from textual.strip import Strip
from textual.widget import Widget

_SELECTED = Style(underline=True)
"""Beside the colour, for who sees none."""


class SelectableLines(Widget):
    """A widget of numbered lines, some of which are in view; offsets in them are cells."""

    @abstractmethod
    def lines_in_view(self) -> range:
        """Numbers of the lines that are drawn now."""

    @abstractmethod
    def first_line_at(self) -> int:
        """Where in the widget the first of them is drawn."""

    @abstractmethod
    def whole_line(self, number: int) -> Strip:
        """A line, not cut at the edges of the widget."""

    @property
    def left_edge(self) -> int:
        """The first cell of the lines that is in view."""
        return self.scroll_offset.x

    def text_offset(self, x: int, y: int) -> Offset | None:
        """Which cell of which line is drawn at a cell of the widget; None where there is none."""
        numbers = self.lines_in_view()
        position = y - self.first_line_at()
        if not numbers or position < 0:
            return None
        return Offset(self.left_edge + max(0, x), numbers[min(position, len(numbers) - 1)])

    def get_selection(self, selection: Selection) -> tuple[str, str] | None:
        """The selected text; where it goes on beyond the widget, up to what is in view."""
        view = self.lines_in_view()
        first = view.start if selection.start is None else selection.start.y
        last = view.stop - 1 if selection.end is None else selection.end.y
        texts = [self._selected(number, selection) for number in range(first, last + 1)]
        return ("\n".join(texts), "\n") if texts else None

    def _selected(self, number: int, selection: Selection) -> str:
        span = selection.get_span(number)
        if span is None:
            return ""
        strip = self.whole_line(number)
        start, end = span
        return strip.crop(start, strip.cell_length if end < 0 else end).text.rstrip()

    def mark_selected(self, strip: Strip, number: int) -> Strip:
        """A line as it is drawn, with what is selected of it marked."""
        selection = self.text_selection
        span = None if selection is None else selection.get_span(number)
        if span is None:
            return strip
        length, left = strip.cell_length, self.left_edge
        start = min(max(0, span[0] - left), length)
        end = length if span[1] < 0 else min(max(start, span[1] - left), length)
        style = self.screen.get_component_rich_style("screen--selection") + _SELECTED
        marked = strip.crop(start, end).apply_style(style)
        return Strip.join([strip.crop(0, start), marked, strip.crop(end, length)])

    def selection_updated(self, selection: Selection | None) -> None:
        """Draw it."""
        self.refresh()

    def text_select_all(self) -> None:
        """Select nothing: a double click means something else here."""

    @property
    def select_container(self) -> Widget:
        """What a third click selects: nothing either."""
        return self


class SelectsLines(Screen[None]):
    """A screen that asks such widgets where in their text the mouse is."""

    def on_resize(self, event: events.Resize) -> None:
        """Ignore a size that is not the terminal's any more.

        The framework tells a screen of each change again when it has followed it. Of two sizes
        under way, such as those of a dumb terminal or of one of 0x0, which the framework takes
        for 80x25 and then for its real size, each would bring the other back for ever.
        """
        if event.size != self.app.size:
            event.prevent_default()

    def get_widget_and_offset_at(self, x: int, y: int) -> tuple[Widget | None, Offset | None]:
        """The widget at a cell of the screen, and where in its text that is."""
        widget, offset = super().get_widget_and_offset_at(x, y)
        if isinstance(widget, SelectableLines):
            region = widget.content_region
            return widget, widget.text_offset(x - region.x, y - region.y)
        return widget, offset
