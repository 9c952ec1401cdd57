"""The last minutes of a pane, as they fit its title."""

from __future__ import annotations

import pytest

from tui.console.figures import FigureId
from tui.console.history import History
from tui.console.trends import TRENDS, trend

KEPT, LOST = (told.figure for told in TRENDS[3])


def history(*kept: float, lost: float | None = None) -> History:
    made = History()
    for second, value in enumerate(kept, 1):
        figures = {KEPT: value} | ({LOST: lost} if lost is not None else {})
        made.take(second * 1_000_000_000, figures)
    return made


def test_a_title_tells_what_came_and_what_was_lost() -> None:
    assert trend(history(1, 2, 4, lost=3), TRENDS[3], 80) == (
        f"{'▂▄█':>16} 4/s      lost {'███':>16} 3/s"
    )


def test_the_lines_become_shorter_before_a_figure_is_left_out() -> None:
    assert trend(history(1, 2, 4, lost=3), TRENDS[3], 40) == "     ▂▄█ 4/s      lost      ███ 3/s"
    assert trend(history(1, 2, 4, lost=3), TRENDS[3], 30) == f"{'▂▄█':>16} 4/s"


@pytest.mark.parametrize("width", range(0, 60, 3))
def test_it_is_never_wider_than_there_is_room(width: int) -> None:
    assert len(trend(history(1, 2, 4, lost=3), TRENDS[3], width)) <= width


def test_nothing_is_told_while_nothing_is_known() -> None:
    assert trend(History(), TRENDS[3], 80) == ""
    made = History()
    made.take(1, {FigureId("boxscope", "all", "cpu"): 1})
    assert trend(made, TRENDS[3], 80) == ""


def test_what_was_nothing_for_five_minutes_is_not_told() -> None:
    assert trend(history(0, 0), TRENDS[3], 80) == ""
    assert "lost" not in trend(history(1, 2, lost=0), TRENDS[3], 80)


def test_five_minutes_are_told() -> None:
    made = history(*[1000] * 100, *[10] * 299, 20)
    assert "20/s" in trend(made, TRENDS[3], 80)
    assert "▁" not in trend(made, TRENDS[3], 80), "what was before is not drawn"
