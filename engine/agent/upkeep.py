"""What a plugin host does now and then, away from the thread that reads the pipes.

Heartbeats, the size of working directories, changed executables, and plugins that are to be
started again after a delay.
"""

from __future__ import annotations

import threading
from collections.abc import Iterable, Mapping, Sequence
from typing import Protocol

from engine.agent.heartbeat import AGENT_HEARTBEAT, PLUGIN_HEARTBEAT, Heartbeat
from engine.agent.metrics import directory_size
from engine.agent.plugin import Plugin
from engine.agent.roster import Roster
from engine.core.clock import Clock

TURN_S = 0.25
LOOK_S = 1.0
"""Time between two looks at an executable."""
MEASURE_S = 10.0
"""Time between two measurements of a working directory."""


class UpkeepHost(Protocol):
    """Whom the thread tells; called from that thread."""

    def send_own(self, contents: Sequence[tuple[int, Mapping[str, str]]]) -> None:
        """Take records of the agent itself in: data type and fields."""

    def broken(self, error: Exception) -> None:
        """The thread ends because of an error it does not know."""


class Upkeep:
    """The thread; `start` and `stop` are its owner's."""

    def __init__(self, clock: Clock, roster: Roster, host: UpkeepHost, heartbeat_s: float) -> None:
        """Make it.

        Args:
            clock: Where the time is taken from.
            roster: The plugins it looks after.
            host: Whom it tells.
            heartbeat_s: Time between two heartbeats; 0 = none.
        """
        self._clock = clock
        self._roster = roster
        self._host = host
        self._stopping = threading.Event()
        self._thread = threading.Thread(target=self._run, name="agent-upkeep", daemon=True)
        now_ns = clock.monotonic_ns()
        self._beat_every_ns = int(heartbeat_s * 1e9)
        self._beat_at_ns = now_ns + self._beat_every_ns
        self._look_at_ns = self._measure_at_ns = now_ns
        self._measured: set[Plugin] = set()
        """Plugins whose directories were looked at since the last round."""

    def start(self) -> None:
        """Start the thread."""
        self._thread.start()

    def stop(self) -> None:
        """End the thread."""
        self._stopping.set()
        self._thread.join()

    def _run(self) -> None:
        heartbeat = Heartbeat(self._roster.agent_state)
        try:
            while not self._stopping.wait(TURN_S):
                self._turn(heartbeat, self._clock.monotonic_ns())
        except Exception as error:
            self._host.broken(error)
        finally:
            heartbeat.close()

    def _turn(self, heartbeat: Heartbeat, now_ns: int) -> None:
        for plugin in self._plugins():
            if plugin.restart_at_ns and now_ns >= plugin.restart_at_ns:
                self._roster.start_again(plugin)
        if now_ns >= self._look_at_ns:
            self._look_at_ns = now_ns + int(LOOK_S * 1e9)
            self._look()
        beating = self._beat_every_ns and now_ns >= self._beat_at_ns
        if beating or now_ns >= self._measure_at_ns:
            self._measure_at_ns = now_ns + int(MEASURE_S * 1e9)
            self._measured = set()
            self._measure(self._plugins())
        if beating:
            self._beat_at_ns = now_ns + self._beat_every_ns
            self._beat(heartbeat)

    def _plugins(self) -> Iterable[Plugin]:
        return self._roster.plugins.values()

    def _look(self) -> None:
        for plugin in self._plugins():
            if plugin.watch is not None and plugin.watch.changed():
                self._roster.reload(plugin)
        self._measure(plugin for plugin in self._plugins() if plugin not in self._measured)

    def _measure(self, plugins: Iterable[Plugin]) -> None:
        for plugin in plugins:
            plugin.disk = directory_size(plugin.directory, self._stopping.is_set)
            self._measured.add(plugin)

    def _beat(self, heartbeat: Heartbeat) -> None:
        now_ns, wall_s = self._clock.monotonic_ns(), self._clock.wall_ns() // 1_000_000_000
        beats: list[tuple[int, Mapping[str, str]]] = [
            (AGENT_HEARTBEAT, heartbeat.agent_fields(now_ns, wall_s))
        ]
        for plugin in self._plugins():
            run = plugin.run
            if run is not None and not run.ended:
                fields = heartbeat.plugin_fields(run, now_ns, wall_s)
                beats.append((PLUGIN_HEARTBEAT, fields))
        heartbeat.forget_ended()
        self._host.send_own(beats)
