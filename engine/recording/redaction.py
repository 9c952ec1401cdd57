"""What is left out of a recording on request: payloads and arguments."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import replace
from typing import Literal

from engine.core.errors import UsageError
from engine.core.fields import JsonValue
from engine.core.kinds import KINDS
from engine.core.records import Record

Sort = Literal["payloads", "arguments"]

HIDDEN = "(left out)"

FIELDS: Mapping[Sort, Mapping[str, tuple[str, ...]]] = {
    "payloads": {
        "plugin_record": ("fields", "agent_reading"),
        "plugin_fault": ("bytes", "agent_reading"),
        "module_event": ("text", "details"),
        "plugin_state": ("stderr", "last_stderr", "last_task"),
        "kernel_event": ("attributes",),
        "l7_message": ("request", "attributes", "merged"),
        "wasm_result": (
            *("payload", "result_bytes", "infos", "logs", "context"),
            *("merged", "differs", "remarks", "error"),
        ),
        "wasm_plugin": ("start_logs",),
    },
    "arguments": {
        "process": ("argv",),
        "kernel_event": ("attributes",),
    },
}
"""Which fields hold each sort; of an event's attributes, those in `ATTRIBUTES`."""

ATTRIBUTES: Mapping[Sort, frozenset[str]] = {
    "payloads": frozenset({"data"}),
    "arguments": frozenset({"args", "argv", "env", "cmdline"}),
}


def redaction(sorts: Iterable[str]) -> Callable[[Record], Record]:
    """A function that leaves these sorts out of a record.

    Raises:
        UsageError: there is no such sort.
    """
    asked = tuple(sorts)
    wanted = [sort for sort in FIELDS if sort in asked]
    for sort in asked:
        if sort not in wanted:
            raise UsageError(
                f"nothing called {sort!r} can be left out", fix=f"one of {', '.join(FIELDS)}"
            )
    positions = {name: _positions(name, wanted) for name in KINDS}

    def leave_out(record: Record) -> Record:
        hidden = positions[record.kind]
        if not hidden:
            return record
        values = list(record.values)
        for position, only in hidden.items():
            values[position] = _without(values[position], only)
        return replace(record, values=tuple(values))

    return leave_out


def _positions(kind: str, sorts: Iterable[Sort]) -> dict[int, frozenset[str] | None]:
    """Where a kind holds what is to be left out, and which keys of a map; None for all."""
    found: dict[int, frozenset[str] | None] = {}
    for sort in sorts:
        for name in FIELDS[sort].get(kind, ()):
            position = KINDS[kind].index[name]
            if name == "attributes" and kind == "kernel_event":
                found[position] = (found.get(position) or frozenset()) | ATTRIBUTES[sort]
            else:
                found[position] = None
    return found


def _without(value: JsonValue, only: frozenset[str] | None) -> JsonValue:
    match value:
        case None:
            return None
        case Mapping():
            return {
                key: HIDDEN if only is None or key in only else item for key, item in value.items()
            }
        case str():
            return HIDDEN
        case Sequence():
            return [HIDDEN] if value else []
    return None
