"""Everything about one process: facts, ports, its last events, its traffic, its plugin."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from typing import TYPE_CHECKING, ClassVar

from textual.binding import BindingType
from textual.containers import VerticalScroll
from textual.content import Content
from textual.message import Message
from textual.widgets import Static

from engine.core.errors import BoxscopeError
from engine.core.kinds import CAPTURE_STATE, PROCESS
from engine.core.records import Record
from engine.core.sanitise import clean
from engine.core.snapshot import Snapshot
from engine.engine import Engine
from tui.console.browser import RecordBrowser
from tui.console.format import duration, field_lines
from tui.console.keys import PORT_KEYS, PROCESS_KEYS, STREAM_KEYS
from tui.console.opening import ask
from tui.console.panes.port_rows import PortRow, port_rows, port_table
from tui.console.panes.traffic import message_columns
from tui.console.plugin_text import figures_content
from tui.console.processes import ProcessAsked, ProcessVerb
from tui.console.scope import Process, Scope
from tui.console.screens.detail import DetailScreen
from tui.console.screens.parts import Part, update_lines
from tui.console.screens.streaming import StreamingScreen
from tui.console.widgets.event_columns import event_columns
from tui.console.widgets.lines import LineView
from tui.console.widgets.stream import StreamView

if TYPE_CHECKING:
    from engine.discovery.explain import Explanation

_NAME_WIDTH = 16
_NOT_FACTS = frozenset({"kind", "seq", "ts", "ports"})
_PANES = {"process-facts": 0, "process-ports": 2, "process-events": 3, "process-traffic": 4,
          "process-plugin": 1}  # fmt: skip
"""The pane that each part shows a section of; 0 for none."""


def facts_content(
    record: Record | None, capture: Record | None, explanation: Explanation | None
) -> Content:
    """What is known about the process itself, and whether it is selected."""
    lines: list[Content] = []
    if explanation is not None:
        facts, _, decision = "\n".join(explanation.lines()).partition("\n\n")
        lines.append(Content.styled("Process", "bold underline"))
        lines += [_fact(line[:_NAME_WIDTH], line[_NAME_WIDTH:]) for line in facts.split("\n")]
        lines.append(_fact("age", f" {duration(explanation.age_s * 1e9)}"))
        verdict = decision.partition("\n")[0]
        lines += [Content(""), Content.styled("Selected?", "bold underline"), Content(verdict)]
        lines.append(Content.styled("w tells every condition", "dim"))
    elif record is not None:
        lines += [Content.styled("Process", "bold underline"), *_fields(record)]
    if capture is not None:
        lines += [Content(""), Content.styled("Its traffic", "bold underline"), *_fields(capture)]
    return Content("\n").join(lines)


def _fields(record: Record) -> Iterator[Content]:
    kind = PROCESS if record.kind == PROCESS.name else CAPTURE_STATE
    for field in kind.all_fields():
        if field.name in _NOT_FACTS or record.get(field.name) in (None, "", [], {}, ()):
            continue
        first, *more = field_lines(record.get(field.name), field.unit)
        yield _fact(field.name, f" {first}")
        yield from (Content(" " * (_NAME_WIDTH + 1) + line) for line in more)


def _fact(name: str, text: str) -> Content:
    return Content.assemble((name.ljust(_NAME_WIDTH), "bold"), text)


class ProcessScreen(StreamingScreen):
    """One process; goes on showing what was last known when it has ended.

    Args:
        process: The process.
        engine: Explains it, off the UI's thread.
    """

    BINDINGS: ClassVar[list[BindingType]] = [
        *PROCESS_KEYS,
        *(binding for binding in PORT_KEYS if binding.action in ("why", "attach")),
        *STREAM_KEYS,
    ]

    class ScopeAsked(Message):
        """Somebody wants to see the process in the panes."""

        def __init__(self, process: Process, *, tree: bool, pane: int, part: int) -> None:
            super().__init__()
            self.process = process
            self.tree = tree
            self.pane = pane
            """0 for the one that was left."""
            self.part = part

    def __init__(self, process: Process, engine: Engine) -> None:
        self.process = process
        self._engine = engine
        self._explanation: Explanation | None = None
        self._remark = ""
        self._record: Record | None = None
        self._capture: Record | None = None
        self._facts = Static()
        self._plugin = Static()
        self._plugin_record: Record | None = None
        self.ports = port_table(empty="it is not listed with a port")
        self.events = StreamView(
            "kernel_event", event_columns(), empty="no events of it", widget_id="events"
        )
        self.traffic = StreamView(
            "l7_message", message_columns(), empty="no traffic of it", widget_id="messages"
        )
        super().__init__(
            (
                Part("Process", VerticalScroll(self._facts), part_id="process-facts"),
                Part("Ports", self.ports, part_id="process-ports"),
                Part("Events", self.events, part_id="process-events"),
                Part("Traffic", self.traffic, part_id="process-traffic"),
                Part("Plugin", VerticalScroll(self._plugin), part_id="process-plugin"),
            ),
            (self.events, self.traffic),
        )
        self._scope = Scope(process)
        for stream in self.streams:
            stream.show_only(self._scope.shows)

    @property
    def subject(self) -> Record | None:
        """The row of the process, if it is listed."""
        return self._record

    def on_mount(self) -> None:
        """Show what is known already, and find out the rest."""
        super().on_mount()
        self.run_worker(self._find_out(), group="explain", exclusive=True)
        self._draw()

    async def _find_out(self) -> None:
        """Ask the box; a recording has told all it knows in its tables."""
        if self._engine.snapshot().source_label != "live":
            return
        try:
            self._explanation = await asyncio.to_thread(self._engine.explain, self.process.pid)
        except BoxscopeError as error:
            self._remark = clean(error.message)
        self._draw()

    def rearrange(self) -> None:
        """Use the room there is then."""
        super().rearrange()
        self.call_after_refresh(self._draw_plugin)

    # Showing.

    def show(self, snapshot: Snapshot) -> None:
        """Take over what is told of the process now."""
        tables, shows = snapshot.tables, self._scope.shows
        rows = [row for row in tables.get("process", ()) if shows(row)]
        captures = [row for row in tables.get("capture_state", ()) if shows(row)]
        plugins = [row for row in tables.get("plugin_state", ()) if shows(row)]
        self._record = rows[-1] if rows else self._record
        self._capture = captures[-1] if captures else self._capture
        self._plugin_record = plugins[-1] if plugins else self._plugin_record
        self.ports.set_rows([port for row in rows for port in port_rows(row, self._capture)])
        self._draw()

    def _draw(self) -> None:
        explanation = None if self._is_another else self._explanation
        content = facts_content(self._record, self._capture, explanation)
        if not content.plain:
            content = Content("no more is known of it than its records")
        if content.plain != str(self._facts.content):
            update_lines(self._facts, content)
        self._draw_plugin()
        told = "its pid means another process now" if self._is_another else self._remark
        remark = f"   {told}" if told else ""
        self.say(Content.assemble((f" {self.process}", "bold"), (remark, "$text-warning")))

    @property
    def _is_another(self) -> bool:
        """Whether the process that has the pid now is not the one that is listed."""
        if self._explanation is None or self._record is None:
            return False
        start = self._record.get("start")
        return isinstance(start, int) and start != self._explanation.facts.identity.start_ticks

    def _draw_plugin(self) -> None:
        if self._plugin_record is None:
            content = Content("it is no plugin")
        else:
            content = figures_content(self._plugin_record, self._plugin.size.width)
        if content.plain != str(self._plugin.content):
            update_lines(self._plugin, content)

    def on_line_view_row_chosen(self, message: LineView.RowChosen) -> None:
        """Everything about a port, which in the panes leads to this very screen."""
        if isinstance(message.row, PortRow):
            message.stop()
            browser = RecordBrowser(self._engine, message.row.record)
            self.app.push_screen(DetailScreen(browser, self._engine))

    # Keys.

    def action_scope(self, tree: bool) -> None:
        """Go to the pane of this part."""
        pane = _PANES[str(self.active.id)]
        part = self.parts.index(self.active) + 1
        self.app.post_message(self.ScopeAsked(self.process, tree=tree, pane=pane, part=part))
        self.dismiss()

    def action_why(self) -> None:
        """Ask why it is selected, or is not."""
        self._ask("why")

    def action_attach(self) -> None:
        """Ask for its traffic to be captured, or no longer."""
        self._ask("attach")

    def _ask(self, verb: ProcessVerb) -> None:
        ask(self, ProcessAsked(verb, self.process.pid))
