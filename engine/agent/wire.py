"""Framing of the Elkeid plugin protocol: a 4-byte little-endian length, then that many bytes.

Bytes arrive from a non-blocking pipe in a slab that all plugins share. Each plugin's
`FrameReader` has the slab count the frames in it, and carries a cut-off one over to the next
read. Nothing is decoded here, and where each frame begins is found again when somebody looks.
"""

from __future__ import annotations

import struct
from collections.abc import Mapping
from types import MappingProxyType
from typing import NamedTuple

PREFIX = struct.Struct("<I")

READ_BYTES = 512 * 1024
"""At most this much is read at a time, so that one plugin cannot keep the others waiting."""
SHORT_READ_BYTES = 32 * 1024
TINY_FRAME = 32
"""Of frames shorter than this a short read is enough: time goes by frames, not by bytes."""
MANY_FRAMES = 400
"""From this many on a call of the compiled walk, 20 us, is shorter than the walk in Python."""
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

FAULT_BYTES = 64
"""How much of a faulty piece is shown."""
FAULTS_SHOWN = 8
"""How many of the empty frames of one read are shown; all are counted."""

_NO_LOSS: Mapping[str, int] = MappingProxyType({})


class Fault(NamedTuple):
    """A piece of a stream that is no record."""

    reason: str
    length: int | None
    """What it announced; None if it ended within the prefix."""
    head: bytes
    """Its first bytes, prefix included, and what followed an empty frame."""


class Frames(NamedTuple):
    """The complete frames that one read brought."""

    data: bytes = b""
    """The frames, length prefixes included, and nothing else."""
    kept: int = 0
    """How many these are."""
    dropped: Mapping[str, int] = _NO_LOSS
    """Frames that are not in `data`, by reason."""
    dropped_bytes: int = 0
    """Their length, prefixes excluded."""
    faults: tuple[Fault, ...] = ()
    """What some of those looked like."""
    lost_sync: int = 0
    """A length that cannot be one; where the next frame begins is unknown from here on."""

    @property
    def sent(self) -> int:
        """How many frames the plugin sent, dropped ones included."""
        return self.kept + sum(self.dropped.values()) if self.dropped else self.kept

    @property
    def sent_bytes(self) -> int:
        """How long those are, prefixes excluded."""
        return len(self.data) - PREFIX.size * self.kept + self.dropped_bytes

    def with_loss(self, fault: Fault, size: int = 0) -> Frames:
        """These, and one of `size` bytes that was lost."""
        return self._replace(
            dropped={**self.dropped, fault.reason: 1},
            dropped_bytes=self.dropped_bytes + size,
            faults=(*self.faults, fault),
        )

    def only_first(self, count: int, reason: str) -> Frames:
        """The first `count` of them; the others are lost for that reason."""
        data = self.data[: find_offsets(self.data, count)[-1]]
        lost = self.kept - count
        lost_bytes = len(self.data) - len(data) - PREFIX.size * lost
        return self._replace(
            data=data,
            kept=count,
            dropped={**self.dropped, reason: lost},
            dropped_bytes=self.dropped_bytes + lost_bytes,
        )


NOTHING = Frames()


class Walked(NamedTuple):
    """What follows from the length prefixes."""

    frames: int
    """How many are complete."""
    empty: int
    """How many of these have length 0."""
    end: int
    """Where the last one ends."""


def frame(body: bytes) -> bytes:
    """`body` with its length in front."""
    return PREFIX.pack(len(body)) + body


def walk(data: bytes | memoryview, begin: int = 0) -> Walked:
    """Follow the length prefixes in `data` from `begin` to the end."""
    unpack_from = PREFIX.unpack_from
    position, count, length, empty = begin, 0, 0, 0
    try:
        while True:
            (length,) = unpack_from(data, position)
            position += length + 4
            count += 1
            if not length:
                empty += 1
    except struct.error:  # fewer than 4 bytes are left, or the last frame ends beyond the data
        pass
    if position > len(data):
        return Walked(count - 1, empty, position - length - 4)
    return Walked(count, empty, position)


def find_offsets(data: bytes | memoryview, count: int) -> list[int]:
    """Where each of the first `count` frames in `data` begins, and where the last one ends."""
    unpack_from = PREFIX.unpack_from
    position = 0
    offsets = [0]
    for _ in range(count):
        position += unpack_from(data, position)[0] + 4
        offsets.append(position)
    return offsets


