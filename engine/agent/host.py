"""The plugin host: loads plugins, takes their records, gives them tasks, keeps their table."""

from __future__ import annotations

import shutil
import tempfile
import threading
from collections.abc import Mapping, Sequence
from functools import partial
from pathlib import Path

from engine.agent.config import PluginConfig
from engine.agent.heartbeat import INTERVAL_S
from engine.agent.ingest import Ingest
from engine.agent.intake import Intake, own_frames
from engine.agent.launch import Launcher
from engine.agent.loading import Loader
from engine.agent.plugin import Keeping, Plugin, Run
from engine.agent.roster import STOP_GRACE_S, Place, Roster
from engine.agent.spawn import require_spawn
from engine.agent.stderr import read_stderr
from engine.agent.sync import SyncStep
from engine.agent.tasks import TaskStatus
from engine.agent.transmission import CAPACITY
from engine.agent.upkeep import Upkeep
from engine.agent.wire import Frames
from engine.core.clock import Clock
from engine.core.errors import PluginError, RequirementError
from engine.core.records import Record
from engine.core.sanitise import clean
from engine.core.source import Logbook, Source

SHUTDOWN_GRACE_S = 0.3
"""How long plugins may take to exit when the engine stops."""


class PluginHost(Source):
    """Runs Elkeid plugins as child processes.

    A plugin that cannot start is on the list too, with the reason. A plugin that exits stays
    on it until it is unloaded or started again; as with an agent that does not happen by itself
    unless it was asked for.
    """

    name = "agent"

    def __init__(
        self,
        clock: Clock,
        logbook: Logbook,
        *,
        run_dir: Path | None = None,
        record_capacity: int = 50_000,
        heartbeat_s: float = INTERVAL_S,
        faithful: bool = False,
        agent_buffer: int = CAPACITY,
    ) -> None:
        """Make a host; nothing runs before `start`.

        Args:
            clock: Where the time is taken from.
            logbook: Where it writes its log.
            run_dir: Where the plugins' working directories are made; a private temporary
                directory, removed by `stop`, if left out.
            record_capacity: How many records are kept for readers.
            heartbeat_s: Time between two heartbeats, the first comes after as long; 0 = none.
            faithful: Lose what the agent loses: records that find no room in its transmission
                buffer are dropped, and a plugin is stopped by closing both pipes at once and
                has 10 s, also when the host itself stops.
            agent_buffer: How many records that buffer takes; 8,192 in agents up to 1.8.
        """
        super().__init__(clock, logbook)
        launcher = Launcher(clock, faithful_stop=faithful)
        self._roster = Roster(clock, launcher, self.log)
        self._loader = Loader(self._roster, self.log, logbook.tasks)
        self._intake = Intake(
            clock,
            self.tally,
            self.log,
            capacity=record_capacity,
            faithful=faithful,
            agent_buffer=agent_buffer,
        )
        self.rings = {
            "plugin_record": self._intake.records,
            "plugin_fault": self._intake.faults,
            "plugin_state": self._roster.states,
        }
        self._launcher = launcher
        self._wanted_run_dir = run_dir
        self._run_dir: Path | None = None
        self._ingest: Ingest | None = None
        self._upkeep: Upkeep | None = None
        self._heartbeat_s = heartbeat_s
        self._shutdown_grace_s = STOP_GRACE_S if faithful else SHUTDOWN_GRACE_S
        self._lock = threading.Lock()
        self._ticks = 0

    def start(self) -> None:
        """Start the threads; plugins can be loaded afterwards."""
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
                    "failed",
                    f"cannot make the plugins' directory: {clean(str(error))}",
                    "make room there, or name another directory with TMPDIR",
                )
                return
            self._ingest = Ingest(self.clock, self)
            self._upkeep = Upkeep(self.clock, self._roster, self, self._heartbeat_s)
            self._ingest.start()
            self._upkeep.start()
            self._roster.open(Place(self._run_dir / "plugin", self._ingest))
            self.set_status("running")

    def _make_run_dir(self) -> Path:
        if self._wanted_run_dir is None:
            return Path(tempfile.mkdtemp(prefix="boxscope-"))
        self._wanted_run_dir.mkdir(mode=0o700, parents=True, exist_ok=True)
        return self._wanted_run_dir.absolute()

    def stop(self) -> None:
        """Stop every plugin and the threads; takes well-behaved plugins less than 0.3 s."""
        with self._lock:
            ingest, self._ingest = self._ingest, None
            upkeep, self._upkeep = self._upkeep, None
            run_dir, self._run_dir = self._run_dir, None
        if ingest is not None:
            ingest.sweep_groups()
        self._roster.close(self._shutdown_grace_s)
        if upkeep is not None:
            upkeep.stop()
        if ingest is not None:
            ingest.stop(self._shutdown_grace_s)
            self.set_status("off")
        if run_dir is not None and self._wanted_run_dir is None:
            shutil.rmtree(run_dir, ignore_errors=True)

    def tables(self) -> Mapping[str, tuple[Record, ...]]:
        """One `plugin_state` row per plugin, in the order of loading."""
        return {"plugin_state": self._roster.rows()}

    def loaded(self) -> tuple[Plugin, ...]:
        """The plugins that were loaded as they lie: no modules, nothing from a plugin list."""
        return tuple(
            each for each in self._roster.staying() if each.in_place and each.keeping is None
        )

    def module_names(self) -> frozenset[str]:
        """The modules that are not about to be taken off the list."""
        return frozenset(each.name for each in self._roster.staying() if each.keeping is not None)

    def raw(self, seq: int) -> bytes | None:
        """The body of plugin record number `seq` as it came; None if it is no longer kept."""
        return self._intake.records.raw(seq)

    @property
    def agent_dropped(self) -> int:
        """How many records an agent's transmission buffer would have lost so far."""
        return self._intake.agent_dropped

    # Commands.

    def load(
        self,
        executable: Path,
        *,
        name: str = "",
        detail: str = "",
        in_place: bool = True,
        directory: Path | None = None,
        inherit_env: bool = False,
        restart: bool = False,
        watch: bool = False,
    ) -> str:
        """Start a plugin process with no ceremony; returns its name.

        Args:
            executable: The plugin.
            name: What to call it; the file's name without its suffix if left out.
            detail: If not empty, the plugin's environment is `DETAIL=<detail>` and nothing else.
            in_place: Whether the file runs where it lies; otherwise a copy of it runs from the
                working directory, where an agent would have put it.
            directory: Working directory; one of its own, private, if left out.
            inherit_env: Add the detail to our environment instead.
            restart: Start it again when it has exited, after 1, 2, 4 ... 60 s.
            watch: Start it again when its file has changed.

        Raises:
            UsageError: the name or the detail cannot be one.
            PluginError: it runs already, or cannot be started.
            RequirementError: plugins cannot be started on this system.
        """
        return self._roster.load(
            executable,
            name,
            detail,
            in_place=in_place,
            directory=directory,
            inherit_env=inherit_env,
            restart=restart,
            watch=watch,
        )

    def load_module(self, name: str, keeper: Path, keeping: Keeping) -> str:
        """Start the keeper of a module as a plugin; returns its name.

        Args:
            name: What to call it.
            keeper: Its executable.
            keeping: What else it is started with, and who is told what it does.

        Raises:
            UsageError: the name cannot be one.
            PluginError: there is one of that name, or the keeper cannot be started.
        """
        return self._roster.load_module(name, keeper, keeping)

    def load_config(self, config: PluginConfig) -> bool:
        """Load a plugin as an agent does: verified or downloaded, in place of another version.

        Waits for the download, and for the plugin it takes the place of.

        Returns:
            False if the same version runs already; then nothing is done.

        Raises:
            UsageError: the configuration cannot be satisfied.
            PluginError: its executable is not to be had, or cannot be started.
        """
        return self._loader.load_config(config)

    def plan(self, configs: Sequence[PluginConfig]) -> tuple[SyncStep, ...]:
        """What `sync` would do with a list, without doing it.

        Raises:
            PluginError: the host does not run.
        """
        return self._loader.plan(configs)

    def sync(self, configs: Sequence[PluginConfig]) -> tuple[SyncStep, ...]:
        """Make the plugins those of a list, as an agent does when its server pushes one.

        Loads what is on the list, then removes what is not, each plugin's directory included.
        Waits for downloads and for plugins to stop; a failure stops nothing else.

        Raises:
            PluginError: another list is being carried out, or the host does not run.
        """
        return self._loader.sync(configs)

    def unload(self, name: str, *, grace_s: float = STOP_GRACE_S) -> None:
        """Stop a plugin and take it off the list. Returns at once; the row goes with the process.

        Args:
            name: Its name.
            grace_s: After this its process group is killed.

        Raises:
            UsageError: no such plugin.
        """
        self._roster.unload(name, grace_s)

    def restart(self, name: str, *, grace_s: float = STOP_GRACE_S) -> None:
        """Stop a plugin, if it runs, and start it again. Does not wait for it to stop.

        Raises:
            UsageError: no such plugin.
            PluginError: it did not run, and cannot be started.
        """
        self._roster.restart(name, grace_s)

    def send_task(self, name: str, data_type: int, data: str, *, strict: bool = False) -> str:
        """Queue a task for a plugin; returns the token its reply will carry.

        What becomes of it is in `tasks` and in the row's `last_task`.

        Args:
            name: The plugin, the task's `object_name`.
            data_type: The task's type.
            data: Its content.
            strict: Reject it as an agent does: if an earlier one is not written yet, or the
                plugin does not run.

        Raises:
            UsageError: no such plugin, or no such task.
            PluginError: the plugin does not run, or has not read its earlier tasks.
        """
        plugin, ingest = self._roster.find(name), self._ingest
        run = plugin.run
        if ingest is None or run is None or (plugin.state != "running" and not strict):
            raise PluginError(
                f"plugin {name} does not run: {plugin.error or plugin.state}",
                fix="restart it, then send the task again",
            )
        token = self._launcher.new_token()
        run.tasks.put(token, data_type, data, strict=strict)
        ingest.post(partial(ingest.write_tasks, run))
        return token

    def tasks(self, name: str) -> tuple[TaskStatus, ...]:
        """What became of the tasks a plugin's present or latest process was given, oldest first.

        Raises:
            UsageError: no such plugin.
        """
        run = self._roster.find(name).run
        return run.tasks.statuses() if run is not None else ()

    def stderr(self, name: str, count: int = 500) -> list[str]:
        """The last lines a plugin wrote to stderr, earlier runs included, fit to be shown.

        Raises:
            UsageError: no such plugin.
        """
        plugin = self._roster.find(name)
        if plugin.run is None or plugin.run.gone.is_set():
            return plugin.stderr.tail([], count)
        path = plugin.directory / f"{plugin.name}.stderr"
        return plugin.stderr.tail(read_stderr(path, count), count)

    # What the ingest thread tells.

    def received(self, run: Run, frames: Frames, lag_ms: float) -> None:
        """Keep and count what a plugin sent."""
        frames = self._intake.take(run, frames, lag_ms)
        run.count(frames)
        run.tasks.match_replies(frames)
        if run.plugin.keeping is not None:
            run.plugin.keeping.observer.received(run, frames, lag_ms)

    def ended(self, run: Run) -> None:
        """A process is gone."""
        if run.plugin.keeping is not None:
            run.plugin.keeping.observer.ended(run)
        self._roster.ended(run)

    def tick(self, now_ns: int) -> None:
        """Bring rates up to date each half second, the rest of the table each second."""
        self._ticks += 1
        for plugin in self._roster.plugins.values():
            run = plugin.run
            if run is None or run.ended:
                continue
            run.sample_rate(now_ns)
            if self._ticks % 2 == 0:
                run.sample_process(now_ns)

    def broken(self, error: Exception) -> None:
        """A thread has ended by itself."""
        self.set_status(
            "failed",
            f"the plugin host broke down: {type(error).__name__}: {clean(str(error))}",
            "restart boxscope and report this line; everything else goes on",
        )

    def slower(self, reason: str) -> None:
        """The ingest thread goes on, but not as fast as it could."""
        self.log("warning", reason)

    # What the upkeep thread tells.

    def send_own(self, contents: Sequence[tuple[int, Mapping[str, str]]]) -> None:
        """Take heartbeats in, like records of a plugin that is the agent itself."""
        ingest = self._ingest
        if ingest is not None and contents:
            frames = own_frames(contents, self.clock.wall_ns() // 1_000_000_000)
            ingest.post(partial(self._intake.take_own, frames))
