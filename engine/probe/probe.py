"""The source of kernel events."""

from __future__ import annotations

import contextlib
import mmap
import os
import select
import threading
from collections.abc import Callable, Iterable, Mapping, Set
from dataclasses import replace

from engine.core.clock import Clock, monotonic_to_wall_offset_ns
from engine.core.errors import BoxscopeError, ProbeError, UsageError
from engine.core.records import Record
from engine.core.sanitise import clean
from engine.core.source import Logbook, Source
from engine.probe import preflight
from engine.probe.abi import definitions
from engine.probe.availability import Availability, look
from engine.probe.btf import Btf
from engine.probe.catalogue import Cell
from engine.probe.filters import Filters
from engine.probe.health import Health, Meter, ProgramCost, RunTimer
from engine.probe.kernel_maps import EventCounters, KernelCounters
from engine.probe.layout import FEATURES, Layout, read_layout
from engine.probe.loader import Loader
from engine.probe.owners import Fault, HookSettings
from engine.probe.patterns import cells_of_all
from engine.probe.payload import PayloadSource
from engine.probe.payload_abi import PAYLOAD_RING_BYTES
from engine.probe.ring import Taken
from engine.probe.schema import SNAPLEN, SNAPLEN_MAX
from engine.probe.session import KernelSession
from engine.probe.state import state_row
from engine.probe.store import CHUNK_BYTES, EventStore
from engine.probe.subscriptions import SubscriptionTable
from engine.probe.wakeups import ProcessCallback, ProcessWatch

