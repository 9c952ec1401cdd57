"""What the probe itself costs, and how near it is to losing events."""

from __future__ import annotations

import os
import time
from collections.abc import Mapping
from dataclasses import dataclass
from typing import NamedTuple

from engine.core.clock import Clock
from engine.core.errors import ProbeError, RequirementError
from engine.probe import bpfsys
from engine.probe.bpfsys import ProgramRuns

_SECOND_NS = 1_000_000_000


class ProgramCost(NamedTuple):
    """What one kernel program took since its runs are timed."""

    runs: int
    run_ns: int


@dataclass(frozen=True, slots=True)
class Health:
    """The state of the ring and the price of the probe; shares are of one processor core."""

    ring_bytes: int = 0
    ring_fill: float = 0.0
    """Share of the ring that was in use when it was last read, 0 to 1."""
    ring_peak: float = 0.0
    """The highest such share in the last full second."""
    oldest_ms: float = 0.0
    """Age of the oldest event that was in the ring when it was last read; 0 if there was none."""
    reader_cpu: float = 0.0
    """What the reading thread took in the last full second."""
    programs_cpu: float | None = None
    """What the kernel programs took in the last full second; None unless they are timed."""


class RunTimer:
    """Has the kernel time the programs while somebody wants to know."""

    def __init__(self) -> None:
        self._descriptor: int | None = None
        self._begun: Mapping[str, ProgramRuns] = {}

    @property
    def running(self) -> bool:
        """Whether programs are timed."""
        return self._descriptor is not None

    def start(self, now: Mapping[str, ProgramRuns]) -> None:
        """Begin to time; `now` is what the programs have run so far.

        Raises:
            RequirementError: without the right.
            ProbeError: if the kernel refuses for another reason.
        """
        if self._descriptor is not None:
            return
        try:
            self._descriptor = bpfsys.count_run_time()
        except PermissionError as refused:
            raise RequirementError(
                "timing kernel programs is not allowed: CAP_SYS_ADMIN missing",
                fix="run as root, or with CAP_SYS_ADMIN",
            ) from refused
        except OSError as refused:
            raise ProbeError(f"the kernel does not time programs: {refused.strerror}") from refused
        self._begun = now

    def stop(self) -> None:
        """End it. May be called twice."""
        if self._descriptor is not None:
            os.close(self._descriptor)
            self._descriptor = None

    def costs(self, now: Mapping[str, ProgramRuns]) -> dict[str, ProgramCost]:
        """What each program took since `start`."""
        costs = {}
        for name, runs in now.items():
            begun = self._begun.get(name, ProgramRuns(0, 0, 0))
            costs[name] = ProgramCost(runs.runs - begun.runs, runs.run_ns - begun.run_ns)
        return costs


class Meter:
    """Measures for `Health`, taken by the reading thread.

    Args:
        clock: Where the time comes from.
        ring_bytes: Size of the ring.
    """

    def __init__(self, clock: Clock, ring_bytes: int) -> None:
        self._clock = clock
        self._ring_bytes = ring_bytes
        self._peak_bytes = 0
        self._fill_bytes = 0
        self._oldest_ms = 0.0
        self._rolled_ns = clock.monotonic_ns()
        self._cpu_ns = 0
        self._run_ns: int | None = None
        self.health = Health(ring_bytes)
        """As of the last reading."""

    def read(self, waiting_bytes: int, oldest_stamp_ns: int | None) -> None:
        """Note what was in the ring when it was read."""
        self._fill_bytes = waiting_bytes
        self._peak_bytes = max(self._peak_bytes, waiting_bytes)
        now = self._clock.monotonic_ns()
        self._oldest_ms = 0.0 if oldest_stamp_ns is None else max(now - oldest_stamp_ns, 0) / 1e6
        health = self.health
        self.health = Health(
            self._ring_bytes,
            waiting_bytes / self._ring_bytes,
            max(health.ring_peak, self._peak_bytes / self._ring_bytes),
            self._oldest_ms,
            health.reader_cpu,
            health.programs_cpu,
        )

    def second(self, run_ns: int | None) -> None:
        """End a second; called in the reading thread.

        Args:
            run_ns: Run time of all programs so far; None if they are not timed.
        """
        now, cpu_ns = self._clock.monotonic_ns(), time.thread_time_ns()
        elapsed = now - self._rolled_ns
        if elapsed < _SECOND_NS // 2:
            return
        programs_cpu = None
        if run_ns is not None and self._run_ns is not None:
            programs_cpu = (run_ns - self._run_ns) / elapsed
        self.health = Health(
            self._ring_bytes,
            self._fill_bytes / self._ring_bytes,
            self._peak_bytes / self._ring_bytes,
            self._oldest_ms,
            (cpu_ns - self._cpu_ns) / elapsed if self._cpu_ns else 0.0,
            programs_cpu,
        )
        self._rolled_ns, self._cpu_ns, self._run_ns = now, cpu_ns, run_ns
        self._peak_bytes = self._fill_bytes
