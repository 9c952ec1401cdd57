"""How a plugin's record is read: as the protobuf message it is, and as a real agent reads it."""

from __future__ import annotations

from typing import NamedTuple, cast

from google.protobuf.message import DecodeError
from google.protobuf.message import Message as AnyMessage
from google.protobuf.unknown_fields import UnknownFieldSet

from engine.agent.messages import EMPTY, ENCODED_RECORD, RECORD, EncodedRecord, Record
from engine.agent.positional import describe, is_in_order, read_by_position

DATA_TYPE_ZERO = "data_type_zero"
TIMESTAMP_ZERO = "timestamp_zero"
NO_PAYLOAD = "no_payload"
BAD_PAYLOAD = "bad_payload"
FIELD_ORDER = "field_order"
EXTRA_FIELD = "extra_field"
ODD_ENCODING = "odd_encoding"
INVALID_UTF8 = "invalid_utf8"
NOT_PROTOBUF = "not_protobuf"

RECORD_FIELDS = (1, 2, 3)
PLAIN_BYTES = 4_000
"""Longer records are never called plain."""


class DecodedRecord(NamedTuple):
    """A record's content as the plugin sent it, not yet fit to be shown."""

    data_type: int | None
    """None if the bytes are no record at all."""
    timestamp: int | None
    fields: dict[bytes, bytes]
    faults: tuple[str, ...]
    agent_reading: str | None
    """What a real agent would have made of the frame; None if the same."""
    plain: bool = False
    """Whether keys and values are short printable ASCII, so that nothing in them needs care."""


def decode_record(body: bytes, following: bytes = b"") -> DecodedRecord:
    """Read one record as tolerantly as its bytes allow, and as an agent would; never raises.

    Args:
        body: The frame without its length.
        following: The bytes behind it, which an agent may take for a part of it.
    """
    fields: dict[bytes, bytes] = {}
    faults: list[str] = []
    record: Record | EncodedRecord
    try:
        record = whole = RECORD.FromString(body)
        fields = {entry.key: entry.value for entry in whole.data.fields}
    except DecodeError:
        try:
            record = ENCODED_RECORD.FromString(body)
        except DecodeError:
            reading = read_by_position(body, following)
            told = describe(reading, body, following)
            return DecodedRecord(None, None, {}, (NOT_PROTOBUF,), told)
        faults.append(BAD_PAYLOAD)
    texts = b" ".join((*fields, *fields.values()))
    plain = len(texts) <= PLAIN_BYTES and texts.isascii() and texts.decode().isprintable()
    if not plain and not _is_utf8(texts):
        faults.append(INVALID_UTF8)
    data_type, timestamp = record.data_type, record.timestamp
    if data_type and timestamp and is_in_order(body):
        return DecodedRecord(data_type, timestamp, fields, tuple(faults), None, plain)
    found = _find_misplaced(body, record)
    shown = _describe_difference(body, following)
    if shown and not found:
        found.append(ODD_ENCODING)
    return DecodedRecord(data_type, timestamp, fields, (*found, *faults), shown, plain)


def _is_utf8(text: bytes) -> bool:
    if text.isascii():
        return True
    try:
        text.decode()
    except UnicodeDecodeError:
        return False
    return True


def _find_misplaced(body: bytes, record: Record | EncodedRecord) -> list[str]:
    """What stands in the way of a reader that goes by position."""
    faults = []
    if not record.data_type:
        faults.append(DATA_TYPE_ZERO)
    if not record.timestamp:
        faults.append(TIMESTAMP_ZERO)
    if not record.HasField("data"):
        faults.append(NO_PAYLOAD)
    unknown = UnknownFieldSet(cast(AnyMessage, EMPTY.FromString(body)))
    numbers = [unknown[index].field_number for index in range(len(unknown))]
    known = [number for number in numbers if number in RECORD_FIELDS]
    if known != sorted(known):
        faults.append(FIELD_ORDER)
    if len(set(known)) < len(numbers):
        faults.append(EXTRA_FIELD)
    return faults


def _describe_difference(body: bytes, following: bytes) -> str | None:
    """How an agent reads the record, if otherwise than as protobuf."""
    record = ENCODED_RECORD.FromString(body)
    payload = record.data if record.HasField("data") else None
    reading = read_by_position(body, following)
    agent = (reading.outcome, reading.data_type, reading.timestamp, reading.payload)
    if agent == ("record", record.data_type, record.timestamp, payload):
        return None
    return describe(reading, body, following, payload)
