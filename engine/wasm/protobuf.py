"""The protobuf messages of the DeepFlow ABI, declared here and handled by Google's runtime.

The messages are built from descriptors at import, so no generated file and no protoc is needed.
Every scalar has explicit presence, as in the agent.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import TypeAlias

from google.protobuf import descriptor_pb2, descriptor_pool, message_factory
from google.protobuf.message import DecodeError as ProtobufError
from google.protobuf.message import Message
from google.protobuf.unknown_fields import UnknownFieldSet

from engine.wasm.abi import DecodeError

_Field: TypeAlias = descriptor_pb2.FieldDescriptorProto
_FieldType: TypeAlias = descriptor_pb2.FieldDescriptorProto.Type.ValueType
_U32, _I32, _BOOL = _Field.TYPE_UINT32, _Field.TYPE_INT32, _Field.TYPE_BOOL
_TEXT, _BYTES = _Field.TYPE_STRING, _Field.TYPE_BYTES

_PACKAGE = "boxscope.deepflow"

# The response status is an enum, which on the wire reads like an int32; values outside it must be
# refused with their number, so it stays a number here.
_SCHEMA: dict[str, dict[str, tuple[int, _FieldType | str]]] = {
    "KeyVal": {"key": (1, _TEXT), "val": (2, _TEXT)},
    "AppRequest": {
        "version": (1, _TEXT),
        "type": (2, _TEXT),
        "domain": (3, _TEXT),
        "resource": (4, _TEXT),
        "endpoint": (5, _TEXT),
    },
    "AppResponse": {
        "status": (1, _I32),
        "code": (2, _I32),
        "exception": (3, _TEXT),
        "result": (4, _TEXT),
        "type": (5, _TEXT),
        "endpoint": (6, _TEXT),
    },
    "AppTrace": {
        "trace_id": (1, _TEXT),
        "span_id": (2, _TEXT),
        "parent_span_id": (3, _TEXT),
        "x_request_id": (4, _TEXT),
        "http_proxy_client": (5, _TEXT),
        "trace_ids": (6, _TEXT),
    },
    "AppInfo": {
        "req_len": (1, _U32),
        "resp_len": (2, _U32),
        "request_id": (3, _U32),
        "req": (10, "AppRequest"),
        "resp": (11, "AppResponse"),
        "trace": (12, "AppTrace"),
        "protocol_str": (13, _TEXT),
        "is_end": (21, _BOOL),
        "is_async": (22, _BOOL),
        "is_reversed": (23, _BOOL),
        "attributes": (31, "KeyVal"),
        "biz_type": (32, _U32),
        "biz_code": (33, _TEXT),
        "biz_scenario": (34, _TEXT),
        "biz_response_code": (35, _TEXT),
    },
}
_REPEATED = {("AppInfo", "attributes"), ("AppTrace", "trace_ids")}
_ONEOF = {("AppInfo", "req"), ("AppInfo", "resp")}

_CUSTOM_SCHEMA: dict[str, dict[str, tuple[int, _FieldType | str]]] = {
    "NatsMessage": {"subject": (1, _TEXT), "reply_to": (2, _TEXT), "payload": (3, _BYTES)},
    "ZmtpMessage": {"match_pattern": (1, _TEXT), "payload": (2, _BYTES)},
}


def _message_class(
    wanted: str,
    schema: Mapping[str, Mapping[str, tuple[int, _FieldType | str]]],
    text_type: _FieldType = _TEXT,
) -> type[Message]:
    """Build the class of one message, with its strings declared as `text_type`."""
    file = descriptor_pb2.FileDescriptorProto(
        name="deepflow.proto", package=_PACKAGE, syntax="proto3"
    )
    for message_name, fields in schema.items():
        message = file.message_type.add(name=message_name)
        if any(owner == message_name for owner, _ in _ONEOF):
            message.oneof_decl.add(name="info")
        for name, (number, field_type) in fields.items():
            field = message.field.add(name=name, number=number, label=_Field.LABEL_OPTIONAL)
            if isinstance(field_type, str):
                field.type = _Field.TYPE_MESSAGE
                field.type_name = f".{_PACKAGE}.{field_type}"
            else:
                field.type = text_type if field_type == _TEXT else field_type
            _set_presence(message, field)
    pool = descriptor_pool.DescriptorPool()
    pool.Add(file)
    return message_factory.GetMessageClass(pool.FindMessageTypeByName(f"{_PACKAGE}.{wanted}"))


def _set_presence(message: descriptor_pb2.DescriptorProto, field: _Field) -> None:
    """Make a field repeated, a member of the oneof, or a scalar that may be absent."""
    if (message.name, field.name) in _REPEATED:
        field.label = _Field.LABEL_REPEATED
    elif (message.name, field.name) in _ONEOF:
        field.oneof_index = 0
    elif field.type != _Field.TYPE_MESSAGE:
        # proto3 spells an optional scalar as a oneof of its own.
        field.proto3_optional = True
        field.oneof_index = len(message.oneof_decl)
        message.oneof_decl.add(name=f"_{field.name}")


AppInfo = _message_class("AppInfo", _SCHEMA)
"""The message class; writers of test data use it to encode."""

_AppInfoOfBytes = _message_class("AppInfo", _SCHEMA, _BYTES)
"""The same wire format without the UTF-8 rule, to find the string that broke it."""

NatsMessage = _message_class("NatsMessage", _CUSTOM_SCHEMA)
ZmtpMessage = _message_class("ZmtpMessage", _CUSTOM_SCHEMA)


class Fields:
    """The fields that are present in one message."""

    def __init__(self, message: Message) -> None:
        self._present: Mapping[str, object] = {
            field.name: value for field, value in message.ListFields()
        }

    def number(self, name: str) -> int | None:
        """An integer, or None if absent."""
        value = self._present.get(name)
        return value if isinstance(value, int) else None

    def flag(self, name: str) -> bool | None:
        """A bool, or None if absent."""
        value = self._present.get(name)
        return value if isinstance(value, bool) else None

    def optional_text(self, name: str) -> str | None:
        """A string, or None if absent."""
        value = self._present.get(name)
        return value if isinstance(value, str) else None

    def text(self, name: str) -> str:
        """A string, empty if absent."""
        return self.optional_text(name) or ""

    def texts(self, name: str) -> tuple[str, ...]:
        """A repeated string."""
        value = self._present.get(name)
        return tuple(value) if isinstance(value, Sequence) else ()

    def message(self, name: str) -> Fields | None:
        """A sub-message, or None if absent."""
        value = self._present.get(name)
        return Fields(value) if isinstance(value, Message) else None

    def messages(self, name: str) -> tuple[Fields, ...]:
        """A repeated sub-message."""
        value = self._present.get(name)
        return tuple(Fields(item) for item in value) if isinstance(value, Sequence) else ()


def decode_app_info(encoded: bytes, at: int) -> Fields:
    """Read one AppInfo.

    Args:
        encoded: The protobuf bytes.
        at: Where they stand in the result list, for the message of an error.

    Raises:
        DecodeError: if they are not that protobuf, or a string in them is not UTF-8.
    """
    message = AppInfo()
    try:
        message.ParseFromString(encoded)
    except ProtobufError as error:
        raise DecodeError("protobuf result", at, _reason(encoded, error)) from error
    whole = message.ByteSize()
    message.DiscardUnknownFields()
    if message.ByteSize() != whole:
        _check_unknown(encoded, at)
    return Fields(message)


def _check_unknown(encoded: bytes, at: int) -> None:
    """Refuse a field that is unknown only because its wire type is not the declared one.

    Google's runtime skips it, the agent's does not.
    """
    message = AppInfo()
    message.ParseFromString(encoded)
    name = _mistyped(message)
    if name is not None:
        raise DecodeError("protobuf result", at, f"{name} has the wrong wire type")


def _mistyped(message: Message, prefix: str = "") -> str | None:
    known = message.DESCRIPTOR.fields_by_number
    unknown = UnknownFieldSet(message)
    for at in range(len(unknown)):
        if unknown[at].field_number in known:
            return prefix + known[unknown[at].field_number].name
    for field, value in message.ListFields():
        for item in value if isinstance(value, Sequence) else (value,):
            if isinstance(item, Message):
                name = _mistyped(item, f"{prefix}{field.name}.")
                if name is not None:
                    return name
    return None


def _reason(encoded: bytes, error: ProtobufError) -> str:
    lenient = _AppInfoOfBytes()
    try:
        lenient.ParseFromString(encoded)
    except ProtobufError:
        return f"not a DeepFlow AppInfo: {error}"
    name = _not_utf8(lenient)
    return f"{name} is not UTF-8" if name else str(error)


def _not_utf8(message: Message, prefix: str = "") -> str | None:
    """Path of the first bytes field that is not UTF-8."""
    for name, value in _leaves(message, prefix):
        try:
            value.decode("utf-8")
        except UnicodeDecodeError:
            return name
    return None


def _leaves(message: Message, prefix: str) -> Iterator[tuple[str, bytes]]:
    """Every bytes field of a message and of those inside it, with its path."""
    for field, value in message.ListFields():
        name = prefix + field.name
        many = isinstance(value, Sequence) and not isinstance(value, bytes)
        for item in value if many else (value,):
            if isinstance(item, Message):
                yield from _leaves(item, name + ".")
            elif isinstance(item, bytes):
                yield name, item
