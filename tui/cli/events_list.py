"""`boxscope events --list`: the catalogue, and what of it this kernel can deliver."""

from __future__ import annotations

from typing import TYPE_CHECKING

from tui.cli.diagnostics import say
from tui.cli.output import JsonOutput, write_table

if TYPE_CHECKING:
    from engine.core.fields import JsonValue
    from engine.probe.availability import Verdict
    from engine.probe.events import Event

_HEADINGS = ("NAME", "ID", "CATEGORIES", "STATE", "WHAT", "TRACEPOINTS", "ATTRIBUTES")


def list_events(as_json: bool) -> int:
    """Print every event; returns the exit code.

    Args:
        as_json: Print an object a line instead of columns.
    """
    from engine.probe.availability import find_out
    from engine.probe.catalogue import EVENTS

    found = find_out()
    verdicts = [(event, found.verdict(event)) for event in EVENTS]
    if as_json:
        output = JsonOutput()
        for event, verdict in verdicts:
            output.object(_as_json(event, verdict))
        return 0
    write_table(_HEADINGS, [_row(event, verdict) for event, verdict in verdicts])
    if found.untried:
        say(f"what the kernel would refuse {found.untried}")
    return 0


def _as_json(event: Event, verdict: Verdict) -> dict[str, JsonValue]:
    from engine.probe.attribute_types import attribute_types

    return {
        "kind": "event",
        "name": event.name,
        "emitted": event.emitted,
        "direction": event.direction,
        "type_id": None if event.ext else event.type_id,
        "categories": list(event.categories),
        "attributes": [{"name": name, "type": kind} for name, kind in attribute_types(event)],
        "tracepoints": list(_tracepoints(event)),
        "availability": verdict.state,
        "reason": verdict.reason,
        "ext": event.ext,
        "help": event.help,
    }


def _row(event: Event, verdict: Verdict) -> tuple[str, ...]:
    from engine.probe.attribute_types import attribute_types

    about = f"{event.help}{' (ext)' if event.ext else ''}"
    if verdict.reason and verdict.state != "unknown":
        about += f" - {verdict.reason}"
    return (
        event.name,
        "-" if event.ext else str(event.type_id),
        " ".join(event.categories),
        verdict.state,
        about,
        " ".join(_tracepoints(event)),
        " ".join(f"{name}:{kind.replace(' ', '-')}" for name, kind in attribute_types(event)),
    )


def _tracepoints(event: Event) -> tuple[str, ...]:
    from engine.probe.attachments import TRACEPOINT_OF

    programs = (*event.programs, *(helper.program for helper in event.helpers))
    return tuple(dict.fromkeys(TRACEPOINT_OF[program] for program in programs))
