"""The probe's payloads as what discovery's attacher captures with."""

from __future__ import annotations

import threading
from collections.abc import Mapping
from typing import TYPE_CHECKING

from engine.core.errors import BoxscopeError
from engine.core.identity import ProcessId
from engine.discovery.capture import CaptureCost
from engine.traffic.live import ListeningCost, LiveInput

if TYPE_CHECKING:
    from engine.probe.probe import KernelProbe


class LiveCapture:
    """Captures the traffic of processes by listening to them.

    Args:
        listener: Listens.
        probe: What it listens with.
    """

    def __init__(self, listener: LiveInput, probe: KernelProbe) -> None:
        self._listener = listener
        self._probe = probe
        self._lock = threading.Lock()
        self._processes: Mapping[int, ProcessId] = {}

    @property
    def failure(self) -> BoxscopeError | None:
        """Why nobody can be listened to, if so."""
        found = self._probe.failure or self._probe.payloads.failure
        if found is None:
            return None
        return type(found)(f"no traffic can be captured: {found.message}", fix=found.fix)

    @property
    def ready(self) -> bool:
        """Whether who is attached is listened to: the kernel's programs are there."""
        return self._probe.payloads.opened

    def attach(self, process: ProcessId) -> None:
        """Listen to a process; in force when this returns, or else as soon as the probe runs.

        Raises:
            BoxscopeError: nobody can be listened to, or the kernel refuses.
        """
        failure = self.failure
        if failure is not None:
            raise failure
        with self._lock:
            self._choose({**self._processes, process.pid: process})

    def detach(self, process: ProcessId) -> CaptureCost:
        """Listen to a process no longer; returns what it has cost.

        Raises:
            BoxscopeError: the kernel refuses.
        """
        with self._lock:
            cost = _cost(self._listener.cost_of(process.pid))
            self._choose({pid: each for pid, each in self._processes.items() if each != process})
        return cost

    def costs(self) -> Mapping[ProcessId, CaptureCost]:
        """Who is listened to, with what that has cost."""
        costs, processes = self._listener.costs(), self._processes
        return {each: _cost(costs[pid]) for pid, each in processes.items() if pid in costs}

    def _choose(self, processes: Mapping[int, ProcessId]) -> None:
        self._listener.choose(frozenset(processes))
        self._processes = processes


def _cost(told: ListeningCost) -> CaptureCost:
    return CaptureCost(told.payloads, told.payload_bytes, told.dropped, told.cpu_ns)
