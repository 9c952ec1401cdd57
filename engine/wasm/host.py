"""The plugin host: a chain of DeepFlow plugins that traffic offers its messages to.

Chain rules as in the DeepFlow agent: plugins are asked in the order they were loaded; 0 passes the
message on, 1 stops the chain, anything else is an error and passes it on; a trap passes it on too.
The result slot belongs to the message, so what an earlier plugin left is found by a later one.
Unlike the agent, a call ends at a deadline and, unless faithful, a trapped instance is replaced.
"""

from __future__ import annotations

import threading
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
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
from engine.wasm.before import entry_after, entry_before
from engine.wasm.calllog import CallLog, Entry
from engine.wasm.diff import changes
from engine.wasm.engines import Engines
from engine.wasm.hostcalls import CallContext
from engine.wasm.infos import Info
from engine.wasm.judge import Judgement, judge
from engine.wasm.merge import LogEntry
from engine.wasm.plugin import Call, WasmPlugin
from engine.wasm.records import outcome_as_json, plugin_record, result_record
from engine.wasm.runtime import MEMORY_LIMIT, Runtime
from engine.wasm.watcher import FileWatcher

AGENT_PLUGINS = 10
"""Most plugins one agent thread can load: its store takes 10 instances."""


@dataclass(frozen=True, slots=True)
class Outcome:
    """A plugin stopped the chain."""

    plugin: str
    infos: tuple[Info, ...]
    """What it, or a plugin before it, sent; empty = nothing is to be changed."""
    seq: int = field(default=0, compare=False)
    """Number of the call (`wasm_result`) that stopped it."""
    before: LogEntry = field(default=LogEntry(), compare=False)
    """The agent's log of the message without them."""
    after: tuple[LogEntry, ...] = field(default=(), compare=False)
    """The log with them: of `parse_payload` one for each info, otherwise one with the last."""


@dataclass(frozen=True, slots=True)
class Claim:
    """A plugin recognised a payload protocol."""

    plugin: str
    number: int
    name: str
    """Sanitised."""
    direction: int
    """Whether the payload is a request (0) or a response (1)."""
    seq: int = field(default=0, compare=False)
    """Number of the call (`wasm_result`) that claimed it."""


