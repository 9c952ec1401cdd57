"""Frames of the attach protocol: a length, then a JSON object (docs/attach.md, Frames).

The length is an unsigned 32-bit number in network order and counts the JSON text, which is
ASCII. Every object has a `type`.
"""

from __future__ import annotations

import json
import struct
from collections.abc import Iterator, Mapping
from typing import Any

from engine.core.errors import AttachError
from engine.core.sanitise import clean

PROTOCOL = 1
"""Version of the protocol; both sides must speak the same."""
LARGEST_REQUEST = 1 << 20
"""Bytes of the longest frame a console may send."""
LARGEST_ANSWER = 16 << 20
"""Bytes of the longest frame an engine sends."""
READ_SIZE = 256 << 10

Message = dict[str, Any]

_PREFIX = struct.Struct("!I")


def encode(message: Mapping[str, Any]) -> bytes:
    """One frame.

    Raises:
        TypeError, ValueError: something in it has no form in JSON.
    """
    return framed(json.dumps(message, separators=(",", ":")))


def framed(text: str) -> bytes:
    """One frame around JSON text that is ready."""
    body = text.encode("ascii")
    return _PREFIX.pack(len(body)) + body


class FrameReader:
    """Takes a stream of frames apart.

    Args:
        largest: Bytes of the longest frame that is accepted.
    """

    def __init__(self, largest: int) -> None:
        self._largest = largest
        self._buffer = bytearray()

    def feed(self, data: bytes) -> Iterator[Message]:
        """The messages that are complete with these bytes; the rest is kept for the next call.

        Raises:
            AttachError: this is no frame of the protocol; nothing that follows can be read.
        """
        self._buffer += data
        begin = 0
        try:
            while len(self._buffer) >= begin + _PREFIX.size:
                (length,) = _PREFIX.unpack_from(self._buffer, begin)
                if not 0 < length <= self._largest:
                    raise _malformed(f"a frame of {length} bytes; 1 to {self._largest} are allowed")
                end = begin + _PREFIX.size + length
                if len(self._buffer) < end:
                    break
                body = bytes(self._buffer[begin + _PREFIX.size : end])
                begin = end
                yield _decoded(body)
        finally:
            del self._buffer[:begin]


def cleaned(value: Any) -> Any:
    """A message, or a part of one, all text in which is made safe to show."""
    match value:
        case str():
            return clean(value, LARGEST_ANSWER)
        case list():
            return [cleaned(each) for each in value]
        case dict():
            return {cleaned(name): cleaned(each) for name, each in value.items()}
    return value


def _decoded(body: bytes) -> Message:
    try:
        message = json.loads(body)
    except (ValueError, RecursionError) as error:
        raise _malformed("a frame that is not JSON") from error
    if not isinstance(message, dict) or not isinstance(message.get("type"), str):
        raise _malformed("a frame that is no object with a type")
    return message


def _malformed(what: str) -> AttachError:
    return AttachError(f"the other side sent {what}", fix="use the same boxscope on both sides")
