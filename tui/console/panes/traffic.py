"""Pane 4: application messages made of the traffic, and the Wasm plugins that parse it."""

from __future__ import annotations

from collections.abc import Sequence

from textual.app import ComposeResult
from textual.widget import Widget

from engine.core.kinds import L7_MESSAGE, WASM_PLUGIN
from engine.core.records import Record
from engine.core.sanitise import clean
from engine.core.snapshot import Snapshot
from tui.console.format import ABSENT, value_text
from tui.console.panes.base import Pane
from tui.console.widgets.columns import Column, Remark, Tone, record_columns
from tui.console.widgets.stream import StreamView
from tui.console.widgets.table import TableView


def process_text(record: Record) -> str:
    """Name and pid of the process, as far as known."""
    if record.pid is None:
        return clean(record.comm or ABSENT)
    return f"{clean(record.comm or '')}/{record.pid}"


def flow_text(record: Record) -> str:
    """Client and server of the message."""
    return f"{value_text(record.get('src'))} → {value_text(record.get('dst'))}"


def _status_tone(record: Record) -> Tone:
    status = str(record.get("status") or "")
    return "bad" if status[:1] in "45" and status.isdigit() else ""


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
                "parsed_by": 13,
                "request": 16,
            },
            priorities={"attributes": 7},
            tones={"ts": lambda record: "dim", "status": _status_tone},
            flex="request",
            ample=36,
        )
    }
    return (
        declared["ts"],
        Column("process", "process", 13, process_text, priority=5, help="Name/pid, if known."),
        Column("flow", "flow", 33, flow_text, priority=6, help="Client → server."),
        declared["protocol"],
        declared["parsed_by"],
        declared["status"],
        declared["latency_ms"],
        declared["attributes"],
        declared["request"],
    )


def wasm_state_text(record: Record) -> str:
    """The state with its symbol."""
    state = clean(str(record.get("state") or ""))
    return f"{'✗' if state == 'failed' else '●'} {state}"


def wasm_failure(record: Record) -> Remark | None:
    """Why the plugin is not loaded, in place of numbers that mean nothing then."""
    error = record.get("error")
    return Remark("state", f"✗ {clean(str(error))}") if error else None


def wasm_columns() -> tuple[Column[Record], ...]:
    """The columns of the Wasm plugin table."""
    declared = {
        column.name: column
        for column in record_columns(
            WASM_PLUGIN,
            ["plugin", "calls", "p50_us", "p99_us", "traps", "memory", "hooks"],
            titles={"plugin": "wasm plugin", "p50_us": "p50", "p99_us": "p99"},
            widths={"calls": 6, "hooks": 12},
            flex="hooks",
            tones={"traps": lambda record: "bad" if record.get("traps") else ""},
        )
    }
    return (
        declared["plugin"],
        Column(
            "state",
            "state",
            8,
            wasm_state_text,
            priority=1,
            tone=lambda record: "bad" if record.get("state") == "failed" else "good",
            help=WASM_PLUGIN.field("state").help,
        ),
        *(declared[name] for name in ("calls", "p50_us", "p99_us", "traps", "memory")),
        declared["hooks"],
    )


class TrafficPane(Pane):
    """Messages above, Wasm plugins below."""

    number = 4
    heading = "Traffic"
    sources = ("traffic", "wasm")

    def __init__(self) -> None:
        super().__init__()
        self.messages = StreamView(
            "l7_message", message_columns(), empty="no messages yet", widget_id="messages"
        )
        self.wasm = TableView(
            wasm_columns(),
            key=lambda record: record.key(),
            kind="wasm_plugin",
            empty="no Wasm plugin is loaded",
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
