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
from engine.core.kinds import KERNEL_EVENT, MODULE_EVENT, PLUGIN_FAULT, PLUGIN_STATE
from engine.core.records import Record
from engine.core.sanitise import clean
from engine.core.snapshot import Snapshot
from tui.console.commands import PluginAsked, Verb
from tui.console.figures import FigureId
from tui.console.format import ABSENT, field_lines, uptime, value_text
from tui.console.history import History
from tui.console.keys import PLUGIN_KEYS, STREAM_KEYS
from tui.console.panes.events import event_columns
from tui.console.reader import RecordReader
from tui.console.screens.parts import Part, PartsScreen, update_lines
from tui.console.widgets.columns import cell, record_columns
from tui.console.widgets.frames import record_stream
from tui.console.widgets.graph import Graph
from tui.console.widgets.stream import StreamView
from tui.console.wording import is_module, state_text, state_tone, utc_text

_GROUPS: tuple[tuple[str, tuple[str, ...]], ...] = (
    (
        "Process",
        (
            "state",
            "error",
            "kill_in_s",
            "exit_code",
            "pid",
            "pgid",
            "comm",
            "plugin_kind",
            "version",
            "started",
            "restarts",
        ),
    ),
    ("Sends", ("tx_rate", "tx_speed", "tx_count", "tx_bytes", "dropped", "agent_dropped")),
    ("Tasks", ("last_task", "tasks_waiting", "rx_count", "rx_bytes", "rx_rate", "rx_speed")),
    ("Uses", ("cpu", "rss", "fds", "read_speed", "write_speed", "disk")),
)
_ELSEWHERE = frozenset({"kind", "seq", "ts", "plugin", "stderr", "last_stderr"})
"""Fields that are shown in other parts of the screen."""
_ONLY_IF_KNOWN = frozenset({"error", "kill_in_s", "exit_code"})
_BAD_STEPS = frozenset(
    {"refused", "symbol_missing", "interface_missing", "panicked", "exited", "killed", "garbage"}
)
GRAPH_S = 300
"""Samples that the graphs of throughput show; one is taken a second."""
_NAME_WIDTH = 14
_VALUE_WIDTH = 20
_LEAST_HELP = 12


def figures_content(record: Record, width: int) -> Content:
    """The fields of a plugin in groups, with what they mean as far as the width allows."""
    lines: list[Content] = []
    named = {name for _title, names in _GROUPS for name in names}
    declared = {field.name for field in PLUGIN_STATE.all_fields()}
    others = tuple(sorted(declared - named - _ELSEWHERE))
    for title, names in (*_GROUPS, *((("Other", others),) if others else ())):
        lines.append(Content.styled(title, "bold underline"))
        lines += [
            _figure(record, name, width)
            for name in names
            if name not in _ONLY_IF_KNOWN or record.get(name) not in (None, "")
        ]
    return Content("\n").join(lines)


def _figure(record: Record, name: str, width: int) -> Content:
    field = PLUGIN_STATE.field(name)
    value = record.get(name)
    if name == "started":
        text = utc_text(value) or ABSENT
    else:
        text = value_text(value, field.unit) if field.type == "float" else _exact(value, field.unit)
    text = text.ljust(_VALUE_WIDTH)
    room = width - _NAME_WIDTH - len(text) - 1
    remark = f" {cell(field.help, room)}" if room >= _LEAST_HELP else ""
    return Content.assemble((name.ljust(_NAME_WIDTH), "bold"), text, (remark, "dim italic"))


def _exact(value: JsonValue, unit: str) -> str:
    return field_lines(value, unit)[0]


def stderr_lines(record: Record) -> Sequence[str]:
    """The last lines of stderr, oldest first, fit to be shown."""
    lines = record.get("stderr")
    if isinstance(lines, Sequence) and not isinstance(lines, str) and lines:
        return [clean(str(line)) for line in lines]
    last = record.get("last_stderr")
    return [clean(str(last))] if last else []


