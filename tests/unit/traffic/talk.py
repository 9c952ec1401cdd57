"""Conversations for tests: segments with the right addresses, sequence numbers and times."""

from __future__ import annotations

from engine.traffic.packets import ACK, FIN, SYN, TCP, UDP, Segment

CLIENT = (b"\x7f\0\0\1", 40_000)
SERVER = (b"\x7f\0\0\1", 80)


class Talk:
    """One connection; every method gives the next segment of one side, 1 ms after the last."""

    def __init__(self, client_port: int = CLIENT[1], l4: int = TCP) -> None:
        self.ends = [(CLIENT[0], client_port), SERVER]
        self.seqs = [1_000, 4_294_967_290]
        self.l4 = l4
        self.now_ns = 1_700_000_000_000_000_000

    def open(self) -> list[Segment]:
        """The three-way handshake."""
        return [self.segment(0, flags=SYN), self.segment(1, flags=SYN | ACK), self.segment(0)]

    def asks(self, payload: bytes, missing: int = 0) -> Segment:
        """Client to server."""
        return self.segment(0, payload, missing=missing)

    def answers(self, payload: bytes, missing: int = 0) -> Segment:
        """Server to client."""
        return self.segment(1, payload, missing=missing)

    def close(self) -> list[Segment]:
        """Both sides say goodbye."""
        return [self.segment(0, flags=FIN | ACK), self.segment(1, flags=FIN | ACK), self.segment(0)]

    def segment(
        self, side: int, payload: bytes = b"", *, flags: int = ACK, missing: int = 0
    ) -> Segment:
        """The next segment of a side."""
        self.now_ns += 1_000_000
        seq = self.seqs[side]
        length = len(payload) + missing + bool(flags & (SYN | FIN))
        self.seqs[side] = (seq + length) % 2**32
        source, target = self.ends[side], self.ends[1 - side]
        if self.l4 == UDP:
            seq = flags = 0
        return Segment(self.now_ns, *_flat(source, target), self.l4, flags, seq, payload, missing)


def _flat(source: tuple[bytes, int], target: tuple[bytes, int]) -> tuple[bytes, bytes, int, int]:
    return source[0], target[0], source[1], target[1]
