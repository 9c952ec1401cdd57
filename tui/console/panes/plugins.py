"""Pane 1: plugin processes with their throughput, and the records of the selected one."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import dropwhile
from math import isnan
from typing import ClassVar

from textual.app import ComposeResult
from textual.binding import BindingType
from textual.widget import Widget

from engine.core.kinds import PLUGIN_STATE
from engine.core.records import Record
from engine.core.sanitise import clean
from engine.core.snapshot import Snapshot
from tui.console.figures import FigureId
from tui.console.format import count, sparkline, value_text
from tui.console.history import History
from tui.console.keys import PLUGIN_KEYS
from tui.console.opening import ask
from tui.console.panes.base import Pane
from tui.console.plugins import PluginAsked
from tui.console.widgets.columns import Column, Remark, SortKey, Tone, lift, record_columns
from tui.console.widgets.frames import record_stream
from tui.console.widgets.row_cursor import RowCursor
from tui.console.widgets.table import TableView
from tui.console.wording import is_module, state_text, state_tone

_SPARK_WIDTH = 10
_STATE_WIDTH = 15
"""Holds `◔ stopping 10 s`."""


@dataclass(frozen=True, slots=True)
class PluginRow:
    """A plugin as it is now, with its last rates."""

    record: Record
    rates: tuple[float, ...]


def failure(row: PluginRow) -> Remark | None:
    """Why the plugin does not run, in place of numbers that mean nothing then."""
    error = row.record.get("error")
    return Remark("state", f"✗ {clean(str(error))}") if error else None


def _record_of(row: PluginRow) -> Record:
    return row.record


def plugin_columns() -> tuple[Column[PluginRow], ...]:
    """The columns of the plugin table."""
    declared = _declared_columns()
    return (
        declared["plugin"],
        declared["plugin_kind"],
        _state_column(),
        declared["pid"],
        declared["tx_rate"],
        declared["tx_speed"],
        _throughput_column(),
        _count_column("rx_count", "tasks", 5, 5),
        _count_column("dropped", "lost", 5, 3),
        declared["cpu"],
        declared["rss"],
        declared["fds"],
        declared["last_task"],
        declared["last_stderr"],
    )


def _declared_columns() -> dict[str, Column[PluginRow]]:
    """Those that show a field as it is."""
    columns = record_columns(
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
            "last_task",
            "last_stderr",
        ],
        titles={
            "plugin_kind": "kind",
            "tx_rate": "records",
            "tx_speed": "bytes",
            "last_task": "last task",
            "last_stderr": "last stderr",
        },
        widths={
            "plugin": 12,
            "pid": 6,
            "tx_rate": 7,
            "tx_speed": 8,
            "cpu": 5,
            "rss": 7,
            "last_task": 12,
            "last_stderr": 12,
        },
        priorities={"plugin_kind": 8, "pid": 6, "cpu": 5, "last_task": 4, "last_stderr": 5},
        amples={"last_task": 40},
        flex="last_stderr",
        ample=24,
    )
    return {column.name: lift(column, _record_of) for column in columns}


def _state_column() -> Column[PluginRow]:
    return Column(
        "state",
        "state",
        _STATE_WIDTH,
        lambda row: state_text(row.record),
        priority=1,
        tone=lambda row: state_tone(row.record),
        sort_key=lambda row: (True, str(row.record.get("state"))),
        help=PLUGIN_STATE.field("state").help,
    )


def _throughput_column() -> Column[PluginRow]:
    return Column(
        "throughput",
        f"last {_SPARK_WIDTH} s",
        _SPARK_WIDTH,
        lambda row: sparkline(row.rates, _SPARK_WIDTH),
        priority=3,
        tone=lambda row: "good",
        help="Records per second, a bar for each of the last seconds, scaled to the largest.",
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
    BINDINGS: ClassVar[list[BindingType]] = [*PLUGIN_KEYS]

    def __init__(self, history: History) -> None:
        super().__init__()
        self.history = history
        self.table = TableView(
            plugin_columns(),
            key=lambda row: row.record.key(),
            kind="plugin_state",
            empty="no plugin is loaded: press {plugin.load} to load one,"
            " {module.load} for a module",
            remark=failure,
            widget_id="plugins",
        )
        self.records = record_stream("plugin-records", with_plugin=True)
        self._selected: str | None = None

    def compose_parts(self) -> ComposeResult:
        """The table and the stream."""
        yield self.table
        yield self.records

    @property
    def parts(self) -> Sequence[Widget]:
        """The table and the stream."""
        return (self.table, self.records)

    @property
    def selected(self) -> Record | None:
        """The plugin the keys act on."""
        row = self.table.chosen_row
        return row.record if row is not None else None

    def offers(self, action: str) -> bool:
        """A plugin has to be selected, but for loading one."""
        loads = action in ("load_plugin", "load_module", "judge_module")
        return self.is_live and (loads or self.selected is not None)

    def show_tables(self, snapshot: Snapshot) -> None:
        """Draw the plugins."""
        rows = snapshot.tables.get("plugin_state", ())
        self.table.set_rows([PluginRow(record, tuple(self._last_rates(record))) for record in rows])
        if self._selected not in (None, *(record.get("plugin") for record in rows)):
            self._show_records_of(None)

    def _last_rates(self, record: Record) -> Sequence[float]:
        """Records per second of a plugin in the last seconds, as far as they are known."""
        figure = FigureId("plugin", clean(str(record.get("plugin"))), "records")
        values = self.history.last(figure, _SPARK_WIDTH).values
        return list(dropwhile(isnan, values))

    def on_row_cursor_moved(self, message: RowCursor.Moved) -> None:
        """Selecting a plugin shows its records only."""
        if isinstance(message.row, PluginRow):
            self._show_records_of(str(message.row.record.get("plugin")))

    def _show_records_of(self, name: str | None) -> None:
        """Show the records of one plugin, or of all."""
        if name == self._selected:
            return
        self._selected = name
        if name is None:
            self.records.say_when_empty("no records yet")
            self.records.show_only(None)
        else:
            self.records.say_when_empty(f"no records of {clean(name)} yet")
            self.records.show_only(lambda record: record.get("plugin") == name)

    # Keys.

    def action_load_plugin(self) -> None:
        """Ask for a plugin to be loaded."""
        ask(self, PluginAsked("load"))

    def action_load_module(self) -> None:
        """Ask for a module to be loaded."""
        ask(self, PluginAsked("load_module"))

    def action_judge_module(self) -> None:
        """Ask what is known of a module's file."""
        ask(self, PluginAsked("judge", self.selected))

    def action_call_module(self) -> None:
        """Ask for a method of the selected module to be called."""
        ask(self, PluginAsked("call_module", self.selected))

    def check_action(self, action: str, parameters: tuple[object, ...]) -> bool | None:
        """What applies now."""
        if action == "call_module":
            return is_module(self.selected)
        return super().check_action(action, parameters)

    def action_send_task(self) -> None:
        """Ask for a task for the selected plugin."""
        ask(self, PluginAsked("send_task", self.selected))

    def action_restart_plugin(self) -> None:
        """Ask for the selected plugin to be started again."""
        ask(self, PluginAsked("restart", self.selected))

    def action_unload_plugin(self) -> None:
        """Ask for the selected plugin to be stopped."""
        ask(self, PluginAsked("unload", self.selected))
