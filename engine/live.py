"""The live engine: this box's sources behind the engine's face."""

from __future__ import annotations

import threading
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Literal, TypeVar

from engine.context import context_of
from engine.core.clock import Clock, SystemClock
from engine.core.errors import BoxscopeError, FailedError, RecordingError
from engine.core.fields import JsonValue
from engine.core.kinds import KINDS
from engine.core.lineage import ProcessTree, living_processes
from engine.core.records import Batch, Record, RecordRing, RecordStore
from engine.core.settings import Settings
from engine.core.snapshot import RecordingFacts, Snapshot
from engine.core.source import Logbook, LogLevel, Source, SourceStatus
from engine.engine import Engine
from engine.host import OwnCost, host_facts
from engine.otlp.control import export_of
from engine.recording.control import Recordings
from engine.recording.options import RecordingOptions
from engine.sampler import SAMPLED, Sampler

if TYPE_CHECKING:
    from engine.agent.host import PluginHost
    from engine.capture import LiveCapture
    from engine.core.fields import JsonValue
    from engine.discovery.config import DiscoveryConfig
    from engine.discovery.explain import Explanation
    from engine.discovery.watcher import PortWatcher
    from engine.module_source import ModuleSource
    from engine.module_watch import ModuleWatch
    from engine.modules.runner.protocol import Wanted
    from engine.probe.filters import Filters
    from engine.probe.health import ProgramCost
    from engine.probe.probe import KernelProbe
    from engine.traffic.inputs import Input, SavedPayload
    from engine.traffic.live import LiveInput
    from engine.traffic.source import TrafficSource
    from engine.wasm.host import WasmHost
    from engine.workspace import Loaded, ModulePart

_EMPTY = RecordRing(1)
STATS_RECORDS = 3_600
"""An hour; each is some kilobytes, as it has the counters of every source and stage."""
T = TypeVar("T")


WasmMode = Literal["faithful", "measure", "watch"]
"""How Wasm plugins are run besides what is set, see `engine.wasm.host.HostOptions`."""


@dataclass(frozen=True)
class PluginRequest:
    """A plugin to start with the engine."""

    executable: Path
    name: str = ""
    detail: str = ""


@dataclass(frozen=True)
class ModuleRequest:
    """A module to load with the engine."""

    wanted: Wanted
    name: str = ""


@dataclass(frozen=True)
class Selection:
    """Which sources run, and on what."""

    agent: bool = False
    plugins: tuple[PluginRequest, ...] = ()
    modules: tuple[ModuleRequest, ...] | None = None
    """Modules to load; None where modules are not run. They need the agent's plugin host."""
    discovery: bool = False
    exe: str = ""
    """Glob on the executable of processes listed."""
    beyla: DiscoveryConfig | None = None
    """Beyla's configuration of discovery; with one, the ports of the settings count for nothing."""
    show_all: bool = False
    """List processes that own a port and are not selected, too."""
    probe: bool = False
    subscriptions: tuple[tuple[str, str], ...] = ()
    """Kernel events as (name, category), also patterns and presets; an empty category means all."""
    filters: Filters | None = None
    """Which of them are wanted; None for all."""
    capture: Path | None = None
    paced: bool = False
    """Play the capture at its own pace, over and over, as if it were live."""
    until_live: bool = False
    """Play it only until processes can be listened to."""
    payload: SavedPayload | None = None
    """A saved payload to be read."""
    live: bool = False
    """Whether the traffic of processes can be captured; needs the probe, and runs discovery."""
    attach: bool = False
    """Capture that of every process that discovery selects."""
    attach_pids: tuple[int, ...] = ()
    """Capture that of these processes."""
    wasm: tuple[Path, ...] = ()
    wasm_mode: frozenset[WasmMode] = frozenset()
    strict: bool = False
    """A plugin or module that cannot be loaded ends `start` instead of being a failed row."""


