"""Framing of the Elkeid plugin protocol: a 4-byte little-endian length, then that many bytes.

Bytes arrive from a non-blocking pipe into a slab that all plugins share. Each plugin's
`FrameReader` finds the frames in them and carries a cut-off one over to the next read.
Nothing is decoded here.
"""

from __future__ import annotations

import struct
from collections.abc import Mapping
from itertools import accumulate, pairwise
from types import MappingProxyType
from typing import NamedTuple

PREFIX = struct.Struct("<I")

READ_BYTES = 256 * 1024
"""At most this much is read at a time, so that one plugin cannot keep the others waiting."""
LARGE_FRAME = 64 * 1024
"""Frames above this are put together in a buffer of their own instead of the slab."""
SLAB_BYTES = READ_BYTES + LARGE_FRAME
MAX_FRAME = 8 * 1024 * 1024
"""Longer records are skipped and counted."""
LOST_SYNC_LENGTH = 64 * 1024 * 1024
"""A length above this is no record but the middle of something else."""

ZERO_LENGTH = "zero_length"
OVER_LONG = "over_long"
TRUNCATED = "truncated"
LOST_SYNC = "lost_sync"

_NOTHING: Mapping[str, int] = MappingProxyType({})


class Frames(NamedTuple):
    """The complete frames that one read brought."""

    data: bytes
    """The frames, length prefixes included."""
    offsets: list[int]
    """Where each frame begins in `data`, and where the last one ends."""
    dropped: Mapping[str, int] = _NOTHING
    """Frames that are not in `data`, by reason."""
    dropped_bytes: int = 0
    """Their length, prefixes excluded."""
    lost_sync: int = 0
    """A length that cannot be one; where the next frame begins is unknown from here on."""

    @property
    def kept(self) -> int:
        """How many frames `data` holds."""
        return len(self.offsets) - 1

    @property
    def sent(self) -> int:
        """How many frames the plugin sent, dropped ones included."""
        return self.kept + sum(self.dropped.values())

    @property
    def sent_bytes(self) -> int:
        """How long those are, prefixes excluded."""
        return len(self.data) - PREFIX.size * self.kept + self.dropped_bytes


def frame(body: bytes) -> bytes:
    """`body` with its length in front."""
    return PREFIX.pack(len(body)) + body


def walk(view: memoryview) -> tuple[list[int], int]:
    """Follow the length prefixes from the start of `view`.

    Returns:
        Where each complete frame begins, then where the last one ends; and how many of them
        have length 0.
    """
    unpack_from = PREFIX.unpack_from
    position, empty = 0, 0
    offsets = [0]
    add = offsets.append
    try:
        while True:
            (length,) = unpack_from(view, position)
            position += length + 4
            add(position)
            if not length:
                empty += 1
    except struct.error:  # fewer than 4 bytes are left, or the last frame ends beyond the view
        pass
    if position > len(view):
        offsets.pop()
    return offsets, empty


def without_empty(data: bytes, offsets: list[int]) -> tuple[bytes, list[int]]:
    """The same frames but those of length 0."""
    kept = [data[begin:end] for begin, end in pairwise(offsets) if end - begin > PREFIX.size]
    return b"".join(kept), list(accumulate(map(len, kept), initial=0))


class FrameReader:
    """Finds the frames in one plugin's byte stream, however it is cut.

    `room` says where the next bytes go, `advance` how many came.
    """

    def __init__(self, max_frame: int = MAX_FRAME) -> None:
        if not SLAB_BYTES <= max_frame <= LOST_SYNC_LENGTH:
            raise ValueError(f"the longest record cannot be {max_frame} bytes")
        self._max_frame = max_frame
        self._carry = b""
        self._skip = 0
        self._large = bytearray()
        self._filled = 0

    def room(self, slab: memoryview) -> memoryview:
        """Where the next read goes; in `slab` unless a large frame is under way.

        The slab belongs to this reader until `advance`.
        """
        if self._large:
            return memoryview(self._large)[self._filled :]
        slab[: len(self._carry)] = self._carry
        return slab[len(self._carry) :]

    def advance(self, slab: memoryview, fresh: int) -> Frames:
        """Take in `fresh` bytes that were read into `room`."""
        if self._large:
            return self._advance_large(fresh)
        have = len(self._carry) + fresh
        skipped = min(self._skip, have)
        self._skip -= skipped
        view = slab[skipped:have]
        offsets, empty = walk(view)
        end = offsets[-1]
        data, rest = bytes(view[:end]), view[end:]
        dropped: dict[str, int] = {}
        if empty:
            data, offsets = without_empty(data, offsets)
            dropped[ZERO_LENGTH] = empty
        self._carry = b""
        announced = PREFIX.unpack_from(rest)[0] if len(rest) >= PREFIX.size else 0
        if announced > LOST_SYNC_LENGTH:
            return Frames(data, offsets, {**dropped, LOST_SYNC: 1}, lost_sync=announced)
        if announced > self._max_frame:
            self._skip = PREFIX.size + announced - len(rest)
            return Frames(data, offsets, {**dropped, OVER_LONG: 1}, announced)
        if announced > LARGE_FRAME:
            self._large = bytearray(PREFIX.size + announced)
            self._large[: len(rest)] = rest
            self._filled = len(rest)
        else:
            self._carry = bytes(rest)
        return Frames(data, offsets, dropped)

    def _advance_large(self, fresh: int) -> Frames:
        self._filled += fresh
        if self._filled < len(self._large):
            return Frames(b"", [0])
        data, self._large = bytes(self._large), bytearray()
        return Frames(data, [0, len(data)])

    def finish(self) -> Frames:
        """The end of the stream: a frame that is still incomplete is a loss."""
        unfinished = self._filled if self._large else len(self._carry)
        self._carry, self._large, self._skip = b"", bytearray(), 0
        if not unfinished:
            return Frames(b"", [0])
        return Frames(b"", [0], {TRUNCATED: 1}, max(0, unfinished - PREFIX.size))
