"""Pane 3: the subscription matrix and the kernel events it lets through."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from textwrap import wrap

from textual.app import ComposeResult
from textual.containers import Container, Vertical
from textual.content import Content
from textual.widget import Widget
from textual.widgets import Static

from engine.core.fields import JsonValue
from engine.core.kinds import PROBE_STATE
from engine.core.records import Record
from engine.core.sanitise import clean
from engine.core.snapshot import Snapshot
from tui.console.format import count, duration, share
from tui.console.keymap import with_keys
from tui.console.panes.base import Pane
from tui.console.widgets.cells import CellKey
from tui.console.widgets.event_columns import event_columns
from tui.console.widgets.finder import Finder
from tui.console.widgets.matrix import MatrixView
from tui.console.widgets.matrix_line import describe
from tui.console.widgets.stream import StreamView

_BESIDE_WIDTH = 150
"""From this width on the matrix stands beside the stream."""

_ROOMY_HEIGHT = 22
"""Below this many lines the matrix needs the line about the probe for itself."""

NOTHING_ON = "nothing is subscribed: choose a cell above and press {toggle}"
WAITING = "waiting for the first event"
FAILED = "there are no events: the probe has failed, as told above"


def probe_text(row: Record) -> str:
    """The probe in one line: what was produced and what became of it, the ring, the price."""

    numbers = {field.name: _number(row.get(field.name)) for field in PROBE_STATE.fields}
    dropped = row.get("dropped")
    reasons = dropped if isinstance(dropped, Mapping) else {}
    named = [f"{count(int(_number(each)))} {clean(why)}" for why, each in reasons.items()]
    lost = named[0] if len(named) == 1 else count(int(numbers["produced"] - numbers["read"]))
    if len(named) > 1:
        lost += f" ({', '.join(named)})"
    parts = [
        f"{count(int(numbers['produced']))} = {count(int(numbers['read']))} read + lost {lost}",
        f"ring {share(numbers['ring_fill'] / 100)} ↑{share(numbers['ring_peak'] / 100)}",
        f"oldest {duration(numbers['oldest_ms'] * 1e6)}",
        f"reader {share(numbers['reader_cpu'])}",
    ]
    if row.get("programs_cpu") is not None:
        parts.append(f"programs {share(numbers['programs_cpu'])}")
    left_out = [
        f"{count(int(numbers[name]))} {name}"
        for name in ("suppressed", "unowned", "unfollowed")
        if numbers[name]
    ]
    if left_out:
        parts.append(f"left out {', '.join(left_out)}")
    if faults := _faults_text(row.get("page_faults")):
        parts.append(faults)
    return " · ".join(parts)


def _faults_text(told: JsonValue) -> str:
    """Page faults of the process with the most, and of how many others there were any."""
    rows = told if isinstance(told, Sequence) and not isinstance(told, str) else ()
    if not rows or not isinstance(rows[0], Mapping):
        return ""
    most = rows[0]
    text = f"page faults {most.get('pid')}: {count(int(_number(most.get('count'))))}"
    return text + (f" and {len(rows) - 1} more" if len(rows) > 1 else "")


def _say(static: Static, text: str) -> None:
    """Show other text; the pane is arranged anew, which is dear, only for another height."""
    width, before = max(1, static.content_size.width), str(static.content)
    if text != before:
        lines, lines_before = (len(wrap(each, width)) for each in (text, before))
        static.update(Content(text), layout=lines != lines_before)


def _number(value: JsonValue) -> float:
    return value if isinstance(value, (int, float)) else 0


class EventsPane(Pane):
    """Switches above or beside, the stream below or beside."""

    number = 3
    heading = "Events"
    sources = ("probe",)

    def __init__(self) -> None:
        super().__init__()
        self.finder = Finder("name, syscall_*-read*, :net")
        self.matrix = MatrixView(self.finder)
        self.switches = Vertical(id="switches")
        self.cell_line = Static(id="cell-line", markup=False)
        self.probe_line = Static(id="probe-line", markup=False)
        self.stream = StreamView("kernel_event", event_columns(), empty=WAITING, widget_id="events")

    def compose_parts(self) -> ComposeResult:
        """The matrix with the line about its cell, and the stream."""
        with Container(id="events-body"):
            with self.switches:
                yield self.matrix
                yield self.finder
                yield self.cell_line
                yield self.probe_line
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
        self.matrix.set_rows(snapshot.tables.get("subscription", ()))
        self._show_probe(snapshot)
        any_on = any(cell.on for cell in self.matrix.switches.cells.values())
        failed = any(status.state == "failed" for status in self.statuses)
        said = FAILED if failed else WAITING if any_on else NOTHING_ON
        self.stream.say_when_empty(said, idle=failed or not any_on)
        self.describe_cell()

    def _show_probe(self, snapshot: Snapshot) -> None:
        """Write the line about the probe."""
        rows = snapshot.tables.get("probe_state", ())
        _say(self.probe_line, probe_text(rows[0]) if rows else "")

    def settle(self, keys: Iterable[CellKey]) -> None:
        """The engine has answered."""
        self.matrix.settle(keys)
        self.describe_cell()

    def describe_cell(self) -> None:
        """Write the line about what is under the cursor."""
        matrix = self.matrix
        text = describe(matrix.switches, matrix.cursor.line, matrix.cursor.column)
        _say(self.cell_line, with_keys(self.app, text) or " ")

    def on_matrix_view_cursor_moved(self) -> None:
        """Another cell, another line."""
        self.describe_cell()

    def on_matrix_view_toggled(self) -> None:
        """Say at once what the switch is going to be."""
        self.describe_cell()

    # Searching.

    def on_matrix_view_cleared(self) -> None:
        """Close it again."""
        self.finder.close()

    def on_input_changed(self) -> None:
        """What is typed counts at once."""
        self.matrix.find(self.finder.value)

    def on_finder_moved(self, message: Finder.Moved) -> None:
        """Move in what was found while typing."""
        self.matrix.action_move(message.step, 0)

    def on_resize(self) -> None:
        """Choose between above and beside."""
        super().on_resize()
        self.set_class(self.size.width >= _BESIDE_WIDTH, "-beside")
        self.set_class(self.size.height < _ROOMY_HEIGHT, "-low")
