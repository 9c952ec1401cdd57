"""A chart of one figure as lines of text: pure, so that it can be looked at without a screen.

A column is a span of time that begins at a round moment, so the columns stay as they are while
time goes on. A column shows the highest value of its time: a short peak is not averaged away.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import accumulate
from typing import NamedTuple

from engine.core.clock import local_time_of_day
from tui.console.format import duration, number
from tui.console.history import GAP_NS, Series

ChartTone = str
"""strong, dim, bar, lost, cursor, or nothing."""
Piece = tuple[str, ChartTone]
Line = list[Piece]

_SECOND_NS = 1_000_000_000
_BARS = " ▁▂▃▄▅▆▇█"
LOST, CURSOR, GAP = "▼", "│", "·"
LABELS = 9
"""Cells of the scale left of the plot."""
_LEAST_PLOT = 3
_ROUND = (1, 1.5, 2, 3, 5, 7, 10)
_TIME_LABEL, _TIME_GAP = 8, 3


@dataclass(frozen=True, slots=True)
class Chart:
    """What is drawn."""

    title: str
    unit: str
    help: str
    series: Series
    losses: Series
    """What was lost at the same times, per second."""
    end_ns: int
    """The moment at the right edge."""
    window_s: int
    hint: str = ""
    """What stands below while there is no cursor."""


class Column(NamedTuple):
    """A span of time."""

    begin_s: int
    """Unix seconds."""
    step_s: int
    values: tuple[float, ...]
    """Known samples."""
    lost: float
    """The most that was lost in a second of it."""

    @property
    def high(self) -> float:
        """Its largest sample; NaN without one."""
        return max(self.values, default=math.nan)


def columns(chart: Chart, width: int) -> list[Column]:
    """The window as spans of time, oldest first; never more than `width`."""
    step_s = max(1, -(-chart.window_s // max(1, width)))
    last = chart.end_ns // _SECOND_NS // step_s
    many = min(-(-chart.window_s // step_s), max(1, width))
    first = last - many + 1
    values: list[list[float]] = [[] for _ in range(many)]
    lost = [0.0] * many
    for second, value in _seconds(chart.series):
        place = second // step_s - first
        if 0 <= place < many and not math.isnan(value):
            values[place].append(value)
    for ts_ns, value in zip(chart.losses.times, chart.losses.values, strict=True):
        place = ts_ns // _SECOND_NS // step_s - first
        if 0 <= place < many and value > 0:
            lost[place] = max(lost[place], value)
    return [
        Column((first + place) * step_s, step_s, tuple(values[place]), lost[place])
        for place in range(many)
    ]


def _seconds(series: Series) -> Iterator[tuple[int, float]]:
    """Every second with its value: a sample stands for all since the one before.

    Samples come about a second apart, so that now and then two are in one and none in the next.
    """
    before_ns = -GAP_NS
    for ts_ns, value in zip(series.times, series.values, strict=True):
        second = ts_ns // _SECOND_NS
        near = ts_ns - before_ns <= GAP_NS
        for each in range(min(before_ns // _SECOND_NS + 1, second) if near else second, second + 1):
            yield each, value
        before_ns = ts_ns


def top_of_scale(highest: float) -> float:
    """The smallest round number that is not below a value."""
    if highest <= 0:
        return 1.0
    power = 10.0 ** math.floor(math.log10(highest))
    return next(step * power for step in _ROUND if step * power >= highest * 0.999999)


def draw(chart: Chart, width: int, height: int, cursor_s: int | None = None) -> list[Line]:
    """The chart in `height` lines of at most `width` cells.

    Args:
        chart: What to draw.
        width: Cells.
        height: Lines.
        cursor_s: A moment in Unix seconds whose column is told and marked; None for none.
    """
    room = max(1, width - LABELS - 1)
    spans = columns(chart, room)
    head: list[Line] = [
        [(chart.title, "strong"), (f"  {chart.help}", "dim")],
        _figures(chart, spans),
    ]
    if not any(span.values for span in spans):
        head.append([("", "")])
        head.append([(f"nothing is known of it {_window(chart)}", "dim")])
        return [_cut(line, width) for line in head[:height]]
    widths = cells_of(len(spans), room)
    at = _place(spans, cursor_s)
    plot = max(1, height - len(head) - 4)
    lines = [*head, *_plot(spans, chart.unit, plot, widths, at), _losses(spans, widths)]
    lines += [_times(spans, widths), _told(chart, spans, at)]
    if plot < _LEAST_PLOT and height > len(lines):
        lines = lines[:height]
    return [_cut(line, width) for line in lines[:height]]


def cells_of(many: int, room: int) -> list[int]:
    """How wide each of so many columns is, so that together they fill the room."""
    return [(place + 1) * room // many - place * room // many for place in range(many)]


def place_of(spans: Sequence[Column], moment_s: int) -> int:
    """Which column a moment is in; the nearest one if it is in none."""
    return min(max(0, (moment_s - spans[0].begin_s) // spans[0].step_s), len(spans) - 1)


def _place(spans: Sequence[Column], moment_s: int | None) -> int | None:
    return None if moment_s is None else place_of(spans, moment_s)


def _window(chart: Chart) -> str:
    return f"in these {duration(chart.window_s * 1e9)}"


def _figures(chart: Chart, spans: Sequence[Column]) -> Line:
    """The window in numbers."""
    values = [value for span in spans for value in span.values]
    if not values:
        return [("", "")]
    told = [
        ("last", next(span.values[-1] for span in reversed(spans) if span.values)),
        ("min", min(values)),
        ("avg", sum(values) / len(values)),
        ("max", max(values)),
    ]
    line: Line = []
    for name, value in told:
        line += [(f"{name} ", "dim"), (f"{_text(value, chart.unit)}  ", "")]
    losing = sum(span.lost > 0 for span in spans)
    if losing:
        line.append((f"{LOST} losses in {losing} of {len(spans)} columns", "lost"))
    return line


def _plot(
    spans: Sequence[Column], unit: str, height: int, widths: Sequence[int], cursor: int | None
) -> list[Line]:
    """The bars over their axis, with the scale to the left."""
    top = top_of_scale(max(span.high for span in spans if span.values))
    steps = len(_BARS) - 1
    full = height * steps
    levels = [
        max(1, round(span.high / top * full)) if span.values and span.high > 0 else 0
        for span in spans
    ]
    lines: list[Line] = []
    for row in reversed(range(height)):
        line: Line = [(_label(row, height, top, unit), "dim")]
        for place, (span, level, wide) in enumerate(zip(spans, levels, widths, strict=True)):
            filled = _BARS[min(max(level - row * steps, 0), steps)]
            tone = "lost" if span.lost else "bar"
            if place == cursor:
                filled, tone = filled if filled != " " else CURSOR, "cursor"
            line.append((filled * wide if filled != CURSOR else CURSOR.ljust(wide), tone))
        lines.append(line)
    return [*lines, _axis(spans, widths, cursor, unit)]


def _label(row: int, height: int, top: float, unit: str) -> str:
    """The scale beside a row: the top, and the middle where there is one."""
    share = (row + 1) / height
    marked = row == height - 1 or (height >= 5 and row == height // 2 - 1 and height % 2 == 0)
    text = _text(top * share, unit) if marked else ""
    return f"{text[:LABELS]:>{LABELS}}{'┤' if marked else '│'}"


def _axis(spans: Sequence[Column], widths: Sequence[int], cursor: int | None, unit: str) -> Line:
    """The line of nothing, broken where nothing is known."""
    line: Line = [(f"{_text(0, unit)[:LABELS]:>{LABELS}}└", "dim")]
    for place, (span, wide) in enumerate(zip(spans, widths, strict=True)):
        drawn = "─" if span.values else GAP
        line.append((drawn * wide, "cursor" if place == cursor else "dim"))
    return line


def _losses(spans: Sequence[Column], widths: Sequence[int]) -> Line:
    """Marks below the columns in which something was lost."""
    marks = [
        ((LOST if span.lost else " ").ljust(wide), "lost")
        for span, wide in zip(spans, widths, strict=True)
    ]
    label = "lost" if any(span.lost for span in spans) else ""
    return [(f"{label:>{LABELS}} ", "lost"), *marks]


def _times(spans: Sequence[Column], widths: Sequence[int]) -> Line:
    """Times of day below the columns, as many as there is room for."""
    text = [" "] * sum(widths)
    begins = [0, *accumulate(widths)]
    free = 0
    for span, begin in zip(spans, begins, strict=False):
        label = f"╵{_clock(span.begin_s)}"
        if free <= begin <= len(text) - len(label):
            text[begin : begin + len(label)] = label
            free = begin + len(label) + _TIME_GAP
    return [(" " * (LABELS + 1) + "".join(text), "dim")]


def _told(chart: Chart, spans: Sequence[Column], cursor: int | None) -> Line:
    """What there is at the cursor, else what a column is."""
    step = spans[0].step_s
    if cursor is None:
        told = "a column is 1 s" if step == 1 else f"a column is {step} s, its highest"
        hint = f"  ·  {chart.hint}" if chart.hint else ""
        return [(f"{told}  ·  `{GAP}` nothing known{hint}", "dim")]
    span = spans[cursor]
    when = _clock(span.begin_s) + (f"–{_clock(span.begin_s + step - 1)}" if step > 1 else "")
    if not span.values:
        return [(when, "strong"), ("  nothing known", "dim")]
    line: Line = [(when, "strong"), (f"  {_text(span.high, chart.unit)}", "")]
    if len(span.values) > 1:
        mean = sum(span.values) / len(span.values)
        low = _text(min(span.values), chart.unit)
        line.append((f" at most, avg {_text(mean, chart.unit)}, min {low}", ""))
    if span.lost:
        line.append((f"  {LOST} lost {_text(span.lost, '/s')}", "lost"))
    return line


def _text(value: float, unit: str) -> str:
    if not value:
        return "0"
    if unit == "%":
        return f"{value:.1f}%"
    return number(value if value % 1 else int(value), unit)


def _clock(unix_s: int) -> str:
    return local_time_of_day(unix_s * _SECOND_NS)[:_TIME_LABEL]


def _cut(line: Line, width: int) -> Line:
    """As much of a line as fits."""
    cut: Line = []
    for text, tone in line:
        if width <= 0:
            break
        cut.append((text[:width], tone))
        width -= len(text)
    return cut
