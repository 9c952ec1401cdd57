"""The console application: its parts put together, its life, its keys and when they apply."""

from __future__ import annotations

import asyncio
from functools import partial
from typing import ClassVar

from rich.console import RenderableType
from textual.binding import BindingType
from textual.screen import Screen

from engine.engine import Engine
from tui.console import screens
from tui.console.asking import Questions
from tui.console.charting import ChartActions
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
from tui.console.notices import Notices
from tui.console.opening import Openings
from tui.console.options import ConsoleOptions
from tui.console.past import Past
from tui.console.plugins import PluginAsked, PluginCommands
from tui.console.processes import ProcessAsked, ProcessCommands
from tui.console.recording import RecordingCommands
from tui.console.replay_actions import ReplayActions
from tui.console.replaying import ReplayCommands
from tui.console.row_actions import RowActions
from tui.console.scoping import Scoping
from tui.console.screens.main import MainScreen
from tui.console.suspension import Suspension
from tui.console.troubles import Troubles
from tui.console.wasm import WasmAsked, WasmCommands
from tui.console.widgets.lines import LineView
from tui.console.widgets.table import TableView


class ConsoleApp(Notices, Openings, ChartActions, RowActions, ReplayActions):
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
        self.commands = asyncio.Lock()
        self.scoping = Scoping(engine, self.main, self.commands, self.complain)
        self.past = Past(engine, self.main.history)
        self._plugins = PluginCommands(self, engine, self.look_at_tables)
        self._processes = ProcessCommands(self, engine, self.look_at_tables, self.workspace.ports)
        self._wasm = WasmCommands(self, engine, self.look_at_tables, self.show_runs)
        self._recording = RecordingCommands(self, engine, self.look_at_tables)
        self._questions = Questions(engine)
        self.troubles = Troubles([name for pane in self.main.panes for name in pane.sources])
        playhead = engine.playhead
        self.replay = ReplayCommands(self, engine, playhead, self.look) if playhead else None

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
        self.watch_screens()
        self.begin_looking()
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

    # Commands.

    def on_plugin_asked(self, message: PluginAsked) -> None:
        """Carry out what somebody wants done to a plugin."""
        self.carry_out(self._plugins.carry_out(message), "plugins", opens=message.opens)

    def on_process_asked(self, message: ProcessAsked) -> None:
        """Carry out what somebody wants to know or done about processes."""
        self.carry_out(self._processes.carry_out(message), "processes", opens=message.opens)

    def on_wasm_asked(self, message: WasmAsked) -> None:
        """Carry out what somebody wants done to a Wasm plugin."""
        self.carry_out(self._wasm.carry_out(message), "wasm", opens=message.opens)

    # Keys.

    def action_record(self) -> None:
        """Begin a recording, or end it."""
        self.carry_out(self._recording.toggle(), "recording", opens=True)

    def action_dump(self) -> None:
        """Write out what the engine remembers."""
        self.carry_out(self._recording.dump(), "recording", opens=True)

    async def action_query(self) -> None:
        """Open the screen for questions."""
        await self.cover(self._questions.screen())

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
                return self.replay is None
            case "speed" | "step" | "seek" | "next_problem":
                return self.replay is not None
            case "overview":
                return self.main.zoomed and not self.main.small
        return True
