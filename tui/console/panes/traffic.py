"""Pane 4: application messages made of the traffic, and the Wasm plugins that parse it."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import ClassVar

from textual.app import ComposeResult
from textual.binding import BindingType
from textual.widget import Widget

from engine.core.kinds import L7_MESSAGE, WASM_PLUGIN
from engine.core.records import Record
from engine.core.sanitise import clean
from engine.core.snapshot import Snapshot
from tui.console.keys import CALL_KEYS, WASM_KEYS
from tui.console.opening import ask
from tui.console.panes.base import Pane
from tui.console.traffic_text import (
    ends_text,
    flow_text,
    is_unreadable,
    parser_text,
    request_text,
    wasm_state_text,
    wasm_state_tone,
)
from tui.console.wasm import RunsAgain, WasmAsked
from tui.console.widgets.columns import Column, Remark, Tone, record_columns
from tui.console.widgets.stream import StreamView
from tui.console.widgets.table import TableView

_FIGURES = (
    "plugin",
    "calls",
    "p50_us",
    "p99_us",
    "traps",
    "rejected",
    "memory",
    "deadline_ms",
)


def _status_tone(record: Record) -> Tone:
    status = str(record.get("status") or "")
    return "bad" if status[:1] in "45" and status.isdigit() else ""


def _parser_tone(record: Record) -> Tone:
    return "warn" if is_unreadable(record) else ""


def message_columns() -> tuple[Column[Record], ...]:
    """The columns of the message stream."""
    declared = {
        column.name: column
        for column in record_columns(
            L7_MESSAGE,
            ["ts", "protocol", "parsed_by", "status", "latency_ms", "request", "attributes"],
            titles={
                "ts": "time",
                "parsed_by": "parsed by",
                "latency_ms": "latency",
                "protocol": "proto",
            },
            widths={
                "protocol": 6,
                "latency_ms": 7,
                "status": 6,
                "parsed_by": 15,
                "request": 16,
            },
            priorities={"attributes": 8},
            tones={"ts": lambda record: "dim", "status": _status_tone},
            amples={"status": 12, "parsed_by": 20},
            flex="request",
            ample=36,
        )
    }
    return (
        declared["ts"],
        Column(
            "ends",
            "client → server",
            30,
            ends_text,
            priority=5,
            ample=46,
            help="Name/pid of the processes at both ends, with the server's port; else addresses.",
        ),
        Column("flow", "flow", 33, flow_text, priority=7, help="Addresses of client → server."),
        declared["protocol"],
        replace(declared["parsed_by"], text=parser_text, tone=_parser_tone),
        declared["status"],
        declared["latency_ms"],
        declared["attributes"],
        replace(declared["request"], text=request_text),
    )


def wasm_failure(record: Record) -> Remark | None:
    """Why the plugin is not loaded, in place of numbers that mean nothing then."""
    error = record.get("error")
    return Remark("state", f"✗ {clean(str(error))}") if error else None


def _bad_if_any(name: str) -> Callable[[Record], Tone]:
    return lambda record: "bad" if record.get(name) else ""


def wasm_columns() -> tuple[Column[Record], ...]:
    """The columns of the Wasm plugin table."""
    declared = {
        column.name: column
        for column in record_columns(
            WASM_PLUGIN,
            [*_FIGURES, "hooks"],
            titles={
                "plugin": "wasm plugin",
                "p50_us": "p50",
                "p99_us": "p99",
                "rejected": "refused",
                "deadline_ms": "limit",
            },
            widths={
                "plugin": 12,
                "calls": 6,
                "rejected": 7,
                "memory": 7,
                "deadline_ms": 6,
                "hooks": 12,
            },
            priorities={"rejected": 3, "memory": 3, "deadline_ms": 4},
            flex="hooks",
            tones={name: _bad_if_any(name) for name in ("traps", "rejected")},
        )
    }
    return (
        declared["plugin"],
        Column(
            "state",
            "state",
            13,
            wasm_state_text,
            priority=1,
            ample=22,
            tone=wasm_state_tone,
            help="running; renewed by fresh instances after traps; poisoned by them, if faithful.",
        ),
        *(declared[name] for name in _FIGURES if name != "plugin"),
        declared["hooks"],
    )


class TrafficPane(Pane, RunsAgain):
    """Messages above, Wasm plugins below."""

    number = 4
    heading = "Traffic"
    sources = ("traffic", "wasm")
    BINDINGS: ClassVar[list[BindingType]] = [*WASM_KEYS, *CALL_KEYS]

    def __init__(self) -> None:
        super().__init__()
        self.messages = StreamView(
            "l7_message", message_columns(), empty="no messages yet", widget_id="messages"
        )
        self.wasm = TableView(
            wasm_columns(),
            key=lambda record: record.key(),
            kind="wasm_plugin",
            empty="no Wasm plugin is loaded: press {wasm.load} to load one",
            remark=wasm_failure,
            widget_id="wasm-plugins",
        )

    def compose_parts(self) -> ComposeResult:
        """The stream and the table."""
        yield self.messages
        yield self.wasm

    @property
    def parts(self) -> Sequence[Widget]:
        """The stream and the table."""
        return (self.messages, self.wasm)

    def show_tables(self, snapshot: Snapshot) -> None:
        """Draw the Wasm plugins."""
        self.wasm.set_rows(snapshot.tables.get("wasm_plugin", ()))

    @property
    def selected_plugin(self) -> Record | None:
        """The plugin the keys act on."""
        return self.wasm.chosen_row

    @property
    def offered(self) -> Record | None:
        """The message under the cursor."""
        row = self.messages.cursor_row
        return row if isinstance(row, Record) else None

    def offers(self, action: str) -> bool:
        """A plugin, or a message, has to be selected for what is done with one."""
        if action in ("run_again", "edit_payload"):
            return self.is_live and self.offered is not None
        return self.is_live and (action == "load_wasm" or self.selected_plugin is not None)

    # Keys.

    def action_load_wasm(self) -> None:
        """Ask for a Wasm plugin to be loaded."""
        ask(self, WasmAsked("load"))

    def action_reload_wasm(self) -> None:
        """Ask for the selected plugin's file to be loaded again."""
        ask(self, WasmAsked("reload", self.selected_plugin))

    def action_unload_wasm(self) -> None:
        """Ask for the selected plugin to be taken out of the chain."""
        ask(self, WasmAsked("unload", self.selected_plugin))
