"""Where in a recording something was lost or went wrong."""

from __future__ import annotations

from collections.abc import Mapping
from typing import NamedTuple

from engine.core.fields import JsonValue
from engine.core.kinds import KINDS
from engine.core.records import Record
from engine.recording.file import RecordingFile

ERRORS: Mapping[str, str] = {
    "kernel_event": "errno IS NOT NULL AND errno NOT IN ('EAGAIN', 'EINPROGRESS', 'EINTR')",
    "l7_message": "status GLOB '[45][0-9][0-9]' OR status LIKE '%FAIL%'",
    "wasm_result": "error IS NOT NULL AND error != ''",
    "plugin_fault": "1",
    "log": "level = 'error'",
}
"""Which records of a kind tell of something that went wrong."""

_TELLING = ("name", "errno", "request", "status", "plugin", "export", "error", "reason", "text")


class Problem(NamedTuple):
    """A moment to look at."""

    ts_ns: int
    text: str


def next_problem(file: RecordingFile, after_ns: int) -> Problem | None:
    """The first loss or error after a moment."""
    found = [each for each in (_next_error(file, after_ns), _next_loss(file, after_ns)) if each]
    return min(found, default=None)


def _next_error(file: RecordingFile, after_ns: int) -> Problem | None:
    found = [
        Problem(record.ts_ns, f"{kind} {record.seq}: {_told(record)}")
        for kind, condition in ERRORS.items()
        if (record := file.first_where(kind, after_ns, condition)) is not None
    ]
    return min(found, default=None)


def _told(record: Record) -> str:
    """What went wrong, in the record's own words."""
    own = KINDS[record.kind].index
    names = (name for name in _TELLING if name in own)
    return " ".join(str(record.get(name)) for name in names if record.get(name) is not None)


def _next_loss(file: RecordingFile, after_ns: int) -> Problem | None:
    """The first counters that tell of more losses than those before."""
    begin = file.reached("stats", after_ns)
    before = {
        name: lost
        for record in file.records("stats", begin - 1, begin, 1)
        for name, lost in _losses(record.get("sources")).items()
    }
    after = begin
    while records := file.records("stats", after, 2**62, 200):
        for record in records:
            now = _losses(record.get("sources"))
            for name, lost in now.items():
                if lost > before.get(name, 0):
                    return Problem(record.ts_ns, f"{name} lost {lost - before.get(name, 0)}")
            before = now
        after = records[-1].seq
    return None


def _losses(sources: JsonValue) -> dict[str, int]:
    if not isinstance(sources, Mapping):
        return {}
    return {name: _lost(entry) for name, entry in sources.items() if isinstance(entry, Mapping)}


def _lost(entry: Mapping[str, JsonValue]) -> int:
    dropped = entry.get("dropped")
    reasons = dropped.values() if isinstance(dropped, Mapping) else ()
    return sum(number for number in reasons if isinstance(number, int))
