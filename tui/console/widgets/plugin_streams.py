"""Streams about one plugin: what it sent that is no record; of a module, its life and its deeds."""

from __future__ import annotations

from engine.core.kinds import KERNEL_EVENT, MODULE_EVENT, PLUGIN_FAULT
from tui.console.widgets.columns import record_columns
from tui.console.widgets.event_columns import event_columns
from tui.console.widgets.stream import StreamView

_BAD_STEPS = frozenset(
    {"refused", "symbol_missing", "interface_missing", "panicked", "exited", "killed", "garbage"}
)


def fault_stream(widget_id: str) -> StreamView:
    """The pieces of a plugin's stream that are no records."""
    return StreamView(
        PLUGIN_FAULT.name,
        record_columns(
            PLUGIN_FAULT,
            ["ts", "reason", "length", "bytes", "agent_reading"],
            titles={"ts": "time", "agent_reading": "a real agent"},
            widths={"agent_reading": 20, "bytes": 24, "length": 8},
            tones={"ts": lambda record: "dim", "reason": lambda record: "warn"},
            priorities={"agent_reading": 2, "reason": 1, "length": 2, "bytes": 3},
            flex="agent_reading",
            ample=40,
        ),
        widget_id=widget_id,
    )


def life_stream(widget_id: str) -> StreamView:
    """The steps of a module's life."""
    return StreamView(
        MODULE_EVENT.name,
        record_columns(
            MODULE_EVENT,
            ["ts", "event", "symbol", "text", "frame", "elapsed_us"],
            titles={"ts": "time", "elapsed_us": "took"},
            widths={"event": 19, "symbol": 12, "text": 20, "frame": 20, "elapsed_us": 8},
            tones={
                "ts": lambda record: "dim",
                "event": lambda record: "bad" if record.get("event") in _BAD_STEPS else "",
            },
            priorities={"text": 1, "event": 1, "symbol": 2, "frame": 5, "elapsed_us": 3},
            flex="text",
            ample=40,
        ),
        widget_id=widget_id,
    )


def deed_stream(widget_id: str) -> StreamView:
    """What a module did, as the kernel tells it."""
    return StreamView(KERNEL_EVENT.name, event_columns(), widget_id=widget_id)
