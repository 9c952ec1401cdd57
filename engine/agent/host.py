"""The plugin host: loads plugins, takes their records, gives them tasks, keeps their table."""

from __future__ import annotations

import itertools
import os
import secrets
import shutil
import tempfile
import threading
from collections.abc import Mapping
from functools import partial
from pathlib import Path

from engine.agent.ingest import Ingest
from engine.agent.metrics import ProcessMeter, Usage, last_line
from engine.agent.plugin import Plugin, PluginState, Run, check_name, describe_exit
from engine.agent.process import install, start_process
from engine.agent.spawn import require_spawn
from engine.agent.store import Origin, PluginRecordStore
from engine.agent.tasks import TaskQueue
from engine.agent.wire import LOST_SYNC, MAX_FRAME, OVER_LONG, TRUNCATED, ZERO_LENGTH, Frames
from engine.core.clock import Clock
from engine.core.errors import BoxscopeError, PluginError, RequirementError, UsageError
from engine.core.records import Record, RecordRing
from engine.core.sanitise import clean
from engine.core.source import Logbook, Source

STOP_GRACE_S = 10.0
"""How long a plugin that is unloaded may take to exit, as with the Elkeid agent."""
SHUTDOWN_GRACE_S = 0.3
"""The same when the engine stops."""
STATE_RECORDS = 2_000

_LOSSES = {
    ZERO_LENGTH: "sends records of length 0; a real agent loses the stream there",
    OVER_LONG: f"sends records above {MAX_FRAME >> 20} MiB; they are skipped",
    TRUNCATED: "ended in the middle of a record",
    LOST_SYNC: "sent a length that cannot be one",
}


