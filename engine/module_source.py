"""Modules as a source: each in the care of a keeper, which is a plugin to the plugin host.

The host has the pipes, the counters and the upkeep; here are the steps of a module's life, made
records of their own, its control group, and what the kernel tells of it. The counters of this
source are those of the keepers' pipes; the host counts them with those of all plugins, too.
"""

from __future__ import annotations

import json
import queue
import sys
import threading
import time
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass, field, replace
from pathlib import Path

from engine.agent.host import PluginHost
from engine.agent.plugin import Keeping, Run, check_name
from engine.agent.wire import Frames
from engine.core.clock import Clock
from engine.core.errors import BoxscopeError, UsageError
from engine.core.fields import JsonValue
from engine.core.folders import cache_folder
from engine.core.records import RecordRing
from engine.core.sanitise import clean
from engine.core.source import Logbook, Source
from engine.module_events import comm_of, event_record, events_in, pid_in, reason
from engine.module_keeper import keeper_command
from engine.module_stops import LOOK_S, StoppedKeepers
from engine.module_watch import ModuleWatch
from engine.modules.runner.cgroup import Cgroup, make_cgroup
from engine.modules.runner.prepare import prepare
from engine.modules.runner.protocol import (
    TASK_CALL,
    TASK_START,
    TROUBLES,
    RunSpec,
    Wanted,
)

EVENT_RECORDS = 5_000
STOP_GRACE_S = 0.3
"""How long keepers may take to end when the engine stops, as other plugins."""
_REMOVED_S = 2.0
"""How long the kernel may take until a control group whose processes were killed is empty."""


@dataclass(slots=True)
class _Kept:
    """One module, from its loading to its unloading."""

    spec: RunSpec
    wanted: Wanted
    cgroup: Cgroup | None
    no_cgroup: str
    keeper: int = 0
    """Pid of its present keeper; 0 for none."""
    runner: int | None = None
    trouble: str = ""
    """The last thing that went wrong in the present run."""
    gone: threading.Event = field(default_factory=threading.Event)
    """Set while it has no keeper."""
    outcomes: set[str] = field(default_factory=set)
    """Events of the present run."""


