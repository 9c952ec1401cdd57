"""The source of kernel events."""

from __future__ import annotations

import contextlib
import mmap
import os
import select
import threading
from collections.abc import Mapping, Set

from engine.core.clock import Clock, monotonic_to_wall_offset_ns
from engine.core.errors import BoxscopeError, ProbeError
from engine.core.records import Record
from engine.core.sanitise import clean
from engine.core.source import Logbook, Source
from engine.probe import preflight
from engine.probe.abi import definitions
from engine.probe.btf import Btf
from engine.probe.catalogue import Cell, resolve, unavailable
from engine.probe.kernel_maps import KernelCounters, check_pids
from engine.probe.layout import FEATURES, Layout, read_layout
from engine.probe.loader import Loader
from engine.probe.ring import Taken
from engine.probe.session import KernelSession
from engine.probe.store import CHUNK_BYTES, EventStore
from engine.probe.subscriptions import SubscriptionTable

RING_BYTES = 8 << 20
_TICK_S = 0.025
_EAGER_TICK_S = 0.005
_EAGER_NS = 300_000_000
"""How long after a change of the subscriptions the ring is looked at more often: somebody waits."""
_MEASURE_NS = 1_000_000_000
_CLOCK_NS = 60_000_000_000
READER_NICE = -10
"""The reader runs in short bursts; where it has to queue behind others on a loaded box, the ring
fills up meanwhile."""


