"""Events stay raw until somebody looks, and only the newest ones stay."""

from __future__ import annotations

import threading
from collections.abc import Sequence

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from engine.core.records import Record, RecordRing
from engine.probe.abi import SectionKind
from engine.probe.calls import Category
from engine.probe.convert import Converter
from engine.probe.ring import RingReader, Taken
from engine.probe.store import CHUNK_BYTES, EventStore
from tests.unit.probe.kernel_side import DISCARDED, SIZE, KernelSide
from tests.unit.probe.raw_events import raw_event, section


def event(number: int, path: int = 0) -> bytes:
    """An event that carries its number, and a path of that length."""
    text = section(SectionKind.TEXT, b"p" * path, 1) if path else b""
    return raw_event("syscall_exit-openat", result=number, payload=text)


def taken(*events: bytes, discarded: Sequence[int] = ()) -> Taken:
    """Events as a ring gives them; those at some places as discarded."""
    rows = [
        (len(raw) | (DISCARDED if place in discarded else 0)).to_bytes(8, "little")
        + raw
        + bytes(-len(raw) % 8)
        for place, raw in enumerate(events)
    ]
    return Taken(b"".join(rows), len(events) - len(discarded), 8)


def append(store: EventStore, *numbers: int, path: int = 0, wall_offset_ns: int = 0) -> None:
    store.append(taken(*(event(number, path) for number in numbers)), wall_offset_ns)


def numbers(records: Sequence[Record]) -> list[tuple[int, object]]:
    return [(record.seq, record.get("result")) for record in records]


def test_readers_pull_by_number_across_chunks() -> None:
    store = EventStore(100)
    append(store, 1, 2, 3, wall_offset_ns=1)
    append(store, 4, wall_offset_ns=2)
    append(store, 5, 6, wall_offset_ns=3)
    batch = store.since(1, 3)
    assert numbers(batch.records) == [(2, 2), (3, 3), (4, 4)]
    assert (batch.last_seq, batch.missed) == (4, 0)
    assert numbers(store.since(batch.last_seq).records) == [(5, 5), (6, 6)]
    assert (store.since(6).records, store.since(6).last_seq) == ((), 6)
    assert store.last_seq == 6


def test_an_empty_store_has_nothing() -> None:
    store = EventStore(1)
    store.append(Taken(b"", 0, 0), 0)
    batch = store.since(0)
    assert (batch.records, batch.last_seq, batch.missed, store.last_seq) == ((), 0, 0, 0)


def test_a_stamp_is_wall_time_as_it_was_when_the_event_came() -> None:
    store = EventStore(100)
    for offset in (10, 10, 20):
        append(store, 0, wall_offset_ns=offset)
    assert [record.ts_ns for record in store.since(0).records] == [1_010, 1_010, 1_020]


def test_what_came_too_long_ago_is_missed() -> None:
    store = EventStore(3)
    append(store, 1, 2)
    append(store, 3, 4, 5)
    batch = store.since(0)
    assert numbers(batch.records) == [(3, 3), (4, 4), (5, 5)]
    assert batch.missed == 2
    assert store.since(1).missed == 1
    assert store.since(2).missed == 0


def test_old_events_go_when_there_are_too_many_bytes() -> None:
    path = 4_000
    each = 10 * len(taken(event(0, path)).data)
    store = EventStore(1_000_000, max_bytes=10 * each)
    total = 1_000
    for number in range(1, total, 10):
        append(store, *range(number, number + 10), path=path)
    batch = store.since(0)
    kept = len(batch.records)
    assert 100 - CHUNK_BYTES // (each // 10) <= kept <= 100
    assert batch.missed == total - kept
    assert numbers(batch.records) == [(seq, seq) for seq in range(total - kept + 1, total + 1)]


def test_the_newest_chunk_stays_even_if_it_is_too_large_alone() -> None:
    store = EventStore(10, max_bytes=1)
    append(store, 1, wall_offset_ns=1)
    append(store, 2, wall_offset_ns=2)
    assert numbers(store.since(0).records) == [(2, 2)]


def test_events_that_come_alone_are_kept_together() -> None:
    store = EventStore(100_000)
    for number in range(5_000):
        append(store, number)
    assert len(store._chunks) <= 1 + 5_000 * len(taken(event(0)).data) // (CHUNK_BYTES - 200)
    assert numbers(store.since(4_998).records) == [(4_999, 4_998), (5_000, 4_999)]


