"""What processes read from and write to their sockets, as segments.

A connection between two processes that are both listened to is told twice. It is read at one end,
the client's where that is known, and the other end only tells its process.
"""

from __future__ import annotations

import socket
import threading
import time
from collections import OrderedDict, deque
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import lru_cache
from typing import Literal, Protocol, TypeAlias

from engine.core.clock import Clock
from engine.core.counters import Counters
from engine.traffic.flows import Endpoint
from engine.traffic.inputs import Item, Wait
from engine.traffic.packets import ACK, FIN, RST, SYN, TCP, UDP, Owner, Segment

PAYLOAD_CAP = 4_096
"""Bytes copied of each message; of what is longer, HTTP bodies are stepped over by their length."""

_POLL_S = 0.02
_BATCH = 2_000
_MAX_SOCKETS = 20_000
_IDLE_NS, _LOOK_NS = 120 * 10**9, 10**9
"""When two that exchange datagrams have ended, as nobody tells; how often that is looked at."""
_MUTE_LIMIT = 8
"""Messages seen at the other end before an end that told none is given up."""
_SEQ = (1 << 32) - 1
_NOWHERE = ("", 0)
_L4 = {"tcp": TCP, "udp": UDP}

Address: TypeAlias = tuple[str, int]


class Heard(Protocol):
    """One message of a socket, or the begin or end of its connection."""

    @property
    def kind(self) -> Literal["data", "accept", "connect", "close"]: ...
    @property
    def direction(self) -> Literal["in", "out"]: ...
    @property
    def ts_ns(self) -> int: ...
    @property
    def entered_ns(self) -> int | None: ...
    @property
    def tgid(self) -> int: ...
    @property
    def comm(self) -> str: ...
    @property
    def inode(self) -> int: ...
    @property
    def family(self) -> Literal["ipv4", "ipv6", "unix", ""]: ...
    @property
    def protocol(self) -> str: ...
    @property
    def local(self) -> Address | None: ...
    @property
    def remote(self) -> Address | None: ...
    @property
    def length(self) -> int: ...
    @property
    def data(self) -> bytes: ...
    @property
    def missing(self) -> bool: ...


class PayloadFeed(Protocol):
    """Whoever listens to the sockets of processes."""

    def choose(self, tgids: frozenset[int], *, cap: int = ...) -> None:
        """Listen to exactly these processes."""

    def drain(self, limit: int = ...) -> Sequence[Heard]:
        """What nobody has had yet, oldest first; never waits."""

    def counters(self) -> Counters:
        """What was read and what was lost."""

    def losses(self) -> Mapping[int, int]:
        """Messages lost of each process that is listened to."""


@dataclass(slots=True)
class ListeningCost:
    """What listening to one process took so far."""

    payloads: int = 0
    """Messages read."""
    payload_bytes: int = 0
    """Their length, copied or not."""
    cpu_ns: int = 0
    """Time of this process spent on them: reading, parsing, plugins."""
    dropped: int = 0
    """Messages lost before they could be read."""


class _Socket:
    """One end of a connection, or a UDP socket and one of those it talks with."""

    def __init__(self, number: int, item: Heard) -> None:
        self.number = number
        self.owner = Owner(item.tgid, item.comm)
        self.l4 = _L4.get(item.protocol, TCP)
        self.local: Address = item.local or _NOWHERE
        self.remote: Address = item.remote or _NOWHERE
        self.role = item.kind if item.kind in ("accept", "connect") else ""
        self.peer: _Socket | None = None
        self.silent = False
        """The other end is read in its stead."""
        self.opened = False
        """Its begin was told, so that its end must be, too."""
        self.heard = 0
        """Messages so far."""
        self.used_ns = item.ts_ns
        self.sent = self.received = 0
        """Bytes so far, which make the sequence numbers."""

    @property
    def ports(self) -> tuple[int, int, int]:
        """What both ends of a connection have in common."""
        return self.l4, *sorted((self.local[1], self.remote[1]))  # type: ignore[return-value]

    def faces(self, other: _Socket) -> bool:
        """Whether the other is the far end of this."""
        return _same(self.local, other.remote) and _same(self.remote, other.local)

    def segment(
        self, ts_ns: int, flags: int, payload: bytes = b"", missing: int = 0, *, sent: bool = True
    ) -> Segment:
        """A segment this end sends or receives."""
        near, far = _pack(self.local, self.remote), _pack(self.remote, self.local)
        source, target = (near, far) if sent else (far, near)
        seq = self.sent if sent else self.received
        length = len(payload) + missing + bool(flags & (SYN | FIN))
        if sent:
            self.sent = (seq + length) & _SEQ
        else:
            self.received = (seq + length) & _SEQ
        is_tcp = self.l4 == TCP
        return Segment(
            ts_ns, source[0], target[0], source[1], target[1], self.l4, flags if is_tcp else 0,
            seq if is_tcp else 0, payload, missing, self.number, self.owner,
            self.peer.owner if self.peer else None, sent,
        )  # fmt: skip


