"""The messages of a socket dump: inet_diag_msg inside nlmsghdr.

Formats: linux/netlink.h, linux/sock_diag.h, linux/inet_diag.h; sock_diag(7).
"""

from __future__ import annotations

import socket
import struct
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import lru_cache
from typing import NamedTuple

SOCK_DIAG_BY_FAMILY = 20
_NLM_F_DUMP_INTR = 0x10
_NLMSG_ERROR, _NLMSG_DONE = 2, 3
_INET_DIAG_SKV6ONLY = 11

ESTABLISHED, SYN_SENT, FIN_WAIT1, FIN_WAIT2, CLOSE, CLOSE_WAIT, LAST_ACK, LISTEN, CLOSING = (
    1, 2, 4, 5, 7, 8, 9, 10, 11
)  # fmt: skip
"""Socket states (net/tcp_states.h); an unconnected UDP socket is in CLOSE. TIME_WAIT and
SYN_RECV are left out: no process holds those."""

HEADER = struct.Struct("=IHHII")
"""nlmsghdr: length, type, flags, sequence number, port id."""
_SOCKET = struct.Struct("=BB2x H2x 16s16x I8x 12x II")
"""inet_diag_msg: family, state, port in network order, source address, interface, uid, inode."""
_ATTRIBUTE = struct.Struct("=HH")
_ERRNO = struct.Struct("=i")

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


@dataclass(slots=True)
class Answer:
    """What was read of the answer to one dump."""

    messages: dict[bytes, BoundSocket] = field(default_factory=dict)
    """What each message was read as, by its body; a later dump of the table keeps it up to date."""
    malformed: int = 0
    """Messages that could not be read."""
    done: bool = False
    """The kernel said that was all."""
    interrupted: bool = False
    """The table changed under the dump, so it may lack or repeat sockets."""
    error: int = 0
    """errno if the kernel refused."""
    came: list[BoundSocket] = field(default_factory=list)
    """What the dump before did not tell, or told otherwise."""
    went: list[BoundSocket] = field(default_factory=list)
    """What the dump before told and this one does not, or otherwise."""

    @property
    def sockets(self) -> list[BoundSocket]:
        """What was read."""
        return list(self.messages.values())


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
    position, end = 0, len(datagram)
    unpack = HEADER.unpack_from
    while position < end:
        if end - position < HEADER.size:
            into.malformed += 1
            return
        length, message_type, flags, number, _ = unpack(datagram, position)
        if length < HEADER.size or length > end - position:
            into.malformed += 1
            return
        if number == sequence:
            if flags & _NLM_F_DUMP_INTR:
                into.interrupted = True
            if message_type == SOCK_DIAG_BY_FAMILY:
                body = datagram[position + HEADER.size : position + length]
                found = known.get(body) or reader.read(body)
                if found:
                    into.messages[body] = found
                else:
                    into.malformed += 1
            elif message_type in (_NLMSG_DONE, _NLMSG_ERROR):
                into.done = True
                into.error = _read_errno(datagram, position + HEADER.size, length)
        position += (length + 3) & ~3


def is_last(datagram: bytes, sequence: int) -> bool:
    """Whether a datagram ends the answer with that number; what cannot be read ends none."""
    position = 0
    while len(datagram) - position >= HEADER.size:
        length, message_type, _, number, _ = HEADER.unpack_from(datagram, position)
        if number == sequence and message_type in (_NLMSG_DONE, _NLMSG_ERROR):
            return True
        if length < HEADER.size or not (position or len(datagram) % length):
            return False  # nothing but sockets, as most are
        position += (length + 3) & ~3
    return False


def sockets_of(datagrams: Sequence[bytes]) -> bytes:
    """The messages of an answer one behind the other, without the end.

    Nothing if the end has no datagram of its own, or tells of an error.
    """
    return b"".join(datagrams[:-1]) if _is_mere_end(datagrams[-1]) else b""


def common_length(raw: bytes) -> int:
    """The length of each of some messages; 0 if they are not sockets all with one header."""
    if len(raw) < HEADER.size:
        return 0
    length, message_type, flags, _, _ = HEADER.unpack_from(raw)
    if message_type != SOCK_DIAG_BY_FAMILY or flags & _NLM_F_DUMP_INTR or length % 4:
        return 0
    if length < HEADER.size or len(raw) % length:
        return 0
    count = len(raw) // length
    alike = all(raw[at::length] == bytes([raw[at]]) * count for at in range(HEADER.size))
    return int(length) if alike else 0


def _is_mere_end(datagram: bytes) -> bool:
    """Whether it is the end of an answer and nothing else, no error either."""
    length, message_type, _, _, _ = HEADER.unpack_from(datagram)
    rest = datagram[HEADER.size :]
    return length == len(datagram) and message_type == _NLMSG_DONE and not any(rest[: _ERRNO.size])


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
    if length < HEADER.size + _ERRNO.size:
        return 0
    (number,) = _ERRNO.unpack_from(datagram, position)
    return abs(int(number))


@lru_cache(maxsize=8192)
def _address_text(family: int, packed: bytes) -> str:
    return socket.inet_ntop(family, packed)
