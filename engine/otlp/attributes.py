"""Fields of records as OTLP attributes, by OpenTelemetry's semantic conventions where there is one.

Every other field `F` of a record is the attribute `boxscope.F`. Absent values are left out, as are
empty ones.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from functools import cache

from opentelemetry.semconv._incubating.attributes import (
    container_attributes as container,
)
from opentelemetry.semconv._incubating.attributes import (
    cpu_attributes as cpu,
)
from opentelemetry.semconv._incubating.attributes import (
    process_attributes as process,
)
from opentelemetry.semconv._incubating.attributes import (
    thread_attributes as thread,
)
from opentelemetry.semconv.attributes import error_attributes as errors
from opentelemetry.semconv.attributes import network_attributes as network
from opentelemetry.util.types import AnyValue

from engine.core.fields import JsonValue
from engine.core.kinds import KINDS
from engine.core.records import Record

PREFIX = "boxscope."
_INT64 = 1 << 63

Flat = str | bool | int | float | list[str] | list[int]
"""What an attribute of a span may be."""

CONVENTIONS: Mapping[str, Mapping[str, str]] = {
    "kernel_event": {
        "cpu": cpu.CPU_LOGICAL_NUMBER,
        "tid": thread.THREAD_ID,
        "errno": errors.ERROR_TYPE,
        "uid": process.PROCESS_USER_ID,
        "container_id": container.CONTAINER_ID,
    },
    "process": {
        "exe": process.PROCESS_EXECUTABLE_PATH,
        "argv": process.PROCESS_COMMAND_ARGS,
        "user": process.PROCESS_OWNER,
        "ppid": process.PROCESS_PARENT_PID,
        "container_id": container.CONTAINER_ID,
        "container_name": container.CONTAINER_NAME,
        "cgroup": process.PROCESS_LINUX_CGROUP,
    },
}
"""By kind, the fields that have an attribute in the conventions."""

LEFT_OUT: Mapping[str, frozenset[str]] = {
    "kernel_event": frozenset({"mono_ns", "type_id", "source"}),
    "wasm_result": frozenset({"payload", "result_bytes"}),
}
"""By kind, the fields that are not exported: they repeat others, or are only of use on the box."""

_ENDS = {
    "sip": network.NETWORK_LOCAL_ADDRESS,
    "sport": network.NETWORK_LOCAL_PORT,
    "dip": network.NETWORK_PEER_ADDRESS,
    "dport": network.NETWORK_PEER_PORT,
}
"""The ends of a connection among a kernel event's attributes; `s` is this one."""

_TRANSPORTS = frozenset({"tcp", "udp"})

PID, COMM, THREAD = (
    process.PROCESS_PID,
    process.PROCESS_EXECUTABLE_NAME,
    thread.THREAD_NAME,
)


def attributes_of(record: Record) -> dict[str, AnyValue]:
    """All of a record as attributes."""
    shown: dict[str, AnyValue] = {PREFIX + "seq": record.seq}
    if record.pid is not None:
        shown[PID] = record.pid
    if record.comm:
        shown[COMM] = record.comm
    for key, value in zip(_keys(record.kind), record.values, strict=True):
        if value is None or value == "" or key is None:
            continue
        if type(value) is str:
            shown[key] = value
        elif type(value) is int:
            shown[key] = whole(value)
        elif isinstance(value, Mapping):
            shown.update((f"{key}.{name}", plain(item)) for name, item in value.items())
        elif value != () and value != []:
            shown[key] = plain(value)
    if record.kind == "kernel_event":
        _add_of_event(record, shown)
    return shown


@cache
def _keys(kind: str) -> tuple[str | None, ...]:
    """The attribute of each of a kind's fields; None for those that are left out."""
    names, out = CONVENTIONS.get(kind, {}), LEFT_OUT.get(kind, frozenset())
    return tuple(
        None if field.name in out else names.get(field.name, PREFIX + field.name)
        for field in KINDS[kind].fields
    )


def _add_of_event(record: Record, shown: dict[str, AnyValue]) -> None:
    """What of an event has its attribute under a condition only."""
    if record.comm and record.get("tid") != record.pid:
        shown[THREAD] = shown.pop(COMM)  # the name is the thread's
    told = record.get("attributes")
    if isinstance(told, Mapping) and "dip" in told:
        for name, key in _ENDS.items():
            if told.get(name) is not None:
                shown[key] = plain(told[name])
    protocol = record.get("fd_protocol")
    if protocol in _TRANSPORTS:
        shown[network.NETWORK_TRANSPORT] = plain(protocol)


def whole(value: int) -> int | str:
    """A whole number; as text where OTLP has no room for it."""
    return value if -_INT64 <= value < _INT64 else str(value)


def plain(value: JsonValue) -> AnyValue:
    """Any value as one that OTLP can hold."""
    match value:
        case str() | bool() | float() | None:
            return value
        case int():
            return whole(value)
        case Mapping():
            return {str(name): plain(item) for name, item in value.items()}
        case _:
            return [plain(item) for item in value]


def flat(value: JsonValue) -> Flat:
    """Any value as one that an attribute of a span may have: no maps, lists of one type."""
    match value:
        case str() | bool() | float():
            return value
        case int():
            return whole(value)
        case Mapping() | None:
            return json.dumps(value, ensure_ascii=False)
        case _:
            numbers = [item for item in value if type(item) is int and whole(item) == item]
            if len(numbers) == len(value):
                return numbers
            return [
                item if isinstance(item, str) else json.dumps(item, ensure_ascii=False)
                for item in value
            ]
