"""From a plugin on the list to a running process."""

from __future__ import annotations

import itertools
import secrets

from engine.agent.install import install_copy
from engine.agent.metrics import ProcessMeter
from engine.agent.plugin import Plugin, Run
from engine.agent.process import start_process
from engine.agent.store import Origin
from engine.agent.tasks import TaskQueue
from engine.core.clock import Clock
from engine.core.sanitise import clean


class Launcher:
    """Starts processes, and gives out the tokens their tasks are told apart by."""

    def __init__(self, clock: Clock, *, faithful_stop: bool) -> None:
        self._clock = clock
        self._faithful_stop = faithful_stop
        self._token_prefix = f"boxscope-{secrets.token_hex(4)}-"
        self._token_numbers = itertools.count(1)

    def new_token(self) -> str:
        """A token that no other task has."""
        return f"{self._token_prefix}{next(self._token_numbers)}"

    def start(self, plugin: Plugin, *, among: int) -> Run:
        """Start a plugin's process; `among` is how many plugins share the memory for pipes.

        Raises:
            PluginError: it cannot be started.
            RequirementError: plugins cannot be started on this system.
        """
        executable = plugin.executable
        if not plugin.in_place:
            executable = install_copy(executable, plugin.directory / plugin.name)
        process = start_process(
            executable,
            name=plugin.name,
            directory=plugin.directory,
            detail=plugin.detail,
            pipe_bytes=pipe_bytes(among),
            inherit_env=plugin.inherit_env,
            arguments=plugin.keeping.arguments if plugin.keeping is not None else (),
        )
        return Run(
            plugin,
            process,
            TaskQueue(plugin.name, self._token_prefix, self._clock.monotonic_ns),
            Origin(plugin.name, process.pid, clean(executable.name, 16)),
            ProcessMeter(process.pid),
            started_ns=self._clock.monotonic_ns(),
            started_s=self._clock.wall_ns() // 1_000_000_000,
            faithful_stop=self._faithful_stop,
        )


def pipe_bytes(plugins: int) -> int:
    """Capacity of a record pipe: large for few plugins, sparing with memory for many."""
    return (1024 if plugins <= 8 else 256 if plugins <= 64 else 64) * 1024
