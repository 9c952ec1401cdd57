"""How records, pictures and refusals travel; see docs/attach.md, Messages."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Mapping
from functools import cache
from typing import Any

from pydantic import ConfigDict, TypeAdapter, ValidationError

import engine.core.errors as errors
from engine.core.errors import AttachError, BoxscopeError, FailedError
from engine.core.kinds import KINDS
from engine.core.progress import TaskFacts
from engine.core.records import Record
from engine.core.snapshot import HostFacts, RecordingFacts, Snapshot
from engine.core.source import SourceStatus
from engine.remote.frames import Message

PIECE = 256 << 10
"""Bytes of JSON from which on records go into another frame."""
LARGEST_RECORD = 1 << 20
"""Bytes of the longest record that is sent; longer ones are left out and counted."""

_CONFIG = ConfigDict(ser_json_bytes="base64", val_json_bytes="base64")
_STATES: Mapping[str, Any] = {
    "host": HostFacts,
    "sources": tuple[SourceStatus, ...],
    "recording": RecordingFacts | None,
    "tasks": tuple[TaskFacts, ...],
}
"""Parts of a picture that are objects, by name."""


@cache
def adapter(shape: Any) -> TypeAdapter[tuple[Any, ...]]:
    """Turns a tuple of one value of a type into what JSON can hold, and back."""
    return TypeAdapter(tuple[shape], config=_CONFIG)


def to_plain(shape: Any, value: object) -> Any:
    """A value of a type, as JSON can hold it."""
    return adapter(shape).dump_python((value,), mode="json")[0]


def from_plain(shape: Any, shown: object) -> Any:
    """The value that `to_plain` was given.

    Raises:
        AttachError: it is no such value.
    """
    try:
        return adapter(shape).validate_python((shown,))[0]
    except ValidationError as error:
        first = error.errors(include_url=False, include_input=False)[0]
        where = ".".join(str(step) for step in first["loc"][1:])
        raise AttachError(
            f"the other side sent a value that cannot be: {where} {first['msg']}".replace(
                "  ", " "
            ),
            fix="use the same boxscope on both sides",
        ) from error


# Records.


def record_text(record: Record) -> str:
    """A record of a kind that is told elsewhere, as JSON."""
    return json.dumps(
        (record.seq, record.ts_ns, record.pid, record.comm, record.values), separators=(",", ":")
    )


def pieces(texts: Iterable[str]) -> Iterator[list[str]]:
    """JSON texts in lots that fit into a frame each."""
    lot: list[str] = []
    size = 0
    for text in texts:
        if lot and size + len(text) > PIECE:
            yield lot
            lot, size = [], 0
        lot.append(text)
        size += len(text) + 1
    if lot:
        yield lot


def records_from(kind: object, shown: object) -> tuple[Record, ...]:
    """The records of a message.

    Raises:
        AttachError: these are no records of that kind.
    """
    declared = KINDS.get(str(kind))
    if declared is None or not isinstance(shown, list):
        raise AttachError(f"the engine sent records of an unknown kind, {str(kind)[:40]!r}")
    width = len(declared.fields)
    try:
        return tuple(_record(declared.name, width, *each) for each in shown)
    except (TypeError, ValueError) as error:
        raise AttachError(
            f"the engine sent a {declared.name} that is none",
            fix="use the same boxscope on both sides",
        ) from error


def _record(
    kind: str,
    width: int,
    seq: int,
    ts_ns: int,
    pid: int | None,
    comm: str | None,
    values: list[Any],
) -> Record:
    if not isinstance(seq, int) or not isinstance(ts_ns, int) or len(values) != width:
        raise ValueError("not a record")
    return Record(kind, seq, ts_ns, pid, comm, tuple(values))


# Pictures.


def snapshot_message(snapshot: Snapshot) -> Message:
    """A picture without the rows of its tables."""
    states = {
        "host": snapshot.host,
        "sources": tuple(snapshot.sources.values()),
        "recording": snapshot.recording,
        "tasks": snapshot.tasks,
    }
    return {
        "type": "snapshot",
        "wall_ns": snapshot.wall_ns,
        "elapsed_s": snapshot.elapsed_s,
        **{name: to_plain(shape, states[name]) for name, shape in _STATES.items()},
        "own_cpu": snapshot.own_cpu,
        "own_rss": snapshot.own_rss,
        "tables": list(snapshot.tables),
    }


def snapshot_from(message: Message, tables: Mapping[str, tuple[Record, ...]]) -> Snapshot:
    """The picture of a message, with rows that came before it.

    Raises:
        AttachError: it is none.
    """
    states = {name: from_plain(shape, message.get(name)) for name, shape in _STATES.items()}
    return Snapshot(
        wall_ns=from_plain(int, message.get("wall_ns")),
        elapsed_s=from_plain(float, message.get("elapsed_s")),
        host=states["host"],
        sources={status.name: status for status in states["sources"]},
        tables={
            kind: tables.get(kind, ())
            for kind in from_plain(tuple[str, ...], message.get("tables"))
        },
        own_cpu=from_plain(float, message.get("own_cpu")),
        own_rss=from_plain(int, message.get("own_rss")),
        recording=states["recording"],
        tasks=states["tasks"],
    )


# Refusals.


def error_to_plain(error: BoxscopeError) -> Message:
    """A refusal; of a class this module does not know, its nearest known ancestor."""
    known = next(cls for cls in type(error).__mro__ if getattr(errors, cls.__name__, None) is cls)
    return {"class": known.__name__, "message": error.message, "fix": error.fix}


def error_from(shown: object) -> BoxscopeError:
    """The refusal again, to be raised."""
    told = shown if isinstance(shown, dict) else {}
    cls = getattr(errors, str(told.get("class")), FailedError)
    if not isinstance(cls, type) or not issubclass(cls, BoxscopeError):
        cls = FailedError
    return cls(str(told.get("message", "it was refused")), fix=str(told.get("fix", "")))
