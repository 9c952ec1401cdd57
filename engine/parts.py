"""The parts of a live engine: built as a selection asks, started in the order they need each other.

A part is imported when it is built, so that a console can paint first.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import replace
from functools import partial
from typing import TYPE_CHECKING

from engine.core.clock import Clock
from engine.core.errors import BoxscopeError
from engine.core.folders import cache_folder
from engine.core.records import Record
from engine.core.settings import Settings
from engine.core.source import Logbook, Source, SourceStatus
from engine.selection import Selection
from engine.stores import Stores

if TYPE_CHECKING:
    from engine.agent.host import PluginHost
    from engine.capture import LiveCapture
    from engine.discovery.watcher import PortWatcher
    from engine.module_source import ModuleSource
    from engine.module_watch import ModuleWatch
    from engine.probe.probe import KernelProbe
    from engine.traffic.inputs import Input
    from engine.traffic.live import LiveInput
    from engine.traffic.options import TrafficOptions
    from engine.wasm.host import WasmHost


class Parts:
    """Builds, starts and stops the sources; each part is None until it is there, or for good.

    Args:
        settings: The settings in force.
        clock: The engine's clock.
        logbook: The engine's log.
        stores: Where records of the sources are to be found.
    """

    def __init__(self, settings: Settings, clock: Clock, logbook: Logbook, stores: Stores) -> None:
        self._settings = settings
        self._clock = clock
        self._logbook = logbook
        self._stores = stores
        self._selection = Selection()
        self._sources: Mapping[str, Source] = {}
        self.agent: PluginHost | None = None
        """May be put here before the start, to run with other options than the usual ones."""
        self.modules: ModuleSource | None = None
        self.module_watch: ModuleWatch | None = None
        self.discovery: PortWatcher | None = None
        self.probe: KernelProbe | None = None
        self.wasm: WasmHost | None = None
        self.listener: LiveInput | None = None
        """What attached processes say."""
        self.capture: LiveCapture | None = None
        """What attaches them."""

    def start(self, selection: Selection) -> None:
        """Build and start what is selected; one that cannot run says so in its status.

        Raises:
            BoxscopeError: the selection is strict, and something named in it is refused.
        """
        self._selection = selection
        self._start_agent()
        self._make_probe()
        self._make_listener()
        self._start_discovery()
        self._start_probe()
        self._start_wasm()
        self._start_traffic()
        self._start_modules()

    def stop(self) -> None:
        """Stop every source, the last one first; counters and records stay readable."""
        for source in reversed(tuple(self._sources.values())):
            source.stop()

    def tables(self) -> dict[str, tuple[Record, ...]]:
        """The rows of every source, by record kind."""
        tables: dict[str, tuple[Record, ...]] = {}
        for source in self._sources.values():
            for kind, rows in source.tables().items():
                tables[kind] = tables.get(kind, ()) + rows
        return tables

    def statuses(self) -> dict[str, SourceStatus]:
        """How each source is; live traffic is no better than the probe it comes from."""
        statuses = {name: source.status() for name, source in self._sources.items()}
        probe, traffic = statuses.get("probe"), statuses.get("traffic")
        if self.listener is not None and probe and traffic and probe.state == "failed":
            statuses["traffic"] = replace(
                traffic,
                state="failed" if self._selection.capture is None else "degraded",
                reason=f"no traffic of processes can be captured: {probe.reason}",
                fix=probe.fix,
                missing=probe.missing,
            )
        return statuses

    def _add(self, source: Source) -> None:
        """Make a source's records readable, then start it."""
        self._stores.take(source.rings)
        self._sources = {**self._sources, source.name: source}
        source.start()

    def _attempt(self, source: str, load: Callable[[], object]) -> None:
        """Load something that was named; unless strict, what is refused stops nothing else."""
        try:
            load()
        except BoxscopeError as error:
            if self._selection.strict:
                raise
            self._logbook.write(source, "error", str(error))

    def _start_agent(self) -> None:
        if not self._selection.agent:
            return
        from engine.agent.host import PluginHost

        self.agent = host = self.agent or PluginHost(self._clock, self._logbook)
        self._add(host)
        for plugin in self._selection.plugins:
            self._attempt(
                host.name,
                partial(host.load, plugin.executable, name=plugin.name, detail=plugin.detail),
            )

    def _make_probe(self) -> None:
        if not self._selection.probe:
            return
        from engine.probe.hook_settings import HookSettings
        from engine.probe.probe import KernelProbe

        settings = self._settings
        self.probe = KernelProbe(
            self._clock,
            self._logbook,
            capacity=settings.history,
            ring_bytes=settings.ring_mib << 20,
            describe_fds=settings.describe_fds,
        )
        self.probe.set_snaplen(settings.snaplen)
        self.probe.set_hooks(HookSettings(settings.segment_interval_s, settings.fault_interval))
        if self._selection.filters is not None:
            self.probe.set_filters(self._selection.filters)
        self.probe.switch(self._selection.subscriptions, True)

    def _make_listener(self) -> None:
        if self.probe is None or not self._selection.live:
            return
        from engine.capture import LiveCapture
        from engine.traffic.live import LiveInput

        self.listener = LiveInput(self._clock, self.probe.payloads)
        self.capture = LiveCapture(self.listener, self.probe)

    def _start_discovery(self) -> None:
        selection = self._selection
        if not selection.discovers:
            return
        from engine.discovery.watcher import PortWatcher

        self.discovery = PortWatcher(
            self._clock,
            self._logbook,
            open_port="" if selection.beyla else self._settings.open_port,
            exe=selection.exe,
            config=selection.beyla,
            show_all=selection.show_all,
            interval_s=self._settings.scan_interval_s,
            capture=self.capture,
            attach_selected=selection.attach,
        )
        self._add(self.discovery)

    def _start_probe(self) -> None:
        if self.probe is None:
            return
        if self.discovery is not None:
            self.probe.watch_processes(self.discovery.poke)
        self._add(self.probe)

    def _start_wasm(self) -> None:
        selection = self._selection
        if not selection.wasm and not selection.reads_traffic:
            return
        from engine.wasm.host import WasmHost
        from engine.wasm.options import HostOptions

        options = HostOptions(
            deadline_ms=self._settings.wasm_deadline_ms,
            memory_limit=self._settings.wasm_memory_mib << 20,
            lenient=not self._settings.wasm_strict,
            cache=cache_folder() / "wasm",
            **dict.fromkeys(selection.wasm_mode, True),
        )
        self.wasm = host = WasmHost(self._clock, self._logbook, options=options)
        self._add(host)
        for path in selection.wasm:
            self._attempt(host.name, partial(host.load, path))

    def _start_traffic(self) -> None:
        """Read the capture, the saved payload and what attached processes say."""
        inputs = list(self._inputs())
        if not inputs:
            return
        from engine.traffic.source import TrafficSource

        options = _traffic_options(self._settings)
        self._add(
            TrafficSource(
                self._clock, self._logbook, inputs=inputs, wasm=self.wasm, options=options
            )
        )
        if self.listener is not None and self.discovery is not None:
            for pid in self._selection.attach_pids:
                self._attempt(self.discovery.name, partial(self.discovery.attach, pid))

    def _inputs(self) -> Iterator[Input]:
        selection = self._selection
        if selection.capture is not None:
            from engine.traffic.inputs import CaptureInput

            paced = selection.paced
            over = self._listens if selection.until_live else None
            yield CaptureInput(self._clock, selection.capture, loop=paced, paced=paced, over=over)
        if selection.payload is not None:
            yield selection.payload
        if self.listener is not None:
            yield self.listener

    def _listens(self) -> bool:
        return self.capture is not None and self.capture.ready

    def _start_modules(self) -> None:
        """Modules come last, so that the probe sees all they do."""
        if self._selection.modules is None or self.agent is None:
            return
        from engine.module_source import ModuleSource
        from engine.module_watch import ModuleWatch

        self.module_watch = ModuleWatch(self.probe)
        self.modules = modules = ModuleSource(
            self._clock, self._logbook, host=self.agent, watch=self.module_watch
        )
        self._add(modules)
        for module in self._selection.modules:
            self._attempt(modules.name, partial(modules.load, module.wanted, name=module.name))


def _traffic_options(settings: Settings) -> TrafficOptions:
    from engine.traffic.options import TrafficOptions

    return TrafficOptions(
        order=settings.traffic_order,
        cache=settings.traffic_cache,
        reassemble=settings.traffic_reassemble,
        truncation=settings.traffic_truncation,
        session_s=settings.traffic_session_s,
    )
