"""What one can have done about processes from the console: say why, look for other ports."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Literal

from textual.app import App
from textual.message import Message

from engine.core.errors import UsageError
from engine.core.sanitise import clean
from engine.engine import Engine
from tui.console.screens.ports import PortsDialog
from tui.console.screens.why import WhyDialog, WhyScreen

ProcessVerb = Literal["why", "why_other", "edit_ports"]


class ProcessAsked(Message):
    """Somebody wants to know something about a process, or to look for others."""

    def __init__(self, verb: ProcessVerb, pid: int | None = None) -> None:
        super().__init__()
        self.verb = verb
        self.pid = pid
        """None where no process is selected."""


class ProcessCommands:
    """Carries the wishes out.

    Args:
        app: Shows the screens and the reports.
        engine: Explains, off the UI's thread.
        changed: Called when the engine has done something.
    """

    def __init__(self, app: App[None], engine: Engine, changed: Callable[[], None]) -> None:
        self._app = app
        self._engine = engine
        self._changed = changed
        self._last_ports = ""

    async def carry_out(self, asked: ProcessAsked) -> None:
        """Do what was asked for; waits for dialogs, so it is for a worker.

        Raises:
            BoxscopeError: it was refused.
        """
        match asked.verb:
            case "why":
                await self._why(asked.pid)
            case "why_other":
                found = await self._app.push_screen_wait(WhyDialog(self._engine, asked.pid))
                if found is not None:
                    await self._app.push_screen(WhyScreen(found))
            case "edit_ports":
                await self._edit_ports()

    async def _why(self, pid: int | None) -> None:
        if pid is None:
            raise UsageError(
                "no process is selected",
                fix="choose one with the arrow keys first, or press W to name one",
            )
        explanation = await asyncio.to_thread(self._engine.explain, pid)
        await self._app.push_screen(WhyScreen(explanation))

    async def _edit_ports(self) -> None:
        dialog = PortsDialog(self._engine, self._last_ports)
        ports = await self._app.push_screen_wait(dialog)
        if ports is not None:
            self._last_ports = ports
            self._app.notify(f"looking for {clean(ports).strip() or 'any port'}", markup=False)
            self._changed()
