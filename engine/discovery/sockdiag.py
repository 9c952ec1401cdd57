"""Listening and bound sockets from the kernel, by NETLINK_SOCK_DIAG.

One dump per protocol and family; unless connections are asked for, the cost does not grow with
their number. Formats: linux/netlink.h, linux/sock_diag.h, linux/inet_diag.h; sock_diag(7). A dump
sees the network namespace of the thread that opened the netlink socket.

A dump is mostly what the one before was, so a message that came before is not read again: its
bytes are looked up. That also makes an unchanged socket the same object.
"""

from __future__ import annotations

import errno
import fcntl
import os
import socket
import struct
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import lru_cache
from typing import NamedTuple, Self

from engine.core.errors import FailedError

_NETLINK_SOCK_DIAG = 4
_SOCK_DIAG_BY_FAMILY = 20
_NLM_F_REQUEST_DUMP = 0x301
_NLM_F_DUMP_INTR = 0x10
_NLMSG_ERROR, _NLMSG_DONE = 2, 3
_INET_DIAG_SKV6ONLY = 11

ESTABLISHED, SYN_SENT, FIN_WAIT1, FIN_WAIT2, CLOSE, CLOSE_WAIT, LAST_ACK, LISTEN, CLOSING = (
    1, 2, 4, 5, 7, 8, 9, 10, 11
)  # fmt: skip
"""Socket states (net/tcp_states.h); an unconnected UDP socket is in CLOSE. TIME_WAIT and
SYN_RECV are left out: no process holds those."""

_HEADER = struct.Struct("=IHHII")
"""nlmsghdr: length, type, flags, sequence number, port id."""
_REQUEST = struct.Struct("=IHHII BBBxI 48x")
"""nlmsghdr and inet_diag_req_v2: family, protocol, extensions, states; the socket id is empty."""
_SOCKET = struct.Struct("=BB2x H2x 16s16x I8x 12x II")
"""inet_diag_msg: family, state, port in network order, source address, interface, uid, inode."""
_ATTRIBUTE = struct.Struct("=HH")
_ERRNO = struct.Struct("=i")

_BUFFER_BYTES = 1 << 16
"""Twice the largest datagram a dump is answered with."""
_ATTEMPTS = 3
_TIMEOUT = struct.pack("@ll", 5, 0)
_SIOCGIFNAME = 0x8910
_IFREQ = struct.Struct("=16s i 20x")
_ANY_ADDRESS = bytes(16)


class BoundSocket(NamedTuple):
    """A socket something can be sent to."""

    proto: str
    """tcp or udp."""
    family: int
    """socket.AF_INET or socket.AF_INET6."""
    state: int
    """Number of the TCP state: 10 = LISTEN, 7 = CLOSE (unconnected UDP), 1 = ESTABLISHED."""
    address: str
    """Local address as ss(8) shows it, without brackets: `*` is every address of both families,
    `%IF` follows where the socket is bound to an interface."""
    port: int
    inode: int
    """0 for a socket of the kernel itself."""
    uid: int
    """User who made the socket."""
    netns: int = 0
    """Inode number of its network namespace; 0 if that is not known."""

    @property
    def receives(self) -> bool:
        """Whether it waits for others: a TCP listener, or UDP without a peer."""
        return self.state == (LISTEN if self.proto == "tcp" else CLOSE)


class Table(NamedTuple):
    """What one dump asks for."""

    proto: str
    family: int
    protocol: int
    states: int
    """Bit mask of socket states."""

    def __str__(self) -> str:
        return f"{self.proto} over IPv{4 if self.family == socket.AF_INET else 6}"


def _tables(tcp_states: Sequence[int], udp_states: Sequence[int]) -> tuple[Table, ...]:
    return tuple(
        Table(proto, family, protocol, sum(1 << state for state in states))
        for proto, protocol, states in (
            ("tcp", socket.IPPROTO_TCP, tcp_states),
            ("udp", socket.IPPROTO_UDP, udp_states),
        )
        for family in (socket.AF_INET, socket.AF_INET6)
    )


TABLES = _tables([LISTEN], [CLOSE])
"""The dumps of one scan for sockets that receive."""

