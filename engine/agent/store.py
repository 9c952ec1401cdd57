"""Plugin records kept as the bytes they came in, and decoded only when somebody looks."""

from __future__ import annotations

import threading
from bisect import bisect_left
from typing import NamedTuple

from engine.agent.messages import decode_record
from engine.agent.wire import PREFIX
from engine.core.kinds import PLUGIN_RECORD
from engine.core.records import Batch, Record
from engine.core.sanitise import clean

DEFAULT_BYTES = 64 * 1024 * 1024


class Origin(NamedTuple):
    """Whose records they are."""

    plugin: str
    pid: int
    comm: str


class _Chunk(NamedTuple):
    last: int
    """Number of its newest record."""
    origin: Origin
    ts_ns: int
    data: bytes
    offsets: list[int]

    @property
    def first(self) -> int:
        return self.last - len(self.offsets) + 2


class PluginRecordStore:
    """The newest records of all plugins, numbered from 1; at most `capacity` and `max_bytes`.

    Writers never wait: the newest chunk takes the place of the oldest. One thread appends,
    any thread reads; reading has the face of `engine.core.records.RecordRing`.
    """

    def __init__(self, capacity: int, max_bytes: int = DEFAULT_BYTES) -> None:
        if capacity < 1:
            raise ValueError(f"a store needs room for one record at least, not {capacity}")
        self._capacity = capacity
        self._max_bytes = max_bytes
        self._chunks: list[_Chunk] = []
        self._head = 0
        """Index of the oldest chunk that still counts; those before it await their removal."""
        self._bytes = 0
        self._last = 0
        self._lock = threading.Lock()

    @property
    def last_seq(self) -> int:
        """Number of the newest record; 0 when there was none yet."""
        return self._last

    def append(self, origin: Origin, ts_ns: int, data: bytes, offsets: list[int]) -> None:
        """Take in frames, prefixes included, that came together at wall time `ts_ns`."""
        with self._lock:
            last = self._last + len(offsets) - 1
            self._chunks.append(_Chunk(last, origin, ts_ns, data, offsets))
            self._bytes += len(data)
            self._last = last
            self._trim()

    def _trim(self) -> None:
        chunks, newest = self._chunks, len(self._chunks) - 1
        while self._head < newest and (
            chunks[self._head].last <= self._last - self._capacity or self._bytes > self._max_bytes
        ):
            self._bytes -= len(chunks[self._head].data)
            self._head += 1
        if self._head > 256 and self._head * 2 > newest:
            del chunks[: self._head]
            self._head = 0

    def since(self, seq: int, limit: int = 1_000) -> Batch:
        """Records numbered above `seq`, oldest first, at most `limit`; decoded here."""
        with self._lock:
            first, last, chunks = self._find(seq, limit)
        records: list[Record] = []
        for chunk in chunks:
            begin = max(first, chunk.first)
            records += _decode(chunk, begin, min(last, chunk.last) - begin + 1)
        return Batch(tuple(records), max(last, seq), max(0, first - seq - 1))

    def _find(self, seq: int, limit: int) -> tuple[int, int, list[_Chunk]]:
        oldest = self._last + 1
        if self._head < len(self._chunks):
            oldest = max(self._chunks[self._head].first, self._last - self._capacity + 1)
        first = max(seq + 1, oldest)
        last = min(self._last, first + limit - 1)
        found: list[_Chunk] = []
        index = bisect_left(self._chunks, first, lo=self._head, key=lambda chunk: chunk.last)
        while first <= last and index < len(self._chunks) and self._chunks[index].first <= last:
            found.append(self._chunks[index])
            index += 1
        return first, last, found


def _decode(chunk: _Chunk, first: int, count: int) -> list[Record]:
    """`count` records of a chunk from number `first` on."""
    plugin, pid, comm = chunk.origin
    records: list[Record] = []
    for index in range(first - chunk.first, first - chunk.first + count):
        begin, end = chunk.offsets[index], chunk.offsets[index + 1]
        body = chunk.data[begin + PREFIX.size : end]
        decoded = decode_record(body)
        fields = {clean(key): clean(value) for key, value in decoded.fields.items()}
        faults = decoded.faults
        values = (plugin, decoded.data_type, decoded.timestamp, fields, faults, None, len(body))
        records.append(
            Record(PLUGIN_RECORD.name, chunk.first + index, chunk.ts_ns, pid, comm, values)
        )
    return records
