"""What one can have done about processes from the console: say why, capture their traffic, look
for other ports."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import TYPE_CHECKING, Literal

from textual.app import App
from textual.message import Message

from engine.core.errors import UsageError
from engine.core.sanitise import clean
from engine.engine import Engine
from tui.console import screens
from tui.console.commanding import Commands
from tui.console.keymap import with_keys

if TYPE_CHECKING:
    from engine.discovery.explain import Explanation

ProcessVerb = Literal["why", "why_other", "edit_ports", "attach"]


class ProcessAsked(Message):
    """Somebody wants to know something about a process, or to look for others."""

    def __init__(self, verb: ProcessVerb, pid: int | None = None, port: int | None = None) -> None:
        super().__init__()
        self.verb = verb
        self.pid = pid
        """None where no process is selected."""
        self.port = port
        """The port that is selected, which without a pid belongs to nobody one can see."""

    @property
    def opens(self) -> bool:
        """Whether that leads to a dialog or a screen."""
        return self.verb != "attach"


class ProcessCommands(Commands):
    """Carries out what somebody wants to know or done about processes.

    Args:
        app: As `Commands`.
        engine: As `Commands`.
        changed: As `Commands`.
        ports: The ports that were asked for before; None if nobody did.
    """

    def __init__(
        self,
        app: App[None],
        engine: Engine,
        changed: Callable[[], None],
        ports: str | None = None,
    ) -> None:
        super().__init__(app, engine, changed)
        self.ports = ports
        """The ports that were asked for last; None if nobody did."""

    async def carry_out(self, asked: ProcessAsked) -> None:
        """Do what was asked for; waits for dialogs, so it is for a worker.

        Raises:
            BoxscopeError: it was refused.
        """
        match asked.verb:
            case "why":
                await self._why(
                    _pid_of(
                        asked, with_keys(self._app, ", or press {process.why_other} to name one")
                    )
                )
            case "attach":
                await self._turn_capture(_pid_of(asked))
            case "why_other":
                found = await self._app.push_screen_wait(screens.WhyDialog(self._engine))
                if found is not None:
                    await self._show(found)
            case "edit_ports":
                await self._edit_ports()

    async def _why(self, pid: int) -> None:
        await self._show(await asyncio.to_thread(self._engine.explain, pid))

    async def _show(self, explanation: Explanation) -> None:
        if await self._app.push_screen_wait(screens.WhyScreen(explanation)):
            await self._turn_capture(explanation.facts.identity.pid)

    async def _turn_capture(self, pid: int) -> None:
        """Capture the traffic of a process, or no longer."""
        tables = self._engine.snapshot().tables
        comms = [row.comm for row in tables.get("process", ()) if row.pid == pid and row.comm]
        attached = any(
            row.pid == pid and row.get("state") in ("attached", "waiting")
            for row in tables.get("capture_state", ())
        )
        name = clean(f"{comms[0] if comms else 'process'}/{pid}")
        try:
            await asyncio.to_thread(self._engine.detach if attached else self._engine.attach, pid)
            done = "is no longer captured" if attached else "is captured: see pane 4"
            self._app.notify(f"the traffic of {name} {done}", markup=False)
        finally:
            self._changed()

    async def _edit_ports(self) -> None:
        dialog = screens.PortsDialog(self._engine, self.ports or "")
        ports = await self._app.push_screen_wait(dialog)
        if ports is not None:
            self.ports = ports
            self._report(f"looking for {ports.strip() or 'any port'}")


def _pid_of(asked: ProcessAsked, otherwise: str = "") -> int:
    """The process that is asked about.

    Raises:
        UsageError: there is none.
    """
    if asked.pid is not None:
        return asked.pid
    if asked.port is not None:
        raise UsageError(
            f"the owner of port {asked.port} is not visible",
            fix="the kernel itself holds it, or a process that only root may look into",
        )
    raise UsageError(
        "no process is selected", fix=f"choose one with the arrow keys first{otherwise}"
    )
