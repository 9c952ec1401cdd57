"""Listening and bound sockets from the kernel, by NETLINK_SOCK_DIAG.

One dump per protocol and family; unless connections are asked for, the cost does not grow with
their number. A dump sees the network namespace of the thread that opened the netlink socket.

A dump is mostly what the one before was, so the bytes of the two are compared, and only messages
that differ are read. That also makes an unchanged socket the same object.
"""

from __future__ import annotations

import errno
import fcntl
import os
import socket
import struct
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import NamedTuple, Self

from engine.core.errors import FailedError
from engine.discovery.diag_messages import (
    CLOSE,
    CLOSE_WAIT,
    CLOSING,
    ESTABLISHED,
    FIN_WAIT1,
    FIN_WAIT2,
    HEADER,
    LAST_ACK,
    LISTEN,
    SOCK_DIAG_BY_FAMILY,
    SYN_SENT,
    Answer,
    BoundSocket,
    SocketReader,
    common_length,
    is_last,
    read_messages,
    sockets_of,
)
from engine.discovery.differences import differing_records

_NETLINK_SOCK_DIAG = 4
_NLM_F_REQUEST_DUMP = 0x301

_REQUEST = struct.Struct("=IHHII BBBxI 48x")
"""nlmsghdr and inet_diag_req_v2: family, protocol, extensions, states; the socket id is empty."""
_BUFFER_BYTES = 1 << 16
"""Twice the largest datagram a dump is answered with."""
_ATTEMPTS = 3
_TIMEOUT = struct.pack("@ll", 5, 0)
_SIOCGIFNAME = 0x8910
_IFREQ = struct.Struct("=16s i 20x")


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


@dataclass(frozen=True, slots=True)
class _Read:
    """What the last dump of a table told."""

    messages: dict[bytes, BoundSocket]
    """By body."""
    raw: bytes = b""
    """The messages one behind the other, if all have one header; else nothing."""
    length: int = 0
    """Of each of them."""

    def compared(self, raw: bytes, reader: SocketReader) -> Answer | None:
        """Read an answer by what differs from this one, which it brings up to date.

        None if that cannot be done, because there is more in it than sockets told of alike.
        """
        if not (self.raw and raw) or len(raw) % self.length:
            return None
        went, came = differing_records(self.raw, raw, self.length)
        header = self.raw[: HEADER.size]
        if not all(record.startswith(header) for record in came):
            return None
        fresh = {record[HEADER.size :]: reader.read(record[HEADER.size :]) for record in came}
        read = {body: found for body, found in fresh.items() if found}
        if len(read) < len(fresh):
            return None
        gone = [self.messages.pop(record[HEADER.size :]) for record in went]
        self.messages.update(read)
        return Answer(self.messages, done=True, came=list(read.values()), went=gone)


_NOTHING_READ = _Read({})


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
        self._sequence = 1
        self._read: dict[Table, _Read] = {}

    def dump(self, table: Table) -> Answer:
        """Every socket of a table; asked for again if it changed under the dump.

        Raises:
            FailedError: if the kernel refuses or does not answer.
        """
        before = self._read.get(table, _NOTHING_READ)
        reader = SocketReader(table.proto, self._netns, self._interface_name)
        for _ in range(_ATTEMPTS):
            try:
                datagrams = self._ask(table)
            except OSError as failure:
                self._sequence += 1  # what of the answer still comes belongs to no later dump
                raise _refused(table, failure.errno or errno.EIO) from failure
            answer, read = self._understand(datagrams, before, reader)
            if answer.error:
                raise _refused(table, answer.error)
            if not answer.interrupted:
                break
            self._sequence += 1
        self._read[table] = read
        return answer

    def forget(self, table: Table) -> list[BoundSocket]:
        """Let go of a table that is not asked for any more; returns what its last dump told."""
        return list(self._read.pop(table, _NOTHING_READ).messages.values())

    @property
    def known(self) -> list[Table]:
        """The tables that were dumped and not forgotten."""
        return list(self._read)

    def _ask(self, table: Table) -> list[bytes]:
        """The datagrams of an answer.

        The sequence number stays the same, so that equal sockets are told of in equal bytes.
        """
        self._socket.send(dump_request(table, self._sequence))
        datagrams: list[bytes] = []
        while not datagrams or not is_last(datagrams[-1], self._sequence):
            datagrams.append(self._socket.recv(_BUFFER_BYTES))
        return datagrams

    def _understand(
        self, datagrams: Sequence[bytes], before: _Read, reader: SocketReader
    ) -> tuple[Answer, _Read]:
        """Read an answer, and what the next one is to be compared with."""
        raw = sockets_of(datagrams)
        if answer := before.compared(raw, reader):
            return answer, _Read(answer.messages, raw, before.length)
        answer, length = self._read_all(datagrams, before, reader), common_length(raw)
        return answer, _Read(answer.messages, raw if length else b"", length)

    def _read_all(self, datagrams: Iterable[bytes], before: _Read, reader: SocketReader) -> Answer:
        """Read an answer message by message."""
        answer, known = Answer(), before.messages
        for datagram in datagrams:
            read_messages(datagram, self._sequence, answer, reader, known)
        now = answer.messages
        answer.came = [now[body] for body in now.keys() - known.keys()]
        answer.went = [known[body] for body in known.keys() - now.keys()]
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
        SOCK_DIAG_BY_FAMILY,
        _NLM_F_REQUEST_DUMP,
        sequence,
        0,
        table.family,
        table.protocol,
        0,
        table.states,
    )


def _refused(table: Table, number: int) -> FailedError:
    fix = ""
    if number == errno.ENOENT:
        fix = f"modprobe {table.proto}_diag"
    return FailedError(f"{table} cannot be listed: {os.strerror(number)}", fix=fix)
