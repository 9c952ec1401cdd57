"""One record as text: its fields with what they mean, its times, and what to copy of it."""

from __future__ import annotations

from collections.abc import Iterator

from textual.content import Content

from engine.core.clock import local_time_of_day, rfc3339
from engine.core.kinds import KINDS
from engine.core.records import Record
from engine.recording.lines import json_line
from tui.console.format import ABSENT, duration, field_lines, field_text, uptime
from tui.console.values import bytes_of
from tui.console.wording import utc_text

_NAME_WIDTH = 16
_HOUR_NS = 3_600_000_000_000
_S_NS = 1_000_000_000
_STAMPS = {"plugin_record": ("timestamp",), "plugin_state": ("started",)}
"""Fields that are times, in Unix seconds."""
_LATEST_S = 4_102_444_800
"""2100-01-01; what is later is no time in seconds."""
_BYTES = {
    "plugin_fault": (("bytes", "First bytes"),),
    "wasm_result": (("payload", "Payload"), ("result_bytes", "Result")),
}
"""Fields that are bytes in hex, and what they are called."""
_KEPT = {"plugin_record": "Frame", "wasm_result": "Payload"}
"""What the bytes are called that are kept beside records of a kind."""


def fields_content(record: Record) -> Content:
    """All fields of a record; long values take as many lines as they need."""
    lines: list[Content] = []
    for field in KINDS[record.kind].all_fields():
        first, *more = field_lines(record.get(field.name), field.unit)
        known = [first, *more] != [ABSENT]
        name = Content.styled(field.name.ljust(_NAME_WIDTH), "bold" if known else "dim")
        lines.append(Content.assemble(name, " ", first, (f"   {field.help}", "dim italic")))
        lines += [Content(" " * (_NAME_WIDTH + 1) + line) for line in more]
    return Content("\n").join(lines)


def distance(wall_ns: int, now_ns: int) -> str:
    """How far a time is from now: `3.20s ago`, `in 1:00:00`."""
    away = abs(now_ns - wall_ns)
    text = duration(away) if away < _HOUR_NS else uptime(away / _S_NS)
    return f"{text} ago" if wall_ns <= now_ns else f"in {text}"


def times_lines(record: Record, now_ns: int) -> list[Content]:
    """Every time that a record tells, with how long ago that was."""
    shown = [
        (
            "came" if record.seq else "as of",
            f"here {local_time_of_day(record.ts_ns)}, {rfc3339(record.ts_ns)}",
            distance(record.ts_ns, now_ns),
        )
    ]
    for name in _STAMPS.get(record.kind, ()):
        stamp = record.get(name)
        if isinstance(stamp, int) and 0 < stamp < _LATEST_S:
            shown.append((name, utc_text(stamp), distance(stamp * _S_NS, now_ns)))
    return [
        Content.assemble((name.ljust(_NAME_WIDTH), "bold"), f" {away}", (f"   {text}", "dim"))
        for name, text, away in shown
    ]


def bytes_in(record: Record, kept: bytes | None) -> Iterator[tuple[str, bytes]]:
    """The bytes that belong to a record, each with its name.

    Args:
        record: The record.
        kept: Those that are kept beside it, whole.
    """
    title = _KEPT.get(record.kind, "")
    if title and kept is not None:
        yield title, kept
    for name, shown in _BYTES.get(record.kind, ()):
        if shown != title or kept is None:
            content = bytes_of(record.get(name))
            if content:
                yield shown, content


def json_text(record: Record) -> str:
    """A record as `--json` prints it."""
    return json_line(record.as_json()).rstrip("\n")


def line_text(record: Record) -> str:
    """A record as one line for people: when, which process, and each value that is known."""
    parts = [rfc3339(record.ts_ns), record.kind]
    for field in KINDS[record.kind].all_fields():
        if field.name in ("ts", "kind", "seq"):
            continue
        text = field_text(record, field)
        if text not in (ABSENT, "") and not (field.hidden and field.name not in ("pid", "comm")):
            parts.append(f"{field.name}={text}")
    return "  ".join(parts)
