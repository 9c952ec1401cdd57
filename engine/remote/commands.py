"""What a console can ask an engine for: the commands of its face, with what they take and give."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

from pydantic import JsonValue

from engine.core.errors import AttachError
from engine.core.lineage import Kin
from engine.core.snapshot import RecordingFacts
from engine.remote.wire import from_plain, to_plain

SYNC = "sync"
"""Asks for what is new, as far as is told at once, and a picture, before the answer."""
PROCESSES = "processes"
"""Asks for every process the engine sees, with its parent."""
SET_PIDS = "set_pids"
"""Its own command for each console: the engine serves several, see `engine.remote.scopes`."""


@dataclass(frozen=True)
class Command:
    """One command."""

    arguments: Mapping[str, Any]
    """Types by name."""
    result: Any = None
    changes: bool = True
    """Whether it changes what others see, starts something or writes a file: for owners only."""


COMMANDS: Mapping[str, Command] = {
    SYNC: Command({}, changes=False),
    PROCESSES: Command({}, list[Kin], changes=False),
    SET_PIDS: Command({"pids": frozenset[int], "follow": bool}, changes=False),
    "raw": Command({"kind": str, "seq": int}, bytes | None, changes=False),
    "explain": Command({"pid": int}, "Explanation", changes=False),
    "loaded": Command({}, "Loaded", changes=False),
    "subscribe": Command({"event": str, "category": str}),
    "unsubscribe": Command({"event": str, "category": str}),
    "switch": Command({"subscriptions": list[tuple[str, str]], "on": bool}),
    "time_programs": Command({"wanted": bool}),
    "set_ports": Command({"text": str}),
    "attach": Command({"pid": int}),
    "detach": Command({"pid": int}),
    "load_plugin": Command({"executable": Path, "name": str, "detail": str}, str),
    "unload_plugin": Command({"name": str}),
    "restart_plugin": Command({"name": str}),
    "send_task": Command({"name": str, "data_type": int, "data": str}, str),
    "load_module": Command({"wanted": "Wanted", "name": str}, str),
    "call_module": Command({"name": str, "method": str, "args": tuple[JsonValue, ...]}, str),
    "load_wasm": Command({"path": Path}, str),
    "reload_wasm": Command({"name": str}, str),
    "unload_wasm": Command({"name": str}),
    "rerun_payload": Command(
        {"seq": int, "payload": bytes | None, "cuts": tuple[int, ...]}, tuple[int, ...]
    ),
    "cancel_task": Command({"number": int}),
    "start_recording": Command({"path": Path, "options": "RecordingOptions"}),
    "stop_recording": Command({}, RecordingFacts | None),
    "dump_recording": Command({"path": Path, "options": "RecordingOptions"}, RecordingFacts),
}
"""By the name of the engine's method, where it is one."""


def command_named(name: object) -> Command:
    """The command of that name.

    Raises:
        AttachError: there is none.
    """
    found = COMMANDS.get(name) if isinstance(name, str) else None
    if found is None:
        raise AttachError(
            f"this engine has no command {str(name)[:40]!r}",
            fix="use the same boxscope on both sides",
        )
    return found


def arguments_to_plain(command: Command, arguments: Mapping[str, object]) -> dict[str, Any]:
    """Arguments as JSON can hold them."""
    return {name: to_plain(_shape(command.arguments[name]), arguments[name]) for name in arguments}


def arguments_from(command: Command, shown: object) -> dict[str, Any]:
    """The arguments again.

    Raises:
        AttachError: these are not the command's.
    """
    if not isinstance(shown, dict) or shown.keys() != command.arguments.keys():
        wanted = ", ".join(command.arguments) or "none"
        raise AttachError(
            f"not the arguments of that command: {wanted}",
            fix="use the same boxscope on both sides",
        )
    return {
        name: from_plain(_shape(shape), shown[name]) for name, shape in command.arguments.items()
    }


def result_to_plain(command: Command, value: object) -> Any:
    """What a command gave, as JSON can hold it."""
    return None if command.result is None else to_plain(_shape(command.result), value)


def result_from(command: Command, shown: object) -> Any:
    """What a command gave.

    Raises:
        AttachError: it cannot be that.
    """
    return None if command.result is None else from_plain(_shape(command.result), shown)


@cache
def _shape(named: Any) -> Any:
    """A type, or the one of that name; the parts it belongs to are loaded when it is needed."""
    match named:
        case "Explanation":
            from engine.discovery.explain import Explanation

            return Explanation
        case "Loaded":
            from engine.workspace import Loaded

            return Loaded
        case "Wanted":
            from engine.modules.runner.protocol import Wanted

            return Wanted
        case "RecordingOptions":
            from engine.recording.options import RecordingOptions

            return RecordingOptions | None
    return named
