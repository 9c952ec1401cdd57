"""Connections: which segments belong together, who the client is, what has been seen already."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Iterator
from typing import Literal, TypeAlias

from engine.traffic.packets import ACK, FIN, RST, SYN, TCP, Owner, Segment

Endpoint: TypeAlias = tuple[bytes, int]
"""Packed address and port."""

Direction: TypeAlias = Literal[0, 1]
"""0 client to server, 1 server to client."""

_SEQ_SPACE = 1 << 32
_MAX_STEPS = 64
_FlowKey: TypeAlias = tuple[int, int, Endpoint, Endpoint]


class Side:
    """What is known of one direction of a flow."""

    def __init__(self) -> None:
        self.next_seq: int | None = None
        self.closed = False
        self.lost = False
        """Bytes are missing, so what comes next may be the middle of something."""
        self.owner: Owner | None = None
        """Whose end this is, where a process was listened to."""


class Flow:
    """One TCP connection or pair of UDP endpoints."""

    def __init__(self, number: int, first: Segment) -> None:
        source, target = _source(first), _target(first)
        answers = first.flags & (SYN | ACK) == SYN | ACK
        self.number = number
        self.client, self.server = (target, source) if answers else (source, target)
        self.client_known = bool(first.flags & SYN)
        self.l4 = first.l4
        self.used_ns = first.ts_ns
        self.sides = (Side(), Side())
        self.path: list[str] = []
        """How its protocol was found, step by step."""
        self.calls: list[int] = []
        """Numbers of the Wasm calls that were made for it, and that no message has taken yet."""

    def decided(self, step: str) -> None:
        """Note a step on the way to the protocol."""
        if len(self.path) < _MAX_STEPS:
            self.path.append(step)

    def own(self, segment: Segment) -> None:
        """Note whose ends these are."""
        if segment.owner is not None:
            direction = self.direction(segment)
            near = direction if segment.sent else 1 - direction
            self.sides[near].owner = segment.owner
            if segment.peer is not None:
                self.sides[1 - near].owner = segment.peer

    def direction(self, segment: Segment) -> Direction:
        """Which way a segment of this flow goes."""
        return 0 if _source(segment) == self.client else 1

    def flip(self) -> None:
        """The first sender turned out to be the server."""
        self.client, self.server = self.server, self.client
        self.sides = (self.sides[1], self.sides[0])

    def fresh(self, segment: Segment) -> bytes:
        """The payload bytes of a segment that were not seen before, by sequence number.

        A gap before the segment, or bytes the capture did not keep, set the side's `lost`.
        """
        if segment.l4 != TCP:
            return segment.payload
        side = self.sides[self.direction(segment)]
        length = len(segment.payload) + segment.missing
        end = segment.seq + length + bool(segment.flags & SYN) + bool(segment.flags & FIN)
        payload = segment.payload
        if side.next_seq is not None:
            ahead = distance(side.next_seq, segment.seq)
            if ahead > 0:
                side.lost = True
            elif distance(side.next_seq, end % _SEQ_SPACE) <= 0:
                return b""
            else:
                payload = payload[-ahead:] if ahead else payload
        side.next_seq = end % _SEQ_SPACE
        return payload

    def close(self, segment: Segment) -> bool:
        """Note the end a segment announces; True when nothing more can come."""
        if segment.flags & FIN:
            self.sides[self.direction(segment)].closed = True
        return bool(segment.flags & RST) or all(side.closed for side in self.sides)


class FlowTable:
    """The flows that are open, the least recently used first to go.

    Args:
        capacity: Most flows that are kept.
    """

    def __init__(self, capacity: int = 10_000) -> None:
        self._flows: OrderedDict[_FlowKey, Flow] = OrderedDict()
        self._capacity = capacity
        self._count = 0

    def find(self, segment: Segment) -> tuple[Flow | None, list[Flow]]:
        """The flow of a segment, made if new, and the flows that had to go for it.

        A segment that neither opens a connection nor carries payload makes no flow.
        """
        key = _key(segment)
        gone: list[Flow] = []
        flow = self._flows.get(key)
        if flow is not None and segment.flags & (SYN | ACK) == SYN and _is_reuse(flow, segment):
            gone.append(self._flows.pop(key))
            flow = None
        if flow is None:
            if not (segment.flags & SYN or segment.payload or segment.missing):
                return None, gone
            self._count += 1
            flow = self._flows[key] = Flow(self._count, segment)
            if len(self._flows) > self._capacity:
                gone.append(self._flows.popitem(last=False)[1])
        else:
            self._flows.move_to_end(key)
            flow.used_ns = segment.ts_ns
        return flow, gone

    def remove(self, segment: Segment) -> None:
        """Forget the flow of a segment."""
        self._flows.pop(_key(segment), None)

    def forget_idle(self, before_ns: int) -> list[Flow]:
        """Forget those who exchanged datagrams, and have not since; nobody tells their end."""
        idle = []
        for key, flow in self._flows.items():
            if flow.used_ns >= before_ns:
                break
            if flow.l4 != TCP:
                idle.append(key)
        return [self._flows.pop(key) for key in idle]

    def __iter__(self) -> Iterator[Flow]:
        return iter(tuple(self._flows.values()))

    def __len__(self) -> int:
        return len(self._flows)

    def drain(self) -> Iterator[Flow]:
        """Forget all flows, oldest use first."""
        while self._flows:
            yield self._flows.popitem(last=False)[1]


def _is_reuse(flow: Flow, segment: Segment) -> bool:
    """Whether a SYN opens a new connection on the same ports, rather than being sent again."""
    side = flow.sides[flow.direction(segment)]
    return side.next_seq is not None and side.next_seq != (segment.seq + 1) % _SEQ_SPACE


def distance(start: int, to: int) -> int:
    """How far `to` is ahead of `start` (negative: behind) in sequence space."""
    ahead = (to - start) % _SEQ_SPACE
    return ahead - _SEQ_SPACE if ahead >= _SEQ_SPACE // 2 else ahead


def _source(segment: Segment) -> Endpoint:
    return segment.src, segment.src_port


def _target(segment: Segment) -> Endpoint:
    return segment.dst, segment.dst_port


def _key(segment: Segment) -> _FlowKey:
    source, target = _source(segment), _target(segment)
    first, second = (source, target) if source <= target else (target, source)
    return segment.socket, segment.l4, first, second