class ModuleSource(Source):
    """Runs modules; `module_event` records tell what becomes of them.

    Args:
        clock: Where the time is taken from.
        logbook: The engine's log.
        host: Has the keepers in its care.
        watch: Tells what modules do.
        cache: Where Go hosts are kept.
    """

    name = "modules"

    def __init__(
        self,
        clock: Clock,
        logbook: Logbook,
        *,
        host: PluginHost,
        watch: ModuleWatch,
        cache: Path | None = None,
    ) -> None:
        super().__init__(clock, logbook)
        self._host = host
        self._watch = watch
        self._cache = cache or cache_folder() / "modules"
        self._events = RecordRing(EVENT_RECORDS)
        self.rings = {"module_event": self._events}
        self._kept: Mapping[str, _Kept] = {}
        self._lock = threading.Lock()
        self._stops = StoppedKeepers()
        self._pause = threading.Event()
        self._jobs: queue.SimpleQueue[Callable[[], None] | None] = queue.SimpleQueue()
        self._thread = threading.Thread(target=self._work, name="modules", daemon=True)

    def start(self) -> None:
        """Start the thread; modules can be loaded as long as the plugin host runs."""
        self._thread.start()
        self.set_status("running")

    def stop(self) -> None:
        """Unload every module, and stop the thread when what follows from that has been done."""
        if not self._thread.is_alive():
            return
        self._watch.stop()
        kept = tuple(self._kept.values())
        for each in kept:
            with suppress(UsageError):
                self._host.unload(each.spec.name, grace_s=STOP_GRACE_S)
        for each in kept:
            each.gone.wait(STOP_GRACE_S + _REMOVED_S)
        self._jobs.put(None)
        self._thread.join()
        self.set_status("off")

    # Commands.

    def load(self, wanted: Wanted, *, name: str = "") -> str:
        """Load a module; returns its name. What becomes of it is told by `module_event` records.

        Args:
            wanted: The file, and what to look up and call.
            name: What to call it; the file's name without its suffix if left out.

        Raises:
            UsageError: the name, the interface or a prototype cannot be one.
            ModuleLoadError: the file is no module.
            RequirementError: running it takes a toolchain that is not there.
            PluginError: there is one of that name.
        """
        name = name or wanted.file.name.partition(".")[0]
        check_name(name)
        spec = prepare(name, wanted, self._cache, self.logbook.tasks)
        cgroup, no_cgroup = make_cgroup(name)
        spec = replace(spec, cgroup=str(cgroup.path) if cgroup is not None else "")
        kept = _Kept(spec, wanted, cgroup, no_cgroup)
        keeping = Keeping(keeper_command(spec), _Observer(self, kept))
        try:
            with self._lock:
                self._host.load_module(name, Path(sys.executable), keeping)
                listed = {row.get("plugin") for row in self._host.tables()["plugin_state"]}
                known = {one: each for one, each in self._kept.items() if one in listed}
                self._kept = {**known, name: kept}
        except BoxscopeError:
            if cgroup is not None:
                cgroup.remove()
            raise
        return name

    def loaded(self) -> Mapping[str, Wanted]:
        """What was wanted of the modules on the list, by their names."""
        listed = self._host.module_names()
        return {name: kept.wanted for name, kept in self._kept.items() if name in listed}

    def call(self, name: str, method: str, args: tuple[JsonValue, ...] = ()) -> str:
        """Call a method of a module's symbol, or something else it exports; returns the token.

        Args:
            name: The module.
            method: `METHOD` of the symbol it was loaded with, or `SYMBOL.METHOD`.
            args: What to call it with.

        Raises:
            UsageError: no such module.
            PluginError: it does not run.
        """
        if name not in self._kept:
            loaded = ", ".join(self._kept) or "none"
            raise UsageError(f"no module named {clean(name, 80)!r}", fix=f"loaded are: {loaded}")
        symbol, _, called = method.strip().rpartition(".")
        data = json.dumps({"symbol": symbol, "method": called, "args": args})
        return self._host.send_task(name, TASK_CALL, data)

    def outcomes(self, name: str) -> frozenset[str]:
        """The events of a module's present or latest run.

        Raises:
            UsageError: no such module.
        """
        kept = self._kept.get(name)
        if kept is None:
            raise UsageError(f"no module named {clean(name, 80)!r}")
        return frozenset(kept.outcomes)

    # What the host's ingest thread tells.

    def received(self, kept: _Kept, run: Run, frames: Frames, lag_ms: float) -> None:
        """Count what a keeper's pipe brought, and make events of what are some."""
        self.tally.add(seen=frames.sent, kept=frames.kept, dropped=frames.dropped, lag_ms=lag_ms)
        for fields in events_in(frames):
            self._happened(kept, run, fields)

    def ended(self, kept: _Kept, run: Run) -> None:
        """A keeper has gone, and its module with it."""
        keeper = run.process.pid
        told = kept.keeper == keeper and "ended" in kept.outcomes
        if not run.kill_at_ns and not told:
            self._lost(kept, run)
        kept.keeper, kept.runner = 0, None
        self._jobs.put(lambda: self._gone(kept, keeper))
        kept.gone.set()

    def _happened(self, kept: _Kept, run: Run, fields: Mapping[str, str]) -> None:
        event = fields.get("event", "")
        if event == "started" and kept.keeper != run.process.pid:  # a module can say so again
            kept.outcomes.clear()
            kept.trouble = ""
            kept.keeper = run.process.pid
            kept.gone.clear()
            self._jobs.put(lambda: self._begin(kept, run.process.pid))
        kept.outcomes.add(event)
        pid = pid_in(fields)
        if pid is not None and pid != kept.runner:
            kept.runner = pid
            run.measure(pid, comm_of(kept.spec))
        if event in TROUBLES:
            kept.trouble = reason(fields)
        elif event == "ended" and fields.get("code", "0") != "0":
            run.last_words = kept.trouble or fields.get("text", "")
        self._append(kept, pid, fields)

    def _lost(self, kept: _Kept, run: Run) -> None:
        """Tell the end of a module whose keeper could not: it was killed, perhaps by the module."""
        run.last_words = "its keeper was ended from outside"
        for event, text in (
            ("exited", f"{run.last_words}, and the module with it"),
            ("ended", run.last_words),
        ):
            self._append(kept, kept.runner, {"event": event, "text": text})
            self.tally.add(seen=1, kept=1)
            kept.outcomes.add(event)

    def _append(self, kept: _Kept, pid: int | None, fields: Mapping[str, str]) -> None:
        now_ns = self.clock.wall_ns()
        self._events.append(event_record(kept.spec, pid, fields, now_ns=now_ns))

    # The thread.

    def _work(self) -> None:
        look_at = 0.0
        while True:
            try:
                if (now := time.monotonic()) >= look_at:
                    look_at = now + LOOK_S
                    self._end_stopped()
                job = self._jobs.get(timeout=max(look_at - time.monotonic(), 0))
                if job is None:
                    return
                job()
            except queue.Empty:
                continue
            except (BoxscopeError, OSError) as error:
                self.log("error", clean(str(error)))

    def _end_stopped(self) -> None:
        """Kill keepers that are stopped; their modules end as those of other killed ones."""
        names = {each.keeper: each.spec.name for each in self._kept.values() if each.keeper}
        for pid in self._stops.end_overdue(names):
            text = f"the keeper of module {names[pid]} was stopped, and has been killed"
            self.log("warning", text)

    def _begin(self, kept: _Kept, keeper: int) -> None:
        """Watch what the module is about to do, then let it."""
        cgroup = kept.cgroup
        if cgroup is not None and not cgroup.path.exists():  # it was there for the run before
            cgroup = kept.cgroup = make_cgroup(kept.spec.name)[0]
        missing = self._watch.begin(
            keeper, cgroup.id if cgroup is not None else None, kept.spec.name
        )
        text = "what it runs, opens and connects to is in the kernel events, under its name"
        if missing:
            text = f"what it does is not in the kernel events: {missing}"
        elif kept.no_cgroup:
            text = f"its events bear no name: {kept.no_cgroup}"
        self._append(kept, None, {"event": "watched", "text": clean(text)})
        self.tally.add(seen=1, kept=1)
        if kept.keeper == keeper:
            self._host.send_task(kept.spec.name, TASK_START, "")

    def _gone(self, kept: _Kept, keeper: int) -> None:
        self._watch.end(keeper)
        if kept.cgroup is None or kept.keeper:
            return
        # A keeper leaves nothing alive, unless it was killed itself.
        kept.cgroup.kill()
        give_up = time.monotonic() + _REMOVED_S
        while not kept.cgroup.remove() and time.monotonic() < give_up:
            self._pause.wait(0.005)
        if kept.cgroup.path.exists():
            self.log("warning", f"control group {kept.cgroup.path} is still in use")


class _Observer:
    """Tells the source whose keeper it is."""

    def __init__(self, source: ModuleSource, kept: _Kept) -> None:
        self._source = source
        self._kept = kept

    def received(self, run: Run, frames: Frames, lag_ms: float) -> None:
        """It has sent something."""
        self._source.received(self._kept, run, frames, lag_ms)

    def ended(self, run: Run) -> None:
        """Its process is gone."""
        self._source.ended(self._kept, run)
