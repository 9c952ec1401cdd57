"""Records as they were told, gaps included, read as the engine's own are read."""

from __future__ import annotations

from hypothesis import given, settings
from hypothesis import strategies as st

from engine.core.records import Record
from engine.remote.mirror import BODIES_KEPT, Mirror, MirrorStore


def records(*numbers: int) -> list[Record]:
    return [Record("log", number, number, None, None, ("a", "info", "x")) for number in numbers]


def numbers(store: MirrorStore, seq: int, limit: int = 1_000) -> list[int]:
    return [record.seq for record in store.since(seq, limit).records]


def test_records_are_read_up_to_a_gap_and_what_is_missing_comes_first() -> None:
    store = MirrorStore(after=4)
    store.take(records(5, 6, 9, 10))
    store.reach(12)
    assert numbers(store, 0) == [5, 6]
    assert store.since(0).missed == 0
    batch = store.since(6)
    assert [record.seq for record in batch.records] == [9, 10]
    assert (batch.missed, batch.last_seq) == (2, 10)
    end = store.since(10)
    assert (end.records, end.last_seq, end.missed) == ((), 12, 2)
    assert store.last_seq == 12


def test_runs_that_meet_are_read_as_one() -> None:
    store = MirrorStore()
    store.take(records(1, 2))
    store.take(records(3, 4))
    assert numbers(store, 0) == [1, 2, 3, 4]
    assert numbers(store, 1, 2) == [2, 3]


def test_what_was_told_before_is_not_taken_twice() -> None:
    store = MirrorStore()
    store.take(records(1, 2, 3))
    store.take(records(2, 3, 4))
    assert numbers(store, 0) == [1, 2, 3, 4]


def test_the_oldest_go_when_there_are_too_many_and_are_missed() -> None:
    store = MirrorStore(capacity=4)
    for begin in range(1, 11, 2):
        store.take(records(begin, begin + 1))
    assert numbers(store, 0) == [7, 8, 9, 10]
    assert store.since(0).missed == 6


@settings(max_examples=200)
@given(
    st.lists(st.sets(st.integers(1, 60), min_size=1), max_size=8),
    st.integers(0, 60),
    st.integers(1, 20),
)
def test_reading_on_meets_every_record_once_and_counts_the_rest(
    lots: list[set[int]], seq: int, limit: int
) -> None:
    store, taken = MirrorStore(), 0
    for lot in lots:
        new = [number + taken for number in sorted(lot)]
        store.take(records(*new))
        taken = new[-1]
    expected = {record.seq for run in store._runs for record in run}
    read: list[int] = []
    missed, at = 0, seq
    while at < store.last_seq:
        batch = store.since(at, limit)
        assert batch.last_seq > at
        assert len(batch.records) <= limit
        read += [record.seq for record in batch.records]
        missed, at = missed + batch.missed, batch.last_seq
    assert read == sorted(number for number in expected if number > seq)
    assert missed == max(0, store.last_seq - seq) - len(read)


def test_the_bytes_of_the_latest_plugin_records_are_kept() -> None:
    mirror = Mirror({})
    mirror.keep_bodies(dict.fromkeys(range(BODIES_KEPT + 5), b"x"))
    assert mirror.body(4) is None
    assert mirror.body(5) == b"x"
