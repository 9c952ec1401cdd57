"""The maps the engine fills for the programs, and the counters it reads back."""

from __future__ import annotations

import os
from collections.abc import Mapping
from typing import NamedTuple

from engine.core.errors import ProbeError
from engine.core.sanitise import clean
from engine.probe import bpfsys
from engine.probe.abi import DELIVERED, STATS, Slot, pack_call
from engine.probe.bpfsys import ProgramRuns
from engine.probe.calls import CALLS
from engine.probe.catalogue import EVENTS
from engine.probe.events import COLUMNS, ROWS
from engine.probe.payload_maps import PAYLOAD_PROGRAMS
from engine.probe.per_cpu import PerCpuCounters
from engine.probe.schema import SNAPLEN
from engine.probe.wakeups import WAKEUP_PROGRAMS

_INITIAL_PID_NAMESPACE = 0xEFFFFFFC  # PROC_PID_INIT_INO of include/linux/proc_ns.h


class KernelCounters(NamedTuple):
    """What the programs counted since they were loaded."""

    produced: int = 0
    """Events that passed every filter."""
    dropped: int = 0
    """Of these, lost because the ring was full."""
    faults: int = 0
    """Of these, with an attribute missing: the memory could not be read."""
    unresolved: int = 0
    """Of these, in category `other` because the file descriptor could not be judged."""
    skipped: int = 0
    """Runs the kernel left out because the program was interrupted by itself."""
    suppressed: int = 0
    """Not produced: every other filter let them pass, but not the rules on results."""
    unfollowed: int = 0
    """Children of followed processes that found no room among those chosen."""
    unowned: int = 0
    """Not produced: under a scope, and nobody is known to own the socket."""


class EventCounters(NamedTuple):
    """What became of one event, over all its categories."""

    delivered: int
    """The ring took them."""
    dropped: int
    """The ring was full."""


def write_calls(descriptor: int, snaplen: int = SNAPLEN) -> None:
    """Fill the calls map from the catalogue; may be done again with another `snaplen`.

    Args:
        descriptor: Of the calls map.
        snaplen: Bytes kept of what a call reads or writes; 0 for none.

    Raises:
        OSError: if the kernel refuses.
    """
    for call in CALLS:
        if call.number is not None:
            packed = pack_call(call, snaplen)
            bpfsys.map_update(descriptor, bpfsys.number_key(call.number), packed)


def own_tgid(program: int) -> int:
    """This process's id in the initial pid namespace, which is what the programs see.

    Args:
        program: The loaded `own_tgid` program.

    Raises:
        ProbeError: in another pid namespace on a kernel before 5.10.
    """
    try:
        return bpfsys.run_once(program)
    except OSError as refused:
        if os.stat("/proc/self/ns/pid").st_ino == _INITIAL_PID_NAMESPACE:
            return os.getpid()
        raise ProbeError(
            "cannot tell boxscope's own events from others in this pid namespace",
            fix="run it in the initial pid namespace, or on Linux 5.10 or newer",
        ) from refused


class CounterReader:
    """Reads and adds up the per-CPU counters.

    Args:
        stats: Descriptor of the stats map.
        delivered: Descriptor of the delivered map.
        programs: Descriptors of the attached programs.
    """

    def __init__(self, stats: int, delivered: int, programs: Mapping[str, int]) -> None:
        self._stats = PerCpuCounters(stats, STATS)
        self._delivered = PerCpuCounters(delivered, DELIVERED)
        self._programs = dict(programs)

    def read(self) -> KernelCounters:
        """The totals now.

        Raises:
            ProbeError: if the kernel refuses.
        """
        try:
            produced, dropped, faults, unresolved, suppressed, unfollowed, unowned = (
                self._stats.total(Slot)
            )
            skipped = sum(
                bpfsys.program_runs(program).skipped
                for name, program in self._programs.items()
                if name not in (*PAYLOAD_PROGRAMS, *WAKEUP_PROGRAMS)
            )
        except OSError as refused:
            raise ProbeError(
                f"cannot read the probe's counters: {clean(str(refused))}"
            ) from refused
        return KernelCounters(
            produced, dropped, faults, unresolved, skipped, suppressed, unfollowed, unowned
        )

    def runs(self) -> dict[str, ProgramRuns]:
        """How often and how long each program ran.

        Raises:
            ProbeError: if the kernel refuses.
        """
        try:
            return {name: bpfsys.program_runs(fd) for name, fd in self._programs.items()}
        except OSError as refused:
            raise ProbeError(f"cannot read the programs' runs: {clean(str(refused))}") from refused

    def events(self) -> dict[str, EventCounters]:
        """What became of each event since the start, by subscription name.

        Raises:
            ProbeError: if the kernel refuses.
        """
        totals = self.delivered()
        counters = {}
        for event in EVENTS:
            *delivered, dropped = totals[event.row * COLUMNS : (event.row + 1) * COLUMNS]
            counters[event.name] = EventCounters(sum(delivered), dropped)
        return counters

    def delivered(self) -> list[int]:
        """Events handed to the ring since the start, by row and column of the matrix.

        The last column of a row has those the ring had no room for.

        Raises:
            ProbeError: if the kernel refuses.
        """
        totals = [0] * (ROWS * COLUMNS)
        for event in EVENTS:
            row = event.row
            try:
                totals[row * COLUMNS : (row + 1) * COLUMNS] = self._delivered.total([row])
            except OSError as refused:
                raise ProbeError(
                    f"cannot read the events delivered: {clean(str(refused))}"
                ) from refused
        return totals
