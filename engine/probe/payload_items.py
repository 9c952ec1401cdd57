"""One message of a socket, or the begin or end of its connection, made of the kernel's record."""

from __future__ import annotations

import socket
from typing import Literal, NamedTuple, TypeAlias

from engine.core.errors import ProbeError
from engine.core.sanitise import clean
from engine.probe.payload_abi import PAYLOAD, Lack, PayloadKind

_CACHE = 8192
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


_Ends: TypeAlias = tuple[int, bytes, int, bytes, int]
"""Family, local address and port, remote address and port, as the kernel has them."""
_Named: TypeAlias = tuple[Family, Endpoint | None, Endpoint | None]


class PayloadDecoder:
    """Makes items of raw records, for one thread at a time; comms and addresses come again."""

    def __init__(self) -> None:
        self._comms: dict[bytes, str] = {}
        self._ends: dict[_Ends, _Named] = {}

    def decode(self, data: memoryview, offset: int, length: int, wall_offset_ns: int) -> Payload:
        """The item of a record.

        Args:
            data: The ring's bytes.
            offset: Where the record lies in them.
            length: How long it is.
            wall_offset_ns: From the kernel's clock to wall time.

        Raises:
            ProbeError: it is none.
        """
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
