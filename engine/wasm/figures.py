"""Figures about the calls of one export: how many, how long, how many went wrong."""

from __future__ import annotations

from array import array
from collections.abc import Iterable

_KEPT_TIMES = 1_024


class ExportStatistics:
    """Calls of one export; times and fuel of the last 1,024 of them."""

    def __init__(self) -> None:
        self.calls = 0
        self.traps = 0
        self.rejected = 0
        self.fuel: int | None = None
        """Of the last call; None where it is not measured."""
        self._times_us = array("d")

    def note(self, elapsed_us: float, fuel: int | None, *, trapped: bool, rejected: bool) -> None:
        """Count one call."""
        if len(self._times_us) < _KEPT_TIMES:
            self._times_us.append(elapsed_us)
        else:
            self._times_us[self.calls % _KEPT_TIMES] = elapsed_us
        self.calls += 1
        self.traps += trapped
        self.rejected += rejected
        if fuel is not None:
            self.fuel = fuel

    def percentile_us(self, share: float) -> float | None:
        """Time that `share` of the last calls stayed within; None before the first."""
        return _percentile(self._times_us, share)

    @staticmethod
    def joined_percentile(parts: Iterable[ExportStatistics], share: float) -> float | None:
        """The same over several exports."""
        return _percentile([time for part in parts for time in tuple(part._times_us)], share)


def _percentile(times: Iterable[float], share: float) -> float | None:
    ordered = sorted(times)
    return ordered[min(len(ordered) - 1, int(share * len(ordered)))] if ordered else None
