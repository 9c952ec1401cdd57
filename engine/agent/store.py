"""Plugin records kept as the bytes they came in, and decoded only when somebody looks."""

from __future__ import annotations

import threading
from bisect import bisect_left
from itertools import pairwise
from typing import NamedTuple

from engine.agent.decode import DecodedRecord, decode_record
from engine.agent.wire import PREFIX, find_offsets
from engine.core.kinds import PLUGIN_RECORD
from engine.core.records import Batch, Record
from engine.core.sanitise import clean

DEFAULT_BYTES = 64 * 1024 * 1024
FOLLOWING_BYTES = 36
"""How far an agent that loses its place can read on: three numbers, their tags, a length."""


class Origin(NamedTuple):
    """Whose records they are."""

    plugin: str
    pid: int
    comm: str


class _Chunk(NamedTuple):
    last: int
    """Number of its newest record."""
    records: int
    origin: Origin
    ts_ns: int
    data: bytes

    @property
    def first(self) -> int:
        return self.last - self.records + 1


_GONE = _Chunk(0, 0, Origin("", 0, ""), 0, b"")


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
        """Index of the oldest chunk that still counts; those before it are emptied."""
        self._bytes = 0
        self._last = 0
        self._lock = threading.Lock()

    @property
    def last_seq(self) -> int:
        """Number of the newest record; 0 when there was none yet."""
        return self._last

    def append(self, origin: Origin, ts_ns: int, data: bytes, count: int) -> None:
        """Take in `count` frames, prefixes included, that came together at wall time `ts_ns`."""
        with self._lock:
            self._last += count
            self._chunks.append(_Chunk(self._last, count, origin, ts_ns, data))
            self._bytes += len(data)
            self._trim()

    def _trim(self) -> None:
        chunks, newest = self._chunks, len(self._chunks) - 1
        while self._head < newest and (
            chunks[self._head].last <= self._last - self._capacity or self._bytes > self._max_bytes
        ):
            self._bytes -= len(chunks[self._head].data)
            chunks[self._head] = _GONE
            self._head += 1
        if self._head > 256 and self._head * 2 > newest:
            del chunks[: self._head]
            self._head = 0

    def since(self, seq: int, limit: int = 1_000) -> Batch:
        """Records numbered above `seq`, oldest first, at most `limit`; decoded here."""
        with self._lock:
            first, last, found = self._find(seq, limit)
        records: list[Record] = []
        for chunk in found:
            records += _decode(chunk, max(first, chunk.first), min(last, chunk.last))
        return Batch(tuple(records), max(last, seq), max(0, first - seq - 1))

    def raw(self, seq: int) -> bytes | None:
        """The body of record number `seq` as it came, without its length; None if it is gone."""
        with self._lock:
            first, last, found = self._find(seq - 1, 1)
        if first != seq or last != seq:
            return None
        (chunk,) = found
        begin, end = find_offsets(chunk.data, seq - chunk.first + 1)[-2:]
        return chunk.data[begin + PREFIX.size : end]

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


def _decode(chunk: _Chunk, first: int, last: int) -> list[Record]:
    """The records of a chunk from number `first` to number `last`."""
    plugin, pid, comm = chunk.origin
    data = chunk.data
    offsets = find_offsets(data, last - chunk.first + 1)[first - chunk.first :]
    records: list[Record] = []
    for number, (begin, end) in enumerate(pairwise(offsets), first):
        decoded = decode_record(data[begin + PREFIX.size : end], data[end : end + FOLLOWING_BYTES])
        values = (
            plugin,
            decoded.data_type,
            decoded.timestamp,
            _shown_fields(decoded),
            decoded.faults,
            decoded.agent_reading,
            end - begin - PREFIX.size,
        )
        records.append(Record(PLUGIN_RECORD.name, number, chunk.ts_ns, pid, comm, values))
    return records


def _shown_fields(decoded: DecodedRecord) -> dict[str, str]:
    """A record's content fit to be shown."""
    fields = decoded.fields.items()
    if decoded.plain:  # `clean` would change nothing, and take half of the time of decoding
        return {key.decode(): value.decode() for key, value in fields}
    return {clean(key): clean(value) for key, value in fields}
