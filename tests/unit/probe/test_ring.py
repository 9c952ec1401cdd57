from __future__ import annotations

from collections.abc import Iterator

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from engine.probe.ring import RingReader, Taken, spans
from tests.unit.probe.kernel_side import BUSY, DISCARDED, SIZE, KernelSide


@pytest.fixture
def kernel() -> Iterator[KernelSide]:
    side = KernelSide()
    yield side
    side.close()


@pytest.fixture
def reader(kernel: KernelSide) -> Iterator[RingReader]:
    ring = RingReader(kernel.descriptor, SIZE)
    yield ring
    ring.close()


def records_of(taken: Taken) -> list[bytes]:
    found = spans(memoryview(taken.data).cast("I"), taken.records)
    return [taken.data[offset : offset + length] for offset, length in found]


def taken(reader: RingReader, limit: int = 2 * SIZE) -> list[bytes]:
    return records_of(reader.take(limit))


def test_records_of_any_size_come_in_order(kernel: KernelSide, reader: RingReader) -> None:
    for payload in (b"a", b"twelve bytes", b""):
        kernel.write(payload)
    assert taken(reader) == [b"a", b"twelve bytes", b""]
    assert taken(reader) == []
    assert kernel.consumed == reader.released == reader.written == 16 + 24 + 8


def test_what_was_taken_outlives_its_room_in_the_ring(
    kernel: KernelSide, reader: RingReader
) -> None:
    kernel.write(b"x" * (SIZE // 2))
    first = reader.take(SIZE)
    assert kernel.room == SIZE
    kernel.write(b"y" * (SIZE // 2))
    assert records_of(first) == [b"x" * (SIZE // 2)]


def test_the_newest_record_is_pointed_out(kernel: KernelSide, reader: RingReader) -> None:
    assert reader.take(SIZE) == Taken(b"", 0, 0)
    kernel.write(b"discarded", DISCARDED)
    assert reader.take(SIZE).records == 0
    for payload in (b"first", b"newest"):
        kernel.write(payload)
    kernel.write(b"discarded", DISCARDED)
    data, records, newest = reader.take(SIZE)
    assert (records, data[newest : newest + 6]) == (2, b"newest")


@pytest.mark.parametrize("room", range(8, 80, 8))
def test_the_newest_record_is_pointed_out_wherever_the_ring_ends(
    kernel: KernelSide, reader: RingReader, room: int
) -> None:
    kernel.write(b"x" * (SIZE - room - 8))
    taken(reader)
    for payload in (b"first", b"newest"):
        kernel.write(payload)
    kernel.write(b"discarded", DISCARDED)
    data, records, newest = reader.take(SIZE)
    assert (records, data[newest : newest + 6]) == (2, b"newest")


def test_a_record_across_the_end_is_in_one_piece(kernel: KernelSide, reader: RingReader) -> None:
    kernel.write(b"x" * (SIZE - 24))
    taken(reader)
    payload = bytes(range(200))
    kernel.write(payload)
    assert taken(reader) == [payload]


def test_reading_stops_at_a_record_still_being_written(
    kernel: KernelSide, reader: RingReader
) -> None:
    kernel.write(b"first")
    at = kernel.write(b"second", BUSY)
    kernel.write(b"third")
    assert taken(reader) == [b"first"]
    assert taken(reader) == []
    kernel.commit(at, 6)
    assert taken(reader) == [b"second", b"third"]


def test_a_discarded_record_is_passed_over(kernel: KernelSide, reader: RingReader) -> None:
    kernel.write(b"first")
    kernel.write(b"discarded", DISCARDED)
    kernel.write(b"third")
    assert taken(reader) == [b"first", b"third"]
    kernel.write(b"discarded", DISCARDED)
    assert taken(reader) == []
    assert kernel.consumed == reader.written


def test_a_limit_leaves_the_rest_for_the_next_time(kernel: KernelSide, reader: RingReader) -> None:
    for number in range(5):
        kernel.write(bytes([number]))
    assert taken(reader, 2 * 16) == [b"\0", b"\1"]
    assert taken(reader) == [b"\2", b"\3", b"\4"]


def test_a_reader_takes_up_where_the_ring_was_left(kernel: KernelSide) -> None:
    first = RingReader(kernel.descriptor, SIZE)
    kernel.write(b"first")
    taken(first)
    first.close()
    first.close()
    kernel.write(b"second")
    second = RingReader(kernel.descriptor, SIZE)
    assert taken(second) == [b"second"]
    second.close()


@pytest.mark.fuzz("kernel ring")
@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=50)
@given(st.lists(st.tuples(st.binary(max_size=900), st.booleans(), st.booleans()), max_size=30))
def test_whatever_is_written_is_read_once_and_in_order(
    steps: list[tuple[bytes, bool, bool]],
) -> None:
    kernel = KernelSide()
    reader = RingReader(kernel.descriptor, SIZE)
    written: list[bytes] = []
    read: list[bytes] = []
    for payload, discard, read_now in steps:
        if kernel.room < len(payload) + 16:
            read += taken(reader)
        kernel.write(payload, DISCARDED if discard else 0)
        if not discard:
            written.append(payload)
        if read_now:
            read += taken(reader)
    read += taken(reader)
    assert read == written
    reader.close()
    kernel.close()
