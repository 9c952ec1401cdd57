"""Pane 3: the subscription matrix and the kernel events it lets through."""

from __future__ import annotations

from collections.abc import Sequence

from textual.app import ComposeResult
from textual.containers import Container, Vertical
from textual.content import Content
from textual.widget import Widget
from textual.widgets import Static

from engine.core.kinds import KERNEL_EVENT
from engine.core.records import Record
from engine.core.sanitise import clean
from engine.core.snapshot import Snapshot
from tui.console.format import value_text
from tui.console.panes.base import Pane
from tui.console.widgets.columns import Column, Tone, record_columns
from tui.console.widgets.matrix import Cell, CellKey, MatrixView, describe
from tui.console.widgets.stream import StreamView

_BESIDE_WIDTH = 120
"""From this width on the matrix stands beside the stream."""

NOTHING_ON = "nothing is subscribed: choose a cell above and press t"
WAITING = "waiting for the first event"


def result_text(record: Record) -> str:
    """What the call returned: the error's name, else the value."""
    return value_text(record.get("errno") or record.get("result"))


def direction_text(record: Record) -> str:
    """`>` enter, `<` exit, as strace-like tools print it."""
    direction = str(record.get("direction") or "")
    return {"enter": ">", "exit": "<"}.get(direction, clean(direction))


def event_columns() -> tuple[Column[Record], ...]:
    """The columns of the stream."""
    declared = {
        column.name: column
        for column in record_columns(
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
                "attributes",
            ],
            titles={"ts": "time", "category": "cat", "latency_ns": "latency"},
            widths={"comm": 12, "name": 13, "latency_ns": 7, "attributes": 14, "pid": 7},
            priorities={"attributes": 1, "latency_ns": 4, "category": 5, "pid": 2},
            tones={"ts": lambda record: "dim"},
            flex="attributes",
            ample=44,
        )
    }
    return (
        declared["ts"],
        declared["cpu"],
        declared["pid"],
        declared["tid"],
        declared["comm"],
        declared["category"],
        Column("direction", "", 1, direction_text, priority=2, help="> enter, < exit."),
        declared["name"],
        Column(
            "result",
            "result",
            8,
            result_text,
            "right",
            3,
            tone=_result_tone,
            help="What the call returned: the error's name, else the value.",
        ),
        declared["latency_ns"],
        declared["fd"],
        declared["attributes"],
    )


def _result_tone(record: Record) -> Tone:
    return "bad" if record.get("errno") else ""


class EventsPane(Pane):
    """Switches above or beside, the stream below or beside."""

    number = 3
    heading = "Events"
    sources = ("probe",)

    def __init__(self) -> None:
        super().__init__()
        self.matrix = MatrixView()
        self.switches = Vertical(id="switches")
        self.cell_line = Static(id="cell-line", markup=False)
        self.stream = StreamView("kernel_event", event_columns(), empty=WAITING, widget_id="events")

    def compose_parts(self) -> ComposeResult:
        """The matrix with the line about its cell, and the stream."""
        with Container(id="events-body"):
            with self.switches:
                yield self.matrix
                yield self.cell_line
            yield self.stream

    @property
    def parts(self) -> Sequence[Widget]:
        """The matrix and the stream."""
        return (self.matrix, self.stream)

    def frame_of(self, part: Widget) -> Widget:
        """The matrix is shown and hidden with the line about its cell."""
        return self.switches if part is self.matrix else part

    def show_switches(self, snapshot: Snapshot) -> None:
        """Draw the matrix, also while the stream is paused."""
        cells = [Cell.of(record) for record in snapshot.tables.get("subscription", ())]
        self.matrix.set_cells(cells)
        self.stream.say_when_empty(WAITING if any(cell.on for cell in cells) else NOTHING_ON)
        self.describe_cell()

    def settle(self, key: CellKey) -> None:
        """The engine has answered a switch."""
        self.matrix.settle(key)
        self.describe_cell()

    def describe_cell(self) -> None:
        """Write the line about the cell under the cursor."""
        under_cursor = self.matrix.cursor_cell
        text = ""
        if under_cursor is not None:
            text = describe(under_cursor, self.matrix.is_on(under_cursor.key))
        self.cell_line.update(Content(f" {text}"))

    def on_matrix_view_cursor_moved(self) -> None:
        """Another cell, another line."""
        self.describe_cell()

    def on_matrix_view_toggled(self) -> None:
        """Say at once what the switch is going to be."""
        self.describe_cell()

    def on_resize(self) -> None:
        """Choose between above and beside."""
        super().on_resize()
        self.set_class(self.size.width >= _BESIDE_WIDTH, "-beside")
