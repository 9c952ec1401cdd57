"""From nothing to programs in the kernel: the box is looked at, its layout read, the C compiled."""

from __future__ import annotations

import threading
from typing import NamedTuple

from engine.core.progress import Tasks
from engine.probe import preflight
from engine.probe.availability import Availability, look
from engine.probe.btf import Btf
from engine.probe.definitions import definitions
from engine.probe.layout import Layout, read_layout
from engine.probe.loader import Loader
from engine.probe.session import KernelSession, ring_sizes


class Ready(NamedTuple):
    """What the kernel has now, and what it can deliver."""

    session: KernelSession
    layout: Layout
    availability: Availability


class SetUp:
    """One attempt; `cancel` from another thread ends it early.

    Args:
        tasks: Where it says that it compiles.
        ring_bytes: Size of the kernel's ring, a power of two of pages.
        payload_ring_bytes: Likewise, of the ring for payloads.
        describe_fds: Let events tell what their file descriptor is.
    """

    def __init__(
        self, tasks: Tasks, ring_bytes: int, payload_ring_bytes: int, *, describe_fds: bool
    ) -> None:
        self._tasks = tasks
        self._ring_bytes = ring_bytes
        self._payload_ring_bytes = payload_ring_bytes
        self._describe_fds = describe_fds
        self._lock = threading.Lock()
        self._loader: Loader | None = None
        self._cancelled = False

    def cancel(self) -> None:
        """End it; at once, if it compiles."""
        with self._lock:
            self._cancelled = True
            if self._loader is not None:
                self._loader.cancel()

    def run(self) -> Ready:
        """Do it; the session is the caller's to be closed.

        Raises:
            RequirementError: the probe cannot run on this box.
            ProbeError: it does not compile, the kernel refuses it, or it was cancelled.
        """
        preflight.check()
        btf = Btf.load()
        layout = read_layout(btf)
        loader = self._loader_for(layout)
        with self._tasks.begin("compiling the kernel programs", loader.cancel):
            programs = loader.run()
        session = KernelSession(programs, self._ring_bytes, self._payload_ring_bytes)
        try:
            return Ready(session, layout, look(btf, layout, session.refused))
        except BaseException:
            session.close()
            raise

    def _loader_for(self, layout: Layout) -> Loader:
        loader = Loader(
            definitions(layout.defines, describe_fds=self._describe_fds),
            rings=ring_sizes(self._ring_bytes, self._payload_ring_bytes),
        )
        with self._lock:
            self._loader = loader
            if self._cancelled:
                loader.cancel()
        return loader
