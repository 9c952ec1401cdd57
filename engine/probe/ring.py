"""Reader of a BPF ring buffer through its memory mapping.

The format is the kernel's (`kernel/bpf/ringbuf.c`): one page with the consumer position, one
with the producer position, then the data, mapped twice in a row so that no record is ever
split. A record is an 8-byte header (length with a busy and a discard bit) and its bytes,
padded to 8.
"""

from __future__ import annotations

import mmap
import os
from typing import TypeAlias

_BUSY = 1 << 31
_DISCARDED = 1 << 30
_LENGTH = _DISCARDED - 1
_HEADER = 8
_PAGE = os.sysconf("SC_PAGESIZE")


Span: TypeAlias = tuple[int, int]
"""Where one record lies in `RingReader.data`: offset and length."""


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
                descriptor, _PAGE + 2 * size, mmap.MAP_SHARED, mmap.PROT_READ, offset=_PAGE
            )
        except BaseException:
            self._consumer.close()
            raise
        self._read_to = memoryview(self._consumer).cast("Q")
        self._whole = memoryview(self._producer)
        self._written_to = self._whole[:_PAGE].cast("Q")
        self.data = self._whole[_PAGE:]
        """The record bytes; valid from `pending` until `release`."""
        self._headers = self.data.cast("I")
        self._next = self._read_to[0]

    @property
    def written(self) -> int:
        """How many bytes the kernel has written since the start."""
        return self._written_to[0]

    @property
    def released(self) -> int:
        """How many bytes were given back since the start."""
        return self._read_to[0]

    def pending(self, limit: int = 4096) -> list[Span]:
        """The oldest records not released yet, up to the first one still being written."""
        headers, mask = self._headers, self._size - 1
        position, end = self._read_to[0], self._written_to[0]
        spans: list[Span] = []
        while position < end and len(spans) < limit:
            offset = position & mask
            header = headers[offset >> 2]
            if header & _BUSY:
                break
            length = header & _LENGTH
            if not header & _DISCARDED:
                spans.append((offset + _HEADER, length))
            position += (length + _HEADER + 7) & ~7
        self._next = position
        return spans

    def release(self) -> None:
        """Give the room of the last `pending` back to the kernel."""
        self._read_to[0] = self._next

    def close(self) -> None:
        """Unmap. May be called twice."""
        for view in (self._headers, self.data, self._written_to, self._whole, self._read_to):
            view.release()
        self._producer.close()
        self._consumer.close()
