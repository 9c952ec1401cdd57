"""The plugin host: a chain of DeepFlow plugins that traffic offers its messages to."""

from __future__ import annotations

import threading
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path

from engine.core.clock import Clock
from engine.core.errors import WasmError
from engine.core.records import Record
from engine.core.sanitise import clean
from engine.core.source import Logbook, Source
from engine.wasm.abi import (
    L7_HTTP1,
    L7_UNKNOWN,
    BaseContext,
    CustomMessage,
    Hook,
    HttpRequest,
    HttpResponse,
    Verdict,
)
from engine.wasm.calllog import CallLog, Entry, Example
from engine.wasm.chain import Chain
from engine.wasm.engines import Engines
from engine.wasm.hostcalls import CallContext
from engine.wasm.judge import judge
from engine.wasm.options import HostOptions
from engine.wasm.outcome import Claim, Outcome
from engine.wasm.plugin import Call, WasmPlugin
from engine.wasm.records import plugin_record, result_record
from engine.wasm.reruns import Reruns
from engine.wasm.runtime import Runtime
from engine.wasm.watcher import FileWatcher

AGENT_PLUGINS = 10
"""Most plugins one agent thread can load: its store takes 10 instances."""


class WasmHost(Source):
    """Loads plugins and offers messages to them.

    Hooks may be called from any thread, one at a time; nothing that shows plugins waits for them.
    Ring: `wasm_result`, a record for each call. Table: `wasm_plugin`. Counters: seen = calls made,
    kept = calls that decided something (next, abort, result), dropped by reason: trap, deadline,
    rejected_result, bad_return.

    Args:
        clock: The engine's clock.
        logbook: The engine's log.
        capacity: Calls kept for readers.
        options: How plugins are run.
    """

    name = "wasm"

    def __init__(
        self,
        clock: Clock,
        logbook: Logbook,
        *,
        capacity: int = 10_000,
        options: HostOptions | None = None,
    ) -> None:
        super().__init__(clock, logbook)
        options = options or HostOptions()
        self._options = options
        self._log = CallLog(capacity, result_record)
        self.rings = {"wasm_result": self._log}
        self._runtime = Runtime(
            options.deadline_ms,
            lenient=options.lenient,
            any_sdk=not options.faithful,
            measure=options.measure,
            memory_limit=options.memory_limit,
            engines=Engines(options.cache),
        )
        self._chain = Chain(self._take)
        self._last_rows: tuple[Record, ...] = ()
        self._reruns = Reruns(self._log, self._keep, clock)
        self._watcher = FileWatcher(self._file_changed)
        self._stopping = threading.Event()
        self._loading = threading.RLock()
        """Held while a plugin is compiled, which may take a while, or taken out."""

    def start(self) -> None:
        """Nothing runs until a plugin is loaded and a message comes."""
        self._stopping.clear()
        if self.status().state == "off":
            self.set_status("running")

    def stop(self) -> None:
        """Release the plugins and end the watchdog; their last figures stay readable."""
        self._stopping.set()
        self._watcher.stop()
        with self._chain.lock:
            self._last_rows = self._rows() or self._last_rows
            self._chain.release()
            self._runtime.close()
        self.set_status("off")

    def tables(self) -> Mapping[str, tuple[Record, ...]]:
        """The plugins as they are now."""
        return {"wasm_plugin": self._rows() or self._last_rows}

    def _rows(self) -> tuple[Record, ...]:
        now = self.clock.wall_ns()
        return tuple(plugin_record(each, ts_ns=now) for each in self._chain.plugins)

    @property
    def paths(self) -> tuple[Path, ...]:
        """The files of the plugins, in the order of the chain."""
        return tuple(each.path.absolute() for each in self._chain.plugins)

    @property
    def generation(self) -> int:
        """How often the chain has got a plugin."""
        return self._chain.generation

    @property
    def last_calls(self) -> tuple[int, ...]:
        """Numbers of the calls that were made for the message offered last."""
        return self._chain.last_calls

    def load(self, path: Path) -> str:
        """Load a plugin and put it at the end of the chain; returns its name.

        The name is the file's, without its suffix. The same file again takes the place it had,
        and is offered the last messages of its predecessor again.

        Raises:
            WasmError: if it is refused, with the reason; it stays in the table as failed, unless
                its file never was a module.
        """
        with self._loading:
            name = self._chain.name_for(path)
            self._check_room_for(name)
            plugin = WasmPlugin(
                name, path, self._runtime, self.clock, faithful=self._options.faithful
            )
            if self._options.watch:
                self._watcher.watch(path)
            examples = self._reruns.last_messages(name, self._options.reruns)
            self._compile(plugin, examples)
            self._announce(plugin)
            if examples:
                self._repeat(plugin, examples)
            return name

    def _check_room_for(self, name: str) -> None:
        full = len(self._chain.plugins) >= AGENT_PLUGINS
        if self._options.faithful and full and not self._chain.has(name):
            raise WasmError(
                f"Wasm plugin {name}: an agent loads {AGENT_PLUGINS} plugins at most",
                fix="run fewer, or run them without faithful",
            )

    def _compile(self, plugin: WasmPlugin, examples: Sequence[Example]) -> None:
        """Compile a plugin and put it into the chain; as a failed one, if its file is refused.

        What a predecessor was offered is held until the file is one that can be loaded. A file
        that never was a module leaves nothing.
        """
        name = plugin.name
        try:
            with self.logbook.tasks.begin(f"compiling the Wasm plugin {name}"):
                plugin.load()
        except WasmError as error:
            what = f"Wasm plugin {name} ({clean(str(plugin.path))})"
            refused = WasmError(f"{what}: {error.message}", fix=error.fix)
            if plugin.is_module or self._chain.has(name):
                self._reruns.hold(name, examples)
                self.fail(refused, "degraded")
                self._chain.put(plugin)
            else:
                self._watcher.forget(plugin.path)
            raise refused from error
        self._chain.put(plugin)
        self._reruns.forget(name)

    def join(self, calls: Sequence[int], message: int) -> None:
        """Note the message (`l7_message`) that calls were made for, in their records."""
        self._log.join(calls, message)

    def reload(self, name: str) -> str:
        """Load a plugin's file again; returns its name.

        Raises:
            WasmError: if there is no such plugin, or its file is refused now.
        """
        return self.load(self._chain.named(name).path)

    def unload(self, name: str) -> None:
        """Take a plugin out of the chain; its calls stay readable.

        Raises:
            WasmError: if there is no such plugin.
        """
        with self._loading:
            plugin = self._chain.named(name)
            self._chain.remove(plugin)
            self._reruns.forget(name)
            self._watcher.forget(plugin.path)
            self.log("info", f"Wasm plugin {name} unloaded")
            if self._chain.plugins and self._chain.all_loaded:
                self.set_status("running")

    def payload(self, seq: int) -> bytes | None:
        """The payload a call was offered, in full; None if the call is not kept any more."""
        entry = self._log.entry(seq)
        return None if entry is None else entry.call.context.payload

    def rerun(
        self, seq: int, *, payload: bytes | None = None, cuts: Sequence[int] = ()
    ) -> tuple[int, ...]:
        """Offer the message of a call to its plugin again, each time on a fresh instance.

        Args:
            seq: Number of the call (`wasm_result`).
            payload: Bytes to offer in place of the message's own.
            cuts: Lengths to cut the payload to, each a call of its own; empty = one whole.

        Returns:
            The numbers of the new calls, each with what it did differently.

        Raises:
            WasmError: if the call is not kept any more, or its plugin cannot be run.
        """
        entry = self._log.entry(seq)
        if entry is None:
            raise WasmError(f"call {seq} is not kept", fix="choose a newer one")
        plugin, example = self._chain.named(entry.plugin), Example(seq, entry)
        whole = entry.call.context.payload if payload is None else payload
        offered = [whole[:cut] for cut in cuts] or [whole]
        return tuple(self._reruns.once(plugin, example, each) for each in offered)

    def on_http_req(
        self,
        base: BaseContext,
        request: HttpRequest,
        payload: bytes,
        *,
        l7: int = L7_HTTP1,
    ) -> Outcome | None:
        """Offer an HTTP request; None = no plugin stopped the chain.

        Of the infos of an outcome the last one is to be merged, see `engine.wasm.merge`. `l7` is
        the agent's number of the protocol: HTTP/1, HTTP/2, gRPC or Triple.
        """
        context = CallContext(replace(base, l7=l7), payload, request=request)
        return self._chain.offer(Hook.HTTP_REQUEST, "on_http_req", context)

    def on_http_resp(
        self,
        base: BaseContext,
        response: HttpResponse,
        payload: bytes,
        *,
        l7: int = L7_HTTP1,
    ) -> Outcome | None:
        """Offer an HTTP response; as `on_http_req`."""
        context = CallContext(replace(base, l7=l7), payload, response=response)
        return self._chain.offer(Hook.HTTP_RESPONSE, "on_http_resp", context)

    def on_custom_message(
        self, base: BaseContext, message: CustomMessage, payload: bytes
    ) -> Outcome | None:
        """Offer a message of a protocol the agent parses itself, to the plugins that want it."""
        context = CallContext(replace(base, l7=L7_UNKNOWN), payload, custom=message)
        return self._chain.offer(Hook.CUSTOM_MESSAGE, "on_custom_message", context)

    def parse_payload(
        self, base: BaseContext, payload: bytes, number: int, name: str = ""
    ) -> Outcome | None:
        """Offer a payload of a protocol that `check_payload` claimed; every info is a message.

        All plugins with the payload hook are asked, not only the one that claimed it: they must
        tell by the number. None = none of them could parse it; an outcome without infos = it was
        parsed and there is nothing to log.
        """
        context = CallContext(replace(base, l7=number), payload, name=name)
        return self._chain.offer(Hook.PAYLOAD, "parse_payload", context)

    def check_payload(self, base: BaseContext, payload: bytes) -> Claim | None:
        """Ask whose protocol a payload is; None = nobody's."""
        return self._chain.claim(CallContext(replace(base, l7=L7_UNKNOWN), payload))

    def _take(self, plugin: WasmPlugin, call: Call) -> tuple[Verdict | None, int]:
        """Judge, keep and count a call; returns what it claims, and its number."""
        judgement = judge(call)
        seq = self._keep(Entry(plugin.name, call, judgement, self.clock.wall_ns()))
        if plugin.state == "failed":
            self.fail(WasmError(f"Wasm plugin {plugin.name}: {plugin.error}"), "degraded")
        return judgement.verdict, seq

    def _keep(self, entry: Entry) -> int:
        """Keep a call and count it; returns its number."""
        seq = self._log.append(entry)
        reason = entry.judgement.reason
        if reason:
            self.tally.add(seen=1, kept=0, dropped={reason: 1})
        else:
            self.tally.add(seen=1, kept=1)
        return seq

    def _repeat(self, plugin: WasmPlugin, examples: Sequence[Example]) -> None:
        """Offer a reloaded plugin the messages of its predecessor."""
        try:
            different = self._reruns.all(plugin, examples, self._stopping)
        except WasmError as error:
            self.log("warning", f"Wasm plugin {plugin.name}: {error.message}")
            return
        self.log(
            "info",
            f"Wasm plugin {plugin.name}: its last {len(examples)} messages were offered again, "
            f"{different} with another result",
        )

    def _file_changed(self, path: Path) -> None:
        """Load a plugin whose file is another one now, unless it was unloaded meanwhile."""
        try:
            with self._loading:
                if any(each.path == path for each in self._chain.plugins):
                    self.load(path)
        except WasmError as error:
            self.log("error", str(error))
        except Exception as error:  # a bug here must not end the watching unseen
            self.fail(
                WasmError(f"internal error while reloading: {clean(repr(error))}"), "degraded"
            )

    def _announce(self, plugin: WasmPlugin) -> None:
        hooks = ", ".join(plugin.hooks) or "no hook"
        self.log("info", f"Wasm plugin {plugin.name} loaded: {hooks}")
        for refusal in plugin.refusals:
            text = f"Wasm plugin {plugin.name}: an agent would refuse it: {refusal.refusal}"
            self.log("warning", text)
        if len(self._chain.plugins) > AGENT_PLUGINS:
            count = len(self._chain.plugins)
            text = f"{count} Wasm plugins are loaded; an agent takes {AGENT_PLUGINS}"
            self.log("warning", text)
        if self._chain.all_loaded:
            self.set_status("running")
