"""The list of plugins: starting them, stopping them, and what follows from their end."""

from __future__ import annotations

import os
import threading
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from engine.agent.heartbeat import AgentState
from engine.agent.ingest import Ingest
from engine.agent.launch import Launcher
from engine.agent.plugin import (
    Keeping,
    Plugin,
    PluginState,
    Run,
    check_name,
    describe_exit,
    how_it_ended,
)
from engine.agent.restart import Backoff, ExecutableWatch
from engine.agent.stderr import KEPT_LINES, tail_lines
from engine.core.clock import Clock
from engine.core.errors import BoxscopeError, PluginError, UsageError
from engine.core.records import Record, RecordRing
from engine.core.sanitise import clean
from engine.core.source import LogLevel

STOP_GRACE_S = 10.0
"""How long a plugin may take to exit when it is stopped, as with the Elkeid agent."""
AFTER_KILL_S = 5.0
"""How long the end of a killed process is waited for where its end is waited for."""
STATE_RECORDS = 2_000

Log = Callable[[LogLevel, str], None]


@dataclass(frozen=True, slots=True)
class Place:
    """Where plugins run while the host does."""

    plugins_dir: Path
    """Holds one working directory per plugin."""
    ingest: Ingest


class Roster:
    """Every plugin by name, until it is unloaded. Methods may be called from any thread.

    Long waits (a download, a plugin's end) never hold the lock.
    """

    def __init__(self, clock: Clock, launcher: Launcher, log: Log) -> None:
        """Make an empty list; nothing can be loaded before `open`."""
        self.plugins: Mapping[str, Plugin] = {}
        """Replaced, never changed, so that it can be read without the lock."""
        self.states = RecordRing(STATE_RECORDS)
        """Every change of state as a record."""
        self.agent_state = AgentState()
        self._clock = clock
        self._launcher = launcher
        self._log = log
        self._place: Place | None = None
        self._lock = threading.RLock()

    def open(self, place: Place) -> None:
        """Plugins can be loaded from now on."""
        with self._lock:
            self._place = place

    def close(self, grace_s: float) -> None:
        """Ask every plugin to exit, and load no more."""
        with self._lock:
            for plugin in self.plugins.values():
                plugin.after_exit = "keep"
                plugin.forget_restart()
                self._ask_to_exit(plugin, grace_s)
            self._place = None

    def rows(self) -> tuple[Record, ...]:
        """Every plugin as a `plugin_state` record, in the order of loading."""
        return tuple(self._row(plugin) for plugin in self.plugins.values())

    def staying(self) -> tuple[Plugin, ...]:
        """The plugins and modules that are not about to be taken off the list."""
        return tuple(each for each in self.plugins.values() if each.after_exit != "remove")

    def find(self, name: str) -> Plugin:
        """The plugin of that name.

        Raises:
            UsageError: no such plugin.
        """
        plugin = self.plugins.get(name)
        if plugin is None:
            loaded = ", ".join(self.plugins) or "none"
            raise UsageError(f"no plugin named {clean(name, 80)!r}", fix=f"loaded are: {loaded}")
        return plugin

    def here(self) -> Place:
        """Where plugins run.

        Raises:
            PluginError: nowhere, because the host does not run.
        """
        place = self._place
        if place is None:
            raise PluginError("the plugin host is not running", fix="start it first")
        return place

    def is_wanted(self, plugin: Plugin) -> bool:
        """Whether it is still on the list of a host that runs."""
        return self._place is not None and self.plugins.get(plugin.name) is plugin

    # Starting.

    def load(
        self,
        executable: Path,
        name: str,
        detail: str,
        *,
        in_place: bool,
        directory: Path | None,
        inherit_env: bool,
        restart: bool,
        watch: bool,
    ) -> str:
        """Start an executable as it lies; see `PluginHost.load`."""
        wanted = name or executable.stem
        check_name(wanted)
        if "\0" in detail or "\0" in str(executable):
            raise UsageError(f"the path or the detail of plugin {wanted} holds a NUL character")
        with self._lock:
            self._require_free(wanted)
            path = Path(os.path.abspath(executable.expanduser()))
            place = self.here().plugins_dir / wanted
            if directory is not None:
                place = Path(os.path.abspath(directory.expanduser()))
            plugin = Plugin(wanted, path, detail, in_place, place)
            plugin.inherit_env = inherit_env
            plugin.backoff = Backoff() if restart else None
            plugin.watch = ExecutableWatch(path) if watch else None
            self.put_on(plugin)
            self._launch(plugin)
        return wanted

    def load_module(self, name: str, keeper: Path, keeping: Keeping) -> str:
        """Start the keeper of a module; see `PluginHost.load_module`."""
        check_name(name)
        with self._lock:
            self._require_free(name)
            plugin = Plugin(name, keeper, "", True, self.here().plugins_dir / name)
            plugin.keeping = keeping
            self.put_on(plugin)
            self._launch(plugin)
        return name

    def _require_free(self, name: str) -> None:
        known = self.plugins.get(name)
        if known is not None and known.alive:
            raise PluginError(
                f"plugin {name} is already {known.state}",
                fix="unload or restart it, or give the other one another name",
            )

    def put_on(self, plugin: Plugin) -> None:
        """Put it on the list; one of that name that has exited leaves it its history."""
        with self._lock:
            known = self.plugins.get(plugin.name)
            if known is not None:
                known.forget_restart()
                plugin.stderr = known.stderr
                if known.version == plugin.version:
                    plugin.restarts = known.restarts + 1
            self.plugins = {**self.plugins, plugin.name: plugin}

    def take_off(self, plugin: Plugin) -> None:
        """Take it off the list."""
        with self._lock:
            self.plugins = {
                name: known for name, known in self.plugins.items() if known is not plugin
            }

    def launch(self, plugin: Plugin) -> None:
        """Start the process of a plugin on the list.

        Raises:
            PluginError: it was taken off, or cannot be started.
        """
        with self._lock:
            if not self.is_wanted(plugin):
                raise PluginError(f"plugin {plugin.name} was unloaded while it was loaded")
            self._launch(plugin)

    def fail(self, plugin: Plugin, error: BoxscopeError) -> None:
        """Show why it is not running."""
        with self._lock:
            plugin.error = str(error)
            self._change(plugin, "failed")

    # Stopping, and starting again.

    def unload(self, name: str, grace_s: float) -> None:
        """Stop a plugin and take it off the list, without waiting."""
        with self._lock:
            plugin = self.find(name)
            plugin.after_exit = "remove"
            plugin.forget_restart()
            if not self._ask_to_exit(plugin, grace_s):
                self.take_off(plugin)

    def restart(self, name: str, grace_s: float) -> None:
        """Stop a plugin, if it runs, and start it again, without waiting."""
        with self._lock:
            plugin = self.find(name)
            if plugin.state == "loading":
                raise PluginError(f"plugin {name} is still being loaded", fix="wait until it runs")
            self._restart(plugin, grace_s)

    def shut_down(self, plugin: Plugin) -> None:
        """Stop a plugin and wait for its end.

        Raises:
            PluginError: it does not end.
        """
        with self._lock:
            plugin.after_exit = "keep"
            plugin.forget_restart()
            run = plugin.run if self._ask_to_exit(plugin, STOP_GRACE_S) else None
        if run is not None and not run.gone.wait(STOP_GRACE_S + AFTER_KILL_S):
            raise PluginError(
                f"plugin {plugin.name} (pid {run.process.pid}) does not end, not even when killed",
                fix="it hangs in the kernel; look at its stack in /proc",
            )

    def start_again(self, plugin: Plugin) -> None:
        """The delay after its exit is over."""
        with self._lock:
            if not plugin.restart_at_ns or plugin.alive or not self.is_wanted(plugin):
                return
            self._restart_or_log(plugin)

    def reload(self, plugin: Plugin) -> None:
        """Its executable has changed."""
        with self._lock:
            if plugin.state != "loading" and self.is_wanted(plugin):
                self._log("info", f"plugin {plugin.name} is started again: its file has changed")
                self._restart_or_log(plugin)

    def ended(self, run: Run) -> None:
        """Show that a process is gone, and do what was wanted after that.

        Called by the ingest thread, while the stderr file is still open.
        """
        plugin = run.plugin
        run.end_rates()
        run.sample_stderr()
        run.tasks.give_up("it has exited")
        with self._lock:
            plugin.stderr.end_run(
                tail_lines(run.process.stderr_fd, KEPT_LINES), how_it_ended(run.exit_code)
            )
            if not run.kill_at_ns and not run.lost_sync:
                code = run.exit_code if run.exit_code is not None and run.exit_code >= 0 else -1
                unexpected = f"plugin {plugin.name} exited with code {code} unexpectedly"
                self.agent_state.abnormal(unexpected)
            plugin.error = describe_exit(run)
            if plugin.error:
                self._log("warning", plugin.error)
            self._change(plugin, "failed" if run.lost_sync else "exited")
            run.gone.set()
            self._after_exit(plugin, run)

    def _after_exit(self, plugin: Plugin, run: Run) -> None:
        if plugin.after_exit == "remove":
            self.take_off(plugin)
        elif plugin.after_exit == "restart":
            self._restart_or_log(plugin)
        elif plugin.backoff is not None and not run.kill_at_ns:
            self._schedule_restart(plugin, (self._clock.monotonic_ns() - run.started_ns) / 1e9)

    # How that is done; the lock is held.

    def _launch(self, plugin: Plugin) -> None:
        plugin.after_exit = "keep"
        plugin.error = ""
        plugin.run = None
        plugin.restart_at_ns = 0
        self._change(plugin, "loading")
        try:
            place = self.here()
            run = self._launcher.start(plugin, among=len(self.plugins))
        except BoxscopeError as error:
            self.fail(plugin, error)
            raise
        plugin.run = run
        self._change(plugin, "running")
        place.ingest.post(partial(place.ingest.adopt, run))

    def _restart(self, plugin: Plugin, grace_s: float) -> None:
        plugin.after_exit = "restart"
        if not self._ask_to_exit(plugin, grace_s):
            plugin.restarts += 1
            self._launch(plugin)

    def _restart_or_log(self, plugin: Plugin) -> None:
        try:
            self._restart(plugin, STOP_GRACE_S)
        except BoxscopeError as error:
            self._log("error", f"plugin {plugin.name} is not restarted: {error}")
            if plugin.backoff is not None:
                self._schedule_restart(plugin, 0.0)

    def _schedule_restart(self, plugin: Plugin, ran_s: float) -> None:
        if plugin.backoff is None or self._place is None:
            return
        delay_s = plugin.backoff.delay_s(ran_s)
        plugin.restart_at_ns = self._clock.monotonic_ns() + int(delay_s * 1e9)
        self._log(
            "info",
            f"plugin {plugin.name} is started again in {delay_s:.0f} s; "
            "a real agent would wait for the next push of its list",
        )

    def _ask_to_exit(self, plugin: Plugin, grace_s: float) -> bool:
        """Begin to stop its process; False if there is none."""
        run = plugin.run
        if self._place is None or run is None or run.gone.is_set():
            return False
        ingest = self._place.ingest
        kill_at_ns = self._clock.monotonic_ns() + int(grace_s * 1e9)
        run.kill_at_ns = min(run.kill_at_ns or kill_at_ns, kill_at_ns)
        self._change(plugin, "stopping")
        if run.faithful_stop:
            ingest.post(partial(self._note_unread, run))
        ingest.post(partial(ingest.end, run, grace_s))
        return True

    def _note_unread(self, run: Run) -> None:
        """Before the record pipe is closed as the agent does it; on the ingest thread."""
        if unread := run.process.unread():
            self._log(
                "warning",
                f"plugin {run.plugin.name}: {unread} bytes it had sent are not read, as with an "
                "agent, which closes the record pipe at once",
            )

    def _change(self, plugin: Plugin, state: PluginState) -> None:
        plugin.state = state
        self.states.append(self._row(plugin))

    def _row(self, plugin: Plugin) -> Record:
        return plugin.row(self._clock.wall_ns(), self._clock.monotonic_ns())
