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

import socket
import threading
from collections import deque
from collections.abc import Mapping
from contextlib import AbstractContextManager
from typing import Literal, NamedTuple, Protocol, TypeAlias

from engine.core.clock import Clock, monotonic_to_wall_offset_ns
from engine.core.counters import Counters, Tally
from engine.core.errors import ProbeError, UsageError
from engine.core.sanitise import clean
from engine.probe.payload_abi import PAYLOAD, PAYLOAD_CAP_MAX, PAYLOAD_TGIDS, Lack, PayloadKind
from engine.probe.payload_maps import PayloadCounters
from engine.probe.ring import Taken, spans

DEFAULT_CAP = 1024
_CHUNK_BYTES = 64 << 10
_CLOCK_NS = 60_000_000_000
_CACHE = 8192
_PID_LIMIT = 1 << 22
_NEEDS = ("FD", "TUPLE", "INODE", "TCP")
"""Features of the layout."""
_MAPPED = b"\0" * 10 + b"\xff\xff"

Kind = Literal["data", "accept", "connect", "close"]
Family = Literal["ipv4", "ipv6", "unix", ""]

_KINDS: dict[int, Kind] = {
    PayloadKind.DATA: "data",
    PayloadKind.ACCEPT: "accept",
    PayloadKind.CONNECT: "connect",
    PayloadKind.CLOSE: "close",
}
_PROTOCOLS = {socket.IPPROTO_TCP: "tcp", socket.IPPROTO_UDP: "udp", 262: "tcp"}
"""The last one is MPTCP."""


class Endpoint(NamedTuple):
    """An address and port; IPv4 addresses mapped into IPv6 are written as IPv4."""

    host: str
    port: int


class Payload(NamedTuple):
    """One message, or the begin or end of a connection as its process saw it."""

    kind: Kind
    """`data`; `accept` and `connect`, which tell the server from the client; or `close` of the
    descriptor."""
    direction: Literal["in", "out"]
    """Of data: read or written."""
    ts_ns: int
    """When the call returned, in wall time."""
    entered_ns: int | None
    """When it began; None if that was before its process was chosen."""
    tgid: int
    tid: int
    fd: int
    comm: str
    inode: int
    """Of the socket: tells connections apart even if descriptors are used again."""
    family: Family
    """Empty if another thread closed the descriptor during the call; then no addresses either."""
    protocol: str
    """`tcp`, `udp`, or empty."""
    local: Endpoint | None
    remote: Endpoint | None
    """None for Unix sockets. Of a datagram it is the sender's or receiver's, if the caller asked
    for it or gave it."""
    length: int
    """Bytes transferred; 0 read is the end of the stream."""
    data: bytes
    """The first of them, joined if the call had several vectors."""
    message: int
    """Which message of a sendmmsg or recvmmsg, from 0."""
    left_out: int
    """How many messages of the call after this one are not told; also counted as dropped."""
    missing: bool
    """Some of `data` could not be read from the process."""


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
        self._decoder = _Decoder()
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


_Ends: TypeAlias = tuple[int, bytes, int, bytes, int]
"""Family, local address and port, remote address and port, as the kernel has them."""
_Named: TypeAlias = tuple[Family, Endpoint | None, Endpoint | None]


class _Decoder:
    """Makes items of raw records."""

    def __init__(self) -> None:
        self._comms: dict[bytes, str] = {}
        self._ends: dict[_Ends, _Named] = {}

    def decode(self, data: memoryview, offset: int, length: int, wall_offset_ns: int) -> Payload:
        (
            ts, entered, transferred, inode, tgid, tid, fd, captured, message, left_out, protocol,
            kind, outgoing, lacks, family, local_port, remote_port, local, remote, comm,
        ) = PAYLOAD.unpack_from(data, offset)  # fmt: skip
        start = offset + PAYLOAD.size
        if captured > length - PAYLOAD.size or kind not in _KINDS:
            raise ProbeError(f"not a payload: {length} bytes")
        ends = (family, local, local_port, remote, remote_port)
        named = self._ends.get(ends)
        if named is None:
            if len(self._ends) >= _CACHE:
                self._ends.clear()
            named = self._ends[ends] = _named(ends)
        name, local_end, remote_end = named
        return Payload(
            _KINDS[kind],
            "out" if outgoing else "in",
            ts + wall_offset_ns,
            entered + wall_offset_ns if entered else None,
            tgid,
            tid,
            fd,
            self._comm(comm),
            inode,
            name,
            _PROTOCOLS.get(protocol, ""),
            local_end,
            remote_end,
            transferred,
            bytes(data[start : start + captured]),
            message,
            left_out,
            bool(lacks & Lack.DATA),
        )

    def _comm(self, raw: bytes) -> str:
        comm = self._comms.get(raw)
        if comm is None:
            if len(self._comms) >= _CACHE:
                self._comms.clear()
            comm = self._comms[raw] = clean(raw.partition(b"\0")[0])
        return comm


def _named(ends: _Ends) -> _Named:
    """The family's name and both ends; IPv4 in IPv6 is IPv4."""
    family, local, local_port, remote, remote_port = ends
    if family == socket.AF_UNIX:
        return "unix", None, None
    name: Family = "ipv6"
    if family == socket.AF_INET:
        name, local, remote = "ipv4", local[:4], remote[:4]
    elif family != socket.AF_INET6:
        return "", None, None
    elif _MAPPED in (local[:12], remote[:12]):
        # An end without an address is all zero, which is no mapped address.
        name, local, remote = "ipv4", local[12:], remote[12:]
    return (
        name,
        Endpoint(_host(local), local_port),
        Endpoint(_host(remote), remote_port) if remote_port else None,
    )


def _host(address: bytes) -> str:
    return socket.inet_ntop(socket.AF_INET if len(address) == 4 else socket.AF_INET6, address)


def _check(tgids: frozenset[int], cap: int) -> None:
    if len(tgids) > PAYLOAD_TGIDS:
        raise UsageError(f"{len(tgids)} processes are too many", fix=f"at most {PAYLOAD_TGIDS}")
    wrong = [tgid for tgid in tgids if not 0 < tgid < _PID_LIMIT]
    if wrong:
        raise UsageError(f"not a process id: {wrong[0]}")
    if not 0 <= cap <= PAYLOAD_CAP_MAX:
        raise UsageError(f"cannot capture {cap} bytes of a message", fix=f"0 to {PAYLOAD_CAP_MAX}")
