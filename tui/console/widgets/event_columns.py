"""The columns of kernel events, and what stands in those that are no field as it is."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

from engine.core.kinds import KERNEL_EVENT
from engine.core.records import Record
from engine.core.sanitise import clean
from tui.console.format import ABSENT, value_text
from tui.console.widgets.columns import Column, Tone, record_columns

_ENDS = ("sip", "sport", "dip", "dport")
_LAST = ("family", "res", "fd", "dirfd")


def result_text(record: Record) -> str:
    """What the call returned: the error's name, else the value."""
    return value_text(record.get("errno") or record.get("result"))


def direction_text(record: Record) -> str:
    """`>` enter, `<` exit, as strace-like tools print it."""
    direction = str(record.get("direction") or "")
    return {"enter": ">", "exit": "<"}.get(direction, clean(direction))


def comm_text(record: Record) -> str:
    """The thread's name, `sh@doctor` where a module caused what it did."""
    name, module = value_text(record.comm), record.get("module")
    return f"{name}@{clean(str(module))}" if module else name


def attributes_text(record: Record) -> str:
    """The other values, those that tell most first: ends as `SRC:PORT->DST:PORT`, then names.

    What another column has already, or is a mere number of a descriptor, comes last.
    """
    attributes = record.get("attributes")
    if not isinstance(attributes, Mapping):
        return value_text(attributes)
    rest = dict(attributes)
    ends = ""
    if all(rest.get(name) is not None for name in _ENDS):
        sip, sport, dip, dport = (value_text(rest.pop(name)) for name in _ENDS)
        ends = f"{sip}:{sport}->{dip}:{dport} "
    last = {name: rest.pop(name) for name in _LAST if name in rest}
    return ends + value_text({**rest, **last}) if rest or last else ends.rstrip() or ABSENT


def event_columns() -> tuple[Column[Record], ...]:
    """The columns of a stream of events."""
    declared = _declared_columns()
    return (
        declared["ts"],
        declared["cpu"],
        declared["pid"],
        declared["tid"],
        replace(
            declared["comm"],
            text=comm_text,
            tone=lambda record: "strong" if record.get("module") else "",
            help="Name of the thread; NAME@MODULE where a module caused what it did.",
        ),
        declared["category"],
        Column("direction", "", 1, direction_text, priority=2, help="> enter, < exit."),
        declared["name"],
        _result_column(),
        declared["latency_ns"],
        declared["fd"],
        declared["fd_name"],
        replace(declared["attributes"], text=attributes_text),
    )


def _declared_columns() -> dict[str, Column[Record]]:
    """Those of declared fields, whatever stands in them."""
    columns = record_columns(
        KERNEL_EVENT,
        [
            "ts",
            "cpu",
            "pid",
            "tid",
            "comm",
            "category",
            "name",
            "latency_ns",
            "fd",
            "fd_name",
            "attributes",
        ],
        titles={"ts": "time", "category": "cat", "latency_ns": "latency"},
        widths={"comm": 12, "name": 13, "latency_ns": 7, "attributes": 14, "pid": 7},
        priorities={"attributes": 1, "latency_ns": 4, "category": 5, "pid": 2},
        tones={"ts": lambda record: "dim"},
        flex="attributes",
        ample=44,
    )
    return {column.name: column for column in columns}


def _result_column() -> Column[Record]:
    return Column(
        "result",
        "result",
        8,
        result_text,
        "right",
        3,
        tone=_result_tone,
        help="What the call returned: the error's name, else the value.",
    )


def _result_tone(record: Record) -> Tone:
    return "bad" if record.get("errno") else ""
