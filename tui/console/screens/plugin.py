"""Everything about one plugin, live: figures, throughput, stderr, faults and records.

Of a module, in place of throughput and faults: the steps of its life, and what the kernel tells.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import ClassVar

from textual.binding import BindingType
from textual.containers import VerticalScroll
from textual.content import Content
from textual.widgets import Static

from engine.core.fields import JsonValue
from engine.core.kinds import KERNEL_EVENT
from engine.core.records import Record
from engine.core.sanitise import clean
from engine.core.snapshot import Snapshot
from tui.console.figures import FigureId
from tui.console.history import History
from tui.console.keys import PLUGIN_KEYS, STREAM_KEYS
from tui.console.opening import ask
from tui.console.plugin_text import figures_content, headline, stderr_lines
from tui.console.plugins import PluginAsked, Verb
from tui.console.screens.parts import Part, update_lines
from tui.console.screens.streaming import StreamingScreen
from tui.console.widgets.frames import record_stream
from tui.console.widgets.graph import Graph
from tui.console.widgets.plugin_streams import deed_stream, fault_stream, life_stream
from tui.console.widgets.stream import StreamView
from tui.console.wording import is_module

GRAPH_S = 300
"""Samples that the graphs of throughput show; one is taken a second."""


def _those_of(name: JsonValue, kind: str) -> Callable[[Record], bool]:
    """Which records of a kind are a plugin's."""
    field = "module" if kind == KERNEL_EVENT.name else "plugin"
    return lambda record: record.get(field) == name


class PluginScreen(StreamingScreen):
    """One plugin; goes on showing what was last known when it is unloaded."""

    BINDINGS: ClassVar[list[BindingType]] = [
        *(binding for binding in PLUGIN_KEYS if not binding.action.startswith("load_")),
        *STREAM_KEYS,
    ]

    def __init__(self, record: Record, history: History) -> None:
        self.record = record
        self._history = history
        self._gone = False
        self._now_ns = record.ts_ns
        self._figures = Static()
        self._figures_width = 0
        self._stderr = Static()
        self._stderr_frame = VerticalScroll(self._stderr)
        self._graphs = (Graph("records", "/s"), Graph("bytes", "B/s"))
        name = record.get("plugin")
        shown = clean(str(name))
        self.records = record_stream("records", with_plugin=False)
        self.records.say_when_empty(f"no records of {shown} yet")
        state = Part("State", VerticalScroll(self._figures), part_id="state")
        stderr = Part("stderr", self._stderr_frame, part_id="stderr")
        records = Part("Records", self.records, part_id="record-part")
        if is_module(record):
            self.life, self.deeds = life_stream("life"), deed_stream("deeds")
            streams: tuple[StreamView, ...] = (self.life, self.deeds, self.records)
            self.life.say_when_empty(f"nothing has become of {shown} yet")
            self.deeds.say_when_empty(f"the kernel has told nothing of {shown} yet")
            life = Part("Life", self.life, part_id="life-part")
            deeds = Part("What it did", self.deeds, part_id="deed-part")
            parts = (state, life, stderr, deeds, records)
        else:
            self.faults = fault_stream("faults")
            self.faults.say_when_empty(f"nothing {shown} sent was no record")
            streams = (self.faults, self.records)
            throughput = Part("Throughput", *self._graphs, part_id="throughput")
            faults = Part("Faults", self.faults, part_id="fault-part")
            parts = (state, throughput, stderr, faults, records)
        super().__init__(parts, streams)
        for stream in self.streams:
            stream.show_only(_those_of(name, stream.kind))

    @property
    def subject(self) -> Record:
        """What the screen is about."""
        return self.record

    def on_mount(self) -> None:
        """Show what is known already."""
        super().on_mount()
        self._draw()

    def rearrange(self) -> None:
        """Use the room there is then."""
        super().rearrange()
        self.call_after_refresh(self._draw_figures)

    # Showing.

    def show(self, snapshot: Snapshot) -> None:
        """Take over the plugin's present state."""
        rows = snapshot.tables.get("plugin_state", ())
        row = next((row for row in rows if row.key() == self.record.key()), None)
        self._gone = row is None
        self._now_ns = snapshot.wall_ns
        if row is not None:
            self.record = row
        self._draw()

    def _draw(self) -> None:
        record = self.record
        self.say(headline(record, None if self._gone else self._now_ns))
        self._draw_figures(changed=True)
        self._draw_stderr(stderr_lines(record))
        subject = clean(str(record.get("plugin")))
        for graph, name in zip(self._graphs, ("records", "bytes"), strict=True):
            graph.show(self._history.series(FigureId("plugin", subject, name)).last(GRAPH_S))

    def _draw_figures(self, *, changed: bool = False) -> None:
        """Fit the figures to the width they have got."""
        width = self._figures.size.width
        if changed or width != self._figures_width:
            self._figures_width = width
            update_lines(self._figures, figures_content(self.record, width))

    def _draw_stderr(self, lines: Sequence[str]) -> None:
        """Show the lines; who looks at the last one goes on looking at the last one."""
        at_end = self._stderr_frame.is_vertical_scroll_end
        content = Content("\n").join(map(Content, lines or ["nothing on stderr"]))
        if content.plain == str(self._stderr.content):
            return
        self._stderr.update(content)
        if at_end:
            self._stderr_frame.scroll_end(animate=False)

    # Keys.

    def action_judge_module(self) -> None:
        """Ask what is known of the module's file."""
        self._ask("judge")

    def action_call_module(self) -> None:
        """Ask for a method of the module to be called."""
        self._ask("call_module")

    def action_send_task(self) -> None:
        """Ask for a task for the plugin."""
        self._ask("send_task")

    def action_restart_plugin(self) -> None:
        """Ask for the plugin to be started again."""
        self._ask("restart")

    def action_unload_plugin(self) -> None:
        """Ask for the plugin to be stopped."""
        self._ask("unload")

    def _ask(self, verb: Verb) -> None:
        ask(self, PluginAsked(verb, self.record))

    def check_action(self, action: str, parameters: tuple[object, ...]) -> bool | None:
        """What applies now."""
        match action:
            case "send_task" | "restart_plugin" | "unload_plugin":
                return not self._gone
            case "judge_module":
                return is_module(self.record)
            case "call_module":
                return not self._gone and is_module(self.record)
        return super().check_action(action, parameters)
