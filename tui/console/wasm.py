"""What one can have done to Wasm plugins from the console: load, reload, unload, run again."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from typing import Literal

from textual.app import App
from textual.message import Message
from textual.widget import Widget

from engine.core.errors import FailedError, UsageError
from engine.core.records import Record
from engine.core.sanitise import clean
from engine.engine import Engine
from tui.console import screens
from tui.console.call_text import compared_text
from tui.console.calls import call_of, calls_of, runs_of_plugin
from tui.console.commanding import Commands
from tui.console.opening import ask
from tui.console.values import bytes_of

_TOLD = 300
"""Characters of what is told of a repetition; a notice is no place for more."""

WasmVerb = Literal["load", "reload", "unload", "run_again", "edit"]


class WasmAsked(Message):
    """Somebody wants something done to a Wasm plugin, or a payload offered to it again."""

    def __init__(self, verb: WasmVerb, record: Record | None = None) -> None:
        super().__init__()
        self.verb = verb
        self.record = record
        """A plugin's row for `reload` and `unload`; a message or a call for the last two."""

    @property
    def opens(self) -> bool:
        """Whether that leads to a dialog or a screen."""
        return self.verb != "reload"


class RunsAgain(Widget):
    """The keys that offer a payload again, of whatever shows messages or calls."""

    @property
    def offered(self) -> Record | None:
        """The message or the call whose payload it is; None where none is selected."""
        raise NotImplementedError

    def action_run_again(self) -> None:
        """Ask for the payload to be offered again."""
        ask(self, WasmAsked("run_again", self.offered))

    def action_edit_payload(self) -> None:
        """Ask for other bytes to offer."""
        ask(self, WasmAsked("edit", self.offered))


class WasmCommands(Commands):
    """Carries out what somebody wants done to Wasm plugins.

    Args:
        app: As `Commands`.
        engine: As `Commands`.
        changed: As `Commands`.
        show_runs: Called with a call that was just repeated.
    """

    def __init__(
        self,
        app: App[None],
        engine: Engine,
        changed: Callable[[], None],
        show_runs: Callable[[Record], None],
    ) -> None:
        super().__init__(app, engine, changed)
        self._show_runs = show_runs

    async def carry_out(self, asked: WasmAsked) -> None:
        """Do what was asked for; waits for dialogs, so it is for a worker.

        Raises:
            BoxscopeError: it was refused.
        """
        self._require_box("Wasm plugins")
        if asked.verb == "load":
            await self._load()
            return
        record = asked.record
        if record is None:
            what = "message" if asked.verb in ("run_again", "edit") else "Wasm plugin"
            raise UsageError(f"no {what} is selected", fix="choose one with the arrow keys first")
        match asked.verb:
            case "reload":
                await self._reload(str(record.get("plugin")))
            case "unload":
                await self._unload(str(record.get("plugin")))
            case "run_again":
                call = await asyncio.to_thread(self._call_for, record)
                runs = await asyncio.to_thread(self._engine.rerun_payload, call.seq)
                await self._tell_of(call, runs)
            case "edit":
                await self._edit(await asyncio.to_thread(self._call_for, record))

    async def _load(self) -> None:
        name = await self._app.push_screen_wait(screens.LoadWasmDialog(self._engine.load_wasm))
        if name is not None:
            self._report(f"Wasm plugin {name} is loaded")

    async def _reload(self, name: str) -> None:
        after = self._engine.last_seq("wasm_result")
        try:
            await asyncio.to_thread(self._engine.reload_wasm, name)
        finally:
            self._changed()
        again = runs_of_plugin(self._engine, name, after=after)
        await asyncio.to_thread(again.look)
        text = f"Wasm plugin {name} is loaded again"
        if again.found:
            different = sum(bool(call.get("differs")) for call in again.found)
            offered = len(again.found)
            text += f": {offered} messages offered again, {different} with another result"
        self._report(text)

    async def _unload(self, name: str) -> None:
        dialog = screens.ConfirmDialog(
            f"Unload {clean(name)}?",
            "It is taken out of the chain: no message is offered to it any more. The calls it "
            "has answered stay.",
            accept="Unload",
            cancel="Keep",
        )
        if await self._app.push_screen_wait(dialog):
            await asyncio.to_thread(self._engine.unload_wasm, name)
            self._changed()

    async def _edit(self, call: Record) -> None:
        payload = await asyncio.to_thread(self._engine.raw, "wasm_result", call.seq)
        if payload is None:
            payload = bytes_of(call.get("payload"))

        def rerun(seq: int, changed: bytes | None, cuts: Sequence[int]) -> tuple[int, ...]:
            return self._engine.rerun_payload(seq, payload=changed, cuts=cuts)

        runs = await self._app.push_screen_wait(screens.RerunDialog(call, payload, rerun))
        if runs is not None:
            await self._tell_of(call, runs)

    def _call_for(self, record: Record) -> Record:
        """The call itself, or of those made for a message the last one with a result.

        Raises:
            FailedError: there is none.
        """
        if record.kind == "wasm_result":
            return record
        calls = calls_of(self._engine, record)
        if not calls:
            raise FailedError(
                f"no call of a Wasm plugin is kept for message {record.seq}",
                fix="load a plugin with l, and choose a newer message",
            )
        return next((call for call in reversed(calls) if call.get("infos")), calls[-1])

    async def _tell_of(self, call: Record, seqs: Sequence[int]) -> None:
        """Report what came of a call's repetitions, and show them."""
        found = await asyncio.to_thread(lambda: [call_of(self._engine, seq) for seq in seqs])
        runs = [run for run in found if run is not None]
        different = sum(bool(run.get("differs")) for run in runs)
        if len(runs) == 1:
            text = f"call {runs[0].seq} repeats call {call.seq}: {compared_text(runs[0])}"
        else:
            text = f"call {call.seq} was run {len(seqs)} times, {different} with another result"
        self._show_runs(call)
        self._report(clean(text, _TOLD))