class PluginHost(Source):
    """Runs Elkeid plugins as child processes.

    A plugin that cannot start is on the list too, with the reason. A plugin that exits stays
    on it until it is unloaded or restarted; it is never restarted by itself.
    """

    name = "agent"

    def __init__(
        self,
        clock: Clock,
        logbook: Logbook,
        *,
        run_dir: Path | None = None,
        record_capacity: int = 50_000,
    ) -> None:
        """Make a host; nothing runs before `start`.

        Args:
            clock: Where the time is taken from.
            logbook: Where it writes its log.
            run_dir: Where the plugins' working directories are made; a private temporary
                directory, removed by `stop`, if left out.
            record_capacity: How many records are kept for readers.
        """
        super().__init__(clock, logbook)
        self._records = PluginRecordStore(record_capacity)
        self._states = RecordRing(STATE_RECORDS)
        self.rings = {"plugin_record": self._records, "plugin_state": self._states}
        self._wanted_run_dir = run_dir
        self._run_dir: Path | None = None
        self._plugins: Mapping[str, Plugin] = {}
        """Replaced, never changed, so that it can be read without the lock."""
        self._lock = threading.RLock()
        self._ingest: Ingest | None = None
        self._token_prefix = f"boxscope-{secrets.token_hex(4)}-"
        self._token_numbers = itertools.count(1)
        self._ticks = 0

    def start(self) -> None:
        """Start the ingest thread; plugins can be loaded afterwards."""
        with self._lock:
            if self._ingest is not None:
                return
            try:
                require_spawn()
                self._run_dir = self._make_run_dir()
            except RequirementError as missing:
                self.fail(missing)
                return
            except OSError as error:
                self.set_status(
                    "failed", f"cannot make the plugins' directory: {clean(str(error))}"
                )
                return
            self._ingest = Ingest(self.clock, self)
            self._ingest.start()
            self.set_status("running")

    def _make_run_dir(self) -> Path:
        if self._wanted_run_dir is None:
            return Path(tempfile.mkdtemp(prefix="boxscope-"))
        self._wanted_run_dir.mkdir(mode=0o700, parents=True, exist_ok=True)
        return self._wanted_run_dir.absolute()

    def stop(self) -> None:
        """Stop every plugin and the thread; takes well-behaved plugins less than 0.3 s."""
        with self._lock:
            ingest, self._ingest = self._ingest, None
            run_dir, self._run_dir = self._run_dir, None
        if ingest is not None:
            ingest.stop(SHUTDOWN_GRACE_S)
            self.set_status("off")
        if run_dir is not None and self._wanted_run_dir is None:
            shutil.rmtree(run_dir, ignore_errors=True)

    def tables(self) -> Mapping[str, tuple[Record, ...]]:
        """One `plugin_state` row per plugin, in the order of loading."""
        now = self.clock.wall_ns()
        return {"plugin_state": tuple(plugin.row(now) for plugin in self._plugins.values())}

    # Commands.

    def load(
        self, executable: Path, *, name: str = "", detail: str = "", in_place: bool = True
    ) -> str:
        """Start a plugin process; returns its name.

        Args:
            executable: The plugin.
            name: What to call it; the file's name without its suffix if left out.
            detail: If not empty, the plugin's environment is `DETAIL=<detail>` and nothing else.
            in_place: Whether the file runs where it lies; otherwise a copy of it runs from the
                working directory, where an agent would have put it.

        Raises:
            UsageError: the name or the detail cannot be one.
            PluginError: it runs already, or cannot be started.
            RequirementError: plugins cannot be started on this system.
        """
        wanted = name or executable.stem
        check_name(wanted)
        if "\0" in detail or "\0" in str(executable):
            raise UsageError(f"the path or the detail of plugin {wanted} holds a NUL character")
        with self._lock:
            known = self._plugins.get(wanted)
            if known is not None and known.state in ("loading", "running"):
                raise PluginError(
                    f"plugin {wanted} is already running",
                    fix="unload or restart it, or give the other one another name",
                )
            path = Path(os.path.abspath(executable.expanduser()))
            directory = self._running_in() / "plugin" / wanted
            plugin = Plugin(wanted, path, detail, in_place, directory)
            self._plugins = {**self._plugins, wanted: plugin}
            self._launch(plugin)
        return wanted

    def unload(self, name: str, *, grace_s: float = STOP_GRACE_S) -> None:
        """Stop a plugin and take it off the list. Returns at once; the row goes with the process.

        Args:
            name: Its name.
            grace_s: After this its process group is killed.

        Raises:
            UsageError: no such plugin.
        """
        with self._lock:
            plugin = self._find(name)
            plugin.after_exit = "remove"
            if not self._ask_to_exit(plugin, grace_s):
                self._remove(plugin)

    def restart(self, name: str, *, grace_s: float = STOP_GRACE_S) -> None:
        """Stop a plugin, if it runs, and start it again. Does not wait for it to stop.

        Raises:
            UsageError: no such plugin.
            PluginError: it did not run, and cannot be started.
        """
        with self._lock:
            plugin = self._find(name)
            plugin.after_exit = "restart"
            if not self._ask_to_exit(plugin, grace_s):
                self._launch(plugin)

    def send_task(self, name: str, data_type: int, data: str) -> str:
        """Queue a task for a plugin; returns the token its reply will carry.

        What becomes of it is in the row's `last_task`.

        Raises:
            UsageError: no such plugin, or no such task.
            PluginError: the plugin does not run, or has not read its earlier tasks.
        """
        with self._lock:
            plugin, ingest = self._find(name), self._ingest
            run = plugin.run
            if ingest is None or run is None or plugin.state != "running":
                raise PluginError(
                    f"plugin {name} does not run: {plugin.error or plugin.state}",
                    fix="restart it, then send the task again",
                )
            token = f"{self._token_prefix}{next(self._token_numbers)}"
            run.tasks.put(token, data_type, data, self.clock.monotonic_ns())
            ingest.post(partial(ingest.write_tasks, run))
        return token

    def _find(self, name: str) -> Plugin:
        plugin = self._plugins.get(name)
        if plugin is None:
            loaded = ", ".join(self._plugins) or "none"
            raise UsageError(f"no plugin named {clean(name, 80)!r}", fix=f"loaded are: {loaded}")
        return plugin

    def _running_in(self) -> Path:
        if self._run_dir is None:
            raise PluginError("the plugin host is not running", fix=self.status().fix)
        return self._run_dir

    def _launch(self, plugin: Plugin) -> None:
        plugin.after_exit = "keep"
        plugin.error = ""
        plugin.run = None
        self._change(plugin, "loading")
        try:
            run = self._start(plugin)
        except BoxscopeError as error:
            plugin.error = str(error)
            self._change(plugin, "failed")
            raise
        plugin.run = run
        self._change(plugin, "running")
        if self._ingest is not None:
            self._ingest.post(partial(self._ingest.adopt, run))

    def _start(self, plugin: Plugin) -> Run:
        self._running_in()
        executable = plugin.executable
        if not plugin.in_place:
            executable = install(executable, plugin.directory / plugin.name)
        process = start_process(
            executable,
            name=plugin.name,
            directory=plugin.directory,
            detail=plugin.detail,
            pipe_bytes=self._pipe_bytes(),
        )
        return Run(
            plugin,
            process,
            TaskQueue(plugin.name, self._token_prefix),
            Origin(plugin.name, process.pid, clean(executable.name, 16)),
            ProcessMeter(process.pid),
        )

    def _pipe_bytes(self) -> int:
        """Capacity of a record pipe: large for few plugins, sparing with memory for many."""
        count = len(self._plugins)
        return (1024 if count <= 8 else 256 if count <= 64 else 64) * 1024

    def _ask_to_exit(self, plugin: Plugin, grace_s: float) -> bool:
        ingest, run = self._ingest, plugin.run
        if ingest is None or run is None or run.ended:
            return False
        ingest.post(partial(ingest.end, run, grace_s))
        return True

    def _remove(self, plugin: Plugin) -> None:
        self._plugins = {
            name: known for name, known in self._plugins.items() if known is not plugin
        }

    def _change(self, plugin: Plugin, state: PluginState) -> None:
        plugin.state = state
        self._states.append(plugin.row(self.clock.wall_ns()))

    # What the ingest thread tells.

    def received(self, run: Run, frames: Frames, lag_ms: float) -> None:
        """Keep and count what a plugin sent."""
        if frames.kept:
            self._records.append(run.origin, self.clock.wall_ns(), frames.data, frames.offsets)
        self.tally.add(seen=frames.sent, kept=frames.kept, dropped=frames.dropped, lag_ms=lag_ms)
        for reason in frames.dropped.keys() - run.dropped.keys():
            self.log("warning", f"plugin {run.plugin.name} {_LOSSES[reason]}")
        run.count(frames)
        run.tasks.match_replies(frames.data, frames.offsets, self.clock.monotonic_ns())

    def ended(self, run: Run) -> None:
        """Show that a process is gone, and do what was wanted after that."""
        run.rate = (0.0, 0.0)
        run.usage = Usage()
        run.stderr_line = last_line(run.process.stderr_fd)
        plugin = run.plugin
        with self._lock:
            plugin.error = describe_exit(run)
            self._change(plugin, "failed" if run.lost_sync else "exited")
            if plugin.error:
                self.log("warning", plugin.error)
            if plugin.after_exit == "remove":
                self._remove(plugin)
            elif plugin.after_exit == "restart" and self._ingest is not None:
                try:
                    self._launch(plugin)
                except BoxscopeError as error:
                    self.log("error", f"plugin {plugin.name} is not restarted: {error}")

    def tick(self, now_ns: int) -> None:
        """Bring rates up to date each half second, the rest of the table each second."""
        self._ticks += 1
        for plugin in self._plugins.values():
            run = plugin.run
            if run is None or run.ended:
                continue
            run.sample_rate(now_ns)
            if self._ticks % 2 == 0:
                run.sample_process(now_ns)

    def broken(self, error: Exception) -> None:
        """The ingest thread has ended by itself."""
        self.set_status(
            "failed",
            f"the plugin host broke down: {type(error).__name__}: {clean(str(error))}",
            "restart boxscope and report this line; everything else goes on",
        )