ALL_TABLES = _tables(
    [ESTABLISHED, SYN_SENT, FIN_WAIT1, FIN_WAIT2, CLOSE, CLOSE_WAIT, LAST_ACK, LISTEN, CLOSING],
    [ESTABLISHED, CLOSE],
)
"""The dumps of one scan for every socket that has a local port, connections included."""


@dataclass(slots=True)
class Answer:
    """What was read of the answer to one dump."""

    sockets: list[BoundSocket] = field(default_factory=list)
    messages: dict[bytes, BoundSocket] = field(default_factory=dict)
    """What each message was read as."""
    malformed: int = 0
    """Messages that could not be read."""
    done: bool = False
    """The kernel said that was all."""
    interrupted: bool = False
    """The table changed under the dump, so it may lack or repeat sockets."""
    error: int = 0
    """errno if the kernel refused."""


class SockDiag:
    """A netlink socket for dumps; a context manager.

    Args:
        netns: Told about every socket: where this is opened.

    Raises:
        FailedError: if the kernel gives no such socket.
    """

    def __init__(self, netns: int = 0) -> None:
        try:
            self._socket = socket.socket(socket.AF_NETLINK, socket.SOCK_RAW, _NETLINK_SOCK_DIAG)
        except OSError as refused:
            raise FailedError(
                f"sockets cannot be listed, netlink is refused: {refused.strerror}",
                fix="allow NETLINK_SOCK_DIAG to this user or container",
            ) from refused
        self._socket.setsockopt(socket.SOL_SOCKET, socket.SO_RCVTIMEO, _TIMEOUT)
        self._netns = netns
        self._sequence = 0
        self._read: dict[Table, Mapping[bytes, BoundSocket]] = {}

    def dump(self, table: Table) -> Answer:
        """Every socket of a table; asked for again if it changed under the dump.

        Raises:
            FailedError: if the kernel refuses or does not answer.
        """
        for _ in range(_ATTEMPTS):
            try:
                answer = self._ask(table)
            except OSError as failure:
                answer = Answer(error=failure.errno or errno.EIO)
            if answer.error:
                raise _refused(table, answer.error)
            if not answer.interrupted:
                break
        self._read[table] = answer.messages
        return answer

    def _ask(self, table: Table) -> Answer:
        self._sequence += 1
        self._socket.send(dump_request(table, self._sequence))
        answer = Answer()
        reader = SocketReader(table.proto, self._netns, self._interface_name)
        known = self._read.get(table, {})
        while not answer.done:
            datagram = self._socket.recv(_BUFFER_BYTES)
            read_messages(datagram, self._sequence, answer, reader, known)
        return answer

    def _interface_name(self, index: int) -> str:
        """As the namespace of the socket names it, which need not be that of this thread."""
        try:
            answer = fcntl.ioctl(self._socket, _SIOCGIFNAME, _IFREQ.pack(b"", index))
        except OSError:
            return str(index)
        return os.fsdecode(_IFREQ.unpack(answer)[0].rstrip(b"\0"))

    def close(self) -> None:
        """Release the socket."""
        self._socket.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exc_info: object) -> None:
        self.close()


def dump_request(table: Table, sequence: int) -> bytes:
    """The netlink message that asks for a table."""
    return _REQUEST.pack(
        _REQUEST.size,
        _SOCK_DIAG_BY_FAMILY,
        _NLM_F_REQUEST_DUMP,
        sequence,
        0,
        table.family,
        table.protocol,
        0,
        table.states,
    )


@dataclass(frozen=True, slots=True)
class SocketReader:
    """Makes a socket of a message's body (inet_diag_msg and its attributes)."""

    proto: str
    netns: int
    interface_name: Callable[[int], str]

    def read(self, body: bytes) -> BoundSocket | None:
        """The socket; None if the body cannot be read."""
        if len(body) < _SOCKET.size:
            return None
        family, state, port, source, interface, uid, inode = _SOCKET.unpack_from(body)
        if family == socket.AF_INET6:
            if source == _ANY_ADDRESS and not _is_v6_only(body):
                address = "*"
            else:
                address = _address_text(family, source)
        elif family == socket.AF_INET:
            address = _address_text(family, source[:4])
        else:
            return None
        if interface:
            address = f"{address}%{self.interface_name(interface)}"
        return BoundSocket(
            self.proto, family, state, address, socket.ntohs(port), inode, uid, self.netns
        )


