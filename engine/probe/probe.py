"""The source of kernel events."""

from __future__ import annotations

import mmap
import threading
from collections.abc import Iterable, Mapping, Set
from dataclasses import replace

from engine.core.clock import Clock
from engine.core.errors import BoxscopeError, ProbeError
from engine.core.records import Record
from engine.core.sanitise import clean
from engine.core.source import Logbook, Source
from engine.probe.availability import Availability
from engine.probe.catalogue import Cell
from engine.probe.demand import Demand, left_out
from engine.probe.features import FEATURES
from engine.probe.figures import Figures
from engine.probe.filters import Filters
from engine.probe.health import Health, ProgramCost
from engine.probe.hook_settings import HookSettings
from engine.probe.hooks import PAGE_FAULT
from engine.probe.kernel_maps import EventCounters, KernelCounters
from engine.probe.layout import Layout
from engine.probe.page_faults import Fault
from engine.probe.patterns import cells_of_all
from engine.probe.payload import PayloadSource
from engine.probe.payload_abi import PAYLOAD_RING_BYTES
from engine.probe.reader import EventReader
from engine.probe.session import KernelSession
from engine.probe.setup import SetUp
from engine.probe.state import state_row
from engine.probe.store import EventStore
from engine.probe.subscriptions import SubscriptionTable
from engine.probe.wakeups import ProcessCallback, ProcessWatch

RING_BYTES = 8 << 20


