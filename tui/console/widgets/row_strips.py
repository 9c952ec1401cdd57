"""The rows of a list as they are drawn, in the columns that fit: each row once."""

from __future__ import annotations

from collections.abc import Callable, Hashable, Mapping
from typing import Generic, NamedTuple

from rich.style import Style
from textual.cache import LRUCache
from textual.strip import Strip

from tui.console.widgets.columns import GAP, Column, Layout, RowT, Tone

GUTTER = 1
"""Cells left of the first column; the cursor's mark stands there."""

_SIDEWAYS = 8
_KEPT = 1024


class Palette(NamedTuple):
    """The styles rows are drawn with."""

    base: Style
    cursor: Style
    tones: Mapping[Tone, Style]


class RowStrips(Generic[RowT]):
    """Remembers the strips of rows, and how far to the side they are looked at.

    Args:
        key: What identifies a row.
        draw: Draws a row, as one under the cursor or as another.
    """

    def __init__(
        self, key: Callable[[RowT], Hashable], draw: Callable[[RowT, bool], Strip]
    ) -> None:
        self._key = key
        self._draw = draw
        self._drawn: LRUCache[tuple[Hashable, bool], Strip] = LRUCache(_KEPT)
        self.layout: Layout[RowT] = ()
        """The columns shown."""
        self.left = 0
        """The first cell of the rows that is in view."""
        self._widest = 0

    def lay_out(self, layout: Layout[RowT], widest: int = 0) -> None:
        """Show other columns, from the left edge on.

        Args:
            layout: The columns.
            widest: Cells of the widest row, as far as that is known before one is drawn.
        """
        self.layout = layout
        self.left, self._widest = 0, widest

    def forget(self) -> None:
        """Rows look different from now on."""
        self._drawn.clear()

    def of(self, row: RowT, selected: bool) -> Strip:
        """A row in full."""
        key = (self._key(row), selected)
        strip = self._drawn.get(key)
        if strip is None:
            strip = self._draw(row, selected)
            self._drawn[key] = strip
            self._widest = max(self._widest, strip.cell_length)
        return strip

    def go_sideways(self, direction: int, width: int) -> None:
        """Look at the rows further to the right or to the left, as far as one goes on there."""
        furthest = max(0, self._widest - width)
        self.left = min(max(self.left + direction * _SIDEWAYS, 0), furthest)

    def column_at(self, x: int) -> Column[RowT] | None:
        """The column that covers a cell of the rows."""
        start = GUTTER
        for column, width in self.layout:
            if start <= x < start + width:
                return column
            start += width + GAP
        return None