def fault_stream(widget_id: str) -> StreamView:
    """The pieces of a plugin's stream that are no records."""
    return StreamView(
        PLUGIN_FAULT.name,
        record_columns(
            PLUGIN_FAULT,
            ["ts", "reason", "length", "bytes", "agent_reading"],
            titles={"ts": "time", "agent_reading": "a real agent"},
            widths={"agent_reading": 20, "bytes": 24, "length": 8},
            tones={"ts": lambda record: "dim", "reason": lambda record: "warn"},
            priorities={"agent_reading": 2, "reason": 1, "length": 2, "bytes": 3},
            flex="agent_reading",
            ample=40,
        ),
        widget_id=widget_id,
    )


def life_stream(widget_id: str) -> StreamView:
    """The steps of a module's life."""
    return StreamView(
        MODULE_EVENT.name,
        record_columns(
            MODULE_EVENT,
            ["ts", "event", "symbol", "text", "frame", "elapsed_us"],
            titles={"ts": "time", "elapsed_us": "took"},
            widths={"event": 19, "symbol": 12, "text": 20, "frame": 20, "elapsed_us": 8},
            tones={
                "ts": lambda record: "dim",
                "event": lambda record: "bad" if record.get("event") in _BAD_STEPS else "",
            },
            priorities={"text": 1, "event": 1, "symbol": 2, "frame": 5, "elapsed_us": 3},
            flex="text",
            ample=40,
        ),
        widget_id=widget_id,
    )


def deed_stream(widget_id: str) -> StreamView:
    """What a module did, as the kernel tells it."""
    return StreamView(KERNEL_EVENT.name, event_columns(), widget_id=widget_id)


def _those_of(name: JsonValue, kind: str) -> Callable[[Record], bool]:
    """Which records of a kind are a plugin's."""
    field = "module" if kind == KERNEL_EVENT.name else "plugin"
    return lambda record: record.get(field) == name


class PluginScreen(PartsScreen):
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
            self.streams: tuple[StreamView, ...] = (self.life, self.deeds, self.records)
            self.life.say_when_empty(f"nothing has become of {shown} yet")
            self.deeds.say_when_empty(f"the kernel has told nothing of {shown} yet")
            life = Part("Life", self.life, part_id="life-part")
            deeds = Part("What it did", self.deeds, part_id="deed-part")
            parts = (state, life, stderr, deeds, records)
        else:
            self.faults = fault_stream("faults")
            self.faults.say_when_empty(f"nothing {shown} sent was no record")
            self.streams = (self.faults, self.records)
            throughput = Part("Throughput", *self._graphs, part_id="throughput")
            faults = Part("Faults", self.faults, part_id="fault-part")
            parts = (state, throughput, stderr, faults, records)
        super().__init__(parts)
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
        self.say(self._headline())
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

    def _headline(self) -> Content:
        record = self.record
        name = clean(str(record.get("plugin")))
        if self._gone:
            gone = "is not on the list any more; this is what was last known"
            return Content.assemble((f" {name} ", "bold"), gone)
        tone = {"good": "$text-success", "warn": "$text-warning", "bad": "$text-error"}
        started, pid = record.get("started"), record.pid
        now_s = self._now_ns // 1_000_000_000
        return Content.assemble(
            (f" {name} ", "bold"),
            (state_text(record), tone.get(state_tone(record), "")),
            f"  pid {pid}" if pid is not None else "",
            f"  up {uptime(max(0, now_s - started))}" if isinstance(started, int) else "",
            f"  {clean(str(record.get('error') or ''))}",
        )

    def pull(self, reader: RecordReader) -> None:
        """Let the streams in view take in what is new."""
        for stream in self.streams:
            if stream.size and stream.region:
                stream.pull(reader)

    # Keys.

    def action_follow(self) -> None:
        """Go to the newest records, faults and steps."""
        for stream in self.streams:
            stream.follow()
        self.refresh_bindings()

    def action_pause(self) -> None:
        """Hold the streams still, or let them go on."""
        paused = not self.records.paused
        for stream in self.streams:
            stream.set_paused(paused)
        self.refresh_bindings()

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
        self.post_message(PluginAsked(verb, self.record))

    def check_action(self, action: str, parameters: tuple[object, ...]) -> bool | None:
        """What applies now."""
        match action:
            case "follow":
                return not all(stream.moving for stream in self.streams)
            case "send_task" | "restart_plugin" | "unload_plugin":
                return not self._gone
            case "judge_module":
                return is_module(self.record)
            case "call_module":
                return not self._gone and is_module(self.record)
        return super().check_action(action, parameters)