class KernelProbe(Source):
    """Delivers subscribed kernel events as `kernel_event` records.

    One thread checks the box, has the programs compiled, and then reads their ring every 25 ms.
    Nothing is attached to the kernel while nothing is subscribed.

    Args:
        clock: Where the time comes from.
        logbook: The engine's log.
        capacity: Events kept for readers.
        ring_bytes: Size of the kernel's ring, a power of two of pages.
        payload_ring_bytes: Likewise, of the ring for payloads.
        describe_fds: Let events tell what their file descriptor is: path, addresses or inode.

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
        payload_ring_bytes: int = PAYLOAD_RING_BYTES,
        describe_fds: bool = True,
    ) -> None:
        super().__init__(clock, logbook)
        for size in (ring_bytes, payload_ring_bytes):
            if size < mmap.PAGESIZE or size & (size - 1):
                raise ValueError(f"a ring is a power of two of pages, not {size} bytes")
        self._events = EventStore(capacity)
        self.rings["kernel_event"] = self._events
        self._set_up = SetUp(
            logbook.tasks, ring_bytes, payload_ring_bytes, describe_fds=describe_fds
        )
        self._table = SubscriptionTable(clock)
        self._control = threading.RLock()  # demand, figures and table
        self.payloads = PayloadSource(clock, self._control)
        """What chosen processes read from and write to their sockets."""
        self._process_watch = ProcessWatch(lambda text: self.log("warning", text))
        self._demand = Demand()
        self._figures = Figures()
        self._availability = Availability()
        self._failure: BoxscopeError | None = None
        self._reader = EventReader(clock, self._events, self.tally, ring_bytes)
        self._ready = threading.Event()
        self._stopping = threading.Event()
        self._thread: threading.Thread | None = None
        self._table.explain(self._why_not)
        self._publish()

    def start(self) -> None:
        """Begin to compile in a thread; subscriptions asked for until then wait."""
        self._reader.open()
        self.set_status("starting", "compiling the kernel programs")
        self._thread = threading.Thread(target=self._run, name="probe", daemon=True)
        self._thread.start()

    def stop(self) -> None:
        """Detach and free everything; the last events are read before. May be called twice."""
        self._stopping.set()
        self._set_up.cancel()
        if self._thread is not None:
            self._reader.poke()
            self._thread.join()
        with self._control:
            if self._thread is not None:
                self._thread = None
                self._reader.close()

    def wait_ready(self, timeout: float) -> bool:
        """Wait until events can flow; False if they cannot, or not yet after `timeout` seconds."""
        return self._ready.wait(timeout) and self._failure is None

    def subscribe(self, event: str, category: str = "") -> None:
        """Deliver an event from now on, or from when the programs are ready.

        Args:
            event: Subscription name, such as `syscall_exit-openat`, a pattern of names, or a
                preset; see `engine.probe.patterns`.
            category: Only events of this category; empty for all.

        Raises:
            UsageError: unknown name or category.
            RequirementError: the probe cannot run on this box.
            ProbeError: this kernel can deliver nothing of that.
        """
        self.switch([(event, category)], True)

    def unsubscribe(self, event: str, category: str = "") -> None:
        """Take a subscription back; what happened before is still delivered.

        Raises:
            UsageError: unknown name or category.
        """
        self.switch([(event, category)], False)

    def switch(self, subscriptions: Iterable[tuple[str, str]], on: bool) -> None:
        """Turn several subscriptions on, or off, at once; all of them or, if it raises, none.

        Raises:
            UsageError: unknown name or category.
            RequirementError: the probe cannot run on this box.
            ProbeError: this kernel can deliver nothing of that.
        """
        asked = cells_of_all(subscriptions, faithful=self._demand.filters.faithful)
        with self._control:
            if not on:
                self._want(self._demand.wanted - frozenset(asked))
                return
            if self._failure is not None:
                raise self._failure
            deliverable = frozenset(cell for cell in asked if not self._why_not(cell))
            if asked and not deliverable:
                first = asked[0]
                raise ProbeError(f"cannot deliver {first.event.name}: {self._why_not(first)}")
            self._want(self._demand.wanted | deliverable)

    @property
    def filters(self) -> Filters:
        """What is in force, or will be as soon as the programs are ready."""
        return self._demand.filters

    def set_filters(self, filters: Filters) -> None:
        """Deliver only what these let through; in force when this returns.

        Set before the probe is ready, they hold from the very first event.

        Raises:
            UsageError: ids or names that cannot be, or too many.
            ProbeError: if the kernel refuses.
        """
        with self._control:
            self._demand.set_filters(filters)
            self._events.set_faithful(filters.faithful)

    def set_pids(self, pids: frozenset[int], *, follow: bool = False) -> None:
        """Deliver only events of these processes; an empty set means of all.

        Args:
            pids: Process ids in the initial pid namespace.
            follow: Also those of the children they have from now on.

        Raises:
            UsageError: not process ids, or too many.
            ProbeError: if the kernel refuses.
        """
        with self._control:
            self.set_filters(replace(self.filters, tgids=pids, follow=follow and bool(pids)))

    @property
    def wanted(self) -> frozenset[tuple[str, str]]:
        """What is subscribed, as names and categories."""
        return frozenset((cell.event.name, cell.category.label) for cell in self._demand.wanted)

    def name_module(self, cgroup: int, name: str) -> None:
        """Show this name with every event of a control group.

        Args:
            cgroup: Inode number of its directory in the version 2 tree.
            name: The module that runs in it.
        """
        self._events.name_module(cgroup, name)

    def set_snaplen(self, snaplen: int) -> None:
        """Keep as many bytes of what a call reads or writes as its `data`; 0 for none.

        Raises:
            UsageError: less than none, or more than an event has room for.
            ProbeError: if the kernel refuses.
        """
        with self._control:
            self._demand.set_snaplen(snaplen)

    def set_hooks(self, settings: HookSettings) -> None:
        """Settings of events that are no calls; in force when this returns.

        Raises:
            ProbeError: if the kernel refuses.
        """
        with self._control:
            self._demand.set_hooks(settings)

    def page_faults(self) -> Mapping[Fault, int]:
        """Page faults by process and kind, counted while they are subscribed.

        Raises:
            ProbeError: if the kernel refuses.
        """
        with self._control:
            return self._figures.page_faults()

    def watch_processes(self, callback: ProcessCallback | None) -> None:
        """Tell at once of every other process that execs, exits, or begins or ceases to listen.

        Subscriptions and filters have no part in it. Whoever was told before is told no more.

        Args:
            callback: Called from a thread of the probe's once the probe runs, and must not wait;
                see `engine.probe.wakeups`. None for nobody.
        """
        self._process_watch.watch(callback)

    def drain(self) -> None:
        """Read what the kernel has written so far, so that the counters are up to date."""
        self._reader.drain()

    def tables(self) -> Mapping[str, tuple[Record, ...]]:
        """One `subscription` row for each cell there is, and the `probe_state`."""
        state = state_row(
            self.counters(),
            self._reader.counted,
            self._reader.meter.health,
            self._figures.last_page_faults,
            self.clock.wall_ns(),
        )
        return {"subscription": self._table.rows, "probe_state": (state,)}

    def kernel_counters(self) -> KernelCounters:
        """What the kernel side counted, as of the last read of the ring."""
        return self._reader.counted

    def event_counters(self) -> Mapping[str, EventCounters]:
        """What became of each event since the programs were loaded, by subscription name.

        Raises:
            ProbeError: if the kernel refuses.
        """
        with self._control:
            return self._figures.events()

    def health(self) -> Health:
        """The ring's fill and lag, and what the probe costs; as of the last read of the ring."""
        return self._reader.meter.health

    def time_programs(self, wanted: bool) -> None:
        """Have the kernel time the programs, which costs each run about 30 ns, or no longer.

        Raises:
            RequirementError: without the right.
            ProbeError: if the probe does not run, or the kernel refuses.
        """
        with self._control:
            self._figures.time_programs(wanted)

    def program_costs(self) -> Mapping[str, ProgramCost]:
        """Runs and run time of each program since `time_programs`; empty if it was not called.

        Raises:
            ProbeError: if the kernel refuses.
        """
        with self._control:
            return self._figures.program_costs()

    def _run(self) -> None:
        """The thread: set up, read until stopped, clean up."""
        try:
            session = self._begin()
        except (BoxscopeError, OSError) as error:
            self._give_up(error)
            return
        finally:
            self._ready.set()
        try:
            self._reader.run(session, self._stopping, lambda: self._measure(session))
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
            self._table.explain(self._why_not)
            self._publish()
        if not self._stopping.is_set():
            self.fail(error)
        else:
            self.set_status("off")

    def _begin(self) -> KernelSession:
        ready = self._set_up.run()
        try:
            with self._control:
                self._availability = ready.availability
                self._table.explain(self._why_not)
                self._go_live(ready.session, ready.layout)
        except BaseException:
            ready.session.close()
            raise
        return ready.session

    def _go_live(self, session: KernelSession, layout: Layout) -> None:
        """Put in force what was asked for while compiling, as far as this kernel has it."""
        wanted = self._demand.wanted
        deliverable = frozenset(cell for cell in wanted if not self._why_not(cell))
        if deliverable != wanted:
            self.log("warning", left_out(wanted - deliverable, self._why_not))
            self._demand.want(deliverable)
        self._demand.begin(session, layout.missing.get("FOLLOW", ""))
        self._figures.begin(session)
        self._reader.begin(session)
        try:
            self.payloads.open(session.payloads, layout.missing)
        except ProbeError as refused:
            self.log("warning", refused.message)
        self._process_watch.open(session.wake_ups)
        self._publish()
        lost = [f"{FEATURES[name]} (no {layout.missing[name]})" for name in layout.missing]
        lost += [f"the kernel refused {name}: {why}" for name, why in session.refused.items()]
        if lost:
            self.set_status("degraded", "; ".join(lost))
        else:
            self.set_status("running")

    def _want(self, wanted: frozenset[Cell]) -> None:
        self._demand.want(wanted)
        self._publish()
        self._reader.poke(eager=True)

    def _why_not(self, cell: Cell) -> str:
        if self._failure is not None:
            return self._failure.message
        return self._availability.why_not(cell)

    def _publish(self) -> None:
        on: Set[Cell] = frozenset() if self._failure is not None else self._demand.wanted
        self._table.rebuild(on)

    def _tear_down(self, session: KernelSession) -> None:
        """Detach, read the rest, free."""
        with self._control:
            try:
                self.payloads.close()
                self._process_watch.close()
                session.detach()
                self.drain()
                self._measure(session)
                self._figures.events()
                self._figures.page_faults()
            finally:
                self._figures.end()
                self._reader.end()
                self._demand.end()
                session.close()
                self._publish()
        if self._failure is None:
            self.set_status("off")

    def _measure(self, session: KernelSession) -> None:
        """Publish the totals and rates of now."""
        with self._control:
            self._table.measure(session.counters.delivered())
            self._publish()
            if any(cell.event is PAGE_FAULT for cell in self._demand.wanted):
                self._figures.page_faults()
            self._reader.meter.second(self._figures.run_ns())
