"""Charts, the doctor and what takes long: the actions about them, and what the palette offers."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from functools import partial

from textual.screen import Screen

from engine.core.errors import BoxscopeError
from engine.core.progress import TaskFacts, progress_text
from engine.core.sanitise import clean
from tui.console import screens
from tui.console.figures import ALL, FigureId, declared
from tui.console.opening import run_opening
from tui.console.palette import Command, PaletteActions
from tui.console.panes.base import Pane
from tui.console.panes.traffic import TrafficPane
from tui.console.scope_actions import ScopeActions
from tui.console.screens.main import MainScreen
from tui.console.trends import TRENDS


class ChartActions(ScopeActions, PaletteActions):
    """The part of the application that is about figures, the doctor and tasks."""

    def commands_of(self, screen: Screen[object]) -> Iterator[Command]:
        """Everything that can be done on a screen, every figure and what can be ended included."""
        yield from super().commands_of(screen)
        for figure in self.main.history.figures:
            draw = partial(self.show_chart, figure)
            yield Command(f"Chart {figure}", declared(figure).help, draw)
        for task in self.engine.progress():
            if task.cancellable and not task.cancelled:
                end = partial(self.cancel_task, task)
                yield Command(f"Cancel {task.name}", progress_text(task), end, at_once=True)

    # Charts.

    async def action_chart(self) -> None:
        """Draw what one most likely wants to see drawn, seen from where one is."""
        plugin = self.screen.record if isinstance(self.screen, screens.PluginScreen) else None
        if plugin is not None:
            await self.show_chart(FigureId("plugin", clean(str(plugin.get("plugin"))), "records"))
        else:
            await self.show_chart(figure_in_view(self.main))

    async def show_chart(self, figure: FigureId) -> None:
        """Draw a figure, on the screen of charts if that is open."""
        if isinstance(self.screen, screens.ChartScreen):
            self.screen.draw(figure)
        else:
            await self.cover(screens.ChartScreen(self.main.history, figure))

    # The doctor.

    async def action_doctor(self) -> None:
        """Open the doctor at what keeps the active pane from running, if something does."""
        live = self.engine.playhead is None  # what a recorded box lacked is not looked for here
        sources, reason = troubles(self.main.active) if live else ((), "")
        await self.cover(screens.DoctorScreen(self.engine.tasks, sources, reason))

    # The engine itself.

    async def action_log(self) -> None:
        """Open what the engine tells about itself."""
        await self.cover(screens.LogScreen())

    # What takes long.

    @property
    def cancellable(self) -> TaskFacts | None:
        """The oldest task that is shown and can be ended."""
        tasks = (task for task in self.engine.progress() if task.is_long)
        return next((task for task in tasks if task.cancellable and not task.cancelled), None)

    def action_cancel_task(self) -> None:
        """Ask whether the oldest task that can be ended is to be."""
        task = self.cancellable
        if task is not None:
            run_opening(self, self._ask_to_cancel(task), group="dialogs", name="cancel a task")

    async def _ask_to_cancel(self, task: TaskFacts) -> None:
        dialog = screens.ConfirmDialog(
            f"Cancel {task.name}?",
            "What it was to make is not made. It can be started again.",
            accept="Cancel it",
            cancel="Let it go on",
        )
        if await self.push_screen_wait(dialog):
            await self.cancel_task(task)

    async def cancel_task(self, task: TaskFacts) -> None:
        """Have the engine end a task."""
        try:
            await asyncio.to_thread(self.engine.cancel_task, task.number)
        except BoxscopeError as error:
            self.complain(error)


def figure_in_view(main: MainScreen) -> FigureId:
    """The figure of what is selected in the active pane, else of the pane."""
    if main.active is main.plugins and (plugin := main.plugins.selected) is not None:
        return FigureId("plugin", clean(str(plugin.get("plugin"))), "records")
    if main.active is main.events and (key := main.events.matrix.cursor.key) is not None:
        figure = FigureId("subscription", clean(":".join(key)), "events")
        if figure in main.history.figures:
            return figure
    if isinstance(main.active, TrafficPane):
        return FigureId("service", ALL, "latency p95")
    return TRENDS[main.active.number][0].figure


def troubles(pane: Pane) -> tuple[tuple[str, ...], str]:
    """The sources of a pane that do not run as they should, and what they say."""
    statuses = [status for status in pane.statuses if status.state in ("failed", "degraded")]
    return tuple(status.name for status in statuses), "; ".join(each.reason for each in statuses)
