"""The kernel's side of a ring buffer, for tests."""

from __future__ import annotations

import mmap
import os

PAGE = mmap.PAGESIZE
SIZE = PAGE
"""Of the ring, in bytes."""
BUSY, DISCARDED = 1 << 31, 1 << 30


class KernelSide:
    """Writes records as the kernel does, into a memory file laid out as the ring is mapped."""

    def __init__(self) -> None:
        self.descriptor = os.memfd_create("ring")
        os.ftruncate(self.descriptor, 2 * PAGE + SIZE)
        self._memory = mmap.mmap(self.descriptor, 2 * PAGE + SIZE)
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
        for index, byte in enumerate(content):
            self._memory[2 * PAGE + (at + index) % SIZE] = byte
