"""What modules do, as the kernel tells it: subscribed while one runs, and taken back afterwards."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterable
from dataclasses import replace
from typing import TYPE_CHECKING

from engine.core.errors import BoxscopeError

if TYPE_CHECKING:
    from engine.probe.filters import Filters
    from engine.probe.probe import KernelProbe

SUBSCRIPTIONS = (
    ("syscall_exit-execve", ""),
    ("syscall_exit-execveat", ""),
    ("syscall_exit-open", ""),
    ("syscall_exit-openat", ""),
    ("syscall_exit-openat2", ""),
    ("syscall_exit-connect", ""),
)
"""What a module runs, opens and connects to."""
_LOOK_S = 0.1
READY_S = 20.0
"""How long a module waits for the probe to be compiled."""

Cells = frozenset[tuple[str, str]]


class ModuleWatch:
    """Subscriptions and scope that modules need, beside those somebody has chosen.

    Where nothing was subscribed and no scope set, the events of the modules are all there is to
    see, so that a box with much going on costs nothing. Otherwise they come with the others, and
    bear the module's name.

    Args:
        probe: Tells; None where there is none.
    """

    def __init__(self, probe: KernelProbe | None) -> None:
        self._probe = probe
        self._watched: frozenset[int] = frozenset()
        """Pids of the keepers whose children are watched."""
        self._ours: Cells = frozenset()
        """What was switched on here, and by nobody else since."""
        self._scope: Filters | None = None
        """What was set here in place of no scope at all."""
        self._lock = threading.Lock()
        self._stopping = threading.Event()

    @property
    def ours(self) -> Cells:
        """What is subscribed for the modules' sake alone."""
        return self._ours

    def stop(self) -> None:
        """Wait for the probe no longer."""
        self._stopping.set()

    def begin(self, keeper: int, cgroup: int | None, name: str) -> str:
        """Watch what a keeper will start; returns why not, or nothing.

        Args:
            keeper: Its pid; what it starts is not started yet.
            cgroup: Id of the control group that will be in; None for none.
            name: The module's name.
        """
        probe = self._probe
        if probe is None:
            return "kernel events do not run here"
        if not self._wait_ready(probe):
            return probe.status().reason or "the probe is not ready yet"
        with self._lock:
            before = probe.wanted
            try:
                if cgroup is not None:
                    probe.name_module(cgroup, name)
                self._narrow(probe, keeper, nothing_on=not before)
                probe.switch(SUBSCRIPTIONS, True)
            except BoxscopeError as error:
                self._widen(probe)
                return str(error)
            finally:
                self._ours |= probe.wanted - before
            self._watched |= {keeper}
        return "" if cgroup is not None else "without a control group no event bears its name"

    def _wait_ready(self, probe: KernelProbe) -> bool:
        give_up = time.monotonic() + READY_S
        while not probe.wait_ready(_LOOK_S):
            if self._stopping.is_set() or probe.status().state in ("failed", "off"):
                return False
            if time.monotonic() >= give_up:
                return False
        return True

    def end(self, keeper: int) -> None:
        """It is gone; with the last one everything becomes what it was."""
        probe = self._probe
        with self._lock:
            self._watched -= {keeper}
            if probe is None or self._watched:
                return
            ours, self._ours = self._ours, frozenset()
            if ours:
                probe.switch(sorted(ours), False)
            self._widen(probe)

    def chosen(self, subscriptions: Iterable[tuple[str, str]]) -> None:
        """Somebody subscribes events, or takes them back: from now on that is for them to say."""
        with self._lock:
            probe = self._probe
            if probe is None or not self._watched:
                return
            from engine.probe.patterns import cells_of_all

            cells = {(cell.event.name, cell.category.label) for cell in cells_of_all(subscriptions)}
            self._ours -= cells
            self._widen(probe)

    def _narrow(self, probe: KernelProbe, keeper: int, *, nothing_on: bool) -> None:
        """Follow the keeper's children alone, if there is nothing else that anyone wants to see."""
        filters = probe.filters
        if self._scope is None and (not nothing_on or filters.tgids or filters.tids):
            return
        if self._scope is not None and filters != self._scope:
            self._scope = None  # somebody has set another one since
            return
        narrowed = replace(filters, tgids=filters.tgids | {keeper}, follow=True)
        probe.set_filters(narrowed)
        self._scope = narrowed

    def _widen(self, probe: KernelProbe) -> None:
        """Take the scope back, unless somebody has set another one since."""
        scope, self._scope = self._scope, None
        if scope is not None and probe.filters == scope:
            probe.set_filters(replace(scope, tgids=frozenset(), follow=False))
