"""The subscription table: one row per cell of the matrix, with its rate."""

from __future__ import annotations

from collections.abc import Callable, Sequence, Set

from engine.core.clock import Clock
from engine.core.kinds import SUBSCRIPTION
from engine.core.records import Record, new_record
from engine.probe.catalogue import CELLS, Cell
from engine.probe.events import COLUMNS


class SubscriptionTable:
    """Rows for readers, rebuilt when a switch is turned and once a second.

    Args:
        clock: Where the time comes from.
    """

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._measured_ns = clock.monotonic_ns()
        self._totals = [0] * len(CELLS)
        self._rates = [0.0] * len(CELLS)
        self.rows: tuple[Record, ...] = ()

    def measure(self, delivered: Sequence[int]) -> None:
        """Take totals, and the rates since the last measurement; `rebuild` shows them.

        Args:
            delivered: Events delivered since the start, by row and column of the matrix.
        """
        now = self._clock.monotonic_ns()
        elapsed = max(now - self._measured_ns, 1) / 1e9
        totals = [delivered[cell.event.row * COLUMNS + cell.category] for cell in CELLS]
        self._rates = [
            (total - before) / elapsed for total, before in zip(totals, self._totals, strict=True)
        ]
        self._totals, self._measured_ns = totals, now

    def rebuild(self, on: Set[Cell], why_not: Callable[[Cell], str]) -> None:
        """Publish new rows.

        Args:
            on: The cells in force.
            why_not: Tells why a cell cannot be delivered; empty if it can.
        """
        now = self._clock.wall_ns()
        self.rows = tuple(
            new_record(
                SUBSCRIPTION,
                {
                    "event": cell.event.name,
                    "category": cell.category.label,
                    "on": cell in on,
                    "rate": round(rate, 1) if cell in on else 0.0,
                    "total": total,
                    "unavailable": why_not(cell),
                },
                ts_ns=now,
            )
            for cell, rate, total in zip(CELLS, self._rates, self._totals, strict=True)
        )
