"""What the kernel's side has counted beside the losses: each event, page faults, run time."""

from __future__ import annotations

from collections.abc import Mapping

from engine.core.errors import ProbeError
from engine.probe.health import ProgramCost, RunTimer
from engine.probe.kernel_maps import EventCounters
from engine.probe.page_faults import Fault
from engine.probe.session import KernelSession


class Figures:
    """Asks the kernel while there are programs; afterwards it tells what they had counted last.

    For one thread at a time.
    """

    def __init__(self) -> None:
        self._session: KernelSession | None = None
        self._timer = RunTimer()
        self._events: Mapping[str, EventCounters] = {}
        self.last_page_faults: Mapping[Fault, int] = {}
        """As of the last question."""

    def begin(self, session: KernelSession) -> None:
        """Ask for what these programs count, from now on."""
        self._session = session

    def end(self) -> None:
        """Ask nobody any more."""
        self._timer.stop()
        self._session = None

    def events(self) -> Mapping[str, EventCounters]:
        """What became of each event since the programs were loaded, by subscription name.

        Raises:
            ProbeError: if the kernel refuses.
        """
        if self._session is not None:
            self._events = self._session.counters.events()
        return self._events

    def page_faults(self) -> Mapping[Fault, int]:
        """Page faults by process and kind.

        Raises:
            ProbeError: if the kernel refuses.
        """
        if self._session is not None:
            self.last_page_faults = self._session.page_faults()
        return self.last_page_faults

    def time_programs(self, wanted: bool) -> None:
        """Have the kernel time the programs, or no longer.

        Raises:
            RequirementError: without the right.
            ProbeError: if there are none, or the kernel refuses.
        """
        if not wanted:
            self._timer.stop()
        elif self._session is None:
            raise ProbeError("there are no kernel programs to be timed")
        else:
            self._timer.start(self._session.counters.runs())

    def program_costs(self) -> Mapping[str, ProgramCost]:
        """Runs and run time of each program since they are timed; empty if they are not.

        Raises:
            ProbeError: if the kernel refuses.
        """
        if self._session is None or not self._timer.running:
            return {}
        return self._timer.costs(self._session.counters.runs())

    def run_ns(self) -> int | None:
        """Run time of all programs since they are timed; None if they are not.

        Raises:
            ProbeError: if the kernel refuses.
        """
        costs = self.program_costs()
        return sum(cost.run_ns for cost in costs.values()) if costs else None
