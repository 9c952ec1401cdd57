"""Moments as people write them, and the record a stream has at one."""

from __future__ import annotations

import time
from collections.abc import Iterator

import pytest

from engine.core.kinds import LOG
from engine.core.records import RecordRing, new_record
from tests.ui.fake_engine import NOW_NS
from tui.console.moments import first_since, read_moment

S = 1_000_000_000
NOON_NS = 1_790_000_000 // 86_400 * 86_400 * S + 43_200 * S
"""Noon, UTC."""


@pytest.fixture(autouse=True)
def utc(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    monkeypatch.setenv("TZ", "UTC")
    time.tzset()
    yield
    monkeypatch.undo()
    time.tzset()


@pytest.mark.parametrize(
    ("text", "after_noon_s"),
    [
        ("now", 0),
        ("-30s", -30),
        (" -1.5m ", -90),
        ("-250ms", -0.25),
        ("11:59", -60),
        ("11:59:07", -53),
        ("11:59:07.25", -52.75),
        ("12:00", 0),
        ("12:00:01", 1 - 86_400),
        ("1970-01-01T00:00:00Z", -NOON_NS / S),
        ("1970-01-01T00:00:01.5Z", -NOON_NS / S + 1.5),
    ],
)
def test_a_moment_can_be_written_in_several_ways(text: str, after_noon_s: float) -> None:
    assert read_moment(text, NOON_NS) == NOON_NS + int(after_noon_s * S)


@pytest.mark.parametrize("text", ["", "soon", "30s", "-30", "-3MB", "25:00", "12", "12:61", "T"])
def test_what_is_no_moment_is_not_taken_for_one(text: str) -> None:
    assert read_moment(text, NOON_NS) is None


def ring(count: int, capacity: int) -> RecordRing:
    """Records a second apart from NOW_NS + 1 s on."""
    ring = RecordRing(capacity)
    ring.extend(new_record(LOG, {}, ts_ns=NOW_NS + number * S) for number in range(1, count + 1))
    return ring


class Reader:
    """One ring, whatever the kind."""

    def __init__(self, ring: RecordRing) -> None:
        self.last_seq = lambda kind: ring.last_seq
        self.since = lambda kind, seq, limit=1_000: ring.since(seq, limit)


@pytest.mark.parametrize(
    ("after_s", "found"),
    [(0, (1, True)), (1, (1, True)), (7.5, (8, True)), (10, (10, True)), (10.5, (11, True))],
)
def test_the_first_record_from_a_moment_on_is_found(
    after_s: float, found: tuple[int, bool]
) -> None:
    assert first_since(Reader(ring(10, 100)), "log", NOW_NS + int(after_s * S)) == found


def test_of_records_that_have_left_the_oldest_that_is_kept_is_found() -> None:
    kept = Reader(ring(100, 10))
    assert first_since(kept, "log", NOW_NS + 50 * S) == (91, False)
    assert first_since(kept, "log", NOW_NS + 95 * S) == (95, True)


def test_nothing_is_found_where_there_is_nothing() -> None:
    assert first_since(Reader(ring(0, 10)), "log", NOW_NS) == (1, True)
