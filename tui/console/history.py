"""The figures of the last minutes, as the console saw them: one bounded series for each.

All series share their times, one a second. What was not known at a time is NaN there: a gap,
which is not the same as nothing.
"""

from __future__ import annotations

import math
from array import array
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import NamedTuple

from tui.console.figures import FigureId

KEPT = 900
"""Samples kept of each figure; at one a second that is a quarter of an hour."""
MOST_FIGURES = 2_000
"""Figures there are series of; those that come when there are so many are left out."""
GAP_NS = 2_500_000_000
"""Samples further apart than this have a gap between them."""
_SECOND_NS = 1_000_000_000
UNKNOWN = math.nan


class Bars(NamedTuple):
    """Samples merged until they fit a width."""

    values: tuple[float, ...]
    """The mean of the known samples in each bar, oldest first; NaN where there are none."""
    per_bar: int
    """Samples in a bar."""


@dataclass(frozen=True, slots=True)
class Series:
    """The last samples of one figure, and how many there have ever been."""

    times: Sequence[int] = ()
    """Wall nanoseconds, oldest first."""
    values: Sequence[float] = ()
    """As many; NaN where it was not known."""
    taken: int = 0

    @property
    def known(self) -> list[float]:
        """The samples without the gaps."""
        return [value for value in self.values if not math.isnan(value)]

    @property
    def now(self) -> float:
        """The newest sample; 0 if it is not known."""
        newest = self.values[-1] if self.values else UNKNOWN
        return 0.0 if math.isnan(newest) else newest

    @property
    def mean(self) -> float:
        """The mean of the samples kept."""
        known = self.known
        return sum(known) / len(known) if known else 0.0

    @property
    def peak(self) -> float:
        """The largest sample kept."""
        return max(self.known, default=0.0)

    def last(self, samples: int) -> Series:
        """The newest samples only."""
        return Series(self.times[-samples:], self.values[-samples:], self.taken)

    def bars(self, width: int) -> Bars:
        """The samples in at most `width` bars; those of a bar stay together as time goes on."""
        values = self.values
        per_bar = max(1, -(-len(values) // max(1, width)))
        first = self.taken - len(values)
        means: list[float] = []
        begin = 0
        while begin < len(values):
            end = min(len(values), begin + per_bar - (first + begin) % per_bar)
            known = [value for value in values[begin:end] if not math.isnan(value)]
            means.append(sum(known) / len(known) if known else UNKNOWN)
            begin = end
        return Bars(tuple(means[-width:]), per_bar)


class History:
    """The series of all figures, in rings of one length."""

    def __init__(self) -> None:
        self._times = array("q", bytes(8 * KEPT))
        self._columns: dict[FigureId, array[float]] = {}
        self._last_known: dict[FigureId, int] = {}
        self._taken = 0
        self.left_out = 0
        """Figures there was no room for, of the newest sample."""

    @property
    def newest_ns(self) -> int:
        """Time of the newest sample in wall nanoseconds; 0 before the first."""
        return self._times[(self._taken - 1) % KEPT] if self._taken else 0

    @property
    def figures(self) -> list[FigureId]:
        """Those that were known at some time in the last quarter of an hour, in order."""
        return sorted(self._columns)

    def forget(self) -> None:
        """Begin anew."""
        self._columns.clear()
        self._last_known.clear()
        self._taken = 0

    def take(self, ts_ns: int, values: Mapping[FigureId, float]) -> None:
        """Add a sample; time that nobody looked at becomes a gap.

        Args:
            ts_ns: When, in wall nanoseconds; later than the sample before.
            values: What is known.
        """
        behind = ts_ns - self.newest_ns if self._taken else 0
        if behind > KEPT * _SECOND_NS:
            self.forget()
        elif behind > GAP_NS:
            for missed in range(1, round(behind / _SECOND_NS)):
                self._add(ts_ns - behind + missed * _SECOND_NS, {})
        self._add(ts_ns, values)
        if self._taken % KEPT == 0:
            self._drop_unknown()

    def _add(self, ts_ns: int, values: Mapping[FigureId, float]) -> None:
        slot = self._taken % KEPT
        self._times[slot] = ts_ns
        for column in self._columns.values():
            column[slot] = UNKNOWN
        self.left_out = 0
        for figure, value in values.items():
            known = self._columns.get(figure)
            if known is None:
                if len(self._columns) >= MOST_FIGURES:
                    self.left_out += 1
                    continue
                known = self._columns[figure] = array("d", [UNKNOWN]) * KEPT
            known[slot] = value
            if not math.isnan(value):
                self._last_known[figure] = self._taken
        self._taken += 1

    def _drop_unknown(self) -> None:
        """Forget figures of which all that is kept is gaps."""
        oldest = self._taken - KEPT
        for figure in list(self._columns):
            if self._last_known.get(figure, -1) < oldest:
                del self._columns[figure]
                self._last_known.pop(figure, None)

    def series(self, figure: FigureId) -> Series:
        """The series of a figure, from its first known sample on; empty if there is none."""
        column = self._columns.get(figure)
        if column is None:
            return Series(taken=self._taken)
        return self._series(column)

    def _series(self, column: array[float]) -> Series:
        kept, slot = min(self._taken, KEPT), self._taken % KEPT
        times, values = self._times[:kept], column[:kept]
        if kept == KEPT:
            times, values = self._times[slot:] + times[:slot], column[slot:] + values[:slot]
        first = next((at for at, value in enumerate(values) if not math.isnan(value)), kept)
        return Series(times[first:], values[first:], self._taken)

    def last(self, figure: FigureId, samples: int) -> Series:
        """The newest samples of a figure; cheaper than all of them."""
        column = self._columns.get(figure)
        if column is None or not self._taken:
            return Series(taken=self._taken)
        samples = min(samples, self._taken, KEPT)
        slots = [number % KEPT for number in range(self._taken - samples, self._taken)]
        times = [self._times[slot] for slot in slots]
        return Series(times, [column[slot] for slot in slots], self._taken)

    def now(self, figure: FigureId) -> float:
        """The newest sample of a figure; NaN if it is not known."""
        column = self._columns.get(figure)
        return column[(self._taken - 1) % KEPT] if column is not None and self._taken else UNKNOWN
