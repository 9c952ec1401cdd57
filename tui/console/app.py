"""The console application: keys, timers and commands; everything else is delegated."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from functools import partial
from typing import ClassVar

from rich.console import RenderableType
from textual import events
from textual.binding import BindingType
from textual.screen import Screen

from engine.core.errors import BoxscopeError
from engine.core.records import Record
from engine.core.sanitise import clean
from engine.core.snapshot import Snapshot
from engine.engine import Engine
from tui.console import screens
from tui.console.asking import Questions
from tui.console.charting import ChartActions
from tui.console.commands import PluginAsked, PluginCommands
from tui.console.engine_life import EngineLife
from tui.console.keys import (
    KEYS,
    LEAVE_KEYS,
    PALETTE_KEYS,
    RECORDING_KEYS,
    REPLAY_KEYS,
    SECTIONS,
    SUBJECT_KEYS,
    WORKSPACE_KEYS,
)
from tui.console.links import Link
from tui.console.options import ConsoleOptions
from tui.console.panes.plugins import PluginRow
from tui.console.panes.ports import PortRow
from tui.console.past import Past
from tui.console.presets import preset_choices
from tui.console.processes import ProcessAsked, ProcessCommands
from tui.console.reasons import Gap
from tui.console.recording import RecordingCommands
from tui.console.replaying import ReplayCommands
from tui.console.scope import Process
from tui.console.scoping import Scoping
from tui.console.screens.main import MainScreen
from tui.console.screens.parts import PartsScreen
from tui.console.subject_actions import SubjectActions
from tui.console.suspension import Suspension
from tui.console.troubles import Troubles
from tui.console.wasm import WasmAsked, WasmCommands
from tui.console.widgets.entry import Typed
from tui.console.widgets.lines import LineView
from tui.console.widgets.matrix import MatrixView
from tui.console.widgets.stream import StreamView
from tui.console.widgets.stream_rows import Skipped
from tui.console.widgets.switches import CellKey
from tui.console.widgets.table import TableView

PROGRESS_EVERY_S = 0.25
STEPS_EVERY_S = 0.04
"""Time between two looks at whether a module has done something."""
LOOKS_AFTER_STEP = 2
AFTER_COMMAND_S = (0.01, 0.02, 0.035, 0.055, 0.08)
"""When to look at the streams after a command, so that its effect is seen at once."""
CONFIRM_AFTER_S = 0.1
"""When to look at the tables then; drawing them first would hold up the streams."""


class ConsoleApp(ChartActions, SubjectActions):
    """Four live panes over an engine, which starts after the first paint and stops on exit."""

    TITLE = "boxscope"
    CSS_PATH = ["screens/main.tcss", "panes/panes.tcss", "widgets/widgets.tcss"]  # noqa: RUF012
    BINDINGS: ClassVar[list[BindingType]] = [
        *KEYS,
        *RECORDING_KEYS,
        *REPLAY_KEYS,
        *WORKSPACE_KEYS,
        *LEAVE_KEYS,
        *PALETTE_KEYS,
        *SUBJECT_KEYS,
    ]
    HORIZONTAL_BREAKPOINTS = [(0, "-narrow"), (150, "-wide")]  # noqa: RUF012
    VERTICAL_BREAKPOINTS = [(0, "-short"), (15, "-tall")]  # noqa: RUF012

    def __init__(self, engine: Engine, options: ConsoleOptions | None = None) -> None:
        super().__init__()
        self.take_options(options or ConsoleOptions())
        self.animation_level = "none"
        self.engine = engine
        self.main = MainScreen()
        self.arrange_workspace()
        self._life = EngineLife(engine)
        self._commands = asyncio.Lock()
        self._timing = False
        self._steps = self._steps_looks = 0
        self.scoping = Scoping(engine, self.main, self._commands, self.complain)
        self.past = Past(engine, self.main.history)
        self._plugins = PluginCommands(self, engine, self.look_at_tables)
        self._processes = ProcessCommands(self, engine, self.look_at_tables, self.workspace.ports)
        self._wasm = WasmCommands(self, engine, self.look_at_tables, self._show_runs)
        self._recording = RecordingCommands(self, engine, self.look_at_tables)
        self._questions = Questions(engine)
        self._troubles = Troubles([name for pane in self.main.panes for name in pane.sources])
        playhead = engine.playhead
        self._replay = ReplayCommands(self, engine, playhead, self.look) if playhead else None

    @property
    def is_live(self) -> bool:
        """Whether there is a box to act on, and not a recording."""
        return self._replay is None

    @property
    def ports(self) -> str | None:
        """The ports that were asked for; None if nobody did."""
        return self._processes.ports

    def get_default_screen(self) -> Screen[None]:
        """The four panes."""
        return self.main

    # Life.

    def on_mount(self) -> None:
        """Show what there is, then start the engine without holding up the first paint."""
        if self._driver is not None and self._driver.can_suspend:
            self._suspension = Suspension(self._driver, partial(self.refresh, layout=True))
        self.look_at_tables()
        self.set_interval(1 / self.options.table_redraws, self.look_at_tables)
        self.set_interval(1 / self.options.stream_redraws, self.look_at_streams)
        self.set_interval(STEPS_EVERY_S, self.look_after_step)
        self.set_interval(PROGRESS_EVERY_S, self.look_at_progress)
        self.call_after_refresh(self._start_engine)

    def _start_engine(self) -> None:
        self.run_worker(self._start_and_look(), group="engine", name="start the engine")

    async def _start_and_look(self) -> None:
        with self.engine.tasks.begin("starting"):
            await asyncio.to_thread(self._life.start)
        self.look_at_tables()
        await self.load_workspace()
        await asyncio.to_thread(screens.import_all)

    def exit(
        self, result: None = None, return_code: int = 0, message: RenderableType | None = None
    ) -> None:
        """Leave; the engine stops while the terminal is being restored."""
        self._life.stop_soon()
        super().exit(result, return_code, message)

    async def on_unmount(self) -> None:
        """Wait for the engine to have stopped."""
        await asyncio.to_thread(self.stop_engine)

    def stop_engine(self) -> None:
        """Stop the engine if it is not stopped yet; waits until it is."""
        self._life.stop()

    async def on_key(self, event: events.Key) -> None:
        """A character for who types now, be it from while that line was being opened."""
        if isinstance(self.focused, Typed) and await self.focused.take_up(event):
            event.prevent_default()

    # Looking.

    def look_at_tables(self) -> None:
        """Take a snapshot and show it."""
        if self._engine_is_away:
            return
        if self.scoping.has_to_keep_up:
            self.run_worker(self.scoping.keep_up(), group="tree", name="look at the tree")
        snapshot = self._snapshot()
        overlays = self._overlays
        if overlays:
            self.main.remember(snapshot)
            overlays[-1].show(snapshot)
        else:
            self.main.show(snapshot)
        self.note_selection()

    def _snapshot(self) -> Snapshot:
        """How the engine is now, and noted in the history of its figures."""
        snapshot = self.engine.snapshot()
        for trouble in self._troubles.news(snapshot):
            self.notify(trouble, severity="warning", markup=False)
        if self.past.wants_records(snapshot):
            self._carry_out(self.past.catch_up(snapshot), "the past")
        else:
            self.past.look(snapshot)
        return snapshot

    def look_at_streams(self) -> None:
        """Let the streams take in what is new."""
        if self._engine_is_away:
            return
        overlays = self._overlays
        if overlays:
            overlays[-1].pull(self.engine)
            overlays[-1].count_filtered()
        else:
            self.main.pull(self.engine)
        self.note_selection()

    @property
    def _engine_is_away(self) -> bool:
        """Whether whoever asks the engine now would have to wait, and the screen with him."""
        return self._replay is not None and self._replay.busy

    def look_at_progress(self) -> None:
        """Tell what takes long."""
        header = self.main.header
        if header.show_tasks(self.engine.progress()):
            self.refresh_bindings()
        for overlay in self._overlays[-1:]:
            overlay.show_progress(header.progress)

    def look_after_step(self) -> None:
        """Look at the streams soon after a module has done something, and not only in turn.

        What it does shows in the kernel events some 30 ms after the step that led to it.
        """
        if self._engine_is_away:
            return
        steps = self.engine.last_seq("module_event")
        if steps != self._steps:
            self._steps, self._steps_looks = steps, LOOKS_AFTER_STEP
        if self._steps_looks:
            self._steps_looks -= 1
            self.look_at_streams()

    @property
    def _overlays(self) -> list[PartsScreen]:
        """The screens that cover the panes, the one in view last."""
        return [screen for screen in self.screen_stack if isinstance(screen, PartsScreen)]

    def look(self, _result: None = None) -> None:
        """Look at everything at once; what is in view has changed."""
        self.look_at_tables()
        self.look_at_streams()

    # Commands.

    def on_matrix_view_toggled(self, message: MatrixView.Toggled) -> None:
        """Pass a turned switch on to the engine."""
        self.switch(message.keys, message.wanted)

    def switch(self, keys: Sequence[CellKey], wanted: bool) -> None:
        """Turn subscriptions on or off."""
        run = self._tell_engine(keys, lambda: self.engine.switch(keys, wanted))
        self.run_worker(run, group="commands", name="switch a subscription")

    async def _tell_engine(self, keys: Sequence[CellKey], command: Callable[[], None]) -> None:
        """Have the engine change subscriptions, one command after the other, and look at it."""
        async with self._commands:
            try:
                await asyncio.to_thread(command)
            except BoxscopeError as error:
                self.complain(error)
        for delay in AFTER_COMMAND_S:
            self.set_timer(delay, self.look_at_streams)
        self.set_timer(CONFIRM_AFTER_S, partial(self._confirm, keys))

    def _confirm(self, keys: Sequence[CellKey]) -> None:
        """Show the engine's own picture of some cells again."""
        self.main.events.settle(keys)
        self.look_at_tables()

    async def on_matrix_view_presets_asked(self) -> None:
        """Let somebody choose a preset."""
        choices = await asyncio.to_thread(preset_choices, self.main.events.matrix.switches)
        self.push_screen(screens.PresetScreen(choices), self._apply_preset)

    def _apply_preset(self, chosen: tuple[str, bool] | None) -> None:
        if chosen is not None:
            name, wanted = chosen
            self.switch([(name, "")], wanted)

    def on_matrix_view_cost_asked(self) -> None:
        """Have the kernel time the probe's programs, or no longer."""
        wanted = not self._timing

        def command() -> None:
            self.engine.time_programs(wanted)
            self._timing = wanted

        self.run_worker(self._tell_engine((), command), group="commands", name="time programs")

    # Streams.

    def on_stream_view_time_asked(self, message: StreamView.TimeAsked) -> None:
        """Let somebody choose a time and go there."""
        self.run_worker(self._go_to_time(message.view), group="dialogs", name="go to a time")

    async def _go_to_time(self, view: StreamView) -> None:
        ts_ns = await self.push_screen_wait(
            screens.GoToDialog(lambda: self.engine.snapshot().wall_ns)
        )
        if ts_ns is not None and (told := view.go_to_time(self.engine, ts_ns)):
            self.notify(told, markup=False)

    def on_stream_view_came_into_view(self) -> None:
        """Do not leave a stream empty until the next tick."""
        self.look_at_streams()

    def on_plugin_asked(self, message: PluginAsked) -> None:
        """Carry out what somebody wants done to a plugin."""
        self._carry_out(self._plugins.carry_out(message), "plugins")

    def on_process_asked(self, message: ProcessAsked) -> None:
        """Carry out what somebody wants to know or done about processes."""
        self._carry_out(self._processes.carry_out(message), "processes")

    def on_wasm_asked(self, message: WasmAsked) -> None:
        """Carry out what somebody wants done to a Wasm plugin."""
        self._carry_out(self._wasm.carry_out(message), "wasm")

    def _carry_out(self, wish: Awaitable[None], group: str) -> None:
        async def attempt() -> None:
            try:
                await wish
            except BoxscopeError as error:
                self.complain(error)

        self.run_worker(attempt(), group=group, name=f"carry out what is asked of {group}")

    def complain(self, error: BoxscopeError) -> None:
        """Tell that a command failed, and what to do."""
        text = clean(error.message) + (f"\n{clean(error.fix)}" if error.fix else "")
        self.notify(text, title="refused", severity="error", markup=False)

    async def on_line_view_row_chosen(self, message: LineView.RowChosen) -> None:
        """Open what there is to know about a row."""
        view = message.view
        match message.row:
            case PluginRow(record=record):
                await self._open_record(record, view)
            case PortRow(record=record) if record.pid is not None:
                await self._open_process(Process(record.pid, record.comm or ""))
            case PortRow(record=record):
                await self._open_detail(record, view)
            case Link(target=Process() as process):
                await self._open_process(process)
            case Link(target=Record() as record):
                await self._open_record(record, None)
            case Record() as record:
                await self._open_record(record, view)
            case Skipped() as skipped if isinstance(view, StreamView):
                chosen = bool(view.filter or view.scope)
                gap = Gap(view.kind, skipped.seq, skipped.number, skipped.missed, chosen)
                await self.cover(screens.GapScreen(gap, self.engine.snapshot()))

    async def _open_record(self, record: Record, view: object) -> None:
        """Open the screen about a record of its kind; for most that is the detail."""
        match record.kind:
            case "plugin_state":
                await self.cover(screens.PluginScreen(record, self.main.history))
            case "plugin_record" | "plugin_fault":
                await self.cover(screens.RecordScreen(self.browser_of(record, view)))
            case "l7_message":
                await self.cover(screens.MessageScreen(self.browser_of(record, view), self.engine))
            case "wasm_result":
                await self.cover(screens.CallScreen(self.browser_of(record, view), self.engine))
            case "wasm_plugin":
                await self.cover(screens.WasmScreen(record, self.engine))
            case _:
                await self._open_detail(record, view)

    async def _open_process(self, process: Process) -> None:
        await self.cover(screens.ProcessScreen(process, self.engine))

    async def _open_detail(self, record: Record, view: object) -> None:
        await self.cover(screens.DetailScreen(self.browser_of(record, view), self.engine))

    async def cover(self, screen: PartsScreen) -> None:
        """Put a screen over the panes."""
        await self.push_screen(screen, self.look)
        self.look()

    def _show_runs(self, call: Record) -> None:
        """Show the repetitions of a call, one of which has just been made."""
        top = self._overlays[-1] if self._overlays else None
        if isinstance(top, screens.CallScreen) and top.call.seq == call.seq:
            top.show_runs()
        else:
            screen = screens.CallScreen(self.browser_of(call, None), self.engine, runs=True)
            self.push_screen(screen, self.look)

    # Keys.

    def action_zoom(self, number: int) -> None:
        """Show one pane alone."""
        self.main.zoom(number)

    def action_overview(self) -> None:
        """Show all panes."""
        self.main.overview()

    def action_next_pane(self, step: int) -> None:
        """Go to another pane."""
        self.main.go(self.main.active.number + step)

    def action_other_part(self) -> None:
        """Go to the other half of the pane."""
        self.main.active.focus_part(1)

    def action_switch_cell(self) -> None:
        """Turn the switch under the matrix cursor."""
        self.main.events.matrix.action_switch()

    def action_pause(self) -> None:
        """Hold the active pane still, or let it go on; in a replay, all of it."""
        if self._replay is not None:
            self._replay.hold_or_go_on()
            return
        pane = self.main.active
        pane.set_paused(not pane.paused)
        self.refresh_bindings()

    def action_follow(self) -> None:
        """Go to the newest records of the active pane."""
        self.main.active.follow()
        self.look_at_streams()
        self.refresh_bindings()

    def action_sort(self) -> None:
        """Sort the focused table by the next column."""
        if isinstance(self.focused, TableView):
            self.focused.action_sort()

    def action_reverse(self) -> None:
        """Turn the order of the focused table round."""
        if isinstance(self.focused, TableView):
            self.focused.action_reverse()

    def action_record(self) -> None:
        """Begin a recording, or end it."""
        self._carry_out(self._recording.toggle(), "recording")

    def action_dump(self) -> None:
        """Write out what the engine remembers."""
        self._carry_out(self._recording.dump(), "recording")

    async def action_query(self) -> None:
        """Open the screen for questions."""
        await self.cover(self._questions.screen())

    def action_speed(self, step: int) -> None:
        """Replay faster or more slowly."""
        if self._replay is not None:
            self._replay.change_speed(step)

    def action_step(self) -> None:
        """Go to the next record of a replay."""
        if self._replay is not None:
            self._carry_out(self._replay.step(), "replay")

    def action_seek(self) -> None:
        """Go to a moment of a replay."""
        if self._replay is not None:
            self._carry_out(self._replay.seek(), "replay")

    def action_next_problem(self) -> None:
        """Go to the next loss or error of a replay."""
        if self._replay is not None:
            self._carry_out(self._replay.next_problem(), "replay")

    def action_help(self) -> None:
        """Open the help."""
        here = {
            active.binding.id
            for active in self.screen.active_bindings.values()
            if active.node is not self
        }
        self.push_screen(screens.HelpScreen(SECTIONS, self.keymap, here))

    def check_action(self, action: str, parameters: tuple[object, ...]) -> bool | None:
        """What applies now; the footer and the palette show nothing else."""
        match action:
            case "switch_cell":
                return self.main.active is self.main.events
            case "scope" | "scope_tree":
                return self.main.scope is not None or self.selected_process is not None
            case "process":
                return self.selected_process is not None
            case "step_back":
                return self.main.scope is not None or (self.main.zoomed and not self.main.small)
            case "reverse":
                return isinstance(self.focused, TableView) and bool(self.focused.sort_name())
            case "follow":
                return bool(self.main.active.streams) and not self.main.active.moving
            case "fields" | "copy":
                return self.subject is not None
            case "export":
                return self.subject is not None or isinstance(self.focused, LineView)
            case "sort":
                return isinstance(self.focused, TableView)
            case "other_part":
                return len(self.main.active.parts) > 1
            case "cancel_task":
                return self.cancellable is not None
            case "record" | "dump":
                return self._replay is None
            case "speed" | "step" | "seek" | "next_problem":
                return self._replay is not None
            case "overview":
                return self.main.zoomed and not self.main.small
        return True