def test_discarded_records_have_no_number() -> None:
    store = EventStore(10)
    store.append(taken(event(0), event(1), event(2), event(3), discarded=(0, 2)), 0)
    store.append(taken(event(4), event(5), discarded=(1,)), 0)
    assert numbers(store.since(0).records) == [(1, 1), (2, 3), (3, 4)]
    assert numbers(store.since(1, 1).records) == [(2, 3)]


def test_an_event_that_cannot_be_decoded_is_shown_in_its_place() -> None:
    store = EventStore(10)
    broken = raw_event("syscall_exit-openat", row=999)
    store.append(taken(event(1), broken, event(3)), 5)
    assert numbers(store.since(0).records) == [(1, 1), (2, None), (3, 3)]
    (record,) = store.since(1, 1).records
    assert (record.get("name"), record.ts_ns) == ("undecodable", 1_005)


def test_calls_can_be_shown_with_kindlings_attributes_alone() -> None:
    store = EventStore(10)
    store.append(taken(raw_event("syscall_exit-close")), 0)
    assert store.since(0).records[0].get("attributes") == {"res": 0, "fd": 0}
    store.set_faithful(True)
    assert store.since(0).records[0].get("attributes") == {"res": 0}


def test_a_faithful_store_gives_events_kindlings_category() -> None:
    converter = Converter()
    wait = raw_event("syscall_exit-epoll_wait", category=Category.WAIT)
    opened = raw_event("syscall_exit-openat", category=Category.FILE)
    for faithful, told in ((False, ["wait", "file"]), (True, ["other", "file"])):
        converter.faithful = faithful
        records = [converter.convert(memoryview(raw), 0, len(raw), 0) for raw in (wait, opened)]
        assert [record.get("category") for record in records] == told


def test_a_store_without_room_is_refused() -> None:
    with pytest.raises(ValueError, match="room for one event"):
        EventStore(0)


def test_what_a_ring_gives_is_kept_over_many_rounds_of_it() -> None:
    kernel = KernelSide()
    ring = RingReader(kernel.descriptor, SIZE)
    store = EventStore(1_000)
    total = 500
    for number in range(total):
        raw = event(number, path=number % 97)
        if kernel.room < len(raw) + 16:
            store.append(ring.take(SIZE), 0)
        kernel.write(raw)
    store.append(ring.take(SIZE), 0)
    assert numbers(store.since(0).records) == [(number + 1, number) for number in range(total)]
    ring.close()
    kernel.close()


BATCHES = st.lists(
    st.tuples(
        st.lists(st.sampled_from([0, 1, 7, 8, 900, 4_000]), max_size=40),  # paths
        st.sampled_from([0, 0, 0, 5]),  # change of the wall clock
    ),
    max_size=15,
)


@settings(max_examples=60)
@given(BATCHES, st.integers(1, 300), st.lists(st.integers(0, 400), max_size=6), st.integers(1, 99))
def test_answers_as_a_ring_of_decoded_records_would(
    batches: list[tuple[list[int], int]], capacity: int, seqs: list[int], limit: int
) -> None:
    store, plain = EventStore(capacity), RecordRing(capacity)
    converter, count, offset_ns = Converter(), 0, 0
    for paths, change in batches:
        offset_ns += change
        events = [event(number, path) for number, path in enumerate(paths, count)]
        count += len(paths)
        store.append(taken(*events), offset_ns)
        plain.extend(converter.convert(memoryview(raw), 0, len(raw), offset_ns) for raw in events)
        for seq in seqs:
            assert store.since(seq, limit) == plain.since(seq, limit)
    assert store.last_seq == plain.last_seq == count


def test_a_reader_beside_a_writer_sees_every_number_once_or_as_missed() -> None:
    store, total, each = EventStore(5_000), 60_000, 200

    def write() -> None:
        for number in range(0, total, each):
            append(store, *range(number + 1, number + each + 1))

    writer = threading.Thread(target=write)
    writer.start()
    seq = got = missed = 0
    while seq < total:
        batch = store.since(seq)
        assert all(record.get("result") == record.seq for record in batch.records)
        assert batch.last_seq == seq + batch.missed + len(batch.records)
        seq, got, missed = batch.last_seq, got + len(batch.records), missed + batch.missed
    writer.join()
    assert got + missed == total
    assert got >= 5_000
