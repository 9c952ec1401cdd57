"""Which process the console looks at: the one of the selected row, or all."""

from __future__ import annotations

from typing import NamedTuple

from textual.widget import Widget

from engine.core.records import Record
from engine.core.sanitise import clean
from tui.console.panes.plugins import PluginRow
from tui.console.panes.ports import PortRow
from tui.console.widgets.lines import LineView


class Process(NamedTuple):
    """A process, as far as a row names it."""

    pid: int
    comm: str

    def __str__(self) -> str:
        return f"{self.pid} {clean(self.comm)}".rstrip()


def process_of(widget: Widget | None) -> Process | None:
    """The process of the row selected in a list; None without one."""
    if not isinstance(widget, LineView):
        return None
    match widget.cursor_row:
        case Record() as record:
            pass
        case PluginRow(record=record) | PortRow(record=record):
            pass
        case _:
            return None
    return None if record.pid is None else Process(record.pid, record.comm or "")
