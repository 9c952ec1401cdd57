"""The plugin host: a chain of DeepFlow plugins that traffic offers its messages to.

Chain rules as in the DeepFlow agent: plugins are asked in the order they were loaded; 0 passes the
message on, 1 stops the chain, anything else is an error and passes it on; a trap passes it on too.
The result slot belongs to the message, so what an earlier plugin left is found by a later one.
Unlike the agent, a call ends at a deadline and a trapped instance is replaced.
"""

from __future__ import annotations

import threading
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path

from engine.core.clock import Clock
from engine.core.errors import WasmError
from engine.core.fields import JsonValue
from engine.core.records import Record, RecordRing
from engine.core.sanitise import clean
from engine.core.source import Logbook, Source
from engine.wasm.abi import (
    CLIENT_TO_SERVER,
    L7_HTTP1,
    L7_UNKNOWN,
    BaseContext,
    DecodeError,
    Hook,
    HttpRequest,
    HttpResponse,
    Verdict,
    decode_verdict,
)
from engine.wasm.hostcalls import CallContext
from engine.wasm.infos import Info
from engine.wasm.plugin import Call, WasmPlugin
from engine.wasm.records import Action, infos_as_json, plugin_record, result_record
from engine.wasm.runtime import Runtime, WasmTrap


@dataclass(frozen=True, slots=True)
class Outcome:
    """A plugin stopped the chain."""

    plugin: str
    infos: tuple[Info, ...]
    """What it, or a plugin before it, sent; empty = nothing is to be changed."""


@dataclass(frozen=True, slots=True)
class Claim:
    """A plugin recognised a payload protocol."""

    plugin: str
    number: int
    name: str
    """Sanitised."""
    direction: int
    """Whether the payload is a request (0) or a response (1)."""


