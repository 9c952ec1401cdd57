"""Pane 2: which process owns which port."""

from __future__ import annotations

from collections.abc import Sequence
from typing import ClassVar

from textual.app import ComposeResult
from textual.binding import BindingType
from textual.widget import Widget

from engine.core.snapshot import Snapshot
from tui.console.keys import PORT_KEYS
from tui.console.opening import ask
from tui.console.panes.base import Pane
from tui.console.panes.captures import Restarts, refusal
from tui.console.panes.port_rows import Arrivals, PortRow, port_rows, port_table
from tui.console.processes import ProcessAsked, ProcessVerb

_LOOKING = "looking for ports …"
_NONE = "no process owns a port"


def _empty_text(snapshot: Snapshot) -> str:
    """What it means that there is no row."""
    source = snapshot.sources.get("discovery")
    looked = snapshot.replay is not None or (source is not None and source.state != "starting")
    return _NONE if looked else _LOOKING


class PortsPane(Pane):
    """One row for each port of each process."""

    BINDINGS: ClassVar[list[BindingType]] = [*PORT_KEYS]

    number = 2
    heading = "Ports"
    sources = ("discovery",)

    def __init__(self) -> None:
        super().__init__()
        self.table = port_table(empty=_LOOKING, remark=lambda row: refusal(row.record))
        self._arrivals = Arrivals()
        self._restarts = Restarts()
        self._rows: list[PortRow] = []

    def compose_parts(self) -> ComposeResult:
        """The table."""
        yield self.table

    @property
    def parts(self) -> Sequence[Widget]:
        """The table."""
        return (self.table,)

    def remember(self, snapshot: Snapshot) -> None:
        """Notice arrivals and departures, also while nobody looks."""
        captured = snapshot.tables.get("capture_state", ())
        for text in self._restarts.news(captured):
            self.notify(text, markup=False)
        if "process" in snapshot.tables:
            captures = {row.key(): row for row in captured}
            present = [
                row
                for record in snapshot.tables["process"]
                for row in port_rows(record, captures.get((record.pid, record.get("start"))))
            ]
            self._rows = self._arrivals.marked(present, snapshot.wall_ns)

    @property
    def _selected(self) -> PortRow | None:
        """The row that keys act on."""
        return self.table.chosen_row

    def _ask(self, verb: ProcessVerb) -> None:
        row = self._selected
        pid, port = (row.record.pid, row.port) if row is not None else (None, None)
        ask(self, ProcessAsked(verb, pid, port))

    def action_attach(self) -> None:
        """Ask for the selected process to be attached or detached."""
        self._ask("attach")

    def show_tables(self, snapshot: Snapshot) -> None:
        """Draw the rows."""
        self.table.say_when_empty(_empty_text(snapshot))
        self.table.set_rows(self._rows)

    def offers(self, action: str) -> bool:
        """A process has to be selected for what is done with one."""
        if action in ("edit_ports", "why_other"):
            return self.is_live
        row = self._selected
        return self.is_live and row is not None and row.record.pid is not None

    # Keys.

    def action_why(self) -> None:
        """Ask why the process under the cursor is listed."""
        self._ask("why")

    def action_why_other(self) -> None:
        """Ask about a process that need not be listed."""
        ask(self, ProcessAsked("why_other"))

    def action_edit_ports(self) -> None:
        """Ask for other ports."""
        ask(self, ProcessAsked("edit_ports"))
