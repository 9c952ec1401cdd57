"""The figures of the last minutes: kept for a while, with their gaps, and the bars they make."""

from __future__ import annotations

import math
from collections.abc import Sequence

import pytest

from tui.console.figures import FigureId
from tui.console.format import graph, sparkline
from tui.console.history import KEPT, MOST_FIGURES, History, Series

SECOND = 1_000_000_000
ONE = FigureId("plugin", "one", "records")
TWO = FigureId("plugin", "two", "records")
GAP = math.nan


def series(*values: float) -> Series:
    return Series(range(len(values)), values, len(values))


def history(*values: float, figure: FigureId = ONE) -> History:
    """Samples of a figure, one a second."""
    made = History()
    for second, value in enumerate(values, 1):
        made.take(second * SECOND, {figure: value})
    return made


def same(found: Sequence[float], expected: Sequence[float]) -> bool:
    """Whether values are the same, gaps too."""
    return list(map(str, found)) == [str(float(value)) for value in expected]


# A series.


def test_a_series_knows_its_newest_its_mean_and_its_peak() -> None:
    made = series(1, 5, 3)
    assert (made.now, made.mean, made.peak) == (3, 3, 5)
    assert (Series().now, Series().mean, Series().peak) == (0, 0, 0)


def test_gaps_count_neither_for_the_mean_nor_for_the_peak() -> None:
    made = series(2, GAP, 4)
    assert (made.now, made.mean, made.peak) == (4, 3, 4)
    assert series(GAP).now == 0


def test_each_sample_is_a_bar_while_there_is_room() -> None:
    assert series(1, 2, 3).bars(3) == ((1, 2, 3), 1)


def test_samples_share_bars_when_there_is_none() -> None:
    bars = series(*range(300)).bars(100)
    assert bars.per_bar == 3
    assert bars.values[:2] == (1, 4)
    assert len(bars.values) == 100


def test_a_bar_is_the_mean_of_what_is_known_and_a_gap_where_nothing_is() -> None:
    assert same(series(2, GAP, GAP, GAP, 4, 6).bars(3).values, (2, GAP, 5))


def test_the_samples_of_a_bar_stay_together_as_time_goes_on() -> None:
    values = list(map(float, range(KEPT + 1)))
    before = Series(range(KEPT), values[:-1], KEPT).bars(100).values
    after = Series(range(KEPT), values[1:], KEPT + 1).bars(100).values
    assert after[-1] == KEPT, "a bar has begun"
    assert after[:-1] == before[1:], "the others are as they were"


@pytest.mark.parametrize("width", [1, 7, 40, 299, 300])
def test_there_are_never_more_bars_than_room(width: int) -> None:
    for length in range(1, 700, 13):
        for taken in range(length, length + 7):
            made = Series(range(length), [1.0] * length, taken)
            assert len(made.bars(width).values) <= width


# The history.


def test_samples_come_back_with_their_times() -> None:
    made = history(1, 2, 3).series(ONE)
    assert list(made.times) == [SECOND, 2 * SECOND, 3 * SECOND]
    assert list(made.values) == [1, 2, 3]


def test_a_quarter_of_an_hour_is_kept() -> None:
    made = history(*range(2 * KEPT + 5)).series(ONE)
    assert list(made.values) == list(range(KEPT + 5, 2 * KEPT + 5))
    assert made.times[0] == (KEPT + 6) * SECOND


def test_a_series_begins_where_its_figure_was_first_known() -> None:
    made = history(1, 2)
    made.take(3 * SECOND, {TWO: 5})
    assert list(made.series(TWO).values) == [5]
    assert same(made.series(ONE).values, (1, 2, GAP))


def test_time_nobody_looked_at_is_a_gap() -> None:
    made = history(1)
    made.take(5 * SECOND, {ONE: 2})
    found = made.series(ONE)
    assert same(found.values, (1, GAP, GAP, GAP, 2))
    assert list(found.times) == [SECOND * second for second in range(1, 6)]


def test_a_look_that_comes_a_little_late_is_no_gap() -> None:
    made = history(1)
    made.take(3_400_000_000, {ONE: 2})
    assert list(made.series(ONE).values) == [1, 2]


def test_after_a_longer_gap_than_is_kept_all_begins_anew() -> None:
    made = history(1)
    made.take((KEPT + 2) * SECOND, {TWO: 2})
    assert made.figures == [TWO]


def test_the_newest_samples_can_be_had_alone() -> None:
    made = history(*range(KEPT + 3))
    assert list(made.last(ONE, 3).values) == [KEPT, KEPT + 1, KEPT + 2]
    assert made.now(ONE) == KEPT + 2
    assert not made.last(TWO, 3).values
    assert math.isnan(made.now(TWO))


def test_figures_of_which_only_gaps_are_left_are_forgotten() -> None:
    made = history(1)
    for second in range(2, 2 * KEPT + 2):
        made.take(second * SECOND, {TWO: 1})
    assert made.figures == [TWO]


def test_there_are_no_more_figures_than_there_is_room_for_and_that_is_told() -> None:
    made = History()
    made.take(SECOND, {FigureId("plugin", str(n), "cpu"): 1.0 for n in range(MOST_FIGURES + 7)})
    assert (len(made.figures), made.left_out) == (MOST_FIGURES, 7)


def test_forgetting_leaves_nothing() -> None:
    made = history(1, 2)
    made.forget()
    assert (made.figures, made.newest_ns, list(made.series(ONE).values)) == ([], 0, [])


# Bars as text.


def test_bars_of_several_lines_are_filled_from_below() -> None:
    assert graph((0, 4, 8, 16), 4, 2) == ["   █", " ▄██"]
    assert graph((1,), 3, 1) == ["  █"]
    assert graph((), 2, 2) == ["  ", "  "]


def test_little_is_never_drawn_as_nothing() -> None:
    assert graph((0.001, 1000), 2, 3)[-1] == "▁█"


def test_a_gap_is_not_drawn_as_nothing_either() -> None:
    assert graph((8, GAP, 0), 3, 2) == ["█  ", "█· "]
    assert sparkline((8, GAP, 0), 5) == "  █· "
    assert sparkline((GAP, 0), 3) == " · "
