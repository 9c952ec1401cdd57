"""The local ports of one process, as its own network namespace tells them.

Reads /proc/PID/fd and /proc/PID/net/{tcp,tcp6,udp,udp6}: dear, and done for single processes
only. What listens is told apart from the local ends of connections.
"""

from __future__ import annotations

import os
from dataclasses import dataclass

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


def local_ports(pid: int) -> LocalPorts:
    """The ports of a process; none if it has ended."""
    try:
        inodes = _socket_inodes(pid)
    except PermissionError:
        return LocalPorts(hidden=True)
    except OSError:
        return LocalPorts()
    listening: set[int] = set()
    connections: set[int] = set()
    udp: set[int] = set()
    for table in ("tcp", "tcp6", "udp", "udp6") if inodes else ():
        wanted = _LISTEN if table.startswith("tcp") else _CLOSE
        try:
            with open(f"/proc/{pid}/net/{table}", encoding="ascii") as file:
                for line in list(file)[1:]:
                    fields = line.split()
                    if len(fields) > 9 and fields[9] in inodes:
                        port = int(fields[1].rpartition(":")[2], 16)
                        (listening if fields[3] == wanted else connections).add(port)
                        if fields[3] == wanted and table.startswith("udp"):
                            udp.add(port)
        except OSError:
            continue
    return LocalPorts(
        tuple(sorted(listening)), tuple(sorted(connections - listening)), udp=tuple(sorted(udp))
    )


def _socket_inodes(pid: int) -> set[str]:
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
