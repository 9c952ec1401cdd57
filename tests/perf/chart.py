"""Line charts under each other in one SVG picture."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import NamedTuple
from xml.sax.saxutils import escape

WIDTH, HEIGHT, LEFT, RIGHT, GAP = 900, 130, 70, 20, 44
COLOURS = ("#1f6feb", "#d1242f", "#1a7f37", "#9a6700")
_TICKS = 4


class Chart(NamedTuple):
    """One chart; all in a picture have the same times."""

    title: str
    unit: str
    lines: dict[str, Sequence[float]]
    """Values by name, one for each time; at most four."""


def picture(title: str, seconds: Sequence[float], charts: Sequence[Chart]) -> str:
    """The charts as SVG text.

    Args:
        title: Stands above all.
        seconds: When the values were taken.
        charts: From top to bottom.
    """
    width, height = LEFT + WIDTH + RIGHT, 40 + len(charts) * (HEIGHT + GAP)
    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" width="{width}" height="{height}" '
        'font-family="DejaVu Sans, sans-serif" font-size="11">',
        f'<rect width="{width}" height="{height}" fill="white"/>',
        _text(LEFT, 22, title, size=14),
    ]
    for number, chart in enumerate(charts):
        parts += _drawn(chart, seconds, 50 + number * (HEIGHT + GAP))
    return "\n".join([*parts, "</svg>", ""])


def _drawn(chart: Chart, seconds: Sequence[float], top: float) -> Iterator[str]:
    most = max((max(values, default=0.0) for values in chart.lines.values()), default=0.0) or 1.0
    last = max(seconds[-1] if seconds else 0.0, 1e-9)
    yield _text(LEFT, top - 6, f"{chart.title} ({chart.unit})", size=12)
    for tick in range(_TICKS + 1):
        y, x = top + HEIGHT * (1 - tick / _TICKS), LEFT + WIDTH * tick / _TICKS
        yield f'<path d="M{LEFT} {y:.1f}h{WIDTH}" stroke="#d0d7de" stroke-width="0.5"/>'
        yield _text(LEFT - 6, y + 4, f"{most * tick / _TICKS:,.4g}", anchor="end")
        yield _text(x, top + HEIGHT + 14, f"{last * tick / _TICKS / 60:.1f} min", anchor="middle")
    for number, (name, values) in enumerate(chart.lines.items()):
        colour = COLOURS[number]
        points = " ".join(
            f"{LEFT + WIDTH * at / last:.1f},{top + HEIGHT * (1 - value / most):.1f}"
            for at, value in zip(seconds, values, strict=True)
        )
        yield f'<polyline points="{points}" fill="none" stroke="{colour}" stroke-width="1.3"/>'
        yield _text(LEFT + WIDTH - 150 * number, top - 6, name, anchor="end", colour=colour)


def _text(
    x: float, y: float, text: str, *, size: int = 11, anchor: str = "start", colour: str = "#1f2328"
) -> str:
    return (
        f'<text x="{x:.1f}" y="{y:.1f}" font-size="{size}" text-anchor="{anchor}" '
        f'fill="{colour}">{escape(text)}</text>'
    )
