"""Records and rings: order, bounds, and what a late reader is told."""

from __future__ import annotations

import threading

import pytest
from hypothesis import given
from hypothesis import strategies as st

from engine.core.kinds import KINDS, LOG, PROCESS, TABLE_KEYS
from engine.core.records import Record, RecordRing, new_record, record_from_json


def log_line(text: str) -> Record:
    return new_record(LOG, {"source": "t", "level": "info", "text": text}, ts_ns=1)


def test_a_reader_that_keeps_up_sees_every_record_once_and_in_order() -> None:
    ring = RecordRing(4)
    seen: list[int] = []
    last = 0
    for number in range(10):
        ring.append(log_line(str(number)))
        batch = ring.since(last)
        assert batch.missed == 0
        seen += [record.seq for record in batch.records]
        last = batch.last_seq
    assert seen == list(range(1, 11))
    assert ring.since(last).records == ()
    assert ring.since(last).last_seq == last


def test_a_late_reader_is_told_how_many_it_missed() -> None:
    ring = RecordRing(3)
    ring.extend(log_line(str(n)) for n in range(10))
    batch = ring.since(2)
    assert [record.seq for record in batch.records] == [8, 9, 10]
    assert batch.missed == 5


def test_a_limit_leaves_the_rest_for_the_next_pull() -> None:
    ring = RecordRing(10)
    ring.extend(log_line(str(n)) for n in range(5))
    first = ring.since(0, limit=2)
    assert [record.seq for record in first.records] == [1, 2]
    assert [record.seq for record in ring.since(first.last_seq).records] == [3, 4, 5]


@given(st.integers(1, 20), st.lists(st.integers(0, 9), max_size=30), st.integers(1, 15))
def test_read_plus_missed_is_written(capacity: int, writes: list[int], limit: int) -> None:
    ring = RecordRing(capacity)
    read = missed = last = 0
    for count in writes:
        ring.extend(log_line("x") for _ in range(count))
        batch = ring.since(last, limit)
        read, missed, last = read + len(batch.records), missed + batch.missed, batch.last_seq
    while (batch := ring.since(last, limit)).records:
        read, missed, last = read + len(batch.records), missed + batch.missed, batch.last_seq
    assert read + missed == sum(writes) == ring.last_seq


def test_writers_in_several_threads_lose_nothing() -> None:
    ring = RecordRing(4_000)

    def write() -> None:
        for _ in range(500):
            ring.append(log_line("x"))

    threads = [threading.Thread(target=write) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert [r.seq for r in ring.since(0, 5_000).records] == list(range(1, 2_001))


def test_a_ring_without_room_is_refused() -> None:
    with pytest.raises(ValueError, match="room for one"):
        RecordRing(0)


def test_json_holds_common_fields_then_own_ones() -> None:
    record = new_record(
        PROCESS, {"exe": "/bin/x", "start": 7}, ts_ns=1_500_000_000, pid=3, comm="x"
    )
    record.seq = 9
    shown = record.as_json()
    assert list(shown)[:5] == ["kind", "seq", "ts", "pid", "comm"]
    assert shown["ts"] == "1970-01-01T00:00:01.500000000Z"
    assert record_from_json(shown) == record


def test_pid_and_comm_are_absent_where_there_is_no_process() -> None:
    assert not {"pid", "comm"} & log_line("x").as_json().keys()


def test_an_unknown_field_is_refused() -> None:
    with pytest.raises(KeyError, match="log has no field colour"):
        new_record(LOG, {"colour": "red"}, ts_ns=0)


@pytest.mark.parametrize("kind", sorted(KINDS))
def test_every_kind_reads_back_what_it_wrote(kind: str) -> None:
    record = new_record(KINDS[kind], {}, ts_ns=123, pid=1, comm="c")
    assert record_from_json(record.as_json()) == record


@pytest.mark.parametrize("kind", sorted(TABLE_KEYS))
def test_every_table_row_has_its_key(kind: str) -> None:
    assert len(new_record(KINDS[kind], {}, ts_ns=0).key()) == len(TABLE_KEYS[kind])


@pytest.mark.parametrize("shown", [{}, {"kind": "nonsense"}, {"kind": "log", "seq": 1, "ts": "x"}])
def test_what_is_no_record_is_refused(shown: dict[str, str | int]) -> None:
    with pytest.raises(ValueError):  # noqa: PT011 - several messages
        record_from_json(shown)


def test_field_names_are_unique_and_explained() -> None:
    for kind in KINDS.values():
        names = [field.name for field in kind.all_fields()]
        assert len(names) == len(set(names)), kind.name
        assert all(field.help.endswith((".", "?")) or "." in field.help for field in kind.fields)
