"""Pane 1: plugin processes with their throughput, and the records of the selected one."""

from __future__ import annotations

from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass

from textual.app import ComposeResult
from textual.widget import Widget

from engine.core.fields import JsonValue
from engine.core.kinds import PLUGIN_RECORD, PLUGIN_STATE
from engine.core.records import Record
from engine.core.sanitise import clean
from engine.core.snapshot import Snapshot
from tui.console.format import count, sparkline, value_text
from tui.console.panes.base import Pane
from tui.console.widgets.columns import Column, Remark, SortKey, Tone, lift, record_columns
from tui.console.widgets.lines import LineView
from tui.console.widgets.stream import StreamView
from tui.console.widgets.table import TableView

_HISTORY = 60
_SAMPLE_NS = 500_000_000
"""Snapshots closer together than this add no bar to the sparklines."""
_SPARK_WIDTH = 12
_STATE_MARKS = {"running": "●", "loading": "◌", "exited": "○", "failed": "✗"}
_STATE_TONES: dict[str, Tone] = {"running": "good", "failed": "bad", "exited": "warn"}


@dataclass(frozen=True, slots=True)
class PluginRow:
    """A plugin as it is now, with the rates of the last minute."""

    record: Record
    rates: tuple[float, ...]


def state_text(record: Record) -> str:
    """The state with its symbol, and how it ended."""
    state = str(record.get("state") or "")
    exit_code = record.get("exit_code")
    ending = f" {exit_code}" if state == "exited" and exit_code is not None else ""
    return f"{_STATE_MARKS.get(state, '?')} {clean(state)}{ending}"


def failure(row: PluginRow) -> Remark | None:
    """Why the plugin does not run, in place of numbers that mean nothing then."""
    error = row.record.get("error")
    return Remark("state", f"✗ {clean(str(error))}") if error else None


def _record_of(row: PluginRow) -> Record:
    return row.record


def plugin_columns() -> tuple[Column[PluginRow], ...]:
    """The columns of the plugin table."""
    declared = {
        column.name: lift(column, _record_of)
        for column in record_columns(
            PLUGIN_STATE,
            [
                "plugin",
                "plugin_kind",
                "pid",
                "tx_rate",
                "tx_speed",
                "cpu",
                "rss",
                "fds",
                "last_stderr",
            ],
            titles={
                "plugin_kind": "kind",
                "tx_rate": "records",
                "tx_speed": "bytes",
                "last_stderr": "last stderr",
            },
            widths={
                "plugin": 12,
                "pid": 6,
                "tx_rate": 7,
                "tx_speed": 9,
                "cpu": 5,
                "rss": 7,
                "last_stderr": 12,
            },
            priorities={"plugin_kind": 8, "pid": 6, "last_stderr": 5},
            flex="last_stderr",
        )
    }
    return (
        declared["plugin"],
        declared["plugin_kind"],
        Column(
            "state",
            "state",
            10,
            lambda row: state_text(row.record),
            priority=1,
            tone=lambda row: _STATE_TONES.get(str(row.record.get("state")), ""),
            sort_key=lambda row: (True, str(row.record.get("state"))),
            help=PLUGIN_STATE.field("state").help,
        ),
        declared["pid"],
        declared["tx_rate"],
        declared["tx_speed"],
        Column(
            "throughput",
            "last minute",
            _SPARK_WIDTH,
            lambda row: sparkline(row.rates, _SPARK_WIDTH),
            priority=3,
            tone=lambda row: "good",
            help="Records per second over the last seconds, scaled to the largest.",
        ),
        _count_column("rx_count", "tasks", 5, 4),
        _count_column("dropped", "lost", 5, 3),
        declared["cpu"],
        declared["rss"],
        declared["fds"],
        declared["last_stderr"],
    )


def _count_column(name: str, title: str, width: int, priority: int) -> Column[PluginRow]:
    def text(row: PluginRow) -> str:
        value = row.record.get(name)
        return count(value) if isinstance(value, int) else value_text(value)

    def tone(row: PluginRow) -> Tone:
        return "warn" if name == "dropped" and row.record.get(name) else ""

    def sort_key(row: PluginRow) -> SortKey:
        value = row.record.get(name)
        return (False, value) if isinstance(value, int) else (True, "")

    return Column(
        name,
        title,
        width,
        text,
        "right",
        priority,
        tone=tone,
        sort_key=sort_key,
        help=PLUGIN_STATE.field(name).help,
    )


class PluginsPane(Pane):
    """Plugins above, the records of the selected one below."""

    number = 1
    heading = "Plugins"
    sources = ("agent", "modules")

    def __init__(self) -> None:
        super().__init__()
        self.table = TableView(
            plugin_columns(),
            key=lambda row: row.record.key(),
            empty="no plugin is loaded",
            remark=failure,
            widget_id="plugins",
        )
        self.records = StreamView(
            "plugin_record",
            record_columns(
                PLUGIN_RECORD,
                ["ts", "plugin", "data_type", "fields", "faults"],
                titles={"ts": "time", "data_type": "type"},
                widths={"plugin": 12, "fields": 16},
                priorities={"plugin": 2, "fields": 1, "faults": 6},
                tones={"ts": lambda record: "dim", "faults": lambda record: "warn"},
                flex="fields",
                ample=40,
            ),
            empty="no records yet",
            widget_id="plugin-records",
        )
        self._rates: dict[tuple[JsonValue, ...], deque[float]] = {}
        self._sampled_ns = 0
        self._selected: str | None = None

    def compose_parts(self) -> ComposeResult:
        """The table and the stream."""
        yield self.table
        yield self.records

    @property
    def parts(self) -> Sequence[Widget]:
        """The table and the stream."""
        return (self.table, self.records)

    def remember(self, snapshot: Snapshot) -> None:
        """Keep the throughput of every plugin, also while nobody looks."""
        rows = snapshot.tables.get("plugin_state", ())
        if snapshot.wall_ns - self._sampled_ns < _SAMPLE_NS:
            return
        self._sampled_ns = snapshot.wall_ns
        kept = {record.key(): self._rates.get(record.key()) for record in rows}
        self._rates = {key: rates or deque(maxlen=_HISTORY) for key, rates in kept.items()}
        for record in rows:
            rate = record.get("tx_rate")
            self._rates[record.key()].append(float(rate) if isinstance(rate, (int, float)) else 0.0)

    def show_tables(self, snapshot: Snapshot) -> None:
        """Draw the plugins."""
        self.table.set_rows(
            [
                PluginRow(record, tuple(self._rates.get(record.key(), ())))
                for record in snapshot.tables.get("plugin_state", ())
            ]
        )

    def on_line_view_cursor_moved(self, message: LineView.CursorMoved) -> None:
        """Selecting a plugin shows its records only."""
        if isinstance(message.row, PluginRow):
            name = str(message.row.record.get("plugin"))
            if name != self._selected:
                self._selected = name
                self.records.say_when_empty(f"no records of {clean(name)} yet")
                self.records.show_only(lambda record: record.get("plugin") == name)
