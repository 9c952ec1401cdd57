"""Messages offered again: to a fresh instance of a plugin, or to what its file has become."""

from __future__ import annotations

import threading
from collections.abc import Callable, Sequence
from dataclasses import replace

from engine.core.clock import Clock
from engine.wasm.calllog import CallLog, Entry, Example
from engine.wasm.diff import changes
from engine.wasm.judge import judge
from engine.wasm.plugin import WasmPlugin
from engine.wasm.records import outcome_as_json


class Reruns:
    """Offers messages of calls again; each is a call of its own, with what it did differently.

    Args:
        log: The calls that are kept.
        keep: Keeps and counts a call; returns its number.
        clock: The engine's clock.
    """

    def __init__(self, log: CallLog, keep: Callable[[Entry], int], clock: Clock) -> None:
        self._log = log
        self._keep = keep
        self._clock = clock
        self._held: dict[str, Sequence[Example]] = {}
        """Last messages of plugins whose file was refused when it changed."""

    def last_messages(self, name: str, count: int) -> Sequence[Example]:
        """The last messages of a plugin, the oldest first, or those held for it."""
        return self._log.last_of(name, count) or self._held.get(name, ())

    def hold(self, name: str, examples: Sequence[Example]) -> None:
        """Remember messages until a plugin can be offered them."""
        self._held[name] = examples

    def forget(self, name: str) -> None:
        """Hold no messages for a plugin any longer."""
        self._held.pop(name, None)

    def once(self, plugin: WasmPlugin, example: Example, payload: bytes) -> int:
        """Offer a message on a fresh instance; returns the number of the new call.

        Args:
            plugin: Whom to offer it to.
            example: The message.
            payload: What is offered in place of its payload.

        Raises:
            WasmError: the plugin cannot be run.
        """
        trial = plugin.trial()
        try:
            return self._offer(trial, example, payload)
        finally:
            trial.close()

    def all(
        self, plugin: WasmPlugin, examples: Sequence[Example], stopping: threading.Event
    ) -> int:
        """Offer messages in order, on one fresh instance; returns how many came out differently.

        Raises:
            WasmError: the plugin cannot be run.
        """
        trial = plugin.trial()
        different = 0
        try:
            for example in examples:
                if trial.state != "loaded" or stopping.is_set():
                    break
                number = self._offer(trial, example, example.entry.call.context.payload)
                again = self._log.entry(number)
                different += bool(again and again.changes)
        finally:
            trial.close()
        return different

    def _offer(self, trial: WasmPlugin, example: Example, payload: bytes) -> int:
        """Call a hook again and keep the call with what it did differently; returns its number."""
        seq, entry = example
        old = entry.call.context
        room = max(old.base.buffer_size, len(payload))
        context = replace(
            old, base=replace(old.base, buffer_size=room), payload=payload, infos=(), string=b""
        )
        call = trial.call(entry.call.export, context)
        judgement = judge(call)
        before = outcome_as_json(entry.call, entry.judgement)
        differs = tuple(changes(before, outcome_as_json(call, judgement)))
        return self._keep(Entry(trial.name, call, judgement, self._clock.wall_ns(), seq, differs))
