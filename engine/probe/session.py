"""Everything one loaded probe has in the kernel, owned in one place."""

from __future__ import annotations

from collections.abc import Set
from contextlib import ExitStack

from engine.core.errors import ProbeError
from engine.core.sanitise import clean
from engine.probe.attachments import Attachments
from engine.probe.catalogue import Cell
from engine.probe.kernel_maps import CounterReader, Filters, own_tgid, write_calls
from engine.probe.loader import LoadedPrograms
from engine.probe.matrix import Matrix
from engine.probe.ring import RingReader


class KernelSession:
    """Loaded programs with their matrix, filters, attachments and ring.

    The own process is filtered from the start; nothing is attached until `apply`.

    Args:
        loaded: The descriptors; closed with the session, also if this raises.
        ring_bytes: Size of the ring they were compiled with.

    Raises:
        ProbeError: if the kernel refuses to map or fill something.
    """

    def __init__(self, loaded: LoadedPrograms, ring_bytes: int) -> None:
        maps = loaded.maps
        with ExitStack() as closing:
            closing.callback(loaded.close)
            try:
                self.ring = RingReader(maps["ring"], ring_bytes)
                closing.callback(self.ring.close)
                self._matrix = Matrix(maps["matrix"])
                closing.callback(self._matrix.close)
                write_calls(maps["calls"])
                own = own_tgid(loaded.programs["own_tgid"])
                self._filters = Filters(maps["config"], maps["pids"], own)
            except OSError as refused:
                raise ProbeError(f"cannot set the probe up: {clean(str(refused))}") from refused
            self.counters = CounterReader(maps["stats"], maps["delivered"], loaded.programs)
            self._attachments = Attachments(loaded.programs)
            closing.callback(self._attachments.require, ())
            self._closing = closing.pop_all()
        self.ring_descriptor = maps["ring"]
        self._on: frozenset[Cell] = frozenset()

    @property
    def attached(self) -> bool:
        """Whether any program is attached."""
        return self._attachments.any

    def apply(self, wanted: Set[Cell]) -> None:
        """Switch exactly these cells on, and attach exactly what they need.

        Raises:
            ProbeError: if a tracepoint refuses; the cells are then as before.
        """
        added, removed = wanted - self._on, self._on - wanted
        self._switch(added, True)
        try:
            self._attachments.require(_programs(wanted | self._on))
        except ProbeError:
            self._switch(added, False)
            raise
        self._switch(removed, False)
        self._attachments.require(_programs(wanted))
        self._on = frozenset(wanted)

    def set_pids(self, pids: frozenset[int]) -> None:
        """Narrow everything to these processes; none means all.

        Raises:
            ProbeError: if the kernel refuses.
        """
        try:
            self._filters.set_pids(pids)
        except OSError as refused:
            raise ProbeError(f"cannot set the pid scope: {clean(str(refused))}") from refused

    def detach(self) -> None:
        """Stop producing; what is in the ring stays readable."""
        self.apply(frozenset())

    def close(self) -> None:
        """Detach, unmap and free everything. May be called twice."""
        self._closing.close()

    def _switch(self, cells: Set[Cell], on: bool) -> None:
        for cell in cells:
            self._matrix.set(cell, on)


def _programs(cells: Set[Cell]) -> frozenset[str]:
    return frozenset(program for cell in cells for program in cell.event.programs)
