"""What a record belongs to: its process, its plugin, its message, the Wasm calls made for it."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import NamedTuple

from engine.core.kinds import KINDS, L7_MESSAGE
from engine.core.records import Record
from engine.core.sanitise import clean
from engine.engine import Engine
from tui.console.calls import call_of, calls_of, message_of
from tui.console.format import value_text
from tui.console.reasons import subscription_of
from tui.console.scope import Process
from tui.console.values import items_of, optional, whole

_MOST = 50
"""Links to calls, or to messages, that one record gets."""


class Link(NamedTuple):
    """Something a record belongs to."""

    what: str
    name: str
    target: Record | Process

    @property
    def key(self) -> tuple[str, str]:
        """What identifies it among those of a record."""
        return (self.what, self.name)

    @property
    def record(self) -> Record | None:
        """What it is, if that is a record."""
        return self.target if isinstance(self.target, Record) else None


def links_of(record: Record, engine: Engine) -> list[Link]:
    """What a record belongs to, as far as it is known and kept.

    May look through all calls that are kept, so not for the UI's thread.
    """
    finders: tuple[Callable[[Record, Engine], Iterator[Link]], ...] = (
        _processes,
        _plugins,
        _messages,
        _calls,
        _states,
    )
    return list({link.key: link for find in finders for link in find(record, engine)}.values())


def process_of(record: Record) -> Process | None:
    """The process a record is of, or the first it names."""
    return next((process for _what, process in _named_processes(record)), None)


def _named_processes(record: Record) -> Iterator[tuple[str, Process]]:
    if record.pid is not None:
        yield "process", Process(record.pid, record.comm or "")
    for side in ("client", "server"):
        pid = whole(optional(record, f"{side}_pid"))
        if pid is not None:
            yield side, Process(pid, str(optional(record, f"{side}_comm") or ""))
    parent = whole(optional(record, "ppid"))
    if parent:
        yield "parent", Process(parent, "")


def _processes(record: Record, engine: Engine) -> Iterator[Link]:
    for what, process in _named_processes(record):
        yield Link(what, str(process), process)


def _plugins(record: Record, engine: Engine) -> Iterator[Link]:
    """The rows of the plugins that a record names."""
    own = "wasm_plugin" if record.kind == "wasm_result" else "plugin_state"
    named = [("plugin_state", optional(record, "module"))]
    if record.kind not in (own, "wasm_plugin"):
        named += [(own, optional(record, "plugin")), ("wasm_plugin", optional(record, "parsed_by"))]
    tables = engine.snapshot().tables
    for kind, name in named:
        for row in tables.get(kind, ()) if name else ():
            if row.get("plugin") == name:
                what = "Wasm plugin" if kind == "wasm_plugin" else "plugin"
                yield Link(what, clean(str(name)), row)


def _messages(record: Record, engine: Engine) -> Iterator[Link]:
    if record.kind != "wasm_result":
        return
    numbers = [whole(each) for each in items_of(record.get("messages"))[:_MOST]]
    found = [_message(engine, number) for number in numbers if number is not None]
    for message in found if found else [message_of(engine, record)]:
        if message is not None:
            yield Link("message", f"{message.seq} {value_text(message.get('request'))}", message)


def _message(engine: Engine, number: int) -> Record | None:
    found = engine.since(L7_MESSAGE.name, number - 1, 1).records
    return found[0] if found and found[0].seq == number else None


def _calls(record: Record, engine: Engine) -> Iterator[Link]:
    if record.kind == "l7_message":
        for call in calls_of(engine, record)[:_MOST]:
            yield _call_link("Wasm call", call)
    repeated = whole(optional(record, "rerun_of"))
    original = None if repeated is None else call_of(engine, repeated)
    if original is not None:
        yield _call_link("repeats call", original)


def _call_link(what: str, call: Record) -> Link:
    name = f"{call.seq} {clean(str(call.get('plugin')))} {clean(str(call.get('export')))}"
    return Link(what, name, call)


def _states(record: Record, engine: Engine) -> Iterator[Link]:
    """Rows of tables: the switch that let an event through, the capture of a process."""
    snapshot = engine.snapshot()
    if record.kind == "kernel_event" and (cell := subscription_of(record, snapshot)) is not None:
        name = f"{value_text(cell.get('event'))}:{value_text(cell.get('category'))}"
        yield Link("subscription", name, cell)
    for kind, what in (("process", "listed as"), ("capture_state", "capture")):
        if record.kind == kind or record.pid is None:
            continue
        for row in snapshot.tables.get(kind, ()):
            if row.pid == record.pid and _same_start(record, row):
                shown = value_text(row.get("criterion" if kind == "process" else "state"))
                yield Link(what, shown, row)


def _same_start(record: Record, row: Record) -> bool:
    """Whether both are the same process, as far as both tell when it started."""
    if "start" not in KINDS[record.kind].index:
        return True
    return record.get("start") is None or record.get("start") == row.get("start")
