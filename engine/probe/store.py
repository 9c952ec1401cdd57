"""Kernel events kept as the bytes they came in, and made records only when somebody looks."""

from __future__ import annotations

import threading
from bisect import bisect_right
from typing import NamedTuple

from engine.core.errors import ProbeError
from engine.core.records import Batch, Record
from engine.probe.containers import Containers
from engine.probe.convert import Converter, undecodable
from engine.probe.ring import Taken, spans

DEFAULT_BYTES = 48 << 20
CHUNK_BYTES = 128 << 10
"""Smaller batches are joined up to this size: a chunk each would cost more than its events."""
_CHUNK_OVERHEAD = 256


class _Chunk(NamedTuple):
    first: int
    """Number of its oldest event."""
    last: int
    wall_offset_ns: int
    data: bytes
    """The events as they lie in the ring, each behind its header."""

    @property
    def cost(self) -> int:
        return len(self.data) + _CHUNK_OVERHEAD


class EventStore:
    """The newest kernel events, numbered from 1; at most `capacity`, in at most `max_bytes`.

    Writers never wait: the newest chunk takes the place of the oldest, and stays even if it is
    larger than `max_bytes`. One thread appends, any thread reads; reading has the face of
    `engine.core.records.RecordStore`.

    Args:
        capacity: Events kept.
        max_bytes: Bytes kept, bookkeeping included.

    Raises:
        ValueError: without room for one event.
    """

    def __init__(self, capacity: int, max_bytes: int = DEFAULT_BYTES) -> None:
        if capacity < 1:
            raise ValueError(f"a store needs room for one event at least, not {capacity}")
        self._capacity = capacity
        self._max_bytes = max_bytes
        self._converter = Converter(Containers())
        self._chunks: list[_Chunk] = []
        self._bytes = 0
        self._last = 0
        self._lock = threading.Lock()

    @property
    def last_seq(self) -> int:
        """Number of the newest event; 0 when there was none yet."""
        return self._last

    def set_faithful(self, wanted: bool) -> None:
        """Show calls with Kindling's attributes alone, from the next reading on."""
        self._converter.faithful = wanted

    def name_module(self, cgroup: int, name: str) -> None:
        """Events of this control group, earlier ones included, are those of a module."""
        self._converter.name_module(cgroup, name)

    def append(self, taken: Taken, wall_offset_ns: int) -> None:
        """Take events in.

        Args:
            taken: The events, as the ring gave them.
            wall_offset_ns: Added to their monotonic stamps to get wall time.
        """
        if not taken.records:
            return
        first, last = self._last + 1, self._last + taken.records
        chunk = _Chunk(first, last, wall_offset_ns, taken.data)
        with self._lock:
            if self._chunks and _fit(self._chunks[-1], chunk):
                newest = self._chunks.pop()
                self._bytes -= newest.cost
                chunk = chunk._replace(first=newest.first, data=newest.data + chunk.data)
            self._chunks.append(chunk)
            self._bytes += chunk.cost
            self._last = chunk.last
            self._trim()

    def since(self, seq: int, limit: int = 1_000) -> Batch:
        """Events numbered above `seq`, oldest first, at most `limit`; decoded here."""
        with self._lock:
            first, last, chunks = self._find(seq, limit)
        records: list[Record] = []
        for chunk in chunks:
            begin, end = max(first, chunk.first), min(last, chunk.last)
            records += self._decode(chunk, begin, end - begin + 1)
        return Batch(tuple(records), max(last, seq), max(0, first - seq - 1))

    def _trim(self) -> None:
        """Forget the chunks of which no event is to be kept; the newest always is."""
        chunks, leaving, oldest = self._chunks, 0, self._last - self._capacity + 1
        while leaving < len(chunks) - 1 and (
            chunks[leaving].last < oldest or self._bytes > self._max_bytes
        ):
            self._bytes -= chunks[leaving].cost
            leaving += 1
        del chunks[:leaving]

    def _find(self, seq: int, limit: int) -> tuple[int, int, list[_Chunk]]:
        """First and last number of what a reader gets, and the chunks it is in."""
        oldest = self._chunks[0].first if self._chunks else 1
        first = max(seq + 1, oldest, self._last - self._capacity + 1)
        last = min(self._last, first + limit - 1)
        if first > last:
            return first, last, []
        begin = bisect_right(self._chunks, first, key=_first) - 1
        return first, last, self._chunks[begin : bisect_right(self._chunks, last, key=_first)]

    def _decode(self, chunk: _Chunk, first: int, count: int) -> list[Record]:
        """`count` events of a chunk from number `first` on."""
        data, skipped = memoryview(chunk.data), first - chunk.first
        convert, offset_ns = self._converter.convert, chunk.wall_offset_ns
        records: list[Record] = []
        for seq, (offset, length) in enumerate(
            spans(data.cast("I"), skipped + count)[skipped:], first
        ):
            try:
                record = convert(data, offset, length, offset_ns)
            except ProbeError:
                record = undecodable(data[offset : offset + length], offset_ns)
            record.seq = seq
            records.append(record)
        return records


def _first(chunk: _Chunk) -> int:
    return chunk.first


def _fit(newest: _Chunk, added: _Chunk) -> bool:
    """Whether two chunks can become one."""
    return (
        newest.wall_offset_ns == added.wall_offset_ns
        and len(newest.data) + len(added.data) <= CHUNK_BYTES
    )
