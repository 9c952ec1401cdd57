"""The sockets that are heard: which is which, who is at the other end, and where it is read.

A connection between two processes that are both listened to is told twice. It is read at one end,
the client's where that is known, and the other end only tells its process.
"""

from __future__ import annotations

import socket
from collections import OrderedDict
from collections.abc import Iterator, Set
from functools import lru_cache
from typing import TypeAlias

from engine.traffic.flows import Endpoint
from engine.traffic.heard import Address, Heard
from engine.traffic.packets import FIN, RST, SYN, TCP, UDP, Owner, Segment

_MAX_SOCKETS = 20_000
_IDLE_NS, _LOOK_NS = 120 * 10**9, 10**9
"""When two that exchange datagrams have ended, as nobody tells; how often that is looked at."""
_MUTE_LIMIT = 8
"""Messages seen at the other end before an end that told none is given up."""
_SEQ = (1 << 32) - 1
_NOWHERE = ("", 0)
_ANY = frozenset({"0.0.0.0", "::", ""})
_L4 = {"tcp": TCP, "udp": UDP}


class Socket:
    """One end of a connection, or a UDP socket and one of those it talks with."""

    def __init__(self, number: int, item: Heard) -> None:
        self.number = number
        self.owner = Owner(item.tgid, item.comm)
        self.l4 = _L4.get(item.protocol, TCP)
        self.local: Address = item.local or _NOWHERE
        self.remote: Address = item.remote or _NOWHERE
        self.role = item.kind if item.kind in ("accept", "connect") else ""
        self.peer: Socket | None = None
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

    def faces(self, other: Socket) -> bool:
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

    def choose_end(self) -> None:
        """Read a connection at this end or at the other, as its first message comes."""
        peer = self.peer
        if peer is None:
            return
        if not self.silent and not peer.silent:
            if peer.heard or (peer.role == "connect" and self.role != "connect"):
                self.silent = True
            else:
                peer.silent = True
        elif self.silent and not peer.heard and self.heard >= _MUTE_LIMIT:
            self.silent, peer.silent = False, True


_Key: TypeAlias = tuple[int, Address]


class Sockets:
    """All that have been heard of and have not ended."""

    def __init__(self) -> None:
        self._sockets: OrderedDict[_Key, Socket] = OrderedDict()
        self._by_ports: dict[tuple[int, int, int], list[Socket]] = {}
        self._count = 0
        self._looked_ns = 0

    def __len__(self) -> int:
        return len(self._sockets)

    def of(self, item: Heard) -> tuple[Socket | None, list[Segment]]:
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

    def _open(self, key: _Key, item: Heard) -> Socket:
        self._count += 1
        held = self._sockets[key] = Socket(self._count, item)
        neighbours = self._by_ports.setdefault(held.ports, [])
        for other in neighbours:
            if other.peer is None and other.faces(held):
                held.peer, other.peer = other, held
                break
        neighbours.append(held)
        return held

    def close(self, item: Heard) -> list[Segment]:
        """Forget the socket that an item closes; returns its end."""
        ended: list[Segment] = []
        for key in [(item.inode, _NOWHERE), (item.inode, item.remote or _NOWHERE)]:
            held = self._sockets.get(key)
            # A server that forks closes its own descriptor of a connection its child goes on with.
            if held is not None and held.owner.pid == item.tgid:
                ended += self._drop(key, item.ts_ns)
        return ended

    def forget_processes(self, pids: Set[int], now_ns: int) -> Iterator[Segment]:
        """Forget what belongs to these; what is read at its end is read at the other again."""
        for key, held in list(self._sockets.items()):
            if held.owner.pid in pids:
                if held.peer is not None and held.peer.silent:
                    held.peer.silent, held.peer.peer = False, None
                yield from self._drop(key, now_ns)

    def forget_idle(self, now_ns: int) -> None:
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

    def _drop(self, key: _Key, ts_ns: int) -> list[Segment]:
        """Forget a socket; ends its flow, if it has one and is not read at the other end only."""
        held = self._sockets.pop(key)
        neighbours = self._by_ports[held.ports]
        neighbours.remove(held)
        if not neighbours:
            del self._by_ports[held.ports]
        has_flow = held.l4 == TCP and (held.opened or not held.silent)
        return [held.segment(ts_ns, RST)] if has_flow else []


def _same_ends(held: Socket, item: Heard) -> bool:
    return held.local == item.local and (item.remote is None or held.remote == item.remote)


def _same(one: Address, other: Address) -> bool:
    """Whether two addresses may be the same; a socket may be bound to any address."""
    wild = one[0] in _ANY or other[0] in _ANY
    return one[1] == other[1] and (wild or one[0] == other[0])


@lru_cache(4_096)
def _pack(address: Address, other: Address) -> Endpoint:
    """An address as flows have it; an unknown one is all zero, as long as the other."""
    host = address[0] or ("::" if ":" in other[0] else "0.0.0.0")
    return socket.inet_pton(socket.AF_INET6 if ":" in host else socket.AF_INET, host), address[1]
