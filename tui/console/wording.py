"""What the console says about plugins: their state, what stopping does, what faults mean."""

from __future__ import annotations

import math
from datetime import UTC, datetime

from engine.core.fields import JsonValue
from engine.core.records import Record
from engine.core.sanitise import clean
from tui.console.widgets.columns import Tone

_MARKS = {"running": "●", "loading": "◌", "stopping": "◔", "exited": "○", "failed": "✗"}
_TONES: dict[str, Tone] = {
    "running": "good",
    "loading": "warn",
    "stopping": "warn",
    "exited": "warn",
    "failed": "bad",
}
_FUTURE_S = 4_102_444_800
"""2100-01-01: a plugin's stamp beyond it is most likely not in seconds."""

EXPLANATIONS = {
    "data_type_zero": "it is left off the wire; an agent takes the next number for it",
    "timestamp_zero": "it is left off the wire; an agent takes the payload's length for it",
    "no_payload": "an agent reads on in the next record, and loses the stream",
    "bad_payload": "it is not the map it should be; an agent passes it on as it is",
    "field_order": "an agent reads by position, so these numbers change places",
    "extra_field": "there are more than the three fields; an agent takes them for payload",
    "odd_encoding": "valid protobuf, but not written as the official SDKs write it",
    "invalid_utf8": "a key or value is no UTF-8; a strict decoder refuses the record",
    "not_protobuf": "no protobuf message; an agent reads it by position all the same",
    "zero_length": "a record of length 0; an agent loses its place and crashes",
    "over_long": "longer than boxscope keeps; it is skipped, what follows is read",
    "truncated": "the plugin ended in the middle of a record",
    "lost_sync": "a length that cannot be one; where the next record begins is unknown",
}
"""One line for each fault of a record and each reason of a piece that is none."""


def state_text(record: Record) -> str:
    """The state with its symbol, and how it ended or when it is going to."""
    state = str(record.get("state") or "")
    return f"{_MARKS.get(state, '?')} {clean(state)}{_ending(state, record)}"


def _ending(state: str, record: Record) -> str:
    left, exit_code = record.get("kill_in_s"), record.get("exit_code")
    if state == "stopping" and isinstance(left, (int, float)):
        return f" {max(0, math.ceil(left))} s"
    return f" {exit_code}" if state == "exited" and isinstance(exit_code, int) else ""


def state_tone(record: Record) -> Tone:
    """How the state is emphasised."""
    return _TONES.get(str(record.get("state")), "")


def is_module(record: Record | None) -> bool:
    """Whether a plugin is a module in the care of a keeper."""
    return record is not None and record.get("plugin_kind") == "module"


def stop_consequences(record: Record) -> str:
    """What stopping a plugin does to it, in sentences."""
    name, state = clean(str(record.get("plugin"))), record.get("state")
    if state not in ("running", "stopping"):
        return f"{name} does not run. It is taken off the list; its records stay."
    if is_module(record):
        return (
            "A module cannot be closed: its runner is ended with SIGKILL, and everything it has "
            "started with it. Then it is taken off the list; its records stay."
        )
    group = record.get("pgid") or record.pid
    return (
        "Its task pipe is closed, which asks it to exit; what it still sends is read. If it is "
        "there after 10 s, SIGKILL ends it and everything else in its process group "
        f"({group if group else 'unknown'}). Then it is taken off the list; its records stay."
    )


def explain(fault: str) -> str:
    """What a fault means, in one line; empty if nothing is known about it."""
    return EXPLANATIONS.get(fault, "")


def utc_text(seconds: JsonValue) -> str:
    """Unix seconds as UTC time; empty for what is no time."""
    if not isinstance(seconds, (int, float)) or isinstance(seconds, bool):
        return ""
    if seconds >= _FUTURE_S:
        return "not in seconds, as it seems: they would be after the year 2100"
    try:
        return datetime.fromtimestamp(seconds, UTC).strftime("%Y-%m-%d %H:%M:%S UTC")
    except (ValueError, OverflowError, OSError):
        return "no time a clock can show"
