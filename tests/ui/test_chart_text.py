"""A chart as text: what its columns are, what it says in numbers, and how it fits its room."""

from __future__ import annotations

import math
import time
from collections.abc import Iterator
from dataclasses import replace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tui.console.history import Series
from tui.console.widgets.chart_text import Chart, cells_of, columns, draw, top_of_scale

SECOND = 1_000_000_000
BEGIN_S = 1_790_000_100
"""14:15:00 UTC, a multiple of 60 s."""
GAP = math.nan


@pytest.fixture(autouse=True)
def utc(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    monkeypatch.setenv("TZ", "UTC")
    time.tzset()
    yield
    monkeypatch.undo()
    time.tzset()


def series(*values: float) -> Series:
    times = [(BEGIN_S + second) * SECOND for second in range(len(values))]
    return Series(times, values, len(values))


def chart(
    *values: float,
    lost: tuple[float, ...] = (),
    window_s: int = 60,
    end_ns: int | None = None,
    unit: str = "/s",
) -> Chart:
    return Chart(
        title="source probe kept",
        unit=unit,
        help="Items.",
        series=series(*values),
        losses=series(*lost),
        end_ns=(BEGIN_S + len(values) - 1) * SECOND if end_ns is None else end_ns,
        window_s=window_s,
    )


def text(drawn: Chart, width: int = 72, height: int = 12, cursor_s: int | None = None) -> list[str]:
    lines = draw(drawn, width, height, cursor_s)
    return ["".join(piece for piece, _tone in line).rstrip() for line in lines]


# Columns.


def test_a_column_is_a_second_while_there_is_room() -> None:
    spans = columns(chart(*range(60)), 60)
    assert [span.high for span in spans] == list(range(60))
    assert {span.step_s for span in spans} == {1}


def test_a_column_shows_the_highest_of_its_seconds() -> None:
    spans = columns(chart(*[1.0] * 30, 9.0, *[1.0] * 29), 20)
    assert spans[0].step_s == 3
    assert [span.high for span in spans].count(9.0) == 1


def test_columns_stay_as_they_are_while_time_goes_on() -> None:
    values = [float(number) for number in range(61)]
    before = columns(chart(*values[:-1], end_ns=(BEGIN_S + 59) * SECOND), 20)
    after = columns(chart(*values, end_ns=(BEGIN_S + 60) * SECOND), 20)
    assert after[:-1] == before[1:]


def test_what_is_not_known_is_no_column_of_nothing() -> None:
    spans = columns(chart(0.0, GAP, 0.0, window_s=3), 3)
    assert [span.values for span in spans] == [(0.0,), (), (0.0,)]


def test_a_second_between_two_samples_is_no_gap() -> None:
    times = [BEGIN_S * SECOND + at for at in (900_000_000, 2_050_000_000, 3_000_000_000)]
    drawn = chart(1, 2, 3, 4, window_s=4)
    spans = columns(replace(drawn, series=Series(times, (5.0, 6.0, 7.0), 3)), 4)
    assert [span.values for span in spans] == [(5.0,), (6.0,), (6.0,), (7.0,)]


def test_losses_belong_to_the_column_of_their_time() -> None:
    spans = columns(chart(1, 1, 1, lost=(0, 5, GAP), window_s=3), 3)
    assert [span.lost for span in spans] == [0, 5, 0]


@settings(max_examples=100, deadline=None)
@given(st.integers(1, 300), st.sampled_from([60, 300, 900]), st.integers(0, 10_000))
def test_columns_fit_and_end_with_now(width: int, window_s: int, later_s: int) -> None:
    end_ns = (BEGIN_S + later_s) * SECOND
    spans = columns(chart(1.0, window_s=window_s, end_ns=end_ns), width)
    assert len(spans) <= width
    assert spans[-1].begin_s <= end_ns // SECOND < spans[-1].begin_s + spans[-1].step_s
    assert sum(cells_of(len(spans), width)) == width


# Drawing.


def test_the_scale_is_round() -> None:
    assert [top_of_scale(each) for each in (0, 1, 1.2, 2, 4, 9, 1234)] == [
        1, 1, 1.5, 2, 5, 10, 1_500,
    ]  # fmt: skip


def test_the_window_is_told_in_numbers() -> None:
    shown = text(chart(1, 5, 3, window_s=3))
    assert shown[0] == "source probe kept  Items."
    assert shown[1] == "last 3/s  min 1/s  avg 3/s  max 5/s"


def test_bars_stand_on_an_axis_with_times_below() -> None:
    assert text(chart(4, 2, 0, 5, window_s=4), 10 + 24, 9)[2:] == [
        "      5/s┤" + _row("▃▃▃▃▃▃", "", "", "██████"),
        "         │" + _row("██████", "▂▂▂▂▂▂", "", "██████"),
        "         │" + _row("██████", "██████", "", "██████"),
        "        0└" + "─" * 24,
        "",
        "          ╵14:15:00   ╵14:15:02",
        "a column is 1 s  ·  `·` nothing kn",
    ]


def _row(*columns: str) -> str:
    """Four columns of six cells."""
    return "".join(column.ljust(6) for column in columns)


def test_a_gap_breaks_the_axis_and_nothing_does_not() -> None:
    axis = next(line for line in text(chart(4, GAP, 0, 4, window_s=4), 14, 12) if "└" in line)
    assert axis.endswith("└─·──")


def test_losses_are_marked_by_a_sign_and_counted() -> None:
    shown = text(chart(4, 4, 4, 4, lost=(0, 3, 0, 0), window_s=4), 72, 12)
    assert "▼ losses in 1 of 4 columns" in shown[1]
    marks = next(line for line in shown if line.strip().startswith("lost"))
    assert marks.count("▼") == 1


def test_the_cursor_tells_value_time_and_losses() -> None:
    drawn = chart(4, 2, 9, 4, lost=(0, 0, 3, 0), window_s=4)
    assert text(drawn, cursor_s=BEGIN_S + 2)[-1] == "14:15:02  9/s  ▼ lost 3/s"


def test_the_cursor_on_several_seconds_tells_their_range() -> None:
    drawn = chart(*range(60))
    shown = text(drawn, 56, 12, BEGIN_S + 31)[-1]
    assert shown == "14:15:30–14:15:31  31/s at most, avg 30.5/s, min 30/s"


def test_the_cursor_on_a_gap_says_so() -> None:
    assert text(chart(4, GAP, 4, window_s=3), cursor_s=BEGIN_S + 1)[-1] == "14:15:01  nothing known"


def test_a_figure_that_is_not_known_says_so_instead_of_being_drawn() -> None:
    shown = text(chart(window_s=300, end_ns=BEGIN_S * SECOND))
    assert shown[-1] == "nothing is known of it in these 5m00s"


@pytest.mark.parametrize(
    ("unit", "value", "told"),
    [("B", 12_000_000, "12.0MB"), ("ms", 4.5, "4.50ms"), ("cores", 0.25, "25%"), ("%", 3, "3.0%")],
)
def test_values_have_their_units(unit: str, value: float, told: str) -> None:
    assert f"last {told}" in text(chart(value, unit=unit, window_s=1))[1]


@settings(max_examples=150, deadline=None)
@given(
    st.lists(st.floats(0, 1e12) | st.just(GAP), max_size=40),
    st.integers(1, 200),
    st.integers(1, 60),
    st.none() | st.integers(-100, 100),
)
def test_it_always_fits_its_room(
    values: list[float], width: int, height: int, cursor: int | None
) -> None:
    drawn = chart(*values, lost=tuple(values), end_ns=(BEGIN_S + 40) * SECOND)
    lines = draw(drawn, width, height, None if cursor is None else BEGIN_S + cursor)
    assert len(lines) <= height
    assert all(sum(len(piece) for piece, _tone in line) <= width for line in lines)