class KernelProbe(Source):
    """Delivers subscribed kernel events as `kernel_event` records.

    One thread checks the box, has the programs compiled, and then reads their ring every 25 ms.
    Nothing is attached to the kernel while nothing is subscribed.

    Args:
        clock: Where the time comes from.
        logbook: The engine's log.
        capacity: Events kept for readers.
        ring_bytes: Size of the kernel's ring, a power of two of pages.

    Raises:
        ValueError: for another size of ring.
    """

    name = "probe"

    def __init__(
        self,
        clock: Clock,
        logbook: Logbook,
        *,
        capacity: int = 100_000,
        ring_bytes: int = RING_BYTES,
    ) -> None:
        super().__init__(clock, logbook)
        if ring_bytes % mmap.PAGESIZE or ring_bytes & (ring_bytes - 1):
            raise ValueError(f"a ring is a power of two of pages, not {ring_bytes} bytes")
        self._events = EventStore(capacity)
        self.rings["kernel_event"] = self._events
        self._ring_bytes = ring_bytes
        self._wall_offset_ns = 0
        self._table = SubscriptionTable(clock)
        self._control = threading.RLock()  # subscriptions, scope, session and table
        self._reading = threading.Lock()  # the ring's only reader at a time
        self._wanted: frozenset[Cell] = frozenset()
        self._scope: frozenset[int] = frozenset()
        self._missing: dict[str, str] = {}
        self._failure: BoxscopeError | None = None
        self._session: KernelSession | None = None
        self._loader: Loader | None = None
        self._counted = KernelCounters()
        self._ready = threading.Event()
        self._stopping = threading.Event()
        self._thread: threading.Thread | None = None
        self._wake = -1
        self._eager_until_ns = 0
        self._publish()

    def start(self) -> None:
        """Begin to compile in a thread; subscriptions asked for until then wait."""
        self._wake = os.eventfd(0, os.EFD_CLOEXEC | os.EFD_NONBLOCK)
        self.set_status("starting", "compiling the kernel programs")
        self._thread = threading.Thread(target=self._run, name="probe", daemon=True)
        self._thread.start()

    def stop(self) -> None:
        """Detach and free everything; the last events are read before. May be called twice."""
        self._stopping.set()
        with self._control:
            if self._loader is not None:
                self._loader.cancel()
        if self._thread is not None:
            self._poke()
            self._thread.join()
        with self._control:
            if self._thread is not None:
                self._thread = None
                os.close(self._wake)

    def wait_ready(self, timeout: float) -> bool:
        """Wait until events can flow; False if they cannot, or not yet after `timeout` seconds."""
        return self._ready.wait(timeout) and self._failure is None

    def subscribe(self, event: str, category: str = "") -> None:
        """Deliver an event from now on, or from when the programs are ready.

        Args:
            event: Subscription name, such as `syscall_exit-openat`.
            category: Only events of this category; empty for all.

        Raises:
            UsageError: unknown name or category.
            RequirementError: the probe cannot run on this box.
            ProbeError: this kernel cannot deliver that event.
        """
        cells = frozenset(resolve(event, category))
        with self._control:
            if self._failure is not None:
                raise self._failure
            deliverable = frozenset(cell for cell in cells if not self._why_not(cell))
            if not deliverable:
                raise ProbeError(f"cannot deliver {event}: {self._why_not(next(iter(cells)))}")
            self._want(self._wanted | deliverable)

    def unsubscribe(self, event: str, category: str = "") -> None:
        """Take a subscription back; what happened before is still delivered.

        Raises:
            UsageError: unknown name or category.
        """
        cells = frozenset(resolve(event, category))
        with self._control:
            self._want(self._wanted - cells)

    def set_pids(self, pids: frozenset[int]) -> None:
        """Deliver only events of these processes; an empty set means of all.

        Args:
            pids: Process ids in the initial pid namespace.

        Raises:
            UsageError: not process ids, or too many.
            ProbeError: if the kernel refuses.
        """
        check_pids(pids)
        with self._control:
            if self._session is not None:
                self._session.set_pids(pids)
            self._scope = pids

    def drain(self) -> None:
        """Read what the kernel has written so far, so that the counters are up to date."""
        with self._reading:
            if self._session is not None:
                self._consume(self._session)

    def tables(self) -> Mapping[str, tuple[Record, ...]]:
        """One `subscription` row for each cell there is."""
        return {"subscription": self._table.rows}

    def kernel_counters(self) -> KernelCounters:
        """What the kernel side counted, as of the last read of the ring."""
        return self._counted

    def _run(self) -> None:
        """The thread: set up, read until stopped, clean up."""
        try:
            session = self._set_up()
        except (BoxscopeError, OSError) as error:
            self._give_up(error)
            return
        finally:
            self._ready.set()
        try:
            self._read_until_stopped(session)
        except (BoxscopeError, OSError) as error:
            self._give_up(error)
        finally:
            self._tear_down(session)

    def _give_up(self, error: BoxscopeError | OSError) -> None:
        """Tell why no events will come."""
        if isinstance(error, OSError):
            error = ProbeError(f"the probe broke: {clean(str(error))}")
        with self._control:
            self._failure = error
            self._publish()
        if not self._stopping.is_set():
            self.fail(error)
        else:
            self.set_status("off")

    def _set_up(self) -> KernelSession:
        preflight.check()
        layout = read_layout(Btf.load())
        loader = Loader(definitions(layout.defines, self._ring_bytes))
        with self._control:
            self._loader = loader
            if self._stopping.is_set():
                loader.cancel()
        session = KernelSession(loader.run(), self._ring_bytes)
        try:
            with self._control:
                self._go_live(session, layout)
        except BaseException:
            session.close()
            raise
        return session

    def _go_live(self, session: KernelSession, layout: Layout) -> None:
        """Put in force what was asked for while compiling: the scope before anything else."""
        self._missing = layout.missing
        self._wall_offset_ns = monotonic_to_wall_offset_ns(self.clock)
        wanted = frozenset(cell for cell in self._wanted if not self._why_not(cell))
        session.set_pids(self._scope)
        session.apply(wanted)
        self._wanted = wanted
        self._session = session
        self._publish()
        if layout.missing:
            lost = "; ".join(
                f"{FEATURES[name]} (no {layout.missing[name]})" for name in layout.missing
            )
            self.set_status("degraded", lost)
        else:
            self.set_status("running")

    def _want(self, wanted: frozenset[Cell]) -> None:
        if self._session is not None:
            self._session.apply(wanted)
        self._wanted = wanted
        self._publish()
        self._eager_until_ns = self.clock.monotonic_ns() + _EAGER_NS
        self._poke()

    def _why_not(self, cell: Cell) -> str:
        if self._failure is not None:
            return self._failure.message
        return unavailable(cell, self._missing)

    def _publish(self) -> None:
        on: Set[Cell] = frozenset() if self._failure is not None else self._wanted
        self._table.rebuild(on, self._why_not)

    def _poke(self) -> None:
        """Let the thread look again at what it is to do."""
        if self._thread is not None:
            os.eventfd_write(self._wake, 1)

    def _read_until_stopped(self, session: KernelSession) -> None:
        """Tick while something is attached; sleep while nothing is.

        The ring is watched edge-triggered: the kernel side wakes readers only now and then, and
        a level-triggered watch would return at once whenever there is a single event.
        """
        with contextlib.suppress(OSError):  # needs CAP_SYS_NICE; without it, a larger ring helps
            os.setpriority(os.PRIO_PROCESS, threading.get_native_id(), READER_NICE)
        now = measured = clocked = self.clock.monotonic_ns()
        with select.epoll() as epoll:
            epoll.register(self._wake, select.EPOLLIN)
            epoll.register(session.ring_descriptor, select.EPOLLIN | select.EPOLLET)
            while not self._stopping.is_set():
                tick = _EAGER_TICK_S if now < self._eager_until_ns else _TICK_S
                ready = epoll.poll(tick if session.attached else None)
                if any(descriptor == self._wake for descriptor, _ in ready):
                    os.eventfd_read(self._wake)
                now = self.clock.monotonic_ns()
                if now - clocked >= _CLOCK_NS:
                    clocked = now
                    self._wall_offset_ns = monotonic_to_wall_offset_ns(self.clock)
                self.drain()
                if now - measured >= _MEASURE_NS or not session.attached:
                    measured = now
                    with self._control:
                        self._measure(session)

    def _tear_down(self, session: KernelSession) -> None:
        """Detach, read the rest, free."""
        with self._control:
            try:
                session.detach()
                self.drain()
                self._measure(session)
            finally:
                with self._reading:
                    self._session = None
                session.close()
                self._wanted = frozenset()
                self._publish()
        if self._failure is None:
            self.set_status("off")

    def _consume(self, session: KernelSession) -> None:
        """Take in what the ring holds now, and what the kernel counted as lost."""
        ring = session.ring
        end = ring.written
        while ring.released < end:
            taken = ring.take(CHUNK_BYTES)
            if not taken.data:
                break  # the next record is still being written
            self._events.append(taken, self._wall_offset_ns)
            lag_ms = self._age_ms(taken) if taken.records else None
            self.tally.add(seen=taken.records, kept=taken.records, lag_ms=lag_ms)
        self._count_losses(session.counters.read())

    def _age_ms(self, taken: Taken) -> float:
        """How long ago the newest event happened; its stamp is what it begins with."""
        stamp = int.from_bytes(taken.data[taken.newest : taken.newest + 8], "little")
        return max(self.clock.monotonic_ns() - stamp, 0) / 1e6

    def _measure(self, session: KernelSession) -> None:
        """Publish the totals and rates of now."""
        self._table.measure(session.counters.delivered())
        self._publish()

    def _count_losses(self, counted: KernelCounters) -> None:
        lost = {
            "ring_full": counted.dropped - self._counted.dropped,
            "recursion": counted.skipped - self._counted.skipped,
        }
        self.tally.add(seen=sum(lost.values()), kept=0, dropped=lost)
        self._counted = counted