def without_empty(view: memoryview, count: int, empty: int) -> Frames:
    """The first `count` frames in `view` but the `empty` ones of length 0."""
    unpack_from, prefix = PREFIX.unpack_from, PREFIX.size
    position, begin = 0, 0
    between: list[memoryview] = []
    faults: list[Fault] = []
    for _ in range(count):
        (length,) = unpack_from(view, position)
        if not length:
            if begin < position:
                between.append(view[begin:position])
            begin = position + prefix
            if len(faults) < FAULTS_SHOWN:
                head = bytes(view[position : position + FAULT_BYTES])
                faults.append(Fault(ZERO_LENGTH, 0, head))
        position += length + prefix
    between.append(view[begin:position])
    return Frames(b"".join(between), count - empty, {ZERO_LENGTH: empty}, 0, tuple(faults))


class Slab:
    """Memory that one pipe after the other is read into."""

    def __init__(self, memory: memoryview | None = None) -> None:
        self.memory = memoryview(bytearray(SLAB_BYTES)) if memory is None else memory

    def walk(self, begin: int, end: int, expected: int) -> Walked:
        """Follow the length prefixes from `begin` to `end`; about `expected` are to come."""
        return walk(self.memory[:end], begin)


class FrameReader:
    """Finds the frames in one plugin's byte stream, however it is cut.

    `room` says where the next bytes go, `advance` how many came.
    """

    def __init__(self, max_frame: int = MAX_FRAME) -> None:
        if not SLAB_BYTES <= max_frame <= LOST_SYNC_LENGTH:
            raise ValueError(f"the longest record cannot be {max_frame} bytes")
        self._max_frame = max_frame
        self._typical = LARGE_FRAME
        """About how long a frame is, prefix included."""
        self._carry = b""
        self._skip = 0
        self._large = bytearray()
        self._filled = 0

    def room(self, slab: Slab, most: int = READ_BYTES) -> memoryview:
        """Where the next read of at most `most` bytes goes.

        That is in the slab, which belongs to this reader until `advance`, unless a large frame
        is under way.
        """
        if self._large:
            return memoryview(self._large)[self._filled : self._filled + most]
        begin = len(self._carry)
        if begin:
            slab.memory[:begin] = self._carry
        wanted = SHORT_READ_BYTES if self._typical < TINY_FRAME else most
        return slab.memory[begin : begin + wanted]

    def advance(self, slab: Slab, fresh: int) -> Frames:
        """Take in `fresh` bytes that were read into `room`."""
        if self._large:
            return self._advance_large(fresh)
        have = len(self._carry) + fresh
        begin = min(self._skip, have)
        self._skip -= begin
        count, empty, end = slab.walk(begin, have, fresh // self._typical)
        if count:
            self._typical = (end - begin) // count
        if empty:
            frames = without_empty(slab.memory[begin:have], count, empty)
        else:
            frames = Frames(bytes(slab.memory[begin:end]), count)
        if end == have:
            self._carry = b""
            return frames
        return self._keep_rest(slab.memory[end:have], frames)

    def _keep_rest(self, rest: memoryview, frames: Frames) -> Frames:
        """Remember the beginning of a frame, or give the frame up."""
        length = _announced(rest)
        if length is None or length <= LARGE_FRAME:
            self._carry = bytes(rest)
            return frames
        self._carry = b""
        head = bytes(rest[:FAULT_BYTES])
        if length > LOST_SYNC_LENGTH:
            return frames.with_loss(Fault(LOST_SYNC, length, head))._replace(lost_sync=length)
        if length <= self._max_frame:
            self._large = bytearray(PREFIX.size + length)
            self._large[: len(rest)] = rest
            self._filled = len(rest)
            return frames
        if len(head) < FAULT_BYTES:
            self._carry = head  # Too little to be shown; it is given up when more has come.
            return frames
        self._skip = PREFIX.size + length - len(rest)
        return frames.with_loss(Fault(OVER_LONG, length, head), length)

    def _advance_large(self, fresh: int) -> Frames:
        self._filled += fresh
        if self._filled < len(self._large):
            return NOTHING
        data, self._large = bytes(self._large), bytearray()
        return Frames(data, 1)

    def finish(self) -> Frames:
        """The end of the stream: a frame that is still incomplete is a loss."""
        unfinished = bytes(self._large[: self._filled]) if self._large else self._carry
        self._carry, self._large, self._skip = b"", bytearray(), 0
        if not unfinished:
            return NOTHING
        length, head = _announced(unfinished), unfinished[:FAULT_BYTES]
        if length is not None and length > self._max_frame:
            return NOTHING.with_loss(Fault(OVER_LONG, length, head), length)
        size = max(0, len(unfinished) - PREFIX.size)
        return NOTHING.with_loss(Fault(TRUNCATED, length, head), size)


def _announced(data: bytes | memoryview) -> int | None:
    return PREFIX.unpack_from(data)[0] if len(data) >= PREFIX.size else None
