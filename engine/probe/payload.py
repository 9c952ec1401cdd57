"""What chosen processes read from and write to their sockets, pulled in batches.

    payloads = probe.payloads
    payloads.choose(frozenset({pid}))
    for item in payloads.drain(1_000): ...

Nothing is attached while no process is chosen. What is not drained waits in the kernel's ring,
which is bounded: what finds no room there is counted. Items come in the order in which the calls
returned. Of sendfile and splice there is the length alone. Not seen: io_uring, 32-bit calls, and
what TLS hides.
"""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Mapping
from contextlib import AbstractContextManager
from typing import Protocol

from engine.core.clock import Clock, monotonic_to_wall_offset_ns
from engine.core.counters import Counters, Tally
from engine.core.errors import ProbeError, UsageError
from engine.probe.payload_abi import PAYLOAD_CAP_MAX, PAYLOAD_TGIDS
from engine.probe.payload_items import Payload, PayloadDecoder
from engine.probe.payload_maps import PayloadCounters
from engine.probe.ring import Taken, spans

DEFAULT_CAP = 1024
_CHUNK_BYTES = 64 << 10
_CLOCK_NS = 60_000_000_000
_PID_LIMIT = 1 << 22
_NEEDS = ("FD", "TUPLE", "INODE", "TCP")
"""Features of the layout."""


class Tap(Protocol):
    """The kernel's side, while there is one."""

    def set_chosen(self, tgids: frozenset[int], cap: int) -> None:
        """Capture of these processes only."""

    def take(self, limit: int) -> Taken:
        """The oldest records, about `limit` bytes of them."""

    def counters(self) -> PayloadCounters:
        """The totals now."""

    def losses(self) -> Mapping[int, int]:
        """Of these, messages lost of each chosen process since it was chosen."""


class PayloadSource:
    """The payloads of chosen processes; any thread may use it.

    Args:
        clock: Where the time comes from.
        control: Held while the kernel's side is changed.
    """

    def __init__(self, clock: Clock, control: AbstractContextManager[bool]) -> None:
        self._clock = clock
        self._control = control
        self._reading = threading.Lock()
        self._tap: Tap | None = None
        self._chosen: frozenset[int] = frozenset()
        self._cap = DEFAULT_CAP
        self._opened = False
        self._absent: list[str] = []
        self._refused: ProbeError | None = None
        self._waiting: deque[Payload] = deque()
        self._decoder = PayloadDecoder()
        self._tally = Tally()
        self._counted = PayloadCounters()
        self._losses: Mapping[int, int] = {}
        self._offset_ns = 0
        self._clocked_ns = 0

    @property
    def opened(self) -> bool:
        """Whether what was chosen is in force, or was until the probe ended."""
        return self._opened

    @property
    def chosen(self) -> frozenset[int]:
        """The processes whose sockets are listened to."""
        return self._chosen

    def choose(self, tgids: frozenset[int], *, cap: int = DEFAULT_CAP) -> None:
        """Listen to the sockets of exactly these processes, or of none.

        In force when this returns; before the probe is ready, as soon as it is.

        Args:
            tgids: Process ids in the initial pid namespace.
            cap: Bytes captured of each message, at most 16 KiB.

        Raises:
            UsageError: not process ids, too many, or another cap.
            ProbeError: if the kernel refuses.
        """
        _check(tgids, cap)
        with self._control:
            self._set(tgids, cap)
            kept = self._chosen & tgids
            self._losses = {tgid: lost for tgid, lost in self._losses.items() if tgid in kept}
            self._chosen, self._cap = tgids, cap

    def drain(self, limit: int = 1_000) -> tuple[Payload, ...]:
        """The oldest items that nobody has had yet, at most `limit`; never waits.

        Raises:
            ProbeError: if the kernel refuses to tell its losses.
        """
        with self._reading:
            while len(self._waiting) < limit and self._fill():
                pass
            count = min(limit, len(self._waiting))
            return tuple(self._waiting.popleft() for _ in range(count))

    def counters(self) -> Counters:
        """Items read from the ring and lost before, by reason; as of the last `drain`."""
        return self._tally.read()

    def losses(self) -> Mapping[int, int]:
        """Messages lost of each process since it was chosen; as of the last `drain`."""
        return self._losses

    @property
    def failure(self) -> ProbeError | None:
        """Why this kernel does not let one listen, if it does not."""
        if not self._absent:
            return self._refused
        return ProbeError(f"cannot listen to sockets: no {', '.join(self._absent)} in this kernel")

    def kernel_counters(self) -> PayloadCounters:
        """What the kernel's side counted, as of the last `drain`."""
        return self._counted

    def open(self, tap: Tap, missing: Mapping[str, str]) -> None:
        """Begin with what was chosen; the probe is ready.

        Args:
            tap: The kernel's side.
            missing: Features the kernel lacks, with the member that is absent.

        Raises:
            ProbeError: if the kernel refuses or cannot.
        """
        with self._control:
            self._tap = tap
            self._absent = [missing[feature] for feature in _NEEDS if feature in missing]
            try:
                if self._chosen:
                    self._set(self._chosen, self._cap)
            except ProbeError as refused:
                self._refused = refused
                raise
            self._opened = not self._absent

    def close(self) -> None:
        """End; what was captured stays to be drained. May be called twice."""
        with self._control:
            if self._tap is None:
                return
            self._losses = self._tap.losses()
            self._set(frozenset(), self._cap)
            with self._reading:
                while self._fill():
                    pass
                self._tap = None

    def _set(self, tgids: frozenset[int], cap: int) -> None:
        if tgids and self.failure is not None:
            raise self.failure
        if self._tap is not None:
            self._tap.set_chosen(tgids, cap)

    def _fill(self) -> bool:
        """Take a piece of the ring; False if there was nothing."""
        if self._tap is None:
            return False
        taken = self._tap.take(_CHUNK_BYTES)
        self._count_losses(self._tap.counters())
        if not taken.records:
            return False
        now = self._clock.monotonic_ns()
        if not self._clocked_ns or now - self._clocked_ns > _CLOCK_NS:
            self._offset_ns, self._clocked_ns = monotonic_to_wall_offset_ns(self._clock), now
        data = memoryview(taken.data)
        for offset, length in spans(data.cast("I"), taken.records):
            self._waiting.append(self._decoder.decode(data, offset, length, self._offset_ns))
        lag_ms = max(now + self._offset_ns - self._waiting[-1].ts_ns, 0) / 1e6
        self._tally.add(seen=taken.records, kept=taken.records, lag_ms=lag_ms)
        return True

    def _count_losses(self, counted: PayloadCounters) -> None:
        lost = {
            "ring_full": counted.dropped - self._counted.dropped,
            "beyond_limit": counted.left_out - self._counted.left_out,
        }
        if any(lost.values()) and self._tap is not None:
            self._losses = {**self._losses, **self._tap.losses()}
        self._tally.add(seen=sum(lost.values()), kept=0, dropped=lost)
        self._counted = counted


def _check(tgids: frozenset[int], cap: int) -> None:
    if len(tgids) > PAYLOAD_TGIDS:
        raise UsageError(f"{len(tgids)} processes are too many", fix=f"at most {PAYLOAD_TGIDS}")
    wrong = [tgid for tgid in tgids if not 0 < tgid < _PID_LIMIT]
    if wrong:
        raise UsageError(f"not a process id: {wrong[0]}")
    if not 0 <= cap <= PAYLOAD_CAP_MAX:
        raise UsageError(f"cannot capture {cap} bytes of a message", fix=f"0 to {PAYLOAD_CAP_MAX}")
