"""The subscription table: one row per cell of the matrix, with its rate."""

from __future__ import annotations

from collections.abc import Callable, Sequence, Set

from engine.core.clock import Clock
from engine.core.fields import JsonValue
from engine.core.kinds import SUBSCRIPTION
from engine.core.records import Record, new_record
from engine.probe.catalogue import CELLS, Cell
from engine.probe.events import COLUMNS

_POSITIONS = tuple(cell.event.row * COLUMNS + cell.category for cell in CELLS)
"""Where each cell's total lies in what the kernel counted."""
_INDEX = {cell: index for index, cell in enumerate(CELLS)}


class SubscriptionTable:
    """Rows for readers, rebuilt when a switch is turned and once a second.

    There are hundreds of cells and few of them are on, so a rebuild makes new only the rows that
    say something new; all others stay the same objects.

    Args:
        clock: Where the time comes from.
    """

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._measured_ns = clock.monotonic_ns()
        self._totals = [0] * len(CELLS)
        self._rates = [0.0] * len(CELLS)
        self._reasons = [""] * len(CELLS)
        self._stale: Set[int] = frozenset(range(len(CELLS)))
        self._on: Set[int] = frozenset()
        self._moving: Set[int] = frozenset()
        self._rows: list[Record | None] = [None] * len(CELLS)
        self.rows: tuple[Record, ...] = ()

    def measure(self, delivered: Sequence[int]) -> None:
        """Take totals, and the rates since the last measurement; `rebuild` shows them.

        Args:
            delivered: Events delivered since the start, by row and column of the matrix.
        """
        now = self._clock.monotonic_ns()
        elapsed = max(now - self._measured_ns, 1) / 1e9
        totals = [delivered[position] for position in _POSITIONS]
        changed = {
            index
            for index, (total, before) in enumerate(zip(totals, self._totals, strict=True))
            if total != before
        }
        moved = changed | self._moving
        for index in moved:
            self._rates[index] = (totals[index] - self._totals[index]) / elapsed
        self._stale = self._stale | moved
        self._moving = changed
        self._totals, self._measured_ns = totals, now

    def explain(self, why_not: Callable[[Cell], str]) -> None:
        """Take over why cells cannot be delivered; `rebuild` shows it.

        Args:
            why_not: Tells why a cell cannot be delivered; empty if it can.
        """
        reasons = [why_not(cell) for cell in CELLS]
        self._stale = self._stale | {
            index
            for index, (reason, before) in enumerate(zip(reasons, self._reasons, strict=True))
            if reason != before
        }
        self._reasons = reasons

    def rebuild(self, on: Set[Cell]) -> None:
        """Publish new rows.

        Args:
            on: The cells in force.
        """
        now_on = frozenset(_INDEX[cell] for cell in on)
        stale = self._stale | (now_on ^ self._on)
        self._on, self._stale = now_on, frozenset()
        if not stale:
            return
        now = self._clock.wall_ns()
        for index in stale:
            self._rows[index] = self._row(index, now)
        self.rows = tuple(row for row in self._rows if row is not None)

    def _row(self, index: int, now_ns: int) -> Record:
        cell, is_on = CELLS[index], index in self._on
        values: dict[str, JsonValue] = {
            "event": cell.event.name,
            "category": cell.category.label,
            "on": is_on,
            "rate": round(self._rates[index], 1) if is_on else 0.0,
            "total": self._totals[index],
            "unavailable": self._reasons[index],
        }
        return new_record(SUBSCRIPTION, values, ts_ns=now_ns)
