from __future__ import annotations

from engine.probe.catalogue import CELLS, Cell, resolve
from engine.probe.events import COLUMNS, ROWS
from engine.probe.subscriptions import SubscriptionTable

(OPENAT,) = resolve("syscall_exit-openat")
(PROCEXIT,) = resolve("tracepoint-procexit")
SECOND = 1_000_000_000


class SetClock:
    """A clock that stands where it is put."""

    def __init__(self) -> None:
        self.now = 0

    def monotonic_ns(self) -> int:
        return self.now

    def wall_ns(self) -> int:
        return self.now


def why_not(cell: Cell) -> str:
    return "it is missing" if cell == PROCEXIT else ""


def shown(table: SubscriptionTable, cell: Cell) -> tuple[object, ...]:
    row = table.rows[CELLS.index(cell)]
    return tuple(row.get(name) for name in ("on", "rate", "total", "unavailable"))


def test_a_row_tells_switch_rate_total_and_why_not() -> None:
    clock, counts = SetClock(), [0] * (ROWS * COLUMNS)
    table = SubscriptionTable(clock)
    counts[OPENAT.event.row * COLUMNS + OPENAT.category] = 50
    clock.now = 2 * SECOND
    table.measure(counts)
    table.explain(why_not)
    table.rebuild({OPENAT})
    assert len(table.rows) == len(CELLS)
    assert shown(table, OPENAT) == (True, 25.0, 50, "")
    assert shown(table, PROCEXIT) == (False, 0.0, 0, "it is missing")


def test_a_rate_is_that_of_the_last_measurement_only() -> None:
    clock, counts = SetClock(), [0] * (ROWS * COLUMNS)
    table = SubscriptionTable(clock)
    counts[OPENAT.event.row * COLUMNS + OPENAT.category] = 50
    for seconds in (1, 2):
        clock.now = seconds * SECOND
        table.measure(counts)
    table.rebuild({OPENAT})
    assert shown(table, OPENAT) == (True, 0.0, 50, "")


def test_what_is_switched_off_has_no_rate_but_keeps_its_total() -> None:
    clock, counts = SetClock(), [0] * (ROWS * COLUMNS)
    table = SubscriptionTable(clock)
    counts[OPENAT.event.row * COLUMNS + OPENAT.category] = 50
    clock.now = SECOND
    table.measure(counts)
    table.rebuild(frozenset())
    assert shown(table, OPENAT) == (False, 0.0, 50, "")


def test_a_cell_switched_on_again_does_not_show_the_rate_it_had() -> None:
    clock, counts = SetClock(), [0] * (ROWS * COLUMNS)
    table = SubscriptionTable(clock)
    counts[OPENAT.event.row * COLUMNS + OPENAT.category] = 50
    for seconds in (1, 2):
        clock.now = seconds * SECOND
        table.measure(counts)
        table.rebuild(frozenset())
    table.rebuild({OPENAT})
    assert shown(table, OPENAT) == (True, 0.0, 50, "")


def test_rows_that_say_nothing_new_stay_the_same_objects() -> None:
    clock, counts = SetClock(), [0] * (ROWS * COLUMNS)
    table = SubscriptionTable(clock)
    table.rebuild({OPENAT, PROCEXIT})
    before = table.rows
    table.measure(counts)
    table.explain(lambda cell: "")
    table.rebuild({OPENAT, PROCEXIT})
    assert table.rows is before
    counts[OPENAT.event.row * COLUMNS + OPENAT.category] = 1
    clock.now = SECOND
    table.measure(counts)
    table.rebuild({OPENAT, PROCEXIT})
    new = [cell for cell, row, old in zip(CELLS, table.rows, before, strict=True) if row is not old]
    assert new == [OPENAT]
