"""What the Elkeid agent reads out of a record, which it does not parse but walks by position.

It throws one byte away and takes a number (the data type), throws one away and takes another
(the timestamp), throws one away; and if the frame has not ended by then, it takes a third
number, ignores it, and calls the rest of the frame the payload. Which fields those bytes belong
to it never looks at. So a record that lacks one of its first two fields, or has its fields in
another order, turns into another record; and one that lacks the third leaves the agent in the
middle of the next frame, with a record that does not exist, of which it dies when it sends its
batch.
"""

from __future__ import annotations

import re
from typing import Literal, NamedTuple

MAX_VARINT = 10
SHOWN_BYTES = 16

Outcome = Literal["record", "nil", "overflow", "panic", "cut_off"]

_VARINT = rb"([\x80-\xff]{0,9}[\x00-\x7f])"
_IN_ORDER = re.compile(rb"\x08" + _VARINT + rb"\x10" + _VARINT + rb"\x1a" + _VARINT)


class AgentReading(NamedTuple):
    """What the agent makes of one frame."""

    outcome: Outcome
    """record; nil: there is none; overflow: a number has more than 10 bytes, so there is none;
    panic: the payload has a negative length; cut_off: it depends on bytes not yet there."""
    data_type: int
    """An int32. The numbers are 0 as far as it does not get to them."""
    timestamp: int
    """An int64."""
    payload: bytes
    end: int
    """Where in the stream it goes on to read, from the beginning of the body."""


class _Cursor:
    """A reader that does not stop at the end of the frame."""

    def __init__(self, data: bytes) -> None:
        self.data = data
        self.position = 0

    def discard(self) -> None:
        """Throw one byte away, whatever it is."""
        self.position += 1

    def varint(self) -> int:
        """Take a number of 64 bits.

        Raises:
            IndexError: the bytes at hand end within it.
            OverflowError: it does not end within 10 bytes.
        """
        number = 0
        for count in range(MAX_VARINT):
            byte = self.data[self.position]
            self.position += 1
            number |= (byte & 0x7F) << 7 * count
            if byte < 0x80:
                return number
        raise OverflowError


def read_by_position(body: bytes, following: bytes = b"") -> AgentReading:
    """Read one frame's body as the agent does.

    Args:
        body: The frame without its length.
        following: The bytes behind it, as far as they are known.
    """
    cursor = _Cursor(body + following)
    numbers = [0, 0]
    outcome: Outcome = "nil"
    payload = b""
    try:
        for index in range(len(numbers)):
            cursor.discard()
            numbers[index] = cursor.varint()
        cursor.discard()
        if cursor.position < len(body):
            cursor.varint()
            payload = body[cursor.position :]
            outcome = "record" if cursor.position <= len(body) else "panic"
    except IndexError:
        outcome = "cut_off"
    except OverflowError:
        outcome = "overflow"
    end = len(body) if outcome == "record" else cursor.position
    return AgentReading(outcome, _signed(numbers[0], 32), _signed(numbers[1], 64), payload, end)


def _signed(number: int, bits: int) -> int:
    sign = 1 << (bits - 1)
    return (number & ((1 << bits) - 1) ^ sign) - sign


def is_in_order(body: bytes) -> bool:
    """Whether a record is made of fields 1, 2 and 3, in this order, and nothing else.

    Such a record reads the same by position and as protobuf.
    """
    matched = _IN_ORDER.match(body)
    if matched is None:
        return False
    announced = 0
    for count, byte in enumerate(matched[3]):
        announced |= (byte & 0x7F) << 7 * count
    return announced == len(body) - matched.end()


def describe(
    reading: AgentReading, body: bytes, following: bytes = b"", payload: bytes | None = None
) -> str:
    """A sentence on what a real agent would have made of a frame.

    Args:
        reading: What it read.
        body: The frame without its length.
        following: The bytes behind it, as far as they are known.
        payload: The payload that the frame holds as protobuf; None if it holds none.
    """
    if reading.outcome == "record":
        return (
            f"a real agent would have read this as data_type {reading.data_type}, "
            f"timestamp {reading.timestamp}, {_describe_payload(reading.payload, payload)}"
        )
    if reading.outcome == "panic":
        return "a real agent would have crashed: it takes the payload's length for a negative one"
    if reading.outcome == "cut_off":
        return "a real agent would have read on in the next frame and lost the stream"
    found = "a number of more than 10 bytes" if reading.outcome == "overflow" else "no payload"
    place = _describe_place(reading, body, following)
    return f"a real agent would have found {found}{place}, and crashed on sending its batch"


def _describe_payload(read: bytes, sent: bytes | None) -> str:
    if sent is None:
        return f"a payload of {len(read)} bytes"
    if read == sent:
        return "payload as sent"
    if read.startswith(sent):
        return f"payload with {len(read) - len(sent)} more bytes"
    ellipsis = "..." if len(read) > SHOWN_BYTES else ""
    return f"payload mangled ({len(read)} bytes: {read[:SHOWN_BYTES].hex()}{ellipsis})"


def _describe_place(reading: AgentReading, body: bytes, following: bytes) -> str:
    """Where it goes on to read, if that is not where the next frame begins."""
    overrun = reading.end - len(body)
    if not overrun:
        return ""
    plural = "" if overrun == 1 else "s"
    lost = f"eaten {overrun} byte{plural} of the next frame" if overrun > 0 else "stopped within it"
    next_prefix = (body + following)[reading.end : reading.end + 4]
    if len(next_prefix) < 4:
        return f", {lost}"
    return f", {lost}, read {int.from_bytes(next_prefix, 'little')} as the next length"
