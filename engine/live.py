"""The live engine: this box's sources behind the engine's face."""

from __future__ import annotations

import threading
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, TypeVar

from engine.context import context_of
from engine.core.clock import Clock, SystemClock
from engine.core.errors import FailedError, RecordingError
from engine.core.fields import JsonValue
from engine.core.lineage import ProcessTree, living_processes
from engine.core.records import Batch
from engine.core.settings import Settings
from engine.core.snapshot import RecordingFacts, Snapshot
from engine.core.source import Logbook, LogLevel, SourceStatus
from engine.engine import Engine
from engine.host import OwnCost, host_facts
from engine.otlp.control import export_of
from engine.parts import Parts
from engine.recording.control import Recordings
from engine.recording.options import RecordingOptions
from engine.sampler import Sampler
from engine.selection import Selection
from engine.stores import Stores

if TYPE_CHECKING:
    from engine.discovery.explain import Explanation
    from engine.discovery.watcher import PortWatcher
    from engine.modules.runner.protocol import Wanted
    from engine.probe.health import ProgramCost
    from engine.workspace import Loaded

T = TypeVar("T")


class LiveEngine(Engine):
    """Answers from the parts that the selection asks for, and has them do what is commanded.

    They are imported and built in `start`, so that a console can paint first.
    """

    def __init__(
        self, selection: Selection, settings: Settings, *, clock: Clock | None = None
    ) -> None:
        self._selection = selection
        self._settings = settings
        self._clock = clock or SystemClock()
        self._logbook = Logbook(self._clock)
        self.tasks = self._logbook.tasks
        self._stores = Stores(self._logbook.ring)
        self._parts = Parts(settings, self._clock, self._logbook, self._stores)
        self._host = host_facts()
        self._cost = OwnCost(self._clock)
        self._started_ns = self._clock.monotonic_ns()
        self._lock = threading.Lock()
        self._sampler = Sampler(self.snapshot, self._stores.sampled)
        self._recordings = Recordings(self, self.in_force, self._clock, self.tasks)
        self._export = export_of(self, settings, self._logbook)
        self._stopped = False

    def start(self) -> None:
        """Build and start the sources; one that cannot run says so in its status."""
        with self._lock:
            if self._stopped:
                return
            self._started_ns = self._clock.monotonic_ns()
            self._parts.start(self._selection)
            self._sampler.start()
            if self._export is not None:
                self._export.start()

    def stop(self) -> None:
        """Stop every source; counters and records stay readable."""
        with self._lock:
            if self._stopped:
                return
            self._stopped = True
        self._parts.stop()
        self._sampler.stop()
        try:
            self._recordings.stop()
        except RecordingError as error:
            self._logbook.write("recording", "error", str(error))
        if self._export is not None:
            self._export.stop()

    def snapshot(self) -> Snapshot:
        """The state of everything now."""
        tables = self._parts.tables()
        share, resident = self._cost.read()
        return Snapshot(
            wall_ns=self._clock.wall_ns(),
            elapsed_s=(self._clock.monotonic_ns() - self._started_ns) / 1e9,
            host=self._host,
            sources=self._statuses(),
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
        return self._stores.of(kind).since(seq, limit)

    def last_seq(self, kind: str) -> int:
        """Number of the newest record of a kind."""
        return self._stores.of(kind).last_seq

    def raw(self, kind: str, seq: int) -> bytes | None:
        """The frame of a plugin's record, the payload of a Wasm call; other kinds keep none."""
        if kind == "wasm_result" and self._parts.wasm is not None:
            return self._parts.wasm.payload(seq)
        if kind != "plugin_record" or self._parts.agent is None:
            return None
        return self._parts.agent.raw(seq)

    def subscribe(self, event: str, category: str = "") -> None:
        """Subscribe a kernel event."""
        self.switch([(event, category)], True)

    def unsubscribe(self, event: str, category: str = "") -> None:
        """Take back a subscription."""
        self.switch([(event, category)], False)

    def switch(self, subscriptions: Sequence[tuple[str, str]], on: bool) -> None:
        """Turn several subscriptions on or off at once."""
        probe = _need(self._parts.probe, "kernel events")
        if self._parts.module_watch is not None:
            self._parts.module_watch.chosen(subscriptions)
        probe.switch(subscriptions, on)

    def set_pids(self, pids: frozenset[int], *, follow: bool = False) -> None:
        """Deliver kernel events of these processes only."""
        _need(self._parts.probe, "kernel events").set_pids(pids, follow=follow)

    def process_tree(self, pid: int) -> ProcessTree:
        """A process with all that descend from it, read from /proc."""
        return ProcessTree(pid, living_processes)

    def time_programs(self, wanted: bool) -> None:
        """Have the kernel time the probe's programs, or no longer."""
        _need(self._parts.probe, "kernel events").time_programs(wanted)

    def program_costs(self) -> Mapping[str, ProgramCost]:
        """What each of the probe's programs took since they are timed."""
        return _need(self._parts.probe, "kernel events").program_costs()

    def set_ports(self, text: str) -> None:
        """Change the ports processes are looked for by."""
        _need(self._parts.discovery, "discovery").set_ports(text)

    def explain(self, pid: int) -> Explanation:
        """Everything about a process, and why it is selected or not."""
        return _need(self._parts.discovery, "discovery").explain(pid)

    @property
    def attached(self) -> frozenset[int]:
        """The processes whose traffic is captured."""
        return self._parts.discovery.attached if self._parts.discovery is not None else frozenset()

    @property
    def capturing(self) -> bool:
        """Whether the traffic of attached processes is captured by now.

        Raises:
            BoxscopeError: it cannot be.
        """
        if self._parts.capture is None:
            return False
        if self._parts.capture.failure is not None:
            raise self._parts.capture.failure
        return self._parts.capture.ready

    def attach(self, pid: int) -> None:
        """Capture the traffic of a process."""
        self._attaching().attach(pid)

    def detach(self, pid: int) -> None:
        """Capture the traffic of a process no longer."""
        self._attaching().detach(pid)

    def load_plugin(self, executable: Path, *, name: str = "", detail: str = "") -> str:
        """Start a plugin process."""
        return _need(self._parts.agent, "plugins").load(executable, name=name, detail=detail)

    def unload_plugin(self, name: str) -> None:
        """Stop a plugin and take it off the list."""
        _need(self._parts.agent, "plugins").unload(name)

    def restart_plugin(self, name: str) -> None:
        """Stop a plugin, if it runs, and start it again."""
        _need(self._parts.agent, "plugins").restart(name)

    def send_task(self, name: str, data_type: int, data: str) -> str:
        """Queue a task for a plugin."""
        return _need(self._parts.agent, "plugins").send_task(name, data_type, data)

    def load_module(self, wanted: Wanted, *, name: str = "") -> str:
        """Load a module into a runner of its own."""
        return _need(self._parts.modules, "modules").load(wanted, name=name)

    def call_module(self, name: str, method: str, args: tuple[JsonValue, ...] = ()) -> str:
        """Call something of a module."""
        return _need(self._parts.modules, "modules").call(name, method, args)

    def module_outcomes(self, name: str) -> frozenset[str]:
        """Which `module_event`s the present or latest run of a module has had."""
        return _need(self._parts.modules, "modules").outcomes(name)

    def load_wasm(self, path: Path) -> str:
        """Load a Wasm plugin."""
        return _need(self._parts.wasm, "Wasm plugins").load(path)

    def reload_wasm(self, name: str) -> str:
        """Load a Wasm plugin's file again."""
        return _need(self._parts.wasm, "Wasm plugins").reload(name)

    def unload_wasm(self, name: str) -> None:
        """Take a Wasm plugin out of the chain."""
        _need(self._parts.wasm, "Wasm plugins").unload(name)

    def rerun_payload(
        self, seq: int, *, payload: bytes | None = None, cuts: Sequence[int] = ()
    ) -> tuple[int, ...]:
        """Offer the message of a result to its plugin again."""
        return _need(self._parts.wasm, "Wasm plugins").rerun(seq, payload=payload, cuts=cuts)

    def loaded(self) -> Loaded:
        """The plugins, modules and Wasm plugins there are."""
        from engine.workspace import Loaded
        from engine.workspace_parts import module_part, plugin_part

        parts = self._parts
        plugins = parts.agent.loaded() if parts.agent is not None else ()
        modules = parts.modules.loaded() if parts.modules is not None else {}
        return Loaded(
            tuple(plugin_part(plugin) for plugin in plugins),
            tuple(module_part(name, wanted) for name, wanted in modules.items()),
            parts.wasm.paths if parts.wasm is not None else (),
            parts.module_watch.ours if parts.module_watch is not None else frozenset(),
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
        filters = (
            self._parts.probe.filters if self._parts.probe is not None else self._selection.filters
        )
        return context_of(self._selection, self._settings, filters, self.attached)

    def _statuses(self) -> dict[str, SourceStatus]:
        """How each source is, and what takes their records."""
        statuses = self._parts.statuses()
        recording = self._recordings.status()
        if recording is not None:
            statuses["recording"] = recording
        if self._export is not None:
            statuses["otlp"] = self._export.status()
        return statuses

    def _attaching(self) -> PortWatcher:
        """Who attaches captures to processes."""
        listened = self._parts.listener is not None
        return _need(self._parts.discovery if listened else None, "traffic captures")


def _need(part: T | None, what: str) -> T:
    if part is None:
        raise FailedError(f"{what} do not run here", fix="start boxscope with them selected")
    return part
