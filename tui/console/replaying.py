"""Going about in a replay from the console: hold, speed, step, seek, the next problem."""

from __future__ import annotations

import asyncio
from collections.abc import Callable

from textual.app import App

from engine.engine import Engine
from engine.recording.playhead import FASTEST, SLOWEST, Playhead
from tui.console import screens
from tui.console.commanding import Commands

_SPEEDS = (SLOWEST, 0.1, 0.25, 0.5, 1.0, 2.0, 5.0, 10.0, 30.0, 100.0, FASTEST)


class ReplayCommands(Commands):
    """Moves the playhead of a replay.

    Args:
        app: As `Commands`.
        engine: The replay.
        playhead: Where it is.
        changed: Called when it is elsewhere.
    """

    def __init__(
        self, app: App[None], engine: Engine, playhead: Playhead, changed: Callable[[], None]
    ) -> None:
        super().__init__(app, engine, changed)
        self._playhead = playhead

    @property
    def busy(self) -> bool:
        """Whether something is looked up that the console would have to wait for."""
        return bool(self._engine.progress())

    def hold_or_go_on(self) -> None:
        """Stand still, or go on."""
        if self._playhead.held:
            self._playhead.go_on()
        else:
            self._playhead.hold()
        self._changed()

    def change_speed(self, step: int) -> None:
        """Go at the next higher or lower speed."""
        now = self._playhead.speed
        others = [speed for speed in _SPEEDS if (speed - now) * step > 0]
        if others:
            self._playhead.set_speed(min(others, key=lambda speed: abs(speed - now)))
        self._changed()

    async def step(self) -> None:
        """Stand still on the next record."""
        await asyncio.to_thread(self._engine.step)
        self._changed()

    async def seek(self) -> None:
        """Ask for a moment and go there; waits for a dialog, so it is for a worker."""
        dialog = screens.SeekDialog(self._playhead.facts(), self._engine.go_to)
        if await self._app.push_screen_wait(dialog) is not None:
            self._changed()

    async def next_problem(self) -> None:
        """Stand still on the next loss or error, and say what it is."""
        found = await asyncio.to_thread(self._engine.next_problem)
        self._report(found or "no loss and no error from here on")
