"""The engine behind `boxscope plugins`: a plugin host alone, with everything it can be told."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from engine.agent.host import PluginHost
from engine.core.settings import load_settings
from engine.live import LiveEngine
from engine.selection import Selection


class PluginEngine(LiveEngine):
    """A live engine whose only source is the plugin host `plugins`."""

    def __init__(
        self,
        *,
        heartbeat_s: float,
        faithful: bool = False,
        run_dir: Path | None = None,
        flags: Mapping[str, object] | None = None,
    ) -> None:
        super().__init__(Selection(agent=True), load_settings(flags).values)
        self.plugins = self._parts.agent = PluginHost(
            self._clock,
            self._logbook,
            run_dir=run_dir,
            heartbeat_s=heartbeat_s,
            faithful=faithful,
        )