class WasmHost(Source):
    """Loads plugins and offers messages to them.

    Hooks may be called from any thread, one at a time. Ring: `wasm_result`, a record for each
    call. Table: `wasm_plugin`. Counters: seen = calls made, kept = calls that decided something
    (next, abort, result), dropped by reason: trap, deadline, rejected_result, bad_return.

    Args:
        clock: The engine's clock.
        logbook: The engine's log.
        capacity: Calls kept for readers.
        deadline_ms: Longest time of one call, in milliseconds.
    """

    name = "wasm"

    def __init__(
        self,
        clock: Clock,
        logbook: Logbook,
        *,
        capacity: int = 20_000,
        deadline_ms: float = 100,
    ) -> None:
        super().__init__(clock, logbook)
        self._results = RecordRing(capacity)
        self.rings = {"wasm_result": self._results}
        self._runtime = Runtime(deadline_ms)
        self._plugins: tuple[WasmPlugin, ...] = ()
        self._lock = threading.Lock()
        """Held while a plugin is called or the chain changes."""
        self._loading = threading.Lock()
        """Held while a plugin is compiled, which may take a while."""

    def start(self) -> None:
        """Nothing runs until a plugin is loaded and a message comes."""
        if self.status().state == "off":
            self.set_status("running")

    def stop(self) -> None:
        """Release the plugins and end the watchdog."""
        with self._lock:
            for plugin in self._plugins:
                plugin.close()
            self._plugins = ()
            self._runtime.close()
        self.set_status("off")

    def tables(self) -> Mapping[str, tuple[Record, ...]]:
        """The plugins as they are now."""
        now = self.clock.wall_ns()
        return {"wasm_plugin": tuple(plugin_record(each, ts_ns=now) for each in self._plugins)}

    def load(self, path: Path) -> str:
        """Load a plugin and put it at the end of the chain; returns its name.

        The name is the file's, without its suffix. The same file again takes the place it had.

        Raises:
            WasmError: if it is refused, with the reason; it stays in the table as failed.
        """
        with self._loading:
            name = self._name_for(path)
            plugin = WasmPlugin(name, path, self._runtime, self.clock)
            try:
                plugin.load()
            except WasmError as error:
                what = f"Wasm plugin {name} ({clean(str(path))})"
                refused = WasmError(f"{what}: {error.message}", fix=error.fix)
                self.fail(refused, "degraded")
                raise refused from error
            finally:
                self._put(plugin)
            hooks = ", ".join(plugin.hooks) or "no hook"
            self.log("info", f"Wasm plugin {name} loaded: {hooks}")
            if all(each.state == "loaded" for each in self._plugins):
                self.set_status("running")
            return name

    def on_http_req(
        self, base: BaseContext, request: HttpRequest, payload: bytes
    ) -> Outcome | None:
        """Offer an HTTP request; None = no plugin stopped the chain.

        Of the infos of an outcome the last one is to be merged.
        """
        context = CallContext(replace(base, l7=L7_HTTP1), payload, request=request)
        return self._offer(Hook.HTTP_REQUEST, "on_http_req", context)

    def on_http_resp(
        self, base: BaseContext, response: HttpResponse, payload: bytes
    ) -> Outcome | None:
        """Offer an HTTP response; as `on_http_req`."""
        context = CallContext(replace(base, l7=L7_HTTP1), payload, response=response)
        return self._offer(Hook.HTTP_RESPONSE, "on_http_resp", context)

    def parse_payload(self, base: BaseContext, payload: bytes, number: int) -> Outcome | None:
        """Offer a payload of a protocol that `check_payload` claimed; every info is a message.

        All plugins with the payload hook are asked, not only the one that claimed it: they must
        tell by the number. None = none of them could parse it.
        """
        context = CallContext(replace(base, l7=number), payload)
        return self._offer(Hook.PAYLOAD, "parse_payload", context)

    def check_payload(self, base: BaseContext, payload: bytes) -> Claim | None:
        """Ask whose protocol a payload is; None = nobody's."""
        context = CallContext(replace(base, l7=L7_UNKNOWN), payload)
        with self._lock:
            for plugin in self._with(Hook.PAYLOAD):
                call = plugin.call("check_payload", context)
                verdict = self._judge_check(plugin, call, context)
                if verdict is not None:
                    name = clean(context.string, 64)
                    return Claim(plugin.name, verdict.number, name, verdict.direction)
        return None

    def _offer(self, hook: Hook, export: str, context: CallContext) -> Outcome | None:
        with self._lock:
            for plugin in self._with(hook):
                call = plugin.call(export, context)
                self._judge(plugin, call, context)
                if call.returned == 1:
                    return Outcome(plugin.name, context.infos)
        return None

    def _judge(self, plugin: WasmPlugin, call: Call, context: CallContext) -> None:
        """Name and record what a hook with a next/stop answer did."""
        sent = infos_as_json(context.infos) if call.journal.sent_result else []
        match call.returned:
            case 0:
                self._record(plugin, call, "next", sent)
            case 1:
                self._record(plugin, call, "result" if context.infos else "abort", sent)
            case other:
                bad = f"{call.export} returned {other}: must be 0 (next) or 1 (stop)"
                self._record(plugin, call, "error", sent, bad)

    def _judge_check(self, plugin: WasmPlugin, call: Call, context: CallContext) -> Verdict | None:
        """Name and record what `check_payload` did."""
        if call.returned is None:
            self._record(plugin, call, "trap", [])
            return None
        try:
            verdict = decode_verdict(call.returned)
        except DecodeError as error:
            self._record(plugin, call, "error", [], error.message)
            return None
        if verdict is None:
            self._record(plugin, call, "next", [])
            return None
        claim: dict[str, JsonValue] = {
            "protocol_number": verdict.number,
            "protocol": clean(context.string, 64),
            "direction": "request" if verdict.direction == CLIENT_TO_SERVER else "response",
        }
        self._record(plugin, call, "result", [claim])
        return verdict

    def _record(
        self,
        plugin: WasmPlugin,
        call: Call,
        action: Action,
        infos: list[JsonValue],
        error: str = "",
    ) -> None:
        """Put a call into the ring and the counters; a trap or a refused result overrules."""
        reason = "bad_return" if error else ""
        if call.failure is not None:
            action, error = "trap", str(call.failure)
            hung = isinstance(call.failure, WasmTrap) and call.failure.code == "deadline"
            reason = "deadline" if hung else "trap"
        elif call.journal.rejected:
            action, error, reason = "error", call.journal.rejected, "rejected_result"
        self._results.append(
            result_record(plugin.name, call, action, infos, error, ts_ns=self.clock.wall_ns())
        )
        if reason:
            self.tally.add(seen=1, kept=0, dropped={reason: 1})
        else:
            self.tally.add(seen=1, kept=1)
        if plugin.state == "failed":
            self.fail(WasmError(f"Wasm plugin {plugin.name}: {plugin.error}"), "degraded")

    def _with(self, hook: Hook) -> list[WasmPlugin]:
        return [
            plugin for plugin in self._plugins if plugin.state == "loaded" and hook in plugin.hooks
        ]

    def _put(self, plugin: WasmPlugin) -> None:
        """Add a plugin to the chain, in the place of its predecessor if it had one."""
        with self._lock:
            old = [each for each in self._plugins if each.name == plugin.name]
            if old:
                self._plugins = tuple(
                    plugin if each.name == plugin.name else each for each in self._plugins
                )
            else:
                self._plugins = (*self._plugins, plugin)
            for each in old:
                each.close()

    def _name_for(self, path: Path) -> str:
        """The file's stem, with a number where another file has it already."""
        stem = clean(path.stem, 64)
        taken = {plugin.name: plugin.path for plugin in self._plugins}
        name, number = stem, 2
        while name in taken and taken[name] != path:
            name, number = f"{stem}-{number}", number + 1
        return name
