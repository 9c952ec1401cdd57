"""The plugins that are loaded, and the rules by which a message goes from one to the next.

As in the DeepFlow agent: plugins are asked in the order they were loaded; 0 passes the message on,
1 stops the chain, anything else is an error and passes it on; a trap passes it on too. The result
slot belongs to the message, so what an earlier plugin left is found by a later one. Unlike the
agent, a call ends at a deadline and, unless faithful, a trapped instance is replaced.
"""

from __future__ import annotations

import threading
from collections.abc import Callable
from pathlib import Path

from engine.core.errors import WasmError
from engine.core.sanitise import clean
from engine.wasm.abi import Hook, Verdict
from engine.wasm.hostcalls import CallContext
from engine.wasm.outcome import Claim, Outcome, outcome_of
from engine.wasm.plugin import Call, WasmPlugin


class Chain:
    """Plugins with names of their own; they are called by one thread at a time.

    Args:
        take: Judges and keeps a call; returns what it claims, and its number.
    """

    def __init__(self, take: Callable[[WasmPlugin, Call], tuple[Verdict | None, int]]) -> None:
        self._take = take
        self.last_calls: tuple[int, ...] = ()
        """Numbers of the calls that were made for the message offered last."""
        self.plugins: tuple[WasmPlugin, ...] = ()
        self.generation = 0
        """How often a plugin was put in."""
        self.lock = threading.Lock()
        """Held while a plugin is called or the chain changes."""

    @property
    def all_loaded(self) -> bool:
        """Whether none of them was refused."""
        return all(each.state == "loaded" for each in self.plugins)

    def has(self, name: str) -> bool:
        """Whether there is a plugin of that name."""
        return any(each.name == name for each in self.plugins)

    def named(self, name: str) -> WasmPlugin:
        """The plugin of that name.

        Raises:
            WasmError: if there is none.
        """
        for plugin in self.plugins:
            if plugin.name == name:
                return plugin
        raise WasmError(f"no Wasm plugin {clean(name, 100)} is loaded", fix="load it first")

    def name_for(self, path: Path) -> str:
        """The file's stem, with a number where another file has it already."""
        stem = clean(path.stem, 64)
        taken = {plugin.name: plugin.path for plugin in self.plugins}
        name, number = stem, 2
        while name in taken and taken[name] != path:
            name, number = f"{stem}-{number}", number + 1
        return name

    def put(self, plugin: WasmPlugin) -> None:
        """Add a plugin, in the place of its predecessor if it had one."""
        with self.lock:
            self.generation += 1
            old = [each for each in self.plugins if each.name == plugin.name]
            if old:
                self.plugins = tuple(
                    plugin if each.name == plugin.name else each for each in self.plugins
                )
            else:
                self.plugins = (*self.plugins, plugin)
            for each in old:
                each.close()

    def remove(self, plugin: WasmPlugin) -> None:
        """Take a plugin out, and release it."""
        with self.lock:
            self.plugins = tuple(each for each in self.plugins if each is not plugin)
            plugin.close()

    def release(self) -> None:
        """Take all of them out, and release them; for whoever holds the lock."""
        for plugin in self.plugins:
            plugin.close()
        self.plugins = ()

    def offer(self, hook: Hook, export: str, context: CallContext) -> Outcome | None:
        """Offer a message to whoever has its hook; None = no plugin stopped the chain."""
        with self.lock:
            self.last_calls = ()
            for plugin in self.plugins:
                if not plugin.takes(hook) or not _wanted(plugin, context):
                    continue
                call = plugin.call(export, context)
                _, seq = self._made(plugin, call)
                if call.returned == 1:
                    return outcome_of(plugin.name, context, seq)
        return None

    def claim(self, context: CallContext) -> Claim | None:
        """Ask whose protocol a payload is; None = nobody's."""
        with self.lock:
            self.last_calls = ()
            for plugin in self.plugins:
                if not plugin.takes(Hook.PAYLOAD):
                    continue
                verdict, seq = self._made(plugin, plugin.call("check_payload", context))
                if verdict is not None:
                    name = clean(context.string, 64)
                    return Claim(plugin.name, verdict.number, name, verdict.direction, seq)
        return None

    def _made(self, plugin: WasmPlugin, call: Call) -> tuple[Verdict | None, int]:
        verdict, seq = self._take(plugin, call)
        self.last_calls = (*self.last_calls, seq)
        return verdict, seq


def _wanted(plugin: WasmPlugin, context: CallContext) -> bool:
    """Whether a plugin wants a custom message; any other message passes."""
    if context.custom is None:
        return True
    chosen = plugin.custom_filter
    custom = context.custom
    return chosen is not None and chosen.matches(custom.hook_point, custom.type_code)
