"""What somebody asks of a live engine: which sources run, and on what."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Literal

if TYPE_CHECKING:
    from engine.discovery.config import DiscoveryConfig
    from engine.modules.runner.protocol import Wanted
    from engine.probe.filters import Filters
    from engine.traffic.inputs import SavedPayload

WasmMode = Literal["faithful", "measure", "watch"]
"""How Wasm plugins are run besides what is set, see `engine.wasm.options.HostOptions`."""


@dataclass(frozen=True)
class PluginRequest:
    """A plugin to start with the engine."""

    executable: Path
    name: str = ""
    detail: str = ""


@dataclass(frozen=True)
class ModuleRequest:
    """A module to load with the engine."""

    wanted: Wanted
    name: str = ""


@dataclass(frozen=True)
class Selection:
    """Which sources run, and on what."""

    agent: bool = False
    plugins: tuple[PluginRequest, ...] = ()
    modules: tuple[ModuleRequest, ...] | None = None
    """Modules to load; None where modules are not run. They need the agent's plugin host."""
    discovery: bool = False
    exe: str = ""
    """Glob on the executable of processes listed."""
    beyla: DiscoveryConfig | None = None
    """Beyla's configuration of discovery; with one, the ports of the settings count for nothing."""
    show_all: bool = False
    """List processes that own a port and are not selected, too."""
    probe: bool = False
    subscriptions: tuple[tuple[str, str], ...] = ()
    """Kernel events as (name, category), also patterns and presets; an empty category means all."""
    filters: Filters | None = None
    """Which of them are wanted; None for all."""
    capture: Path | None = None
    paced: bool = False
    """Play the capture at its own pace, over and over, as if it were live."""
    until_live: bool = False
    """Play it only until processes can be listened to."""
    payload: SavedPayload | None = None
    """A saved payload to be read."""
    live: bool = False
    """Whether the traffic of processes can be captured; needs the probe, and runs discovery."""
    attach: bool = False
    """Capture that of every process that discovery selects."""
    attach_pids: tuple[int, ...] = ()
    """Capture that of these processes."""
    wasm: tuple[Path, ...] = ()
    wasm_mode: frozenset[WasmMode] = frozenset()
    strict: bool = False
    """A plugin or module that cannot be loaded ends `start` instead of being a failed row."""

    @property
    def reads_traffic(self) -> bool:
        """Whether there is anything that traffic could come from."""
        return self.live or self.capture is not None or self.payload is not None

    @property
    def discovers(self) -> bool:
        """Whether processes are looked for, for their own sake or to listen to them."""
        return self.discovery or self.live
