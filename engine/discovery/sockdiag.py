"""Listening and bound sockets from the kernel, by NETLINK_SOCK_DIAG.

One dump per protocol and family; the cost does not grow with the number of connections.
Formats: linux/netlink.h, linux/sock_diag.h, linux/inet_diag.h; sock_diag(7). A dump sees the
network namespace of the thread that opened the socket.
"""

from __future__ import annotations

import errno
import os
import socket
import struct
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

_TCP_LISTEN, _CLOSE = 10, 7
"""Socket states; an unconnected UDP socket is in CLOSE."""

_HEADER = struct.Struct("=IHHII")
"""nlmsghdr: length, type, flags, sequence number, port id."""
_REQUEST = struct.Struct("=IHHII BBBxI 48x")
"""nlmsghdr and inet_diag_req_v2: family, protocol, extensions, states; the socket id is empty."""
_SOCKET = struct.Struct("=16x BB2x H2x 16s16x I8x 12x II")
"""inet_diag_msg behind its nlmsghdr: family, state, port in network order, source address,
interface, uid, inode."""
_ATTRIBUTE = struct.Struct("=HH")
_ERRNO = struct.Struct("=i")

_BUFFER_BYTES = 1 << 16
"""Twice the largest datagram a dump is answered with."""
_ATTEMPTS = 3
_TIMEOUT = struct.pack("@ll", 5, 0)
_ANY_ADDRESS = bytes(16)


class BoundSocket(NamedTuple):
    """A socket something can be sent to."""

    proto: str
    """tcp or udp."""
    family: int
    """socket.AF_INET or socket.AF_INET6."""
    state: int
    """Number of the TCP state: 10 = LISTEN, 7 = CLOSE (unconnected UDP)."""
    address: str
    """Local address as ss(8) shows it, without brackets: `*` is every address of both families,
    `%IF` follows where the socket is bound to an interface."""
    port: int
    inode: int
    """0 for a socket of the kernel itself."""
    uid: int
    """User who made the socket."""


class Table(NamedTuple):
    """What one dump asks for."""

    proto: str
    family: int
    protocol: int
    states: int
    """Bit mask of socket states."""

    def __str__(self) -> str:
        return f"{self.proto} over IPv{4 if self.family == socket.AF_INET else 6}"


TABLES = tuple(
    Table(proto, family, protocol, 1 << state)
    for proto, protocol, state in (
        ("tcp", socket.IPPROTO_TCP, _TCP_LISTEN),
        ("udp", socket.IPPROTO_UDP, _CLOSE),
    )
    for family in (socket.AF_INET, socket.AF_INET6)
)
"""The dumps of one scan."""


@dataclass(slots=True)
class Answer:
    """What was read of the answer to one dump."""

    sockets: list[BoundSocket] = field(default_factory=list)
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

    Raises:
        FailedError: if the kernel gives no such socket.
    """

    def __init__(self) -> None:
        try:
            self._socket = socket.socket(socket.AF_NETLINK, socket.SOCK_RAW, _NETLINK_SOCK_DIAG)
        except OSError as refused:
            raise FailedError(
                f"sockets cannot be listed, netlink is refused: {refused.strerror}",
                fix="allow NETLINK_SOCK_DIAG to this user or container",
            ) from refused
        self._socket.setsockopt(socket.SOL_SOCKET, socket.SO_RCVTIMEO, _TIMEOUT)
        self._buffer = bytearray(_BUFFER_BYTES)
        self._sequence = 0

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
        return answer

    def _ask(self, table: Table) -> Answer:
        self._sequence += 1
        self._socket.send(dump_request(table, self._sequence))
        answer = Answer()
        while not answer.done:
            size = self._socket.recv_into(self._buffer, 0, socket.MSG_TRUNC)
            read_messages(self._buffer[:size], table.proto, self._sequence, answer)
        return answer

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


def read_messages(datagram: bytes | bytearray, proto: str, sequence: int, into: Answer) -> None:
    """Read one datagram of an answer.

    Messages with another sequence number belong to an abandoned dump and are left out. A message
    that is cut short ends the datagram and counts as malformed.
    """
    position, end = 0, len(datagram)
    sockets = into.sockets
    while position < end:
        if end - position < _HEADER.size:
            into.malformed += 1
            return
        length, message_type, flags, number, _ = _HEADER.unpack_from(datagram, position)
        if length < _HEADER.size or length > end - position:
            into.malformed += 1
            return
        if number == sequence:
            if flags & _NLM_F_DUMP_INTR:
                into.interrupted = True
            if message_type == _SOCK_DIAG_BY_FAMILY:
                found = _read_socket(datagram, position, length, proto)
                if found:
                    sockets.append(found)
                else:
                    into.malformed += 1
            elif message_type in (_NLMSG_DONE, _NLMSG_ERROR):
                into.done = True
                into.error = _read_errno(datagram, position + _HEADER.size, length)
        position += (length + 3) & ~3


def _read_socket(
    datagram: bytes | bytearray, position: int, length: int, proto: str
) -> BoundSocket | None:
    if length < _SOCKET.size:
        return None
    family, state, port, source, interface, uid, inode = _SOCKET.unpack_from(datagram, position)
    if family == socket.AF_INET6:
        if source == _ANY_ADDRESS and not _is_v6_only(datagram, position, length):
            address = "*"
        else:
            address = _address_text(family, source)
    elif family == socket.AF_INET:
        address = _address_text(family, source[:4])
    else:
        return None
    if interface:
        address = f"{address}%{_interface_name(interface)}"
    return BoundSocket(proto, family, state, address, socket.ntohs(port), inode, uid)


def _is_v6_only(datagram: bytes | bytearray, position: int, length: int) -> bool:
    """Whether the message's INET_DIAG_SKV6ONLY attribute is set."""
    end = position + length
    position += _SOCKET.size
    while position + _ATTRIBUTE.size < end:
        size, attribute = _ATTRIBUTE.unpack_from(datagram, position)
        if attribute == _INET_DIAG_SKV6ONLY:
            return bool(datagram[position + _ATTRIBUTE.size])
        position += max((size + 3) & ~3, _ATTRIBUTE.size)
    return False


def _read_errno(datagram: bytes | bytearray, position: int, length: int) -> int:
    if length < _HEADER.size + _ERRNO.size:
        return 0
    (number,) = _ERRNO.unpack_from(datagram, position)
    return abs(int(number))


@lru_cache(maxsize=8192)
def _address_text(family: int, packed: bytes) -> str:
    return socket.inet_ntop(family, packed)


def _interface_name(index: int) -> str:
    try:
        return socket.if_indextoname(index)
    except OSError:
        return str(index)


def _refused(table: Table, number: int) -> FailedError:
    fix = ""
    if number == errno.ENOENT:
        fix = f"modprobe {table.proto}_diag"
    return FailedError(f"{table} cannot be listed: {os.strerror(number)}", fix=fix)