RING_BYTES = 8 << 20
_TICK_S = 0.025
_EAGER_TICK_S = 0.005
_EAGER_NS = 300_000_000
"""How long after a change of the subscriptions the ring is looked at more often: somebody waits."""
_COUNT_NS = 100_000_000
"""How often the kernel is asked for its losses; a call for each program and each of its counters
is more than reading the ring takes."""
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
        self._ring_bytes = ring_bytes
        self._payload_ring_bytes = payload_ring_bytes
        self._describe_fds = describe_fds
        self._wall_offset_ns = 0
        self._table = SubscriptionTable(clock)
        self._control = threading.RLock()  # subscriptions, scope, session and table
        self.payloads = PayloadSource(clock, self._control)
        """What chosen processes read from and write to their sockets."""
        self._process_watch = ProcessWatch(lambda text: self.log("warning", text))
        self._reading = threading.Lock()  # the ring's only reader at a time
        self._wanted: frozenset[Cell] = frozenset()
        self._filters = Filters()
        self._no_following = ""
        self._hook_settings = HookSettings()
        self._snaplen = SNAPLEN
        self._availability = Availability()
        self._failure: BoxscopeError | None = None
        self._session: KernelSession | None = None
        self._loader: Loader | None = None
        self._counted = KernelCounters()
        self._events_counted: Mapping[str, EventCounters] = {}
        self._meter = Meter(clock, ring_bytes)
        self._timer = RunTimer()
        self._ready = threading.Event()
        self._stopping = threading.Event()
        self._thread: threading.Thread | None = None
        self._wake = -1
        self._eager_until_ns = 0
        self._table.explain(self._why_not)
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
        asked = cells_of_all(subscriptions, faithful=self._filters.faithful)
        with self._control:
            if not on:
                self._want(self._wanted - frozenset(asked))
                return
            if self._failure is not None:
                raise self._failure
            deliverable = frozenset(cell for cell in asked if not self._why_not(cell))
            if asked and not deliverable:
                first = asked[0]
                raise ProbeError(f"cannot deliver {first.event.name}: {self._why_not(first)}")
            self._want(self._wanted | deliverable)

    @property
    def filters(self) -> Filters:
        """What is in force, or will be as soon as the programs are ready."""
        return self._filters

    def set_filters(self, filters: Filters) -> None:
        """Deliver only what these let through; in force when this returns.

        Set before the probe is ready, they hold from the very first event.

        Raises:
            UsageError: ids or names that cannot be, or too many.
            ProbeError: if the kernel refuses.
        """
        filters.check()
        with self._control:
            if self._session is not None:
                self._put_in_force(self._session, filters)
            self._filters = filters
            self._events.set_faithful(filters.faithful)

    def _put_in_force(self, session: KernelSession, filters: Filters) -> None:
        if filters.follow and self._no_following:
            raise ProbeError(f"cannot follow children: this kernel has no {self._no_following}")
        session.set_filters(filters)

    def set_pids(self, pids: frozenset[int]) -> None:
        """Deliver only events of these processes; an empty set means of all.

        Args:
            pids: Process ids in the initial pid namespace.

        Raises:
            UsageError: not process ids, or too many.
            ProbeError: if the kernel refuses.
        """
        with self._control:
            follow = self._filters.follow and bool(pids)
            self.set_filters(replace(self._filters, tgids=pids, follow=follow))

    def set_snaplen(self, snaplen: int) -> None:
        """Keep as many bytes of what a call reads or writes as its `data`; 0 for none.

        Raises:
            UsageError: less than none, or more than an event has room for.
            ProbeError: if the kernel refuses.
        """
        if not 0 <= snaplen <= SNAPLEN_MAX:
            raise UsageError(f"a snaplen of {snaplen} cannot be", fix=f"0 to {SNAPLEN_MAX} bytes")
        with self._control:
            if self._session is not None:
                self._session.set_snaplen(snaplen)
            self._snaplen = snaplen

    def set_hooks(self, settings: HookSettings) -> None:
        """Settings of events that are no calls; in force when this returns.

        Raises:
            ProbeError: if the kernel refuses.
        """
        with self._control:
            if self._session is not None:
                self._session.configure(settings)
            self._hook_settings = settings

    def page_faults(self) -> Mapping[Fault, int]:
        """Page faults by process and kind, counted while they are subscribed; empty if stopped.

        Raises:
            ProbeError: if the kernel refuses.
        """
        with self._control:
            return {} if self._session is None else self._session.page_faults()

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
        with self._reading:
            if self._session is not None:
                self._consume(self._session)
                self._count_losses(self._session.counters.read())

    def tables(self) -> Mapping[str, tuple[Record, ...]]:
        """One `subscription` row for each cell there is, and the `probe_state`."""
        state = state_row(self.counters(), self._counted, self._meter.health, self.clock.wall_ns())
        return {"subscription": self._table.rows, "probe_state": (state,)}

    def kernel_counters(self) -> KernelCounters:
        """What the kernel side counted, as of the last read of the ring."""
        return self._counted

    def event_counters(self) -> Mapping[str, EventCounters]:
        """What became of each event since the programs were loaded, by subscription name.

        Raises:
            ProbeError: if the kernel refuses.
        """
        with self._control:
            if self._session is not None:
                self._events_counted = self._session.counters.events()
            return self._events_counted

    def health(self) -> Health:
        """The ring's fill and lag, and what the probe costs; as of the last read of the ring."""
        return self._meter.health

    def time_programs(self, wanted: bool) -> None:
        """Have the kernel time the programs, which costs each run about 30 ns, or no longer.

        Raises:
            RequirementError: without the right.
            ProbeError: if the probe does not run, or the kernel refuses.
        """
        with self._control:
            if not wanted:
                self._timer.stop()
            elif self._session is None:
                raise ProbeError("there are no kernel programs to be timed")
            else:
                self._timer.start(self._session.counters.runs())

    def program_costs(self) -> Mapping[str, ProgramCost]:
        """Runs and run time of each program since `time_programs`; empty if it was not called.

        Raises:
            ProbeError: if the kernel refuses.
        """
        with self._control:
            if self._session is None or not self._timer.running:
                return {}
            return self._timer.costs(self._session.counters.runs())

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
            self._table.explain(self._why_not)
            self._publish()
        if not self._stopping.is_set():
            self.fail(error)
        else:
            self.set_status("off")

    def _set_up(self) -> KernelSession:
        preflight.check()
        btf = Btf.load()
        layout = read_layout(btf)
        loader = Loader(
            definitions(
                layout.defines,
                self._ring_bytes,
                describe_fds=self._describe_fds,
                payload_ring_bytes=self._payload_ring_bytes,
            )
        )
        with self._control:
            self._loader = loader
            if self._stopping.is_set():
                loader.cancel()
        session = KernelSession(loader.run(), self._ring_bytes, self._payload_ring_bytes)
        try:
            with self._control:
                self._availability = look(btf, layout, session.refused)
                self._table.explain(self._why_not)
                self._go_live(session, layout)
        except BaseException:
            session.close()
            raise
        return session

    def _go_live(self, session: KernelSession, layout: Layout) -> None:
        """Put in force what was asked for while compiling: the scope before anything else."""
        self._wall_offset_ns = monotonic_to_wall_offset_ns(self.clock)
        wanted = frozenset(cell for cell in self._wanted if not self._why_not(cell))
        if wanted != self._wanted:
            self.log("warning", _left_out(self._wanted - wanted, self._why_not))
        self._no_following = layout.missing.get("FOLLOW", "")
        self._put_in_force(session, self._filters)
        session.configure(self._hook_settings)
        session.set_snaplen(self._snaplen)
        session.apply(wanted)
        self._wanted = wanted
        self._session = session
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
        if self._session is not None:
            self._session.apply(wanted)
        self._wanted = wanted
        self._publish()
        self._eager_until_ns = self.clock.monotonic_ns() + _EAGER_NS
        self._poke()

    def _why_not(self, cell: Cell) -> str:
        if self._failure is not None:
            return self._failure.message
        return self._availability.why_not(cell)

    def _publish(self) -> None:
        on: Set[Cell] = frozenset() if self._failure is not None else self._wanted
        self._table.rebuild(on)

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
        now = measured = clocked = counted = self.clock.monotonic_ns()
        with select.epoll() as epoll:
            epoll.register(self._wake, select.EPOLLIN)
            epoll.register(session.ring_descriptor, select.EPOLLIN | select.EPOLLET)
            while not self._stopping.is_set():
                tick = _EAGER_TICK_S if now < self._eager_until_ns else _TICK_S
                ready = epoll.poll(tick if session.delivering else None)
                if any(descriptor == self._wake for descriptor, _ in ready):
                    os.eventfd_read(self._wake)
                now = self.clock.monotonic_ns()
                if now - clocked >= _CLOCK_NS:
                    clocked = now
                    self._wall_offset_ns = monotonic_to_wall_offset_ns(self.clock)
                if now - counted >= _COUNT_NS or not session.delivering:
                    counted = now
                    self.drain()
                else:
                    with self._reading:
                        self._consume(session)
                if now - measured >= _MEASURE_NS or not session.delivering:
                    measured = now
                    with self._control:
                        self._measure(session)

    def _tear_down(self, session: KernelSession) -> None:
        """Detach, read the rest, free."""
        with self._control:
            try:
                self.payloads.close()
                self._process_watch.close()
                session.detach()
                self.drain()
                self._measure(session)
                self._events_counted = session.counters.events()
            finally:
                self._timer.stop()
                with self._reading:
                    self._session = None
                session.close()
                self._wanted = frozenset()
                self._publish()
        if self._failure is None:
            self.set_status("off")

    def _consume(self, session: KernelSession) -> None:
        """Take in what the ring holds now."""
        ring = session.ring
        end = ring.written
        waiting, oldest_ns = end - ring.released, None
        while ring.released < end:
            taken = ring.take(CHUNK_BYTES)
            if not taken.data:
                break  # the next record is still being written
            if oldest_ns is None:
                oldest_ns = taken.oldest_stamp
            self._events.append(taken, self._wall_offset_ns)
            lag_ms = self._age_ms(taken) if taken.records else None
            self.tally.add(seen=taken.records, kept=taken.records, lag_ms=lag_ms)
        self._meter.read(waiting, oldest_ns)

    def _age_ms(self, taken: Taken) -> float:
        """How long ago the newest event happened; its stamp is what it begins with."""
        stamp = int.from_bytes(taken.data[taken.newest : taken.newest + 8], "little")
        return max(self.clock.monotonic_ns() - stamp, 0) / 1e6

    def _measure(self, session: KernelSession) -> None:
        """Publish the totals and rates of now."""
        self._table.measure(session.counters.delivered())
        self._publish()
        costs = self._timer.costs(session.counters.runs()) if self._timer.running else None
        self._meter.second(sum(cost.run_ns for cost in costs.values()) if costs else None)

    def _count_losses(self, counted: KernelCounters) -> None:
        lost = {
            "ring_full": counted.dropped - self._counted.dropped,
            "recursion": counted.skipped - self._counted.skipped,
        }
        self.tally.add(seen=sum(lost.values()), kept=0, dropped=lost)
        self._counted = counted


def _left_out(cells: Set[Cell], why_not: Callable[[Cell], str]) -> str:
    """What was subscribed and cannot be delivered, as a sentence."""
    names = sorted({cell.event.name for cell in cells})
    shown = ", ".join(names[:3]) + (f" and {len(names) - 3} more" if len(names) > 3 else "")
    reasons = sorted({why_not(cell) for cell in cells})
    more = f" (and {len(reasons) - 1} other reasons)" if len(reasons) > 1 else ""
    return f"cannot deliver {shown}: {reasons[0]}{more}"
