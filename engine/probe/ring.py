"""Reader of a BPF ring buffer through its memory mapping.

The format is the kernel's (`kernel/bpf/ringbuf.c`): one page with the consumer position, one
with the producer position, then the data, twice in a row so that no record is ever split. A
record is an 8-byte header (length with a busy and a discard bit) and its bytes, padded to 8.

Only one of the two is mapped here, as each counts fully in the memory of the process; the one
record a round that lies across the end is put together when it is copied.
"""

from __future__ import annotations

import mmap
import os
from typing import NamedTuple, TypeAlias

_BUSY = 1 << 31
_DISCARDED = 1 << 30
_LENGTH = _DISCARDED - 1
_HEADER = 8
_PAGE = os.sysconf("SC_PAGESIZE")


Span: TypeAlias = tuple[int, int]
"""Where the bytes of one record lie: offset and length."""


class Taken(NamedTuple):
    """Records in a row, as the ring had them: each behind its header, discarded ones included."""

    data: bytes
    records: int
    """How many there are, without the discarded ones."""
    newest: int
    """Offset of the last one's bytes; 0 if there is none."""

    @property
    def oldest_stamp(self) -> int:
        """The stamp the first one begins with."""
        return int.from_bytes(self.data[_HEADER : _HEADER + 8], "little")


def spans(words: memoryview, count: int) -> list[Span]:
    """Where the first `count` records lie.

    Args:
        words: What `RingReader.take` gave, cast to "I"; several may follow each other.
        count: Not more than there are.
    """
    found: list[Span] = []
    word = 0
    while len(found) < count:
        header = words[word]
        length = header & _LENGTH
        if header <= _LENGTH:
            found.append(((word << 2) + _HEADER, length))
        word += (length + 15 >> 3) << 1
    return found


class RingReader:
    """Reads records of any size; one thread at a time.

    Args:
        descriptor: The ring buffer map; not closed here.
        size: Its size in bytes, a power of two of pages.

    Raises:
        OSError: if it cannot be mapped.
    """

    def __init__(self, descriptor: int, size: int) -> None:
        self._size = size
        self._consumer = mmap.mmap(descriptor, _PAGE, mmap.MAP_SHARED)
        try:
            self._producer = mmap.mmap(
                descriptor, _PAGE + size, mmap.MAP_SHARED, mmap.PROT_READ, offset=_PAGE
            )
        except BaseException:
            self._consumer.close()
            raise
        self._read_to = memoryview(self._consumer).cast("Q")
        self._whole = memoryview(self._producer)
        self._written_to = self._whole[:_PAGE].cast("Q")
        self._data = self._whole[_PAGE:]
        self._headers = self._data.cast("I")

    @property
    def written(self) -> int:
        """How many bytes the kernel has written since the start."""
        return self._written_to[0]

    @property
    def released(self) -> int:
        """How many bytes were given back since the start."""
        return self._read_to[0]

    def take(self, limit: int) -> Taken:
        """Copy the oldest records, up to the first one still being written, and free their room.

        Only the headers are looked at, which is all there is to pay for a record nobody reads.

        Args:
            limit: Bytes after which no further record begins, a multiple of 8.
        """
        position = self._read_to[0]
        begin = position & self._size - 1
        end = begin + min(self._written_to[0] - position, limit)
        reached, records, newest = self._walk(begin, min(end, self._size))
        if self._size <= reached < end:
            reached, more, last = self._walk(reached - self._size, end - self._size)
            reached += self._size
            records += more
            newest = last + self._size if more else newest
        data = self._copy(begin, reached)
        self._read_to[0] = position + reached - begin
        return Taken(data, records, newest - begin + _HEADER if records else 0)

    def _walk(self, begin: int, end: int) -> tuple[int, int, int]:
        """Past the records from the offset `begin` that begin before `end` and are written.

        Returns:
            The offset of the first one that is not passed, how many are and were not discarded,
            and the offset of the last one of these.
        """
        headers = self._headers
        word, last = begin >> 2, end >> 2
        records = newest = 0
        while word < last:
            header = headers[word]
            if header <= _LENGTH:
                newest = word
                records += 1
            elif header & _BUSY:
                break
            else:
                header &= _LENGTH
            word += (header + 15 >> 3) << 1
        return word << 2, records, newest << 2

    def _copy(self, begin: int, end: int) -> bytes:
        """The bytes between two offsets, the second of which may lie beyond the end of the ring."""
        if end <= self._size:
            return bytes(self._data[begin:end])
        return bytes(self._data[begin:]) + self._data[: end - self._size]

    def close(self) -> None:
        """Unmap. May be called twice."""
        for view in (self._headers, self._data, self._written_to, self._whole, self._read_to):
            view.release()
        self._producer.close()
        self._consumer.close()
