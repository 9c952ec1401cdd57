"""The local ports of one process, as its own network namespace tells them.

Reads /proc/PID/fd and /proc/PID/net/{tcp,tcp6,udp,udp6}: dear, and done for single processes
only. What listens is told apart from the local ends of connections.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from dataclasses import dataclass
from typing import NamedTuple

_LISTEN, _CLOSE = "0A", "07"
"""States in the tables; an unconnected UDP socket is in CLOSE."""


@dataclass(frozen=True, slots=True)
class LocalPorts:
    """The local ports of a process."""

    listening: tuple[int, ...] = ()
    """Of listening TCP and unconnected UDP sockets."""
    connections: tuple[int, ...] = ()
    """Of all others, the ephemeral ports of its clients among them."""
    hidden: bool = False
    """Whether its descriptors may not be read."""
    udp: tuple[int, ...] = ()
    """Those of `listening` that UDP sockets have."""


class _Socket(NamedTuple):
    """A socket as the tables have it."""

    inode: str
    port: int
    listens: bool
    udp: bool


def local_ports(pid: int) -> LocalPorts:
    """The ports of a process; none if it has ended."""
    try:
        inodes = socket_inodes(pid)
    except PermissionError:
        return LocalPorts(hidden=True)
    except OSError:
        return LocalPorts()
    listening: set[int] = set()
    connections: set[int] = set()
    udp: set[int] = set()
    for socket in _sockets(pid) if inodes else ():
        if socket.inode in inodes:
            (listening if socket.listens else connections).add(socket.port)
            if socket.listens and socket.udp:
                udp.add(socket.port)
    return LocalPorts(
        tuple(sorted(listening)), tuple(sorted(connections - listening)), udp=tuple(sorted(udp))
    )


def listening_inodes(pid: int, port: int) -> set[str]:
    """The inodes of what listens on a port in the network namespace of a process, in digits."""
    return {each.inode for each in _sockets(pid) if each.listens and each.port == port}


def _sockets(pid: int) -> Iterator[_Socket]:
    """All sockets of the network namespace of a process."""
    for table in ("tcp", "tcp6", "udp", "udp6"):
        wanted = _LISTEN if table.startswith("tcp") else _CLOSE
        try:
            with open(f"/proc/{pid}/net/{table}", encoding="ascii") as file:
                lines = list(file)[1:]
        except OSError:
            continue
        for fields in map(str.split, lines):
            if len(fields) > 9:
                port = int(fields[1].rpartition(":")[2], 16)
                yield _Socket(fields[9], port, fields[3] == wanted, table.startswith("udp"))


def socket_inodes(pid: int) -> set[str]:
    """The inodes of its sockets, in digits.

    Raises:
        OSError: if it has ended, or may not be looked into.
    """
    inodes = set()
    for name in os.listdir(f"/proc/{pid}/fd"):
        try:
            link = os.readlink(f"/proc/{pid}/fd/{name}")
        except FileNotFoundError:
            continue
        if link.startswith("socket:["):
            inodes.add(link[8:-1])
    return inodes
