"""A moment of a recording can be typed in several ways; what is none is refused."""

from __future__ import annotations

from datetime import datetime

import pytest

from engine.core.errors import UsageError
from engine.recording.moment import parse_moment

SECOND = 1_000_000_000


def at(text: str) -> int:
    """A moment in this box's zone."""
    return int(datetime.fromisoformat(text).timestamp()) * SECOND


FIRST, LAST = at("2026-11-21T23:50:00"), at("2026-11-22T00:10:00")


@pytest.mark.parametrize(
    ("typed", "meant"),
    [
        ("+90s", FIRST + 90 * SECOND),
        ("+5min", FIRST + 300 * SECOND),
        ("+3", FIRST + 3 * SECOND),
        ("-10s", LAST - 10 * SECOND),
        ("23:55:01", at("2026-11-21T23:55:01")),
        ("23:55:01.25", at("2026-11-21T23:55:01") + SECOND // 4),
        ("23:50", at("2026-11-21T23:50:00")),
        ("0:05", at("2026-11-22T00:05:00")),
        ("2026-11-22 00:01:00", at("2026-11-22T00:01:00")),
        ("1970-01-01T00:00:01Z", SECOND),
    ],
)
def test_a_moment_is_a_time_of_day_a_distance_or_a_date(typed: str, meant: int) -> None:
    assert parse_moment(typed, FIRST, LAST) == meant


@pytest.mark.parametrize("typed", ["", "soon", "+", "+5MB", "--5s", "25:00", "3pm", "+nan"])
def test_what_is_no_moment_is_refused_with_what_would_be_one(typed: str) -> None:
    with pytest.raises(UsageError, match="is no moment of a recording") as refused:
        parse_moment(typed, FIRST, LAST)
    assert "+90s" in refused.value.fix


def test_a_distance_beyond_all_measure_is_outside_of_every_recording() -> None:
    assert parse_moment("+1e300s", FIRST, LAST) > LAST
    assert parse_moment("-1e400s", FIRST, LAST) < FIRST