@dataclass(frozen=True, slots=True)
class HostOptions:
    """How plugins are run."""

    deadline_ms: float = 100
    """Longest time of one call."""
    memory_limit: int = MEMORY_LIMIT
    """Most linear memory of a plugin, in bytes."""
    lenient: bool = False
    """Load what an agent refuses for its WASI imports, or because it is a reactor."""
    faithful: bool = False
    """As an agent of today: refuse plugins and results of SDKs it no longer understands, keep an
    instance that has trapped, and load 10 plugins at most."""
    measure: bool = False
    """Count the instructions of each call."""
    watch: bool = False
    """Load a plugin again when its file has changed."""
    reruns: int = 20
    """How many of its last messages a reloaded plugin is offered again."""
    cache: Path | None = None
    """Folder for compiled modules; None keeps none."""


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
        self._plugins: tuple[WasmPlugin, ...] = ()
        self._last_rows: tuple[Record, ...] = ()
        self.last_calls: tuple[int, ...] = ()
        """Numbers of the calls that were made for the message offered last."""
        self.generation = 0
        """How often the chain has changed."""
        self._examples: dict[str, list[tuple[int, Entry]]] = {}
        """Last messages of plugins whose file was refused when it changed."""
        self._watcher = FileWatcher(self._file_changed)
        self._stopping = threading.Event()
        self._lock = threading.Lock()
        """Held while a plugin is called or the chain changes."""
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
        with self._lock:
            self._last_rows = self._rows() or self._last_rows
            for plugin in self._plugins:
                plugin.close()
            self._plugins = ()
            self._runtime.close()
        self.set_status("off")

    def tables(self) -> Mapping[str, tuple[Record, ...]]:
        """The plugins as they are now."""
        return {"wasm_plugin": self._rows() or self._last_rows}

    def _rows(self) -> tuple[Record, ...]:
        now = self.clock.wall_ns()
        return tuple(plugin_record(each, ts_ns=now) for each in self._plugins)

    @property
    def paths(self) -> tuple[Path, ...]:
        """The files of the plugins, in the order of the chain."""
        return tuple(each.path.absolute() for each in self._plugins)

    def load(self, path: Path) -> str:
        """Load a plugin and put it at the end of the chain; returns its name.

        The name is the file's, without its suffix. The same file again takes the place it had,
        and is offered the last messages of its predecessor again.

        Raises:
            WasmError: if it is refused, with the reason; it stays in the table as failed, unless
                its file never was a module.
        """
        with self._loading:
            name = self._name_for(path)
            known = any(each.name == name for each in self._plugins)
            if self._options.faithful and not known and len(self._plugins) >= AGENT_PLUGINS:
                raise WasmError(
                    f"Wasm plugin {name}: an agent loads {AGENT_PLUGINS} plugins at most",
                    fix="run fewer, or run them without faithful",
                )
            plugin = self._new(name, path)
            if self._options.watch:
                self._watcher.watch(path)
            examples = self._last_messages(name)
            try:
                with self.logbook.tasks.begin(f"compiling the Wasm plugin {name}"):
                    plugin.load()
            except WasmError as error:
                what = f"Wasm plugin {name} ({clean(str(path))})"
                refused = WasmError(f"{what}: {error.message}", fix=error.fix)
                if plugin.is_module or known:
                    self._examples[name] = examples
                    self.fail(refused, "degraded")
                    self._put(plugin)
                else:
                    self._watcher.forget(path)
                raise refused from error
            self._put(plugin)
            self._examples.pop(name, None)
            self._announce(plugin)
            if examples:
                self._repeat(plugin, examples)
            return name

    def join(self, calls: Sequence[int], message: int) -> None:
        """Note the message (`l7_message`) that calls were made for, in their records."""
        self._log.join(calls, message)

    def reload(self, name: str) -> str:
        """Load a plugin's file again; returns its name.

        Raises:
            WasmError: if there is no such plugin, or its file is refused now.
        """
        return self.load(self._plugin(name).path)

    def unload(self, name: str) -> None:
        """Take a plugin out of the chain; its calls stay readable.

        Raises:
            WasmError: if there is no such plugin.
        """
        with self._loading:
            plugin = self._plugin(name)
            with self._lock:
                self._plugins = tuple(each for each in self._plugins if each is not plugin)
                plugin.close()
            self._examples.pop(name, None)
            self._watcher.forget(plugin.path)
            self.log("info", f"Wasm plugin {name} unloaded")
            if self._plugins and all(each.state == "loaded" for each in self._plugins):
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
        plugin = self._plugin(entry.plugin)
        context = entry.call.context
        whole = context.payload if payload is None else payload
        offered = [whole[:cut] for cut in cuts] or [whole]
        return tuple(self._rerun_fresh(plugin, seq, entry, each) for each in offered)

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
        return self._offer(Hook.HTTP_REQUEST, "on_http_req", context)

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
        return self._offer(Hook.HTTP_RESPONSE, "on_http_resp", context)

    def on_custom_message(
        self, base: BaseContext, message: CustomMessage, payload: bytes
    ) -> Outcome | None:
        """Offer a message of a protocol the agent parses itself, to the plugins that want it."""
        context = CallContext(replace(base, l7=L7_UNKNOWN), payload, custom=message)
        return self._offer(Hook.CUSTOM_MESSAGE, "on_custom_message", context)

    def parse_payload(
        self, base: BaseContext, payload: bytes, number: int, name: str = ""
    ) -> Outcome | None:
        """Offer a payload of a protocol that `check_payload` claimed; every info is a message.

        All plugins with the payload hook are asked, not only the one that claimed it: they must
        tell by the number. None = none of them could parse it; an outcome without infos = it was
        parsed and there is nothing to log.
        """
        context = CallContext(replace(base, l7=number), payload, name=name)
        return self._offer(Hook.PAYLOAD, "parse_payload", context)

    def check_payload(self, base: BaseContext, payload: bytes) -> Claim | None:
        """Ask whose protocol a payload is; None = nobody's."""
        context = CallContext(replace(base, l7=L7_UNKNOWN), payload)
        with self._lock:
            self.last_calls = ()
            for plugin in self._plugins:
                if not plugin.takes(Hook.PAYLOAD):
                    continue
                call = plugin.call("check_payload", context)
                verdict, seq = self._take(plugin, call)
                if verdict is not None:
                    name = clean(context.string, 64)
                    return Claim(plugin.name, verdict.number, name, verdict.direction, seq)
        return None

    def _offer(self, hook: Hook, export: str, context: CallContext) -> Outcome | None:
        with self._lock:
            self.last_calls = ()
            for plugin in self._plugins:
                if not plugin.takes(hook) or not _wanted(plugin, context):
                    continue
                call = plugin.call(export, context)
                _, seq = self._take(plugin, call)
                if call.returned == 1:
                    return _outcome(plugin.name, context, seq)
        return None

    def _take(self, plugin: WasmPlugin, call: Call) -> tuple[Verdict | None, int]:
        """Judge, keep and count a call; returns what it claims, and its number."""
        judgement = judge(call)
        seq = self._log.append(Entry(plugin.name, call, judgement, self.clock.wall_ns()))
        self.last_calls = (*self.last_calls, seq)
        self._count(judgement)
        if plugin.state == "failed":
            self.fail(WasmError(f"Wasm plugin {plugin.name}: {plugin.error}"), "degraded")
        return judgement.verdict, seq

    def _count(self, judgement: Judgement) -> None:
        if judgement.reason:
            self.tally.add(seen=1, kept=0, dropped={judgement.reason: 1})
        else:
            self.tally.add(seen=1, kept=1)

    def _rerun_fresh(self, plugin: WasmPlugin, seq: int, entry: Entry, payload: bytes) -> int:
        trial = plugin.trial()
        try:
            return self._rerun(trial, seq, entry, payload)
        finally:
            trial.close()

    def _rerun(self, trial: WasmPlugin, seq: int, entry: Entry, payload: bytes) -> int:
        """Call a hook again and keep the call with what it did differently; returns its number."""
        old = entry.call.context
        room = max(old.base.buffer_size, len(payload))
        context = replace(
            old, base=replace(old.base, buffer_size=room), payload=payload, infos=(), string=b""
        )
        call = trial.call(entry.call.export, context)
        judgement = judge(call)
        before = outcome_as_json(entry.call, entry.judgement)
        differs = tuple(changes(before, outcome_as_json(call, judgement)))
        self._count(judgement)
        return self._log.append(
            Entry(trial.name, call, judgement, self.clock.wall_ns(), seq, differs)
        )

    def _repeat(self, plugin: WasmPlugin, examples: list[tuple[int, Entry]]) -> None:
        """Offer a reloaded plugin the messages of its predecessor, in order, on one instance."""
        try:
            trial = plugin.trial()
        except WasmError as error:
            self.log("warning", f"Wasm plugin {plugin.name}: {error.message}")
            return
        different = 0
        for seq, entry in examples:
            if trial.state != "loaded" or self._stopping.is_set():
                break
            number = self._rerun(trial, seq, entry, entry.call.context.payload)
            again = self._log.entry(number)
            different += bool(again and again.changes)
        trial.close()
        self.log(
            "info",
            f"Wasm plugin {plugin.name}: its last {len(examples)} messages were offered again, "
            f"{different} with another result",
        )

    def _last_messages(self, name: str) -> list[tuple[int, Entry]]:
        kept = self._log.last_of(name, self._options.reruns)
        return kept or self._examples.get(name, [])

    def _file_changed(self, path: Path) -> None:
        """Load a plugin whose file is another one now, unless it was unloaded meanwhile."""
        try:
            with self._loading:
                if any(each.path == path for each in self._plugins):
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
        if len(self._plugins) > AGENT_PLUGINS:
            text = f"{len(self._plugins)} Wasm plugins are loaded; an agent takes {AGENT_PLUGINS}"
            self.log("warning", text)
        if all(each.state == "loaded" for each in self._plugins):
            self.set_status("running")

    def _new(self, name: str, path: Path) -> WasmPlugin:
        return WasmPlugin(name, path, self._runtime, self.clock, faithful=self._options.faithful)

    def _plugin(self, name: str) -> WasmPlugin:
        for plugin in self._plugins:
            if plugin.name == name:
                return plugin
        raise WasmError(f"no Wasm plugin {clean(name, 100)} is loaded", fix="load it first")

    def _put(self, plugin: WasmPlugin) -> None:
        """Add a plugin to the chain, in the place of its predecessor if it had one."""
        with self._lock:
            self.generation += 1
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


def _outcome(plugin: str, context: CallContext, seq: int) -> Outcome:
    """What stopping the chain came to."""
    infos = context.infos
    if not infos:
        return Outcome(plugin, (), seq)
    hooked = (context.request, context.response, context.custom)
    merged = [infos] if any(hooked) else [(info,) for info in infos]
    before = entry_before(context)
    after = tuple(entry_after(context, each, before) for each in merged)
    return Outcome(plugin, infos, seq, before, after)


def _wanted(plugin: WasmPlugin, context: CallContext) -> bool:
    """Whether a plugin wants a custom message; any other message passes."""
    if context.custom is None:
        return True
    chosen = plugin.custom_filter
    custom = context.custom
    return chosen is not None and chosen.matches(custom.hook_point, custom.type_code)
