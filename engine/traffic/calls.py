"""Remote calls of Dubbo and RocketMQ: their heads, as far as they say what answers what.

Source: Dubbo protocol 2, header; RocketMQ remoting protocol with JSON headers. Plugins are given
the segment and read the rest themselves.
"""

from __future__ import annotations

import json
import struct
from collections.abc import Iterator

from engine.traffic.custom import CustomParser, Piece
from engine.traffic.flows import Direction
from engine.traffic.packets import Segment
from engine.traffic.reasons import Dropped
from engine.wasm.abi import CustomMessage
from engine.wasm.custom import DUBBO, ROCKETMQ

_DUBBO_MAGIC = b"\xda\xbb"
_DUBBO_HEAD = struct.Struct(">2sBBQI")
_REQUEST, _TWO_WAY, _EVENT = 0x80, 0x40, 0x20
_DUBBO_STATUSES = {
    20: "ok", 30: "client timeout", 31: "server timeout", 40: "bad request", 50: "bad response",
    60: "service not found", 70: "service error", 80: "server error", 90: "client error",
    100: "server thread pool exhausted",
}  # fmt: skip

_ROCKETMQ_HEAD = struct.Struct(">II")
_JSON = 0
_LONGEST_HEADER = 65_536
_LONGEST = 64 << 20
_RESPONSE, _ONE_WAY = 1, 2


def is_dubbo(payload: bytes) -> bool | None:
    """Whether a first payload is Dubbo: True a request, False a response."""
    if len(payload) < _DUBBO_HEAD.size or payload[:2] != _DUBBO_MAGIC:
        return None
    return bool(payload[2] & _REQUEST)


def is_rocketmq(payload: bytes) -> bool | None:
    """Whether a first payload is RocketMQ: True a request, False a response."""
    try:
        found = _rocketmq_header(payload)
    except Dropped:
        return None
    return None if found is None else not found["flag"] & _RESPONSE


class DubboParser(CustomParser):
    """Dubbo of one connection; responses belong to requests by their id."""

    protocol = "Dubbo"

    def read(self, segment: Segment, direction: Direction, data: bytes) -> Iterator[Piece]:
        """Every call that is all there."""
        at = 0
        while len(data) - at >= _DUBBO_HEAD.size:
            magic, flags, status, number, length = _DUBBO_HEAD.unpack_from(data, at)
            if magic != _DUBBO_MAGIC:
                raise Dropped("malformed")
            end = at + _DUBBO_HEAD.size + length
            if len(data) < end:
                return
            size, at = end - at, end
            if flags & _REQUEST:
                message = self.message(segment)
                message.method = "heartbeat" if flags & _EVENT else "call"
                message.request_bytes = size
                waits = number if flags & _TWO_WAY else None
                yield Piece(end, message, CustomMessage(DUBBO, b""), waits)
                continue
            message = self.pending.answered(number) or self.message(segment)
            message.answer(segment.ts_ns)
            message.response_bytes = size
            message.status = _DUBBO_STATUSES.get(status, str(status))
            yield Piece(end, message, CustomMessage(DUBBO, b""))


class RocketMqParser(CustomParser):
    """RocketMQ of one connection; responses belong to requests by their number."""

    protocol = "RocketMQ"

    def read(self, segment: Segment, direction: Direction, data: bytes) -> Iterator[Piece]:
        """Every command that is all there."""
        at = 0
        while (header := _rocketmq_header(data[at:])) is not None:
            length = _ROCKETMQ_HEAD.unpack_from(data, at)[0]
            end = at + 4 + length
            if len(data) < end:
                return
            at = end
            if not header["flag"] & _RESPONSE:
                message = self.message(segment)
                message.method = f"code {header['code']}"
                message.request_bytes = 4 + length
                waits = None if header["flag"] & _ONE_WAY else header["opaque"]
                yield Piece(end, message, CustomMessage(ROCKETMQ, b""), waits)
                continue
            message = self.pending.answered(header["opaque"]) or self.message(segment)
            message.answer(segment.ts_ns)
            message.response_bytes = 4 + length
            message.status = str(header["code"])
            yield Piece(end, message, CustomMessage(ROCKETMQ, b""))


def _rocketmq_header(data: bytes) -> dict[str, int] | None:
    """Code, flag and number of the command that begins here; None if its header is not all there.

    Raises:
        Dropped: if it is none with a JSON header.
    """
    if len(data) < _ROCKETMQ_HEAD.size:
        return None
    length, kind_and_size = _ROCKETMQ_HEAD.unpack_from(data)
    kind, size = kind_and_size >> 24, kind_and_size & 0xFF_FFFF
    if kind != _JSON or not 0 < size <= _LONGEST_HEADER or not size + 4 <= length <= _LONGEST:
        raise Dropped("malformed")
    if len(data) < _ROCKETMQ_HEAD.size + size:
        return None
    try:
        header = json.loads(data[_ROCKETMQ_HEAD.size : _ROCKETMQ_HEAD.size + size])
    except (ValueError, RecursionError):
        raise Dropped("malformed") from None
    values = {"flag": 0, "opaque": 0, **header} if isinstance(header, dict) else {}
    found = {name: values.get(name) for name in ("code", "flag", "opaque")}
    if not all(type(value) is int for value in found.values()):
        raise Dropped("malformed")
    return {name: value for name, value in found.items() if isinstance(value, int)}
