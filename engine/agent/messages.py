"""The messages of the Elkeid plugin protocol.

Record { int32 data_type = 1; int64 timestamp = 2; Payload data = 3 }
EncodedRecord: the same bytes with `data` left as it is
Payload { map<string, string> fields = 1 }
Task { int32 data_type = 1; string object_name = 2; string data = 3; string token = 4 }

A plugin's strings may be invalid UTF-8, which protobuf refuses in a `string` field, so the
reading side declares them as `bytes`; the wire format is the same. The descriptors are built
here because there is no code generator in the set-up.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Protocol, TypeVar, cast

from google.protobuf import descriptor_pb2, descriptor_pool, message_factory

FieldProto = descriptor_pb2.FieldDescriptorProto

PACKAGE = "boxscope.elkeid"

_SCHEMA: dict[str, tuple[tuple[str, FieldProto.Type.ValueType, str], ...]] = {
    "Entry": (
        ("key", FieldProto.TYPE_BYTES, ""),
        ("value", FieldProto.TYPE_BYTES, ""),
    ),
    "Payload": (("fields", FieldProto.TYPE_MESSAGE, "Entry*"),),
    "Record": (
        ("data_type", FieldProto.TYPE_INT32, ""),
        ("timestamp", FieldProto.TYPE_INT64, ""),
        ("data", FieldProto.TYPE_MESSAGE, "Payload"),
    ),
    "EncodedRecord": (
        ("data_type", FieldProto.TYPE_INT32, ""),
        ("timestamp", FieldProto.TYPE_INT64, ""),
        ("data", FieldProto.TYPE_BYTES, ""),
    ),
    "Empty": (),
    "Task": (
        ("data_type", FieldProto.TYPE_INT32, ""),
        ("object_name", FieldProto.TYPE_STRING, ""),
        ("data", FieldProto.TYPE_STRING, ""),
        ("token", FieldProto.TYPE_STRING, ""),
    ),
}
"""Fields by message, numbered from 1: name, type, and the message it holds (`*` = repeated)."""

MessageT = TypeVar("MessageT", covariant=True)


class MessageClass(Protocol[MessageT]):
    """A generated message class."""

    def __call__(self) -> MessageT:
        """An empty message."""

    def FromString(self, serialized: bytes) -> MessageT:
        """Read a message; raises DecodeError."""


class Message(Protocol):
    """What every message can do."""

    def HasField(self, field_name: str) -> bool:
        """Whether the field was on the wire."""

    def SerializeToString(self) -> bytes:
        """The message's bytes."""


class Entry(Message, Protocol):
    """One pair of a record's map."""

    key: bytes
    value: bytes


class Payload(Message, Protocol):
    """A record's content."""

    fields: Iterable[Entry]


class Record(Message, Protocol):
    """A plugin's record."""

    data_type: int
    timestamp: int
    data: Payload


class EncodedRecord(Message, Protocol):
    """A plugin's record with its content left encoded."""

    data_type: int
    timestamp: int
    data: bytes


class Task(Message, Protocol):
    """A task for a plugin."""

    data_type: int
    object_name: str
    data: str
    token: str


def _declare(name: str) -> descriptor_pb2.DescriptorProto:
    declared = descriptor_pb2.DescriptorProto(name=name)
    for number, (field_name, field_type, held) in enumerate(_SCHEMA[name], start=1):
        repeated = held.endswith("*")
        declared.field.add(
            name=field_name,
            number=number,
            type=field_type,
            label=FieldProto.LABEL_REPEATED if repeated else FieldProto.LABEL_OPTIONAL,
            type_name=f".{PACKAGE}.{held.rstrip('*')}" if held else None,
        )
    return declared


def _build_pool() -> descriptor_pool.DescriptorPool:
    pool = descriptor_pool.DescriptorPool()
    pool.AddSerializedFile(
        descriptor_pb2.FileDescriptorProto(
            name="boxscope/elkeid.proto",
            package=PACKAGE,
            syntax="proto2",
            message_type=[_declare(name) for name in _SCHEMA],
        ).SerializeToString()
    )
    return pool


_POOL = _build_pool()


def _class_of(name: str) -> object:
    return message_factory.GetMessageClass(_POOL.FindMessageTypeByName(f"{PACKAGE}.{name}"))


RECORD = cast("MessageClass[Record]", _class_of("Record"))
ENCODED_RECORD = cast("MessageClass[EncodedRecord]", _class_of("EncodedRecord"))
EMPTY = cast("MessageClass[Message]", _class_of("Empty"))
TASK = cast("MessageClass[Task]", _class_of("Task"))


def encode_task(data_type: int, object_name: str, data: str, token: str) -> bytes:
    """A Task message.

    Raises:
        ValueError: the data type is no int32, or a text is not valid Unicode.
    """
    task = TASK()
    if data_type:
        task.data_type = data_type
    if object_name:
        task.object_name = object_name
    if data:
        task.data = data
    if token:
        task.token = token
    return task.SerializeToString()
