"""What one can have done to plugins and modules: load, unload, restart, send a task, call."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Literal

from textual.app import App
from textual.message import Message

from engine.core.errors import UsageError
from engine.core.records import Record
from engine.core.sanitise import clean
from engine.engine import Engine
from tui.console import screens
from tui.console.commanding import Commands
from tui.console.keymap import with_keys
from tui.console.wording import is_module, stop_consequences

_STEPS = 5_000
"""Steps of modules that are looked through."""

Verb = Literal["load", "unload", "restart", "send_task", "load_module", "call_module", "judge"]


class PluginAsked(Message):
    """Somebody wants something done to a plugin, or a new one loaded."""

    def __init__(self, verb: Verb, plugin: Record | None = None) -> None:
        super().__init__()
        self.verb = verb
        self.plugin = plugin
        """Its row; None where none is selected or needed."""

    @property
    def opens(self) -> bool:
        """Whether that begins with a dialog."""
        return self.verb != "restart"


class PluginCommands(Commands):
    """Carries out what somebody wants done to plugins and modules; arguments as `Commands`."""

    def __init__(self, app: App[None], engine: Engine, changed: Callable[[], None]) -> None:
        super().__init__(app, engine, changed)
        self._last_tasks: dict[str, screens.Task] = {}
        self._last_calls: dict[str, screens.Call] = {}

    async def carry_out(self, asked: PluginAsked) -> None:
        """Do what was asked for; waits for dialogs, so it is for a worker.

        Raises:
            BoxscopeError: it was refused.
        """
        self._require_box("plugins")
        if asked.verb == "load":
            await self._load()
            return
        if asked.verb == "load_module":
            await self._load_module()
            return
        if asked.verb == "judge":
            await self._judge(asked.plugin)
            return
        if asked.plugin is None:
            raise UsageError("no plugin is selected", fix="choose one with the arrow keys first")
        match asked.verb:
            case "unload":
                await self._unload(asked.plugin)
            case "restart":
                await self._restart(asked.plugin)
            case "send_task":
                await self._send_task(asked.plugin)
            case "call_module":
                await self._call_module(asked.plugin)

    async def _load(self) -> None:
        engine = self._engine

        def load(path: Path, name: str, detail: str) -> str:
            return engine.load_plugin(path, name=name, detail=detail)

        name = await self._app.push_screen_wait(screens.LoadDialog(load))
        if name is not None:
            self._report(f"plugin {name} is loaded")

    async def _load_module(self) -> None:
        name = await self._app.push_screen_wait(screens.ModuleDialog(self._engine.load_module))
        if name is not None:
            key = with_keys(self._app, "{row.detail}")
            self._report(f"module {name} is loaded; {key} tells what becomes of it")

    async def _judge(self, row: Record | None) -> None:
        file = self._file_of(row) if is_module(row) else ""
        verdict = await self._app.push_screen_wait(screens.VerdictDialog(file, self._engine.tasks))
        if verdict is not None:
            self._app.push_screen(verdict)

    def _file_of(self, row: Record | None) -> str:
        """The file of a module, as its last steps tell."""
        last = self._engine.last_seq("module_event")
        steps = self._engine.since("module_event", max(0, last - _STEPS), _STEPS).records
        mine = [one for one in steps if row is not None and one.get("plugin") == row.get("plugin")]
        return str(mine[-1].get("file") or "") if mine else ""

    async def _call_module(self, row: Record) -> None:
        name = str(row.get("plugin"))
        if not is_module(row):
            raise UsageError(f"{name} is no module", fix="choose one of kind module")
        call = partial(self._engine.call_module, name)
        dialog = screens.CallDialog(name, self._last_calls.get(name), call)
        called = await self._app.push_screen_wait(dialog)
        if called is not None:
            self._last_calls[name] = called
            self._report(f"{called.name} of {name} is called; its row tells the reply")

    async def _unload(self, row: Record) -> None:
        name = str(row.get("plugin"))
        dialog = screens.ConfirmDialog(
            f"Unload {clean(name)}?", stop_consequences(row), accept="Unload", cancel="Keep"
        )
        if await self._app.push_screen_wait(dialog):
            await asyncio.to_thread(self._engine.unload_plugin, name)
            self._changed()

    async def _restart(self, row: Record) -> None:
        name = str(row.get("plugin"))
        await asyncio.to_thread(self._engine.restart_plugin, name)
        running = row.get("state") in ("running", "stopping")
        self._report(f"plugin {name} {'stops, then starts again' if running else 'starts again'}")

    async def _send_task(self, row: Record) -> None:
        name = str(row.get("plugin"))
        send = partial(self._engine.send_task, name)
        dialog = screens.TaskDialog(name, self._last_tasks.get(name), send)
        sent = await self._app.push_screen_wait(dialog)
        if sent is not None:
            self._last_tasks[name] = sent.task
            self._report(f"task {sent.task.data_type} for {name} has the token {sent.token}")
