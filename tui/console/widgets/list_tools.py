"""What one can do with the rows of any list: filter them, and look for some among them."""

from __future__ import annotations

from collections.abc import Iterator
from functools import partial
from typing import Any

from textual.app import ComposeResult
from textual.widget import Widget

from engine.core.filters.values import as_text, leaves
from engine.core.kinds import KINDS
from tui.console.opening import ask
from tui.console.widgets.filter_bar import FilterBar
from tui.console.widgets.find_bar import FindBar
from tui.console.widgets.lines import LineView
from tui.console.widgets.stream import StreamView

_SAMPLED = 500
"""Rows whose values are offered while a filter is written."""


class ListTools(Widget):
    """The part of a pane or a screen that holds the lines one filters and finds with."""

    filter_bar: FilterBar
    find_bar: FindBar
    _list: LineView[Any] | None = None

    def make_tools(self) -> None:
        """Make the two lines; before anything is shown."""
        self.filter_bar, self.find_bar = FilterBar(), FindBar()

    def compose_tools(self) -> ComposeResult:
        """The two lines, to be shown below the lists."""
        yield self.find_bar
        yield self.filter_bar

    def offer_tools_for(self, widget: Widget | None) -> None:
        """Show what filters, and is looked for in, the list that is worked with now."""
        if self.screen.focused in (self.filter_bar.input, self.find_bar.input):
            return  # Somebody writes already; that a list had the focus is told late.
        view = self._list = widget if isinstance(widget, LineView) else None
        if view is None:
            self.filter_bar.put_away()
            self.find_bar.put_away()
            return
        filter_text = view.filter.text if view.filter else ""
        self.filter_bar.show_for(view.kinds, filter_text, partial(_seen, view))
        self.find_bar.show_for(view.kinds, view.sought_text, partial(_seen, view))

    def count_filtered(self) -> None:
        """Say how many rows the filter chose."""
        if self._list is not None:
            back = isinstance(self._list, StreamView) and self._list.looking_back
            self.filter_bar.show_counts(*self._list.filter_counts, looking_back=back)

    # Filtering.

    def write_filter(self, view: LineView[Any]) -> None:
        """Let somebody write a filter for a list."""
        self.offer_tools_for(view)
        self.filter_bar.open(view)

    def on_filter_bar_changed(self, message: FilterBar.Changed) -> None:
        """Show what the filter chooses."""
        message.stop()
        if self._list is not None:
            self._list.set_filter(message.filter)
            self.count_filtered()
            ask(self, StreamView.CameIntoView())

    # Finding.

    def write_sought(self, view: LineView[Any]) -> None:
        """Let somebody write what to look for in a list."""
        self.offer_tools_for(view)
        self.find_bar.open(view)

    def on_find_bar_changed(self, message: FindBar.Changed) -> None:
        """Go to where it is, beginning with the row under the cursor."""
        message.stop()
        if self._list is not None:
            self._list.look_for(message.filter, self.find_bar.text)
            self.find_bar.say_outcome(self._list.seek(1, stay=True) if message.filter else "")

    def on_line_view_find_repeated(self, message: LineView.FindRepeated) -> None:
        """Go to the next one."""
        message.stop()
        self.find_bar.say_outcome(message.view.seek(message.step))


def _seen(view: LineView[Any], path: str) -> Iterator[str]:
    """Values that a field has in the last rows of a list, each once."""
    name, _dot, inner = path.partition(".")
    found: dict[str, None] = {}
    for index in range(max(0, view.row_count - _SAMPLED), view.row_count):
        record = view.record_of(view.row_at(index))
        if record is not None and name in KINDS[record.kind].names:
            found.update(dict.fromkeys(map(as_text, leaves(record.get(name), inner))))
    yield from sorted(filter(None, found))
