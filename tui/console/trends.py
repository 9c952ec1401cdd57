"""The last minutes of a pane in a few characters, for its title."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

from tui.console.figures import ALL, FigureId, declared
from tui.console.format import number, sparkline
from tui.console.history import History

SPAN_S = 300
"""Samples a sparkline is made of, one a second."""
_LONGEST, _SHORTEST = 16, 6
_NUMBER = 7


class Told(NamedTuple):
    """A figure of a title."""

    label: str
    figure: FigureId


TRENDS: dict[int, tuple[Told, ...]] = {
    1: (Told("", FigureId("source", "agent", "kept")),),
    2: (Told("changes", FigureId("ports", ALL, "changes")),),
    3: (
        Told("", FigureId("source", "probe", "kept")),
        Told("lost", FigureId("source", "probe", "dropped")),
    ),
    4: (
        Told("", FigureId("service", ALL, "messages")),
        Told("p95", FigureId("service", ALL, "latency p95")),
    ),
}
"""By pane, what its title tells, most important first."""


def trend(history: History, told: Sequence[Told], width: int) -> str:
    """The figures with their sparklines as they fit `width` cells; those of nothing are left out.

    The lines become shorter before a figure is left out.
    """
    known = [(each, history.series(each.figure).last(SPAN_S)) for each in told]
    known = [(each, series) for each, series in known if series.peak]
    while known:
        for bars in range(_LONGEST, _SHORTEST - 1, -1):
            text = "  ".join(
                f"{each.label + ' ' if each.label else ''}"
                f"{sparkline(series.bars(bars).values, bars)} "
                f"{number(round(series.now, 1), declared(each.figure).unit).ljust(_NUMBER)}"
                for each, series in known
            )
            if len(text) <= width:
                return text.rstrip()
        known.pop()
    return ""
