"""Everything one loaded probe has in the kernel, owned in one place."""

from __future__ import annotations

import os
from collections.abc import Set
from contextlib import ExitStack

from engine.core.errors import ProbeError
from engine.core.sanitise import clean
from engine.probe import wakeups
from engine.probe.attachments import Attachments
from engine.probe.bytecode import LoadedPrograms
from engine.probe.catalogue import Cell
from engine.probe.filters import FilterMaps, Filters
from engine.probe.hook_settings import HookSettings
from engine.probe.kernel_maps import CounterReader, own_tgid, write_calls
from engine.probe.matrix import Matrix
from engine.probe.owners import Hooks
from engine.probe.page_faults import Fault, read_page_faults
from engine.probe.payload_abi import PAYLOAD_RING_BYTES
from engine.probe.payload_maps import PAYLOAD_PROGRAMS, PayloadMaps
from engine.probe.ring import RingReader
from engine.probe.socket_hooks import SOCKET_PROGRAMS
from engine.probe.wakeups import WakeUpTap

FOLLOWING = frozenset({"on_fork_follow", "on_free_follow"})
"""Programs that keep track of the children of chosen processes."""


def ring_sizes(ring_bytes: int, payload_ring_bytes: int = PAYLOAD_RING_BYTES) -> dict[str, int]:
    """What the rings of a session are to be made with, in bytes by the map's name."""
    return {
        "ring": ring_bytes,
        "payload_ring": payload_ring_bytes,
        "wakeup_ring": wakeups.WAKEUP_RING_BYTES,
    }


class KernelSession:
    """Loaded programs with their matrix, filters, attachments and ring.

    The own process is filtered from the start; nothing is attached until `apply`.

    Args:
        loaded: The descriptors; closed with the session, also if this raises.
        ring_bytes: Size of the ring they were loaded with.
        payload_ring_bytes: Likewise, of the ring for payloads.

    Raises:
        ProbeError: if the kernel refuses to map or fill something.
    """

    def __init__(
        self,
        loaded: LoadedPrograms,
        ring_bytes: int,
        payload_ring_bytes: int = PAYLOAD_RING_BYTES,
    ) -> None:
        maps = loaded.maps
        with ExitStack() as closing:
            closing.callback(loaded.close)
            try:
                self.ring = RingReader(maps["ring"], ring_bytes)
                closing.callback(self.ring.close)
                self.payloads = PayloadMaps(maps, payload_ring_bytes, self._attach_payloads)
                closing.callback(self.payloads.close)
                self._matrix = Matrix(maps["matrix"])
                closing.callback(self._matrix.close)
                write_calls(maps["calls"])
                own = own_tgid(loaded.programs["own_tgid"])
                self._filters = FilterMaps(maps["config"], maps["pids"], maps["comms"], own)
                self.hooks = Hooks(maps, foreign_pids=own != os.getpid())
                self.wake_ups = WakeUpTap(loaded, foreign_pids=own != os.getpid())
                closing.callback(self.wake_ups.close)
            except OSError as refused:
                raise ProbeError(f"cannot set the probe up: {clean(str(refused))}") from refused
            self.counters = CounterReader(maps["stats"], maps["delivered"], loaded.programs)
            self._attachments = Attachments(loaded.programs, loaded.refused)
            closing.callback(self._attachments.require, ())
            self._closing = closing.pop_all()
        self.ring_descriptor = maps["ring"]
        self._calls, self._faults = maps["calls"], maps["faults"]
        self.refused = loaded.refused
        self._on: frozenset[Cell] = frozenset()
        self._following = False
        self._capturing = False
        self._loaded = frozenset(loaded.programs)

    def set_snaplen(self, snaplen: int) -> None:
        """Keep as many bytes of what a call reads or writes; 0 for none.

        Raises:
            ProbeError: if the kernel refuses.
        """
        try:
            write_calls(self._calls, snaplen)
        except OSError as refused:
            raise ProbeError(f"cannot set the snaplen: {clean(str(refused))}") from refused

    @property
    def delivering(self) -> bool:
        """Whether any program is attached that delivers events."""
        return bool(self._on)

    def apply(self, wanted: Set[Cell]) -> None:
        """Switch exactly these cells on, and attach exactly what they need.

        Raises:
            ProbeError: if a tracepoint refuses; the cells are then as before.
        """
        added, removed = wanted - self._on, self._on - wanted
        self._switch(added, True)
        try:
            self._attach(wanted | self._on)
        except ProbeError:
            self._switch(added, False)
            raise
        if _watches_sockets(wanted) and not _watches_sockets(self._on):
            self._seed()
        self._switch(removed, False)
        self._attach(wanted)
        self._on = frozenset(wanted)

    def set_filters(self, filters: Filters) -> None:
        """Put filters in force; where they follow children, from before this returns.

        Raises:
            ProbeError: if the kernel refuses.
        """
        following, self._following = self._following, filters.follow
        try:
            self._attach(self._on)
            self._filters.set(filters)
        except ProbeError:
            self._following = following
            raise
        except OSError as refused:
            raise ProbeError(f"cannot set the filters: {clean(str(refused))}") from refused

    def detach(self) -> None:
        """Stop producing; what is in the rings stays readable."""
        self._following = self._capturing = False
        self.apply(frozenset())

    def close(self) -> None:
        """Detach, unmap and free everything. May be called twice."""
        self._closing.close()

    def configure(self, settings: HookSettings) -> None:
        """Put settings of events that are no calls in force.

        Raises:
            ProbeError: if the kernel refuses.
        """
        try:
            self.hooks.configure(settings)
        except OSError as refused:
            raise ProbeError(f"cannot set the hooks up: {clean(str(refused))}") from refused

    def page_faults(self) -> dict[Fault, int]:
        """Page faults counted so far.

        Raises:
            ProbeError: if the kernel refuses.
        """
        try:
            return read_page_faults(self._faults)
        except OSError as refused:
            raise ProbeError(f"cannot read the page faults: {clean(str(refused))}") from refused

    def _seed(self) -> None:
        """Tell the programs of the sockets that are already there."""
        try:
            self.hooks.seed()
        except OSError as refused:
            raise ProbeError(f"cannot tell sockets' owners: {clean(str(refused))}") from refused

    def _switch(self, cells: Set[Cell], on: bool) -> None:
        for cell in cells:
            self._matrix.set(cell, on)

    def _attach(self, cells: Set[Cell]) -> None:
        """Attach exactly what these cells, the filters and the payloads need."""
        events = {cell.event for cell in cells}
        programs = frozenset(program for event in events for program in event.programs)
        if self._following:
            programs |= FOLLOWING
        if self._capturing:
            # Without the program for calls with several messages, the others are still told.
            programs |= frozenset(PAYLOAD_PROGRAMS) & self._loaded | {PAYLOAD_PROGRAMS[0]}
        helpers = {helper.program for event in events for helper in event.helpers}
        self._attachments.require(programs, helpers)

    def _attach_payloads(self, wanted: bool) -> None:
        before, self._capturing = self._capturing, wanted
        try:
            self._attach(self._on)
        except ProbeError:
            self._capturing = before
            raise


def _watches_sockets(cells: Set[Cell]) -> bool:
    """Whether any of these needs to know whose a socket is."""
    return any(SOCKET_PROGRAMS[0] in cell.event.programs for cell in cells)
