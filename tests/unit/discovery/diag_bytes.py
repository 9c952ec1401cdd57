"""Netlink messages about sockets, made by hand."""

from __future__ import annotations

import socket
import struct

SEQUENCE = 7
SOCK_DIAG, ERROR, DONE = 20, 2, 3


def message(kind: int, body: bytes, *, flags: int = 2, sequence: int = SEQUENCE) -> bytes:
    """One netlink message, padded to four bytes."""
    header = struct.pack("=IHHII", 16 + len(body), kind, flags, sequence, 0)
    return header + body + bytes(-len(body) % 4)


def diag(
    address: str = "127.0.0.1",
    port: int = 80,
    *,
    inode: int = 4711,
    uid: int = 33,
    interface: int = 0,
    attributes: bytes = b"",
) -> bytes:
    """The body of a message about one listening socket."""
    family = socket.AF_INET6 if ":" in address else socket.AF_INET
    source = socket.inet_pton(family, address).ljust(16, b"\0")
    identity = struct.pack("!HH", port, 0) + source + bytes(16) + struct.pack("=I", interface)
    return (
        struct.pack("=BBBB", family, 10, 0, 0)
        + identity
        + bytes(8)
        + struct.pack("=IIIII", 0, 0, 128, uid, inode)
        + attributes
    )
