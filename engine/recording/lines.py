"""Recorded streams as JSON Lines: what a headless `--json` command prints is what a replay reads.

The first line may be a `recording` object with the host's facts. Every other line is a record
as `Record.as_json` makes it; `stats` lines carry the counters of every source at that moment.
"""

from __future__ import annotations

import json
import math
from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path

from engine.core.counters import Counters
from engine.core.errors import RecordingError
from engine.core.fields import FieldType, JsonValue
from engine.core.kinds import KINDS, STATS
from engine.core.progress import Progress, say_nothing
from engine.core.records import Record, new_record, record_from_json
from engine.core.sanitise import clean
from engine.core.snapshot import HostFacts, Snapshot
from engine.core.source import SourceState, SourceStatus

VERSION = 1
"""Version of the line format, in the `recording` object."""
_TOLD_EVERY = 500
_MOST = 2**62
"""The greatest number of a record; those that follow it are numbered on from there."""
_TYPES: Mapping[FieldType, tuple[type, ...]] = {
    "int": (int,),
    "float": (float, int),
    "text": (str,),
    "bool": (bool,),
    "list": (list,),
    "map": (dict,),
}
"""What a value of a field is as JSON."""
_encode = json.JSONEncoder(ensure_ascii=False, allow_nan=False, separators=(",", ":")).encode


@dataclass(frozen=True)
class Recording:
    """A recorded stream, read whole."""

    host: HostFacts
    records: tuple[Record, ...]
    faults: tuple[str, ...] = field(default_factory=tuple)
    """Lines that could not be read, with the reason; the rest is intact."""


def header_line(host: HostFacts) -> dict[str, JsonValue]:
    """The `recording` object that opens a stream."""
    return {"kind": "recording", "version": VERSION, "host": asdict(host)}


def json_line(shown: Mapping[str, JsonValue]) -> str:
    """An object as a line of a stream, its end included."""
    try:
        return _encode(shown) + "\n"
    except ValueError:
        return _encode(finite(shown)) + "\n"


def finite(value: JsonValue) -> JsonValue:
    """A value with numbers that are none in JSON as the texts `Infinity`, `-Infinity`, `NaN`."""
    match value:
        case float() if not math.isfinite(value):
            return json.dumps(value)
        case Mapping():
            return {key: finite(item) for key, item in value.items()}
        case list() | tuple():
            return [finite(item) for item in value]
    return value


def stats_record(snapshot: Snapshot, sources: Mapping[str, SourceStatus] | None = None) -> Record:
    """The counters of a snapshot as a `stats` record."""
    shown = {name: source_as_json(status) for name, status in (sources or snapshot.sources).items()}
    values: dict[str, JsonValue] = {"elapsed_s": round(snapshot.elapsed_s, 3), "sources": shown}
    return new_record(STATS, values, ts_ns=snapshot.wall_ns)


def source_as_json(status: SourceStatus) -> dict[str, JsonValue]:
    """One source's counters and state, as they stand in a `stats` object."""
    shown = {**_counters_as_json(status.counters), "state": status.state}
    if status.stages:
        shown["stages"] = {
            name: _counters_as_json(counters) for name, counters in status.stages.items()
        }
    if status.reason:
        shown |= {"reason": status.reason, "fix": status.fix, "missing": status.missing}
    return shown


def _counters_as_json(counters: Counters) -> dict[str, JsonValue]:
    return {
        "seen": counters.seen,
        "kept": counters.kept,
        "dropped": dict(counters.dropped),
        "lag_ms": round(counters.lag_ms, 3),
    }


def sources_from_json(shown: JsonValue) -> dict[str, SourceStatus]:
    """The sources of a `stats` record, as `source_as_json` wrote them."""
    if not isinstance(shown, Mapping):
        return {}
    return {
        name: _source_from_json(name, entry)
        for name, entry in shown.items()
        if isinstance(entry, Mapping)
    }