_Key: TypeAlias = tuple[int, Address]


class LiveInput:
    """Segments of the processes that are listened to.

    Args:
        clock: The engine's clock.
        feed: Whoever listens.
    """

    label = "live"
    endless = True
    in_order = True

    def __init__(self, clock: Clock, feed: PayloadFeed) -> None:
        self._clock = clock
        self._feed = feed
        self._sockets: OrderedDict[_Key, _Socket] = OrderedDict()
        self._by_ports: dict[tuple[int, int, int], list[_Socket]] = {}
        self._count = 0
        self._lost = 0
        self._looked_ns = 0
        self._gone: deque[int] = deque()
        self._choosing = threading.Lock()
        self._chosen: frozenset[int] = frozenset()
        self._costs: dict[int, ListeningCost] = {}

    def choose(self, pids: frozenset[int]) -> None:
        """Listen to exactly these processes.

        Raises:
            BoxscopeError: if the kernel refuses.
        """
        with self._choosing:
            self._feed.choose(pids, cap=PAYLOAD_CAP)
            self._gone.extend(self._chosen - pids)
            self._costs = {pid: self._costs.get(pid) or ListeningCost() for pid in pids}
            self._chosen = pids

    def costs(self) -> Mapping[int, ListeningCost]:
        """What listening to each process took since it was chosen."""
        return {pid: self.cost_of(pid) for pid in self._costs}

    def cost_of(self, pid: int) -> ListeningCost:
        """What listening to one process took."""
        own = self._costs.get(pid) or ListeningCost()
        return replace(own, dropped=self._feed.losses().get(pid, 0))

    def lost(self) -> Counters:
        """What the kernel's ring had no room for."""
        counters = self._feed.counters()
        return Counters(counters.dropped_total, 0, counters.dropped)

    def items(self, wait: Wait) -> Iterator[Item]:
        """Segments as they come, `idle` whenever there are none."""
        stopping = False
        while True:
            began_ns = time.thread_time_ns()
            batch = self._feed.drain(_BATCH)
            lost = self._feed.counters().dropped_total
            if lost != self._lost:
                self._lost = lost
                yield "lost"
            for item in batch:
                yield from self._take(item)
            if batch:
                self._note_cost(batch, time.thread_time_ns() - began_ns)
            if len(batch) < _BATCH:
                yield from self._forget_gone()
                self._forget_idle(self._clock.wall_ns())
                yield "idle"
                if stopping:
                    return
                # What came while this waited is still read before the end.
                stopping = wait(_POLL_S)

    def _note_cost(self, batch: Sequence[Heard], spent_ns: int) -> None:
        """Share the time of a batch out; whoever reads the segments does so in this thread."""
        costs, share_ns = self._costs, spent_ns // len(batch)
        for item in batch:
            own = costs.get(item.tgid)
            if own is None:
                continue  # it was let go meanwhile
            own.cpu_ns += share_ns
            if item.kind == "data" and item.length:
                own.payloads += 1
                own.payload_bytes += item.length

    def _take(self, item: Heard) -> Iterator[Item]:
        if item.kind == "close":
            yield from self._closed(item)
            return
        if item.family == "unix":
            if item.kind == "data" and item.length:
                yield "unix_socket"
            return
        held, ended = self._socket(item)
        yield from ended
        if held is None:
            if item.kind == "data" and item.length:
                yield "no_address"
            return
        if item.kind == "data":
            yield from self._data(held, item)
        elif not held.silent:
            held.opened = True
            yield held.segment(item.ts_ns, SYN, sent=held.role == "connect")

    def _data(self, held: _Socket, item: Heard) -> Iterator[Item]:
        sent = item.direction == "out"
        ts_ns = item.entered_ns if sent and item.entered_ns is not None else item.ts_ns
        if not item.length:
            if not sent and held.l4 == TCP and not held.silent:
                yield held.segment(ts_ns, FIN | ACK, sent=False)
            return
        held.heard += 1
        self._choose_end(held)
        if held.silent:
            yield "echo"
            return
        payload = b"" if item.missing else item.data
        yield held.segment(ts_ns, ACK, payload, item.length - len(payload), sent=sent)

    def _choose_end(self, held: _Socket) -> None:
        """Read a connection at this end or at the other, as its first message comes."""
        peer = held.peer
        if peer is None:
            return
        if not held.silent and not peer.silent:
            if peer.heard or (peer.role == "connect" and held.role != "connect"):
                held.silent = True
            else:
                peer.silent = True
        elif held.silent and not peer.heard and held.heard >= _MUTE_LIMIT:
            held.silent, peer.silent = False, True

    def _socket(self, item: Heard) -> tuple[_Socket | None, list[Segment]]:
        """The socket of an item, made if new; and the end of one that it follows."""
        udp = item.protocol == "udp"
        key = (item.inode, (item.remote or _NOWHERE) if udp else _NOWHERE)
        held = self._sockets.get(key)
        if item.local is None:
            return held, []
        ended: list[Segment] = []
        if held is not None and (item.kind != "data" or not _same_ends(held, item)):
            ended = self._drop(key, item.ts_ns)
            held = None
        if held is None:
            held = self._open(key, item)
            if len(self._sockets) > _MAX_SOCKETS:
                ended += self._drop(next(iter(self._sockets)), item.ts_ns)
        elif held.owner.pid != item.tgid:
            held.owner = Owner(item.tgid, item.comm)
        self._sockets.move_to_end(key)
        held.used_ns = item.ts_ns
        return held, ended

    def _open(self, key: _Key, item: Heard) -> _Socket:
        self._count += 1
        held = self._sockets[key] = _Socket(self._count, item)
        neighbours = self._by_ports.setdefault(held.ports, [])
        for other in neighbours:
            if other.peer is None and other.faces(held):
                held.peer, other.peer = other, held
                break
        neighbours.append(held)
        return held

    def _closed(self, item: Heard) -> Iterator[Item]:
        for key in [(item.inode, _NOWHERE), (item.inode, item.remote or _NOWHERE)]:
            held = self._sockets.get(key)
            # A server that forks closes its own descriptor of a connection its child goes on with.
            if held is not None and held.owner.pid == item.tgid:
                yield from self._drop(key, item.ts_ns)

    def _drop(self, key: _Key, ts_ns: int) -> list[Segment]:
        """Forget a socket; ends its flow, if it has one and is not read at the other end only."""
        held = self._sockets.pop(key)
        neighbours = self._by_ports[held.ports]
        neighbours.remove(held)
        if not neighbours:
            del self._by_ports[held.ports]
        has_flow = held.l4 == TCP and (held.opened or not held.silent)
        return [held.segment(ts_ns, RST)] if has_flow else []

    def _forget_gone(self) -> Iterator[Item]:
        """End what belongs to processes that are no longer listened to."""
        gone = {self._gone.popleft() for _ in range(len(self._gone))} - self._chosen
        if not gone:
            return
        for key, held in list(self._sockets.items()):
            if held.owner.pid in gone:
                if held.peer is not None and held.peer.silent:
                    held.peer.silent, held.peer.peer = False, None
                yield from self._drop(key, self._clock.wall_ns())

    def _forget_idle(self, now_ns: int) -> None:
        """Forget those who exchanged datagrams, and have not for a while."""
        if now_ns - self._looked_ns < _LOOK_NS:
            return
        self._looked_ns = now_ns
        idle: list[_Key] = []
        for key, held in self._sockets.items():
            if held.used_ns > now_ns - _IDLE_NS:
                break
            if held.l4 == UDP:
                idle.append(key)
        for key in idle:
            self._drop(key, now_ns)


def _same_ends(held: _Socket, item: Heard) -> bool:
    return held.local == item.local and (item.remote is None or held.remote == item.remote)


def _same(one: Address, other: Address) -> bool:
    """Whether two addresses may be the same; a socket may be bound to any address."""
    wild = one[0] in _ANY or other[0] in _ANY
    return one[1] == other[1] and (wild or one[0] == other[0])


_ANY = frozenset({"0.0.0.0", "::", ""})


@lru_cache(4_096)
def _pack(address: Address, other: Address) -> Endpoint:
    """An address as flows have it; an unknown one is all zero, as long as the other."""
    host = address[0] or ("::" if ":" in other[0] else "0.0.0.0")
    return socket.inet_pton(socket.AF_INET6 if ":" in host else socket.AF_INET, host), address[1]
