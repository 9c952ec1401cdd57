"""Which columns fit a width, and how a row is drawn."""

from __future__ import annotations

from rich.style import Style

from engine.core.kinds import KERNEL_EVENT
from tests.ui.fake_engine import record
from tui.console.widgets.columns import (
    Column,
    Remark,
    Tone,
    cell,
    fit,
    record_columns,
    row_strip,
    title_text,
)

TONES: dict[Tone, Style] = {tone: Style() for tone in ("dim", "strong", "good", "bad", "warn")}


def column(name: str, width: int, priority: int, *, flex: bool = False) -> Column[str]:
    return Column(name, name, width, lambda row: row, priority=priority, flex=flex)


COLUMNS = (column("a", 4, 2), column("b", 10, 3), column("c", 6, 1, flex=True))


def names(width: int) -> list[tuple[str, int]]:
    return [(shown.name, got) for shown, got in fit(COLUMNS, width)]


def test_the_least_important_column_goes_first() -> None:
    assert names(30) == [("a", 4), ("b", 10), ("c", 14)]
    assert names(20) == [("a", 4), ("c", 15)]
    assert names(9) == [("c", 9)]


def test_the_most_important_column_stays_even_if_it_must_be_cut() -> None:
    assert names(3) == [("c", 3)]
    assert names(1) == [("c", 1)]


def test_columns_that_are_nice_to_have_leave_the_flexible_one_ample_room() -> None:
    nice = column("nice", 5, 6)
    flexible = Column("flex", "flex", 10, lambda row: row, priority=1, flex=True, ample=20)
    assert [shown.name for shown, _got in fit((nice, flexible), 25)] == ["flex"]
    assert [shown.name for shown, _got in fit((nice, flexible), 26)] == ["nice", "flex"]


def test_a_column_grows_where_the_flexible_one_has_enough() -> None:
    growing = Column("grow", "grow", 5, lambda row: row, priority=2, ample=9)
    flexible = Column("flex", "flex", 10, lambda row: row, priority=1, flex=True, ample=20)
    columns = (growing, flexible)
    widths = [[got for _column, got in fit(columns, width)] for width in (16, 26, 28, 40)]
    assert widths == [[5, 10], [5, 20], [7, 20], [9, 30]]


def test_columns_come_from_the_declaration_of_the_kind() -> None:
    shown = record_columns(KERNEL_EVENT, ["latency_ns", "attributes"], flex="attributes")
    assert [one.align for one in shown] == ["right", "left"]
    assert shown[0].help == KERNEL_EVENT.field("latency_ns").help
    assert shown[0].text(record("kernel_event", latency_ns=850)) == "850ns"


def test_cells_are_cut_with_an_ellipsis_and_padded_by_alignment() -> None:
    assert cell("abcdef", 4) == "abc…"
    assert cell("ab", 4) == "ab  "
    assert cell("7", 3, "right") == "  7"


def test_wide_characters_count_two_cells() -> None:
    assert cell("日本語", 4) == "日 …"
    assert cell("日本", 6) == "日本  "


def test_the_last_flexible_column_is_not_cut_so_that_scrolling_shows_it_all() -> None:
    strip = row_strip("long enough", fit(COLUMNS, 12), mark=" ", base=Style(), tones=TONES)
    assert strip.text == " lon… long enough"


def test_a_remark_takes_the_place_of_the_cells_to_its_right() -> None:
    strip = row_strip(
        "x",
        fit(COLUMNS, 30),
        mark="›",
        base=Style(),
        tones=TONES,
        remark=Remark("a", "cannot start"),
    )
    assert strip.text == "›x    cannot start"


def test_the_sorted_column_is_marked_in_its_heading() -> None:
    assert title_text(fit(COLUMNS, 30), "a").startswith("a▲")
