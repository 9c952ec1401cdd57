"""Loading plugins as an agent does: from a configuration, or a whole pushed list of them."""

from __future__ import annotations

import threading
from collections.abc import Sequence

from engine.agent.config import PluginConfig
from engine.agent.install import check_config, install_config, remove_directory
from engine.agent.plugin import Plugin, check_name
from engine.agent.roster import Log, Roster
from engine.agent.sync import KnownPlugin, SyncStep, apply_sync, plan_sync
from engine.core.errors import BoxscopeError, PluginError
from engine.core.progress import Tasks, by_asking
from engine.core.sanitise import clean


class Loader:
    """Makes the roster what a configuration asks for. One thing after the other, as an agent."""

    def __init__(self, roster: Roster, log: Log, tasks: Tasks) -> None:
        self._roster = roster
        self._log = log
        self._tasks = tasks
        self._install_lock = threading.Lock()
        self._sync_lock = threading.Lock()

    def load_config(self, config: PluginConfig) -> bool:
        """Load one plugin; see `PluginHost.load_config`."""
        check_name(config.name)
        check_config(config)
        roster = self._roster
        with self._install_lock:
            known = roster.plugins.get(config.name)
            if known is not None and known.alive:
                if known.version == config.version:
                    return False
                roster.shut_down(known)
            directory = roster.here().plugins_dir / config.name
            plugin = Plugin(config.name, directory / config.name, config.detail, True, directory)
            plugin.version = config.version
            roster.put_on(plugin)
            try:
                self._install(plugin, config)
            except BoxscopeError as error:
                roster.fail(plugin, error)
                raise
            roster.launch(plugin)
        return True

    def _install(self, plugin: Plugin, config: PluginConfig) -> None:
        """Have its executable in place, downloaded if that is what it takes."""
        with self._tasks.begin(f"installing the plugin {config.name}", by_asking) as task:
            install_config(
                config,
                plugin.directory,
                cancelled=lambda: task.cancelled or not self._roster.is_wanted(plugin),
                progress=task.advance,
            )

    def remove(self, name: str) -> None:
        """Stop a plugin, wait for its end, take it off the list and delete its directory.

        A directory that is not the host's own is left alone.

        Raises:
            UsageError: no such plugin.
            PluginError: it does not end, or its directory cannot be deleted.
        """
        plugin = self._roster.find(name)
        plugins_dir = self._roster.here().plugins_dir
        self._roster.shut_down(plugin)
        self._roster.take_off(plugin)
        own = plugin.directory.parent == plugins_dir
        if own and not remove_directory(plugin.directory, plugins_dir):
            shown = clean(str(plugin.directory))
            raise PluginError(f"cannot delete {shown}", fix=f"look who uses it, then rm -r {shown}")

    def plan(self, configs: Sequence[PluginConfig]) -> tuple[SyncStep, ...]:
        """What `sync` would do; see `PluginHost.plan`."""
        plugins = self._roster.plugins
        known = {name: KnownPlugin(one.version, one.alive) for name, one in plugins.items()}
        return plan_sync(known, configs, self._roster.here().plugins_dir)

    def sync(self, configs: Sequence[PluginConfig]) -> tuple[SyncStep, ...]:
        """Make the plugins those of a list; see `PluginHost.sync`."""
        if not self._sync_lock.acquire(blocking=False):
            raise PluginError(
                "plugins are syncing or context has been cancled",
                fix="wait until the list before this one has been carried out",
            )
        try:
            self._roster.agent_state.reset()
            done = apply_sync(self, self.plan(configs), configs)
        finally:
            self._sync_lock.release()
        for step in done:
            if step.error:
                failure = f"load plugin {step.plugin} failed: {step.error}"
                self._roster.agent_state.abnormal(failure)
                self._log("error", step.error)
        return done
