"""The throughput of a plugin over the last minutes, as bars of several lines."""

from __future__ import annotations

from textual.content import Content
from textual.widget import Widget

from tui.console.format import duration, graph, number
from tui.console.history import Series


class Graph(Widget):
    """A line of figures, and under it bars as high as there is room."""

    def __init__(self, name: str, unit: str) -> None:
        super().__init__()
        self._name = name
        self._unit = unit
        self._series = Series()

    def show(self, series: Series) -> None:
        """Take over what there is now; it may be the same series with more samples."""
        self._series = series
        self.refresh()

    def render(self) -> Content:
        """The figures and the bars."""
        width, height = self.content_size
        series, unit = self._series, self._unit
        bars = series.bars(width)
        figures = "  ".join(
            f"{name} {number(value, unit)}"
            for name, value in (("now", series.now), ("mean", series.mean), ("peak", series.peak))
        )
        span = f"last {duration(len(series.values) * 1e9)}, a bar is {bars.per_bar} s"
        title = Content.assemble((f"{self._name}  ", "bold"), figures, (f"  {span}", "dim"))
        drawn = graph(bars.values, width, max(1, height - 1))
        return Content("\n").join([title, *(Content.styled(line, "$success") for line in drawn)])
