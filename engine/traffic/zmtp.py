"""ZMTP 3, the wire protocol of ZeroMQ: its frames.

Source: ZMTP 3.0 (23/ZMTP) and 3.1 (37/ZMTP), framing; what plugins are given of it, DeepFlow agent.
"""

from __future__ import annotations

from collections.abc import Iterator

from engine.core.sanitise import clean
from engine.traffic.custom import CustomParser, Piece
from engine.traffic.flows import Direction
from engine.traffic.packets import Segment
from engine.traffic.reasons import Dropped
from engine.wasm.custom import zmtp_message

_GREETING = 64
_SIGNATURE = 10
_VERSION_AT, _VERSION = 10, 3
_MORE, _LONG, _COMMAND = 1, 2, 4
_PATTERNS = {b"SUBSCRIBE", b"CANCEL"}
_TEXT = 1_024


def looks_like(payload: bytes) -> bool:
    """Whether a first payload is the greeting of ZMTP 3, which both sides send."""
    if len(payload) < _SIGNATURE or payload[0] != 0xFF or payload[9] != 0x7F:
        return False
    return len(payload) <= _VERSION_AT or payload[_VERSION_AT] == _VERSION


class ZmtpParser(CustomParser):
    """ZMTP of one connection; every frame is a message."""

    protocol = "ZMTP"

    def read(self, segment: Segment, direction: Direction, data: bytes) -> Iterator[Piece]:
        """Every whole frame; the greeting is one without a message."""
        at = 0
        if data[:1] == b"\xff":
            if len(data) < _GREETING:
                return
            at = _GREETING
            yield Piece(at)
        while len(data) - at >= 2:
            flags, size, begin = data[at], data[at + 1], at + 2
            if flags & ~(_MORE | _LONG | _COMMAND) or (flags & _COMMAND and flags & _MORE):
                raise Dropped("malformed")
            if flags & _LONG:
                if len(data) - at < 9:
                    return
                size, begin = int.from_bytes(data[at + 1 : at + 9]), at + 9
            if len(data) - begin < size:
                return
            at = begin + size
            yield self._frame(segment, flags, data[begin:at], at)

    def _frame(self, segment: Segment, flags: int, body: bytes, end: int) -> Piece:
        message = self.message(segment)
        message.request_bytes = len(body)
        if not flags & _COMMAND:
            message.method = "message, more" if flags & _MORE else "message"
            return Piece(end, message, zmtp_message(None, body))
        if not body or len(body) <= body[0]:
            raise Dropped("malformed")
        name, value = body[1 : 1 + body[0]], body[1 + body[0] :]
        message.method = clean(name, 64)
        if name not in _PATTERNS:
            return Piece(end, message, zmtp_message(None, value))
        message.resource = clean(value, _TEXT)
        return Piece(end, message, zmtp_message(value.decode("utf-8", "backslashreplace")))
