"""One figure over the last minutes, and the list of all figures to choose it from."""

from __future__ import annotations

from itertools import dropwhile
from math import isnan
from typing import ClassVar, NamedTuple

from textual.binding import BindingType
from textual.content import Content

from engine.core.snapshot import Snapshot
from tui.console.figures import ALL, FigureId, declared, losses_beside
from tui.console.format import ABSENT, duration, number, sparkline
from tui.console.history import KEPT, History, Series
from tui.console.keymap import with_keys
from tui.console.keys import CHART_SCREEN_KEYS
from tui.console.screens.parts import Part, PartsScreen
from tui.console.widgets.chart import ChartView
from tui.console.widgets.chart_text import Chart
from tui.console.widgets.columns import Column, Tone
from tui.console.widgets.finder import Finder
from tui.console.widgets.lines import LineView
from tui.console.widgets.row_cursor import RowCursor
from tui.console.widgets.table import TableView

WINDOWS_S = (60, 300, KEPT)
_SPARK = 20
_SPARK_S = 60
NOTHING = "nothing recorded yet: figures come once a second from now on"


class FigureRow(NamedTuple):
    """A figure with its present value."""

    figure: FigureId
    now: str


class ChartScreen(PartsScreen):
    """A chart above, all figures below; the figure under the list's cursor is drawn.

    Args:
        history: The figures.
        figure: The one to begin with.
    """

    BINDINGS: ClassVar[list[BindingType]] = [*CHART_SCREEN_KEYS]

    def __init__(self, history: History, figure: FigureId) -> None:
        self._history = history
        self.figure = figure
        self.window_s = _window_of(history.series(figure))
        self._end_ns = history.newest_ns
        self.chart = ChartView()
        self.finder = Finder("words of a figure's name")
        self.figures = TableView(
            self._columns(),
            key=lambda row: row.figure,
            empty=NOTHING,
            widget_id="figures",
        )
        super().__init__(
            (
                Part("Chart", self.chart, part_id="chart-part"),
                Part("Figures", self.figures, self.finder, part_id="figures-part"),
            )
        )

    def on_mount(self) -> None:
        """Show what is known already."""
        super().on_mount()
        self._show_list()
        self.draw(self.figure)

    def _columns(self) -> tuple[Column[FigureRow], ...]:
        def spark(row: FigureRow) -> str:
            values = self._history.last(row.figure, _SPARK_S).values
            return sparkline(_merged(list(dropwhile(isnan, values))), _SPARK)

        return (
            Column("group", "of", 12, lambda row: row.figure.group, priority=2),
            Column("subject", "which", 16, lambda row: _subject(row.figure), priority=1, ample=40),
            Column("name", "figure", 16, lambda row: row.figure.name, priority=1, ample=30),
            Column("now", "now", 9, lambda row: row.now, "right", 1),
            Column("spark", f"last {_SPARK_S} s", _SPARK, spark, priority=3, tone=_good),
            Column(
                "help", "", 10, lambda row: declared(row.figure).help, priority=4, flex=True,
                tone=lambda _row: "dim",
            ),
        )  # fmt: skip

    # Showing.

    def show(self, snapshot: Snapshot) -> None:
        """Draw what has come."""
        self._end_ns = snapshot.wall_ns
        self._show_list()
        self.draw(self.figure)

    def draw(self, figure: FigureId) -> None:
        """Draw a figure."""
        self.figure = figure
        known, beside = declared(figure), losses_beside(figure)
        self.chart.show(
            Chart(
                str(figure),
                known.unit,
                known.help,
                self._history.series(figure),
                self._history.series(beside),
                self._end_ns or self._history.newest_ns,
                self.window_s,
                with_keys(self.app, "{chart.left} and {chart.right} read a value"),
            )
        )
        left_out = self._history.left_out
        self.say(
            Content.assemble(
                (" chart ", "bold"),
                f"last {duration(self.window_s * 1e9)}",
                (f" {left_out} figures have no room here" if left_out else "", "$text-warning"),
            )
        )

    def _show_list(self) -> None:
        """Show the figures whose names have all the words that are looked for."""
        if not self.figures.display or not self.parts[1].display:
            return
        words = self.finder.value.lower().split()
        self.figures.set_rows(
            [
                FigureRow(figure, _now(self._history.now(figure), declared(figure).unit))
                for figure in self._history.figures
                if all(word in str(figure).lower() for word in words)
            ]
        )
        if self.figures.cursor_key is None:
            self.figures.cursor_key = self.figure

    def rearrange(self) -> None:
        """A list that comes into view shows what there is."""
        super().rearrange()
        self._show_list()

    # Choosing.

    def on_row_cursor_moved(self, message: RowCursor.Moved) -> None:
        """Draw the figure under the cursor."""
        message.stop()
        if isinstance(message.row, FigureRow) and message.row.figure != self.figure:
            self.draw(message.row.figure)

    def on_line_view_row_chosen(self, message: LineView.RowChosen) -> None:
        """Go to its chart."""
        message.stop()
        self.go(1)

    def on_chart_view_figure_asked(self, message: ChartView.FigureAsked) -> None:
        """Draw the next figure of the list."""
        figures = self._history.figures
        if not figures:
            return
        here = figures.index(self.figure) if self.figure in figures else -1
        self.draw(figures[(here + message.step) % len(figures)])
        self.figures.cursor_key = self.figure
        self.figures.refilter()

    def action_window(self, step: int) -> None:
        """Show more time (1) or less (-1); with 0 the next longer one, in turn."""
        many, here = len(WINDOWS_S), WINDOWS_S.index(self.window_s)
        place = min(max(here + step, 0), many - 1) if step else (here + 1) % many
        self.window_s = WINDOWS_S[place]
        self.draw(self.figure)

    def action_search(self) -> None:
        """Look for a figure by its name."""
        self.go(2)
        self.finder.open(self.figures)

    def on_input_changed(self) -> None:
        """What is typed counts at once."""
        self._show_list()

    def on_finder_moved(self, message: Finder.Moved) -> None:
        """Move in what was found while typing."""
        self.figures.action_cursor(message.step)


def _window_of(series: Series) -> int:
    """A minute as long as no more is known, else five."""
    span_ns = series.times[-1] - series.times[0] if series.times else 0
    return WINDOWS_S[0] if span_ns < WINDOWS_S[0] * 1_000_000_000 else WINDOWS_S[1]


def _good(_row: FigureRow) -> Tone:
    return "good"


def _subject(figure: FigureId) -> str:
    return "" if figure.subject == ALL else figure.subject


def _now(value: float, unit: str) -> str:
    return ABSENT if isnan(value) else number(round(value, 3), unit)


def _merged(values: list[float]) -> list[float]:
    """Three seconds a bar, the highest of them, so that a minute fits."""
    per_bar = _SPARK_S // _SPARK
    offset = len(values) % per_bar
    groups = [values[:offset]] if offset else []
    groups += [values[at : at + per_bar] for at in range(offset, len(values), per_bar)]
    return [max((v for v in group if not isnan(v)), default=float("nan")) for group in groups]
