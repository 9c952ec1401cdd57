"""Steps of a module's life: found in what its keeper sends, and made `module_event` records."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from itertools import pairwise

from engine.agent.decode import decode_record
from engine.agent.sdk import encode_head
from engine.agent.wire import PREFIX, Frames, find_offsets
from engine.core.fields import JsonValue
from engine.core.kinds import MODULE_EVENT
from engine.core.records import Record, new_record
from engine.core.sanitise import clean
from engine.modules.runner.protocol import EVENT_TYPE, RunSpec

_HEAD = encode_head(EVENT_TYPE, 1)[:-1]
"""How the record of an event begins, the time excluded."""
_OWN_FIELDS = frozenset({"event", "symbol", "text", "frame", "elapsed_us", "pid", "at_ns"})
_LONGEST = 64 * 1024
"""A record with more bytes is no keeper's event; the module has made it."""
_COMM = 15
_LAST_PID, _LAST_NS = (1 << 31) - 1, (1 << 63) - 1


def comm_of(spec: RunSpec) -> str:
    """What stands for a module where the name of a process does."""
    return spec.name[:_COMM]


def events_in(frames: Frames) -> Iterator[Mapping[str, str]]:
    """The fields of every event among what a keeper has sent, sanitised.

    What only looks like one stays a record of the plugin, as which it is kept and counted.
    """
    data = frames.data
    if _HEAD not in data:
        return
    for begin, end in pairwise(find_offsets(data, frames.kept)):
        if end - begin <= _LONGEST and data.startswith(_HEAD, begin + PREFIX.size):
            told = decode_record(data[begin + PREFIX.size : end]).fields
            yield {clean(name, 80): clean(text) for name, text in told.items()}


def pid_in(fields: Mapping[str, str]) -> int | None:
    """The pid that an event tells; None if it tells none."""
    return _whole(fields.get("pid", ""), _LAST_PID)


def event_record(
    spec: RunSpec, pid: int | None, fields: Mapping[str, str], *, now_ns: int
) -> Record:
    """An event as a record.

    Args:
        spec: The run it is of.
        pid: Of the module's process, if there is one.
        fields: What is told, sanitised.
        now_ns: When it is if it does not tell, in wall time.
    """
    values: dict[str, JsonValue] = {
        "plugin": spec.name,
        "event": fields.get("event", ""),
        "symbol": fields.get("symbol", ""),
        "text": fields.get("text", ""),
        "frame": fields.get("frame", ""),
        "elapsed_us": _number(fields.get("elapsed_us", "")),
        "module_kind": spec.kind,
        "file": clean(spec.file),
        "details": {name: text for name, text in fields.items() if name not in _OWN_FIELDS},
    }
    at_ns = _whole(fields.get("at_ns", ""), _LAST_NS)
    ts_ns = at_ns if at_ns is not None else now_ns
    comm = comm_of(spec) if pid is not None else None
    return new_record(MODULE_EVENT, values, ts_ns=ts_ns, pid=pid, comm=comm)


def reason(fields: Mapping[str, str]) -> str:
    """Why a module ends, in one line: `panicked: boom, in HealthCheck at doctor.py:12`."""
    frame = f", in {fields['frame']}" if fields.get("frame") else ""
    return f"{fields['event']}: {fields.get('text', '')}{frame}"


def _number(text: str) -> float | None:
    try:
        number = float(text)
    except ValueError:
        return None
    return round(number, 1) if math.isfinite(number) else None


def _whole(text: str, most: int) -> int | None:
    """A number as keepers write it; the module may have written it, too, and anything else."""
    if not (text.isascii() and text.isdigit()) or len(text) > len(str(most)):
        return None
    number = int(text)
    return number if number <= most else None
