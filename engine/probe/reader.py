"""The one reader of the ring: its events into the store, its losses into the counters."""

from __future__ import annotations

import contextlib
import os
import select
import threading
from collections.abc import Callable

from engine.core.clock import Clock, monotonic_to_wall_offset_ns
from engine.core.counters import Tally
from engine.probe.health import Meter
from engine.probe.kernel_maps import KernelCounters
from engine.probe.ring import Taken
from engine.probe.session import KernelSession
from engine.probe.store import CHUNK_BYTES, EventStore

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


class EventReader:
    """Reads the ring in a thread of the probe's, or when somebody cannot wait for that.

    Args:
        clock: Where the time comes from.
        events: Where the events go.
        tally: Where they are counted, read and lost.
        ring_bytes: Size of the ring.
    """

    def __init__(self, clock: Clock, events: EventStore, tally: Tally, ring_bytes: int) -> None:
        self._clock = clock
        self._events = events
        self._tally = tally
        self.meter = Meter(clock, ring_bytes)
        self.counted = KernelCounters()
        """What the kernel side counted, as of the last look at its losses."""
        self._reading = threading.Lock()  # the ring's only reader at a time
        self._session: KernelSession | None = None
        self._wall_offset_ns = 0
        self._wake = -1
        self._eager_until_ns = 0

    def open(self) -> None:
        """Make what the thread is woken by.

        Raises:
            OSError: if there are no descriptors left.
        """
        self._wake = os.eventfd(0, os.EFD_CLOEXEC | os.EFD_NONBLOCK)

    def close(self) -> None:
        """Free it; the thread has ended."""
        os.close(self._wake)
        self._wake = -1

    def begin(self, session: KernelSession) -> None:
        """Read the ring of these programs from now on."""
        self._wall_offset_ns = monotonic_to_wall_offset_ns(self._clock)
        self._session = session

    def end(self) -> None:
        """Read it no longer; nobody does when this returns."""
        with self._reading:
            self._session = None

    def poke(self, *, eager: bool = False) -> None:
        """Let the thread look again at what it is to do; more often for a while, if `eager`."""
        if eager:
            self._eager_until_ns = self._clock.monotonic_ns() + _EAGER_NS
        if self._wake >= 0:
            os.eventfd_write(self._wake, 1)

    def run(
        self,
        session: KernelSession,
        stopping: threading.Event,
        measure: Callable[[], None],
    ) -> None:
        """Tick while something is attached, sleep while nothing is, until `stopping`.

        The ring is watched edge-triggered: the kernel side wakes readers only now and then, and
        a level-triggered watch would return at once whenever there is a single event.

        Args:
            session: What `begin` was given.
            stopping: Looked at when poked.
            measure: Called about once a second.

        Raises:
            ProbeError: if the kernel refuses to tell its counters.
        """
        with contextlib.suppress(OSError):  # needs CAP_SYS_NICE; without it, a larger ring helps
            os.setpriority(os.PRIO_PROCESS, threading.get_native_id(), READER_NICE)
        now = measured = clocked = counted = self._clock.monotonic_ns()
        with select.epoll() as epoll:
            epoll.register(self._wake, select.EPOLLIN)
            epoll.register(session.ring_descriptor, select.EPOLLIN | select.EPOLLET)
            while not stopping.is_set():
                tick = _EAGER_TICK_S if now < self._eager_until_ns else _TICK_S
                ready = epoll.poll(tick if session.delivering else None)
                if any(descriptor == self._wake for descriptor, _ in ready):
                    os.eventfd_read(self._wake)
                now = self._clock.monotonic_ns()
                if now - clocked >= _CLOCK_NS:
                    clocked = now
                    self._wall_offset_ns = monotonic_to_wall_offset_ns(self._clock)
                if now - counted >= _COUNT_NS or not session.delivering:
                    counted = now
                    self.drain()
                else:
                    with self._reading:
                        self._consume(session)
                if now - measured >= _MEASURE_NS or not session.delivering:
                    measured = now
                    measure()

    def drain(self) -> None:
        """Read what the kernel has written so far, so that the counters are up to date.

        Raises:
            ProbeError: if the kernel refuses to tell them.
        """
        with self._reading:
            if self._session is not None:
                self._consume(self._session)
                self._count_losses(self._session.counters.read())

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
            self._tally.add(seen=taken.records, kept=taken.records, lag_ms=lag_ms)
        self.meter.read(waiting, oldest_ns)

    def _age_ms(self, taken: Taken) -> float:
        """How long ago the newest event happened; its stamp is what it begins with."""
        stamp = int.from_bytes(taken.data[taken.newest : taken.newest + 8], "little")
        return max(self._clock.monotonic_ns() - stamp, 0) / 1e6

    def _count_losses(self, counted: KernelCounters) -> None:
        lost = {
            "ring_full": counted.dropped - self.counted.dropped,
            "recursion": counted.skipped - self.counted.skipped,
        }
        self._tally.add(seen=sum(lost.values()), kept=0, dropped=lost)
        self.counted = counted
