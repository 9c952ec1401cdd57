"""What a module's processes hold together, and whether that is more than they may."""

from __future__ import annotations

import os

from engine.modules.runner import containment
from engine.modules.runner.protocol import Limits


class Usage:
    """Memory and processes of all that descends from this process.

    Args:
        limits: What the module may use.
    """

    def __init__(self, limits: Limits) -> None:
        self.peak = 0
        """The most bytes they were seen to hold."""
        self._limits = limits

    def excess(self) -> tuple[str, str] | None:
        """Look; what there is too much of, and that as a sentence. None within the limits."""
        pids = containment.descendants(os.getpid())
        memory = sum(map(containment.resident, pids))
        self.peak = max(self.peak, memory)
        limits = self._limits
        if memory > limits.memory:
            allowed = limits.memory >> 20
            return "memory", f"held {memory >> 20} MiB, more than the {allowed} it may have"
        if len(pids) > limits.processes:
            text = f"ran {len(pids)} processes, more than the {limits.processes} it may have"
            return "processes", text
        return None