_STATES: dict[str, SourceState] = {
    "off": "off",
    "starting": "starting",
    "running": "running",
    "degraded": "degraded",
    "failed": "failed",
}


def _source_from_json(name: str, entry: Mapping[str, JsonValue]) -> SourceStatus:
    stages = entry.get("stages")
    return SourceStatus(
        name,
        _STATES.get(str(entry.get("state")), "running"),
        str(entry.get("reason") or ""),
        str(entry.get("fix") or ""),
        bool(entry.get("missing")),
        _counters_from_json(entry),
        {
            stage: _counters_from_json(shown)
            for stage, shown in (stages if isinstance(stages, Mapping) else {}).items()
            if isinstance(shown, Mapping)
        },
    )


def _counters_from_json(shown: Mapping[str, JsonValue]) -> Counters:
    dropped = shown.get("dropped")
    return Counters(
        _whole(shown.get("seen")),
        _whole(shown.get("kept")),
        {reason: _whole(count) for reason, count in dropped.items()}
        if isinstance(dropped, Mapping)
        else {},
        _number(shown.get("lag_ms")),
    )


def _whole(value: JsonValue) -> int:
    return value if isinstance(value, int) else 0


def _number(value: JsonValue) -> float:
    return float(value) if isinstance(value, int | float) else 0.0


def read_recording(path: Path, progress: Progress = say_nothing) -> Recording:
    """Read a recorded stream; a damaged line is reported in `faults` and skipped.

    Args:
        path: The file.
        progress: Told how much of it is read: the first half of the work, the second is to keep it.

    Raises:
        RecordingError: if the file cannot be read or holds no record at all.
    """
    try:
        text = path.read_bytes()
    except OSError as error:
        raise RecordingError(
            f"cannot read the recording {path}: {error.strerror}",
            fix="name a file that boxscope record or a --json command has written",
        ) from error
    host = HostFacts("?", "?", "recording")
    records: list[Record] = []
    faults: list[str] = []
    for number, parsed in _parse_lines(text, faults, progress):
        if parsed.get("kind") == "recording":
            host = host_of(parsed.get("host"))
            continue
        try:
            records.append(_checked(record_from_json(parsed)))
        except ValueError as error:
            faults.append(f"line {number}: {error}")
    if not records:
        detail = faults[0] if faults else "it is empty"
        raise RecordingError(
            f"{path} holds no record: {detail}",
            fix="name a file that boxscope record or a --json command has written",
        )
    return Recording(host, tuple(records), tuple(faults))


def _checked(record: Record) -> Record:
    """A record whose values are of the types that its kind declares.

    Raises:
        ValueError: one is not.
    """
    if record.seq > _MOST:
        raise ValueError(f"not a record: seq {record.seq}")
    for field_, value in zip(KINDS[record.kind].fields, record.values, strict=True):
        if value is None:
            continue
        too_large = field_.type == "float" and isinstance(value, int) and abs(value) > _MOST
        if type(value) not in _TYPES[field_.type] or too_large:
            raise ValueError(f"{field_.name} of a {record.kind} is no {field_.type}")
    return record


def _parse_lines(
    text: bytes, faults: list[str], progress: Progress
) -> Iterator[tuple[int, Mapping[str, JsonValue]]]:
    lines = text.splitlines()
    for number, line in enumerate(lines, 1):
        if number % _TOLD_EVERY == 0:
            progress(number, 2 * len(lines))
        if not line.strip():
            continue
        try:
            parsed = json.loads(line)
        except (ValueError, RecursionError) as error:
            faults.append(f"line {number}: {error}")
            continue
        if isinstance(parsed, dict):
            yield number, parsed
        else:
            faults.append(f"line {number}: not an object")


def host_of(shown: JsonValue) -> HostFacts:
    """The facts about a host, as a recording tells them."""
    facts = shown if isinstance(shown, Mapping) else {}
    return HostFacts(
        clean(str(facts.get("hostname", "?"))),
        clean(str(facts.get("kernel", "?"))),
        clean(str(facts.get("rights", "?"))),
    )