def read_messages(
    datagram: bytes,
    sequence: int,
    into: Answer,
    reader: SocketReader,
    known: Mapping[bytes, BoundSocket],
) -> None:
    """Read one datagram of an answer.

    Messages with another sequence number belong to an abandoned dump and are left out. A message
    that is cut short ends the datagram and counts as malformed.

    Args:
        datagram: As it was received.
        sequence: That of the request.
        into: Where it is added.
        reader: Reads the messages that are not known.
        known: What messages were read as before, by their bodies.
    """
    if _read_uniform(datagram, sequence, into, reader, known):
        return
    position, end = 0, len(datagram)
    sockets, messages = into.sockets, into.messages
    unpack = _HEADER.unpack_from
    while position < end:
        if end - position < _HEADER.size:
            into.malformed += 1
            return
        length, message_type, flags, number, _ = unpack(datagram, position)
        if length < _HEADER.size or length > end - position:
            into.malformed += 1
            return
        if number == sequence:
            if flags & _NLM_F_DUMP_INTR:
                into.interrupted = True
            if message_type == _SOCK_DIAG_BY_FAMILY:
                body = datagram[position + _HEADER.size : position + length]
                found = known.get(body) or reader.read(body)
                if found:
                    messages[body] = found
                    sockets.append(found)
                else:
                    into.malformed += 1
            elif message_type in (_NLMSG_DONE, _NLMSG_ERROR):
                into.done = True
                into.error = _read_errno(datagram, position + _HEADER.size, length)
        position += (length + 3) & ~3


def _read_uniform(
    datagram: bytes,
    sequence: int,
    into: Answer,
    reader: SocketReader,
    known: Mapping[bytes, BoundSocket],
) -> bool:
    """Read a datagram of nothing but sockets, all told of at the same length; most are like that.

    False if this one is not, or something in it cannot be read.
    """
    if len(datagram) < _HEADER.size:
        return False
    length, message_type, flags, number, _ = _HEADER.unpack_from(datagram)
    if (
        message_type != _SOCK_DIAG_BY_FAMILY
        or number != sequence
        or flags & _NLM_F_DUMP_INTR
        or length % 4
        or length < _HEADER.size
        or len(datagram) % length
    ):
        return False
    pairs = list(_pairs(length).iter_unpack(datagram))
    if len({header for header, _ in pairs}) > 1:
        return False
    get, read = known.get, reader.read
    messages = [(body, get(body) or read(body)) for _, body in pairs]
    found = {body: each for body, each in messages if each}
    if len(found) < len(messages):
        return False
    into.messages.update(found)
    into.sockets += found.values()
    return True


@lru_cache(maxsize=64)
def _pairs(length: int) -> struct.Struct:
    """Header and body of a message of that length."""
    return struct.Struct(f"={_HEADER.size}s{length - _HEADER.size}s")


def _is_v6_only(body: bytes) -> bool:
    """Whether the message's INET_DIAG_SKV6ONLY attribute is set."""
    position, end = _SOCKET.size, len(body)
    while position + _ATTRIBUTE.size < end:
        size, attribute = _ATTRIBUTE.unpack_from(body, position)
        if attribute == _INET_DIAG_SKV6ONLY:
            return bool(body[position + _ATTRIBUTE.size])
        position += max((size + 3) & ~3, _ATTRIBUTE.size)
    return False


def _read_errno(datagram: bytes, position: int, length: int) -> int:
    if length < _HEADER.size + _ERRNO.size:
        return 0
    (number,) = _ERRNO.unpack_from(datagram, position)
    return abs(int(number))


@lru_cache(maxsize=8192)
def _address_text(family: int, packed: bytes) -> str:
    return socket.inet_ntop(family, packed)


def _refused(table: Table, number: int) -> FailedError:
    fix = ""
    if number == errno.ENOENT:
        fix = f"modprobe {table.proto}_diag"
    return FailedError(f"{table} cannot be listed: {os.strerror(number)}", fix=fix)
