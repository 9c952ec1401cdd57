"""How Wasm plugins are run."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from engine.wasm.runtime import MEMORY_LIMIT


@dataclass(frozen=True, slots=True)
class HostOptions:
    """How plugins are run."""

    deadline_ms: float = 100
    """Longest time of one call."""
    memory_limit: int = MEMORY_LIMIT
    """Most linear memory of a plugin, in bytes."""
    lenient: bool = False
    """Load what an agent refuses for its WASI imports, or because it is a reactor."""
    faithful: bool = False
    """As an agent of today: refuse plugins and results of SDKs it no longer understands, keep an
    instance that has trapped, and load 10 plugins at most."""
    measure: bool = False
    """Count the instructions of each call."""
    watch: bool = False
    """Load a plugin again when its file has changed."""
    reruns: int = 20
    """How many of its last messages a reloaded plugin is offered again."""
    cache: Path | None = None
    """Folder for compiled modules; None keeps none."""
