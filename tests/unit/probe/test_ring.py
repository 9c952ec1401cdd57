from __future__ import annotations

import mmap
import os
from collections.abc import Iterator

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from engine.probe.ring import RingReader

PAGE = mmap.PAGESIZE
SIZE = PAGE
BUSY, DISCARDED = 1 << 31, 1 << 30


class KernelSide:
    """Writes records as the kernel does, into a memory file laid out as the ring is mapped."""

    def __init__(self) -> None:
        self.descriptor = os.memfd_create("ring")
        os.ftruncate(self.descriptor, 2 * PAGE + 2 * SIZE)
        self._memory = mmap.mmap(self.descriptor, 2 * PAGE + 2 * SIZE)
        self._written = 0

    @property
    def consumed(self) -> int:
        return int.from_bytes(self._memory[:8], "little")

    @property
    def room(self) -> int:
        return SIZE - (self._written - self.consumed)

    def write(self, payload: bytes, flags: int = 0) -> int:
        """Append a record; returns where its header is."""
        at = self._written
        header = (len(payload) | flags).to_bytes(4, "little") + bytes(4)
        self._store(at, header + payload)
        self._written += len(header) + (len(payload) + 7 & ~7)
        self._memory[PAGE : PAGE + 8] = self._written.to_bytes(8, "little")
        return at

    def commit(self, at: int, length: int, flags: int = 0) -> None:
        """Finish a busy record."""
        self._store(at, (length | flags).to_bytes(4, "little"))

    def close(self) -> None:
        self._memory.close()
        os.close(self.descriptor)

    def _store(self, at: int, content: bytes) -> None:
        """The data pages are mapped twice in a row; a file has to hold them twice."""
        for index, byte in enumerate(content):
            offset = (at + index) % SIZE
            for copy in (2 * PAGE, 2 * PAGE + SIZE):
                self._memory[copy + offset] = byte


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


def taken(reader: RingReader, limit: int = 4096) -> list[bytes]:
    records = [
        bytes(reader.data[offset : offset + length]) for offset, length in reader.pending(limit)
    ]
    reader.release()
    return records


def test_records_of_any_size_come_in_order(kernel: KernelSide, reader: RingReader) -> None:
    for payload in (b"a", b"twelve bytes", b""):
        kernel.write(payload)
    assert taken(reader) == [b"a", b"twelve bytes", b""]
    assert taken(reader) == []
    assert kernel.consumed == reader.released == reader.written == 16 + 24 + 8


def test_room_is_given_back_only_on_release(kernel: KernelSide, reader: RingReader) -> None:
    kernel.write(b"kept until released")
    assert len(reader.pending()) == 1
    assert kernel.consumed == 0
    reader.release()
    assert kernel.consumed == reader.written


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
    assert taken(reader, 2) == [b"\0", b"\1"]
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