class LiveEngine(Engine):
    """Composes the parts that the selection asks for.

    The parts are imported and built in `start`, so that a console can paint first.
    """

    def __init__(
        self, selection: Selection, settings: Settings, *, clock: Clock | None = None
    ) -> None:
        self._selection = selection
        self._settings = settings
        self._clock = clock or SystemClock()
        self._logbook = Logbook(self._clock)
        self.tasks = self._logbook.tasks
        self._sources: dict[str, Source] = {}
        self._own_rings = {kind: RecordRing(20_000) for kind in SAMPLED}
        self._own_rings["stats"] = RecordRing(STATS_RECORDS)
        self._stores: dict[str, RecordStore] = {**self._own_rings, "log": self._logbook.ring}
        self._host = host_facts()
        self._cost = OwnCost(self._clock)
        self._started_ns = self._clock.monotonic_ns()
        self._lock = threading.Lock()
        self._sampler = Sampler(self.snapshot, self._own_rings)
        self._recordings = Recordings(self, self.in_force, self._clock, self.tasks)
        self._export = export_of(self, settings, self._logbook)
        self._agent: PluginHost | None = None
        self._modules: ModuleSource | None = None
        self._module_watch: ModuleWatch | None = None
        self._discovery: PortWatcher | None = None
        self._probe: KernelProbe | None = None
        self._wasm: WasmHost | None = None
        self._traffic: TrafficSource | None = None
        self._live: LiveInput | None = None
        self._capture: LiveCapture | None = None
        self._stopped = False

    def start(self) -> None:
        """Build and start the sources; one that cannot run says so in its status."""
        with self._lock:
            if self._stopped:
                return
            self._started_ns = self._clock.monotonic_ns()
            self._start_agent()
            self._make_probe()
            self._start_discovery()
            self._start_probe()
            self._start_wasm()
            self._start_traffic()
            self._start_modules()
            self._sampler.start()
            if self._export is not None:
                self._export.start()

    def stop(self) -> None:
        """Stop every source; counters and records stay readable."""
        with self._lock:
            if self._stopped:
                return
            self._stopped = True
        for source in reversed(self._sources.values()):
            source.stop()
        self._sampler.stop()
        try:
            self._recordings.stop()
        except RecordingError as error:
            self._logbook.write("recording", "error", str(error))
        if self._export is not None:
            self._export.stop()

    def snapshot(self) -> Snapshot:
        """The state of everything now."""
        sources = dict(self._sources)
        tables: dict[str, tuple[Record, ...]] = {}
        for source in sources.values():
            for kind, rows in source.tables().items():
                tables[kind] = tables.get(kind, ()) + rows
        share, resident = self._cost.read()
        return Snapshot(
            wall_ns=self._clock.wall_ns(),
            elapsed_s=(self._clock.monotonic_ns() - self._started_ns) / 1e9,
            host=self._host,
            sources=self._statuses(sources),
            tables=tables,
            own_cpu=share,
            own_rss=resident,
            recording=self._recordings.facts(),
            tasks=self.tasks.facts(),
        )

    def note(self, source: str, level: LogLevel, text: str) -> None:
        """Write to the engine's log; what `text` quotes from outside is made safe before."""
        self._logbook.write(source, level, text)

    def since(self, kind: str, seq: int, limit: int = 1_000) -> Batch:
        """Records of a kind numbered above `seq`."""
        return self._store(kind).since(seq, limit)

    def last_seq(self, kind: str) -> int:
        """Number of the newest record of a kind."""
        return self._store(kind).last_seq

    def raw(self, kind: str, seq: int) -> bytes | None:
        """The frame of a plugin's record, the payload of a Wasm call; other kinds keep none."""
        if kind == "wasm_result" and self._wasm is not None:
            return self._wasm.payload(seq)
        if kind != "plugin_record" or self._agent is None:
            return None
        return self._agent.raw(seq)

    def subscribe(self, event: str, category: str = "") -> None:
        """Subscribe a kernel event."""
        self.switch([(event, category)], True)

    def unsubscribe(self, event: str, category: str = "") -> None:
        """Take back a subscription."""
        self.switch([(event, category)], False)

    def switch(self, subscriptions: Sequence[tuple[str, str]], on: bool) -> None:
        """Turn several subscriptions on or off at once."""
        probe = _need(self._probe, "kernel events")
        if self._module_watch is not None:
            self._module_watch.chosen(subscriptions)
        probe.switch(subscriptions, on)

    def set_pids(self, pids: frozenset[int], *, follow: bool = False) -> None:
        """Deliver kernel events of these processes only."""
        _need(self._probe, "kernel events").set_pids(pids, follow=follow)

    def process_tree(self, pid: int) -> ProcessTree:
        """A process with all that descend from it, read from /proc."""
        return ProcessTree(pid, living_processes)

    def time_programs(self, wanted: bool) -> None:
        """Have the kernel time the probe's programs, or no longer."""
        _need(self._probe, "kernel events").time_programs(wanted)

    def program_costs(self) -> Mapping[str, ProgramCost]:
        """What each of the probe's programs took since they are timed."""
        return _need(self._probe, "kernel events").program_costs()

    def set_ports(self, text: str) -> None:
        """Change the ports processes are looked for by."""
        _need(self._discovery, "discovery").set_ports(text)

    def explain(self, pid: int) -> Explanation:
        """Everything about a process, and why it is selected or not."""
        return _need(self._discovery, "discovery").explain(pid)

    @property
    def attached(self) -> frozenset[int]:
        """The processes whose traffic is captured."""
        return self._discovery.attached if self._discovery is not None else frozenset()

    @property
    def capturing(self) -> bool:
        """Whether the traffic of attached processes is captured by now.

        Raises:
            BoxscopeError: it cannot be.
        """
        if self._capture is None:
            return False
        if self._capture.failure is not None:
            raise self._capture.failure
        return self._capture.ready

    def attach(self, pid: int) -> None:
        """Capture the traffic of a process."""
        self._attaching().attach(pid)

    def detach(self, pid: int) -> None:
        """Capture the traffic of a process no longer."""
        self._attaching().detach(pid)

    def load_plugin(self, executable: Path, *, name: str = "", detail: str = "") -> str:
        """Start a plugin process."""
        return _need(self._agent, "plugins").load(executable, name=name, detail=detail)

    def unload_plugin(self, name: str) -> None:
        """Stop a plugin and take it off the list."""
        _need(self._agent, "plugins").unload(name)

    def restart_plugin(self, name: str) -> None:
        """Stop a plugin, if it runs, and start it again."""
        _need(self._agent, "plugins").restart(name)

    def send_task(self, name: str, data_type: int, data: str) -> str:
        """Queue a task for a plugin."""
        return _need(self._agent, "plugins").send_task(name, data_type, data)

    def load_module(self, wanted: Wanted, *, name: str = "") -> str:
        """Load a module into a runner of its own."""
        return _need(self._modules, "modules").load(wanted, name=name)

    def call_module(self, name: str, method: str, args: tuple[JsonValue, ...] = ()) -> str:
        """Call something of a module."""
        return _need(self._modules, "modules").call(name, method, args)

    def module_outcomes(self, name: str) -> frozenset[str]:
        """Which `module_event`s the present or latest run of a module has had."""
        return _need(self._modules, "modules").outcomes(name)

    def load_wasm(self, path: Path) -> str:
        """Load a Wasm plugin."""
        return _need(self._wasm, "Wasm plugins").load(path)

    def reload_wasm(self, name: str) -> str:
        """Load a Wasm plugin's file again."""
        return _need(self._wasm, "Wasm plugins").reload(name)

    def unload_wasm(self, name: str) -> None:
        """Take a Wasm plugin out of the chain."""
        _need(self._wasm, "Wasm plugins").unload(name)

    def rerun_payload(
        self, seq: int, *, payload: bytes | None = None, cuts: Sequence[int] = ()
    ) -> tuple[int, ...]:
        """Offer the message of a result to its plugin again."""
        return _need(self._wasm, "Wasm plugins").rerun(seq, payload=payload, cuts=cuts)

    def loaded(self) -> Loaded:
        """The plugins, modules and Wasm plugins there are."""
        from engine.workspace import Loaded, PluginPart

        plugins = self._agent.loaded() if self._agent is not None else ()
        modules = self._modules.loaded() if self._modules is not None else {}
        return Loaded(
            tuple(
                PluginPart(file=plugin.executable, name=plugin.name, detail=plugin.detail)
                for plugin in plugins
            ),
            tuple(_module_part(name, wanted) for name, wanted in modules.items()),
            self._wasm.paths if self._wasm is not None else (),
            self._module_watch.ours if self._module_watch is not None else frozenset(),
        )

    def start_recording(self, path: Path, options: RecordingOptions | None = None) -> None:
        """Record everything from now on into a new file."""
        self._recordings.start(path, options or RecordingOptions())

    def stop_recording(self) -> RecordingFacts | None:
        """End the recording."""
        return self._recordings.stop()

    def dump_recording(self, path: Path, options: RecordingOptions | None = None) -> RecordingFacts:
        """Write all that the engine's memory still holds into a new file."""
        return self._recordings.dump(path, options or RecordingOptions())

    def in_force(self) -> Mapping[str, JsonValue]:
        """What is subscribed, filtered and attached, as a recording tells it."""
        filters = self._probe.filters if self._probe is not None else self._selection.filters
        return context_of(self._selection, self._settings, filters, self.attached)

    def _statuses(self, sources: Mapping[str, Source]) -> dict[str, SourceStatus]:
        """How each source is; live traffic is no better than the probe it comes from."""
        statuses = {name: source.status() for name, source in sources.items()}
        recording = self._recordings.status()
        if recording is not None:
            statuses["recording"] = recording
        if self._export is not None:
            statuses["otlp"] = self._export.status()
        probe, traffic = statuses.get("probe"), statuses.get("traffic")
        if self._live is not None and probe and traffic and probe.state == "failed":
            statuses["traffic"] = replace(
                traffic,
                state="failed" if self._selection.capture is None else "degraded",
                reason=f"no traffic of processes can be captured: {probe.reason}",
                fix=probe.fix,
                missing=probe.missing,
            )
        return statuses

    def _store(self, kind: str) -> RecordStore:
        if kind not in KINDS:
            raise KeyError(kind)
        return self._stores.get(kind, _EMPTY)

    def _add(self, source: Source) -> None:
        """Make a source's records readable, then start it."""
        for kind, ring in source.rings.items():
            self._stores[kind] = ring
            if kind in self._own_rings and isinstance(ring, RecordRing):
                self._own_rings[kind] = ring
        self._sources = {**self._sources, source.name: source}
        source.start()

    def _start_agent(self) -> None:
        if not self._selection.agent:
            return
        from engine.agent.host import PluginHost

        self._agent = PluginHost(self._clock, self._logbook)
        self._add(self._agent)
        for request in self._selection.plugins:
            try:
                self._agent.load(request.executable, name=request.name, detail=request.detail)
            except BoxscopeError as error:
                if self._selection.strict:
                    raise
                self._agent.log("error", str(error))

    def _start_discovery(self) -> None:
        selection = self._selection
        if not selection.discovery and not selection.live:
            return
        from engine.discovery.watcher import PortWatcher

        self._discovery = PortWatcher(
            self._clock,
            self._logbook,
            open_port="" if selection.beyla else self._settings.open_port,
            exe=selection.exe,
            config=selection.beyla,
            show_all=selection.show_all,
            interval_s=self._settings.scan_interval_s,
            capture=self._live_capture(),
            attach_selected=selection.attach,
        )
        self._add(self._discovery)

    def _make_probe(self) -> None:
        if not self._selection.probe:
            return
        from engine.probe.hook_settings import HookSettings
        from engine.probe.probe import KernelProbe

        settings = self._settings
        self._probe = KernelProbe(
            self._clock,
            self._logbook,
            capacity=settings.history,
            ring_bytes=settings.ring_mib << 20,
            describe_fds=settings.describe_fds,
        )
        self._probe.set_snaplen(settings.snaplen)
        self._probe.set_hooks(HookSettings(settings.segment_interval_s, settings.fault_interval))
        if self._selection.filters is not None:
            self._probe.set_filters(self._selection.filters)
        self._probe.switch(self._selection.subscriptions, True)

    def _start_probe(self) -> None:
        if self._probe is None:
            return
        if self._discovery is not None:
            self._probe.watch_processes(self._discovery.poke)
        self._add(self._probe)

    def _start_wasm(self) -> None:
        selection = self._selection
        traffic = selection.live or selection.capture is not None or selection.payload is not None
        if not selection.wasm and not traffic:
            return
        from engine.wasm.engines import cache_folder
        from engine.wasm.host import HostOptions, WasmHost

        options = HostOptions(
            deadline_ms=self._settings.wasm_deadline_ms,
            memory_limit=self._settings.wasm_memory_mib << 20,
            lenient=not self._settings.wasm_strict,
            cache=cache_folder(),
            **dict.fromkeys(self._selection.wasm_mode, True),
        )
        self._wasm = WasmHost(self._clock, self._logbook, options=options)
        self._add(self._wasm)
        for path in self._selection.wasm:
            try:
                self._wasm.load(path)
            except BoxscopeError as error:
                if self._selection.strict:
                    raise
                self._wasm.log("error", str(error))

    def _start_traffic(self) -> None:
        """Read the capture, the saved payload and what attached processes say."""
        selection = self._selection
        if selection.capture is None and selection.payload is None and self._listener() is None:
            return
        from engine.traffic.inputs import CaptureInput
        from engine.traffic.options import TrafficOptions
        from engine.traffic.source import TrafficSource

        inputs: list[Input] = []
        if selection.capture is not None:
            paced = selection.paced
            over = self._listens if selection.until_live else None
            inputs.append(
                CaptureInput(self._clock, selection.capture, loop=paced, paced=paced, over=over)
            )
        if selection.payload is not None:
            inputs.append(selection.payload)
        listener = self._listener()
        if listener is not None:
            inputs.append(listener)
        settings = self._settings
        options = TrafficOptions(
            order=settings.traffic_order,
            cache=settings.traffic_cache,
            reassemble=settings.traffic_reassemble,
            truncation=settings.traffic_truncation,
            session_s=settings.traffic_session_s,
        )
        self._traffic = TrafficSource(
            self._clock, self._logbook, inputs=inputs, wasm=self._wasm, options=options
        )
        self._add(self._traffic)
        if listener is not None:
            self._attach_chosen()

    def _start_modules(self) -> None:
        """Modules come last, so that the probe sees all they do."""
        if self._selection.modules is None or self._agent is None:
            return
        from engine.module_source import ModuleSource
        from engine.module_watch import ModuleWatch

        self._module_watch = ModuleWatch(self._probe)
        self._modules = ModuleSource(
            self._clock, self._logbook, host=self._agent, watch=self._module_watch
        )
        self._add(self._modules)
        for request in self._selection.modules:
            try:
                self._modules.load(request.wanted, name=request.name)
            except BoxscopeError as error:
                if self._selection.strict:
                    raise
                self._modules.log("error", str(error))

    def _listener(self) -> LiveInput | None:
        """What attached processes say, made with the first question; None if nobody listens."""
        if self._probe is None or not self._selection.live:
            return None
        if self._live is None:
            from engine.traffic.live import LiveInput

            self._live = LiveInput(self._clock, self._probe.payloads)
        return self._live

    def _live_capture(self) -> LiveCapture | None:
        """What captures the traffic of processes, if anything does."""
        listener = self._listener()
        if listener is None or self._probe is None:
            return None
        from engine.capture import LiveCapture

        self._capture = LiveCapture(listener, self._probe)
        return self._capture

    def _attach_chosen(self) -> None:
        """Capture the traffic of the processes that were named."""
        for pid in self._selection.attach_pids:
            try:
                self._attaching().attach(pid)
            except BoxscopeError as error:
                if self._selection.strict:
                    raise
                self._logbook.write("discovery", "error", str(error))

    def _listens(self) -> bool:
        return self._capture is not None and self._capture.ready

    def _attaching(self) -> PortWatcher:
        """Who attaches captures to processes."""
        return _need(self._discovery if self._live is not None else None, "traffic captures")


def _module_part(name: str, wanted: Wanted) -> ModulePart:
    from engine.workspace import ModulePart

    return ModulePart(
        file=wanted.file.absolute(),
        name=name,
        symbol=wanted.symbol,
        interface=wanted.interface,
        call=wanted.call,
        args=wanted.args,
        prototypes=wanted.prototypes,
        anyway=wanted.anyway,
    )


def _need(part: T | None, what: str) -> T:
    if part is None:
        raise FailedError(f"{what} do not run here", fix="start boxscope with them selected")
    return part
