"""The subscription matrix: a map the kernel programs read and the engine has in its memory."""

from __future__ import annotations

import mmap

from engine.probe.catalogue import Cell
from engine.probe.events import COLUMNS, ROWS

SIZE = ROWS * COLUMNS
_GENERATION = COLUMNS - 1
"""A row's spare column: changed with the row, so that a call entered under another state of its
row is not taken for the one that now ends."""


class Matrix:
    """One byte per event and category; setting one is a store into memory shared with the kernel.

    Args:
        descriptor: An mmapable array map of `SIZE` bytes; not closed here.

    Raises:
        OSError: if it cannot be mapped.
    """

    def __init__(self, descriptor: int) -> None:
        self._cells = mmap.mmap(descriptor, SIZE)

    def set(self, cell: Cell, on: bool) -> None:
        """Switch one cell; in force for the next event."""
        row = cell.event.row * COLUMNS
        if bool(self._cells[row + cell.category]) == on:
            return
        self._cells[row + _GENERATION] = (self._cells[row + _GENERATION] + 1) % 256
        self._cells[row + cell.category] = on

    def close(self) -> None:
        """Unmap. May be called twice."""
        self._cells.close()
