"""The throughput of the last minutes, and the bars it is drawn with."""

from __future__ import annotations

import pytest

from tests.ui.fake_engine import FakeEngine, record
from tui.console.format import graph
from tui.console.history import KEPT, Series, ThroughputHistory


def series(*values: float) -> Series:
    made = Series()
    for value in values:
        made.add(value)
    return made


def test_a_series_knows_its_newest_its_mean_and_its_peak() -> None:
    made = series(1, 5, 3)
    assert (made.now, made.mean, made.peak) == (3, 3, 5)
    assert (Series().now, Series().mean, Series().peak) == (0, 0, 0)


def test_what_is_not_known_counts_as_nothing() -> None:
    made = Series()
    made.add(None)
    assert tuple(made.samples) == (0.0,)


def test_each_sample_is_a_bar_while_there_is_room() -> None:
    assert series(1, 2, 3).bars(3) == ((1, 2, 3), 1)


def test_samples_share_bars_when_there_is_none() -> None:
    bars = series(*range(300)).bars(100)
    assert bars.per_bar == 3
    assert bars.values[:2] == (1, 4)
    assert len(bars.values) == 100


def test_the_samples_of_a_bar_stay_together_as_time_goes_on() -> None:
    made = series(*range(KEPT))
    before = made.bars(100).values
    made.add(KEPT)
    after = made.bars(100).values
    assert after[-1] == KEPT, "a bar has begun"
    assert after[:-1] == before[1:], "the others are as they were"


@pytest.mark.parametrize("width", [1, 7, 40, 299, 300])
def test_there_are_never_more_bars_than_room(width: int) -> None:
    made = Series()
    for number in range(2 * KEPT):
        made.add(number)
        assert len(made.bars(width).values) <= width


def test_bars_of_several_lines_are_filled_from_below() -> None:
    assert graph((0, 4, 8, 16), 4, 2) == ["   █", " ▄██"]
    assert graph((1,), 3, 1) == ["  █"]
    assert graph((), 2, 2) == ["  ", "  "]


def test_little_is_never_drawn_as_nothing() -> None:
    assert graph((0.001, 1000), 2, 3)[-1] == "▁█"


def test_every_plugin_on_the_list_is_remembered_and_forgotten_with_its_row() -> None:
    engine = FakeEngine()
    history = ThroughputHistory()
    rows = [
        record("plugin_state", plugin=name, tx_rate=1.0, tx_speed=2.0) for name in ("one", "two")
    ]
    for _ in range(3):
        engine.set_table("plugin_state", rows)
        engine.pass_time(1)
        history.remember(engine.snapshot())
        history.remember(engine.snapshot())
    assert history.last_rates(rows[0], 2) == (1.0, 1.0)
    assert tuple(history.of(rows[1]).speed.samples) == (2.0, 2.0, 2.0)
    engine.set_table("plugin_state", rows[:1])
    engine.pass_time(1)
    history.remember(engine.snapshot())
    assert not history.of(rows[1]).speed.samples
