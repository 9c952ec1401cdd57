"""The maps the engine fills for the programs, and the counters it reads back."""

from __future__ import annotations

import os
from collections.abc import Iterable, Mapping
from typing import NamedTuple

from engine.core.errors import ProbeError, UsageError
from engine.core.sanitise import clean
from engine.probe import bpfsys
from engine.probe.abi import CALL, CONFIG, DELIVERED, PIDS, STATS, Slot
from engine.probe.calls import CALLS, CallFlag
from engine.probe.catalogue import EVENTS
from engine.probe.events import COLUMNS, ROWS

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


def write_calls(descriptor: int) -> None:
    """Fill the calls map from the catalogue.

    Raises:
        OSError: if the kernel refuses.
    """
    for call in CALLS:
        packed = CALL.pack(
            call.type_id,
            call.category or 0,
            call.fd_argument,
            call.enter,
            call.exit,
            call.argument,
            call.flags | CallFlag.KNOWN,
        )
        bpfsys.map_update(descriptor, call.number.to_bytes(4, "little"), packed)


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


class Filters:
    """The own process and the pid scope, both judged in the kernel.

    Args:
        config: Descriptor of the config map.
        pids: Descriptor of the pids map.
        own: The own tgid, never delivered.

    Raises:
        OSError: if the kernel refuses.
    """

    def __init__(self, config: int, pids: int, own: int) -> None:
        self._config = config
        self._pids = pids
        self._own = own
        self._scope: frozenset[int] = frozenset()
        self._configure(scoped=False)

    def set_pids(self, wanted: frozenset[int]) -> None:
        """Deliver only events of these processes; none means of all.

        New ones are let in before old ones are shut out, and the scope is in force before it
        is first narrowed to them.

        Raises:
            OSError: if the kernel refuses.
        """
        for pid in wanted - self._scope:
            bpfsys.map_update(self._pids, _key(pid), b"\1")
        self._configure(scoped=bool(wanted))
        for pid in self._scope - wanted:
            bpfsys.map_delete(self._pids, _key(pid))
        self._scope = wanted

    def _configure(self, *, scoped: bool) -> None:
        bpfsys.map_update(self._config, _key(0), CONFIG.pack(self._own, scoped))


def check_pids(pids: frozenset[int]) -> None:
    """Refuse a pid scope the kernel map has no room for.

    Raises:
        UsageError: too many, or not process ids.
    """
    if len(pids) > PIDS:
        raise UsageError(f"{len(pids)} processes are too many", fix=f"at most {PIDS}")
    wrong = [pid for pid in pids if not 0 < pid < 1 << 22]
    if wrong:
        raise UsageError(f"not a process id: {wrong[0]}")


class CounterReader:
    """Reads and adds up the per-CPU counters.

    Args:
        stats: Descriptor of the stats map.
        delivered: Descriptor of the delivered map.
        programs: Descriptors of the attached programs.
    """

    def __init__(self, stats: int, delivered: int, programs: Mapping[str, int]) -> None:
        self._stats = stats
        self._delivered = delivered
        self._programs: Iterable[int] = tuple(programs.values())
        self._cpus = bpfsys.possible_cpus()

    def read(self) -> KernelCounters:
        """The totals now.

        Raises:
            ProbeError: if the kernel refuses.
        """
        try:
            per_cpu = [
                STATS.unpack(value)
                for slot in Slot
                for value in bpfsys.per_cpu_lookup(self._stats, _key(slot), STATS.size, self._cpus)
            ]
            skipped = sum(bpfsys.recursion_misses(program) for program in self._programs)
        except OSError as refused:
            raise ProbeError(
                f"cannot read the probe's counters: {clean(str(refused))}"
            ) from refused
        produced, dropped, faults, unresolved = map(sum, zip(*per_cpu, strict=True))
        return KernelCounters(produced, dropped, faults, unresolved, skipped)

    def delivered(self) -> list[int]:
        """Events handed to the ring since the start, by row and column of the matrix.

        Raises:
            ProbeError: if the kernel refuses.
        """
        totals = [0] * (ROWS * COLUMNS)
        for event in EVENTS:
            row = event.row
            try:
                per_cpu = bpfsys.per_cpu_lookup(
                    self._delivered, _key(row), DELIVERED.size, self._cpus
                )
            except OSError as refused:
                raise ProbeError(
                    f"cannot read the events delivered: {clean(str(refused))}"
                ) from refused
            summed = map(sum, zip(*map(DELIVERED.unpack, per_cpu), strict=True))
            totals[row * COLUMNS : (row + 1) * COLUMNS] = summed
        return totals


def _key(number: int) -> bytes:
    return number.to_bytes(4, "little")
