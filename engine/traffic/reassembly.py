"""TCP streams put in order: nothing twice, nothing before its turn, and every gap counted.

Bytes that follow each other are joined until the sender pushes, the other side speaks, or 64 KiB
are there. What is missing is waited for until 1 MiB or 512 segments of its stream are held back, or
for a second, or until the connection ends; then the stream goes on behind the gap.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Iterator
from typing import NamedTuple, TypeAlias

from engine.traffic.packets import FIN, PSH, RST, SYN, TCP, Segment

MAX_HELD_BYTES = 1 << 20
MAX_HELD_SEGMENTS = 512
MAX_WAIT_NS = 1_000_000_000
JOIN_LIMIT = 65_536

_SEQ_SPACE = 1 << 32
_MAX_STREAMS = 20_000
_StreamKey: TypeAlias = tuple[int, bytes, int, bytes, int]


class Ordered(NamedTuple):
    """A piece of a stream in its turn."""

    segment: Segment
    segments: int
    """How many captured segments with payload it was made of."""


class _Stream:
    """One direction of a connection."""

    def __init__(self) -> None:
        self.next_seq: int | None = None
        self.held: dict[int, Segment] = {}
        self.held_bytes = 0
        self.joined: list[Segment] = []
        self.joined_bytes = 0


class Reassembler:
    """Puts TCP segments in order; anything else passes through."""

    def __init__(self) -> None:
        self._streams: OrderedDict[_StreamKey, _Stream] = OrderedDict()
        self.retransmitted = 0
        """Segments with no byte that was new."""
        self.gap_bytes = 0
        """Bytes that never came."""

    def take(self, segment: Segment) -> Iterator[Ordered]:
        """What is in its turn with this segment."""
        if segment.l4 != TCP:
            yield Ordered(segment, 1)
            return
        key = _key(segment)
        for side in (key, _reverse(key)):
            yield from self._end_waiting(self._streams.get(side), segment.ts_ns)
        if segment.payload or segment.flags & (SYN | FIN | RST):
            yield from self._release(self._streams.get(_reverse(key)))
        if segment.flags & SYN:
            yield from self._restart(key, segment)
            return
        if segment.flags & RST:
            for side in (key, _reverse(key)):
                yield from self._give_up(self._streams.pop(side, None))
            yield Ordered(segment, bool(segment.payload))
            return
        if not (segment.payload or segment.missing or segment.flags & FIN):
            yield Ordered(segment, 0)
            return
        yield from self._in_turn(self._stream(key, segment.seq), segment)
        yield from self._evict()

    def finish(self) -> Iterator[Ordered]:
        """Everything that is still held back."""
        while self._streams:
            yield from self._give_up(self._streams.popitem(last=False)[1])

    def _restart(self, key: _StreamKey, segment: Segment) -> Iterator[Ordered]:
        old = self._streams.get(key)
        begin = (segment.seq + 1) % _SEQ_SPACE
        if old is not None and old.next_seq is not None and old.next_seq != begin:
            yield from self._give_up(self._streams.pop(key))
        self._stream(key, begin)
        yield Ordered(segment, bool(segment.payload))

    def _stream(self, key: _StreamKey, seq: int) -> _Stream:
        stream = self._streams.get(key)
        if stream is None:
            stream = self._streams[key] = _Stream()
            stream.next_seq = seq
        self._streams.move_to_end(key)
        return stream

    def _in_turn(self, stream: _Stream, segment: Segment) -> Iterator[Ordered]:
        ahead = _distance(stream.next_seq or 0, segment.seq)
        if ahead > 0:
            held = stream.held.get(segment.seq)
            if held is None or _length(held) < _length(segment):
                self.retransmitted += held is not None and bool(held.payload)
                stream.held_bytes += _length(segment) - (_length(held) if held else 0)
                stream.held[segment.seq] = segment
            else:
                self.retransmitted += bool(segment.payload)
            too_much = stream.held_bytes > MAX_HELD_BYTES or len(stream.held) > MAX_HELD_SEGMENTS
            if too_much:
                yield from self._jump(stream)
            return
        yield from self._append(stream, segment)
        yield from self._held_back(stream)

    def _held_back(self, stream: _Stream) -> Iterator[Ordered]:
        """What was held back and is in its turn now."""
        while stream.held:
            first = min(stream.held, key=lambda seq: _distance(stream.next_seq or 0, seq))
            if _distance(stream.next_seq or 0, first) > 0:
                return
            yield from self._append(stream, self._unhold(stream, first))

    def _unhold(self, stream: _Stream, seq: int) -> Segment:
        segment = stream.held.pop(seq)
        stream.held_bytes -= _length(segment)
        return segment

    def _end_waiting(self, stream: _Stream | None, now_ns: int) -> Iterator[Ordered]:
        """Go on behind a gap that has been waited for long enough."""
        if stream is None or not stream.held:
            return
        oldest = min(segment.ts_ns for segment in stream.held.values())
        if now_ns - oldest > MAX_WAIT_NS:
            yield from self._jump(stream)

    def _jump(self, stream: _Stream) -> Iterator[Ordered]:
        """Go on behind the first gap."""
        first = min(stream.held, key=lambda seq: _distance(stream.next_seq or 0, seq))
        self.gap_bytes += max(0, _distance(stream.next_seq or 0, first))
        yield from self._release(stream)
        stream.next_seq = first
        yield from self._held_back(stream)

    def _append(self, stream: _Stream, segment: Segment) -> Iterator[Ordered]:
        """Take the bytes of a segment that are new."""
        seen = -_distance(stream.next_seq or 0, segment.seq)
        length = len(segment.payload) + segment.missing
        if seen >= length and not (segment.flags & FIN and seen == length):
            self.retransmitted += bool(segment.payload)
            return
        if seen > 0:
            fresh = segment.payload[seen:]
            cut = segment.missing - max(0, seen - len(segment.payload))
            segment = segment._replace(
                seq=(segment.seq + seen) % _SEQ_SPACE, payload=fresh, missing=cut
            )
        stream.next_seq = (segment.seq + _length(segment)) % _SEQ_SPACE
        stream.joined.append(segment)
        stream.joined_bytes += len(segment.payload)
        ends = segment.flags & (PSH | FIN) or segment.missing or not segment.payload
        if ends or stream.joined_bytes >= JOIN_LIMIT:
            yield from self._release(stream)

    def _release(self, stream: _Stream | None) -> Iterator[Ordered]:
        """Give out what has been joined."""
        if stream is None or not stream.joined:
            return
        parts, stream.joined, stream.joined_bytes = stream.joined, [], 0
        first, last = parts[0], parts[-1]
        flags = first.flags | last.flags
        whole = first._replace(
            flags=flags, payload=b"".join(part.payload for part in parts), missing=last.missing
        )
        yield Ordered(whole, sum(bool(part.payload) for part in parts))

    def _give_up(self, stream: _Stream | None) -> Iterator[Ordered]:
        """Give out everything of a stream that ends."""
        if stream is None:
            return
        while stream.held:
            yield from self._jump(stream)
        yield from self._release(stream)

    def _evict(self) -> Iterator[Ordered]:
        if len(self._streams) > _MAX_STREAMS:
            yield from self._give_up(self._streams.popitem(last=False)[1])


def _length(segment: Segment) -> int:
    return len(segment.payload) + segment.missing + bool(segment.flags & FIN)


def _distance(start: int, to: int) -> int:
    ahead = (to - start) % _SEQ_SPACE
    return ahead - _SEQ_SPACE if ahead >= _SEQ_SPACE // 2 else ahead


def _key(segment: Segment) -> _StreamKey:
    return segment.socket, segment.src, segment.src_port, segment.dst, segment.dst_port


def _reverse(key: _StreamKey) -> _StreamKey:
    number, src, src_port, dst, dst_port = key
    return number, dst, dst_port, src, src_port
