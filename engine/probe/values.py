"""Values of the kernel as people write them: flags, addresses, states, signals."""

from __future__ import annotations

import os
import signal
import socket
from functools import lru_cache

from engine.core.sanitise import clean

O_TMPFILE = 0o20200000
_ACCESS_MODES = ("O_RDONLY", "O_WRONLY", "O_RDWR", "O_ACCMODE")
_OPEN_FLAGS = {
    "O_CREAT": 0o100,
    "O_EXCL": 0o200,
    "O_NOCTTY": 0o400,
    "O_TRUNC": 0o1000,
    "O_APPEND": 0o2000,
    "O_NONBLOCK": 0o4000,
    "O_DSYNC": 0o10000,
    "O_ASYNC": 0o20000,
    "O_DIRECT": 0o40000,
    "O_LARGEFILE": 0o100000,
    "O_DIRECTORY": 0o200000,
    "O_NOFOLLOW": 0o400000,
    "O_NOATIME": 0o1000000,
    "O_CLOEXEC": 0o2000000,
    "O_PATH": 0o10000000,
}
"""On x86-64; O_SYNC and O_TMPFILE are combinations and handled apart."""

_TCP_STATES = (
    "", "ESTABLISHED", "SYN_SENT", "SYN_RECV", "FIN_WAIT1", "FIN_WAIT2", "TIME_WAIT", "CLOSE",
    "CLOSE_WAIT", "LAST_ACK", "LISTEN", "CLOSING", "NEW_SYN_RECV",
)  # fmt: skip
_FAMILIES: dict[int, str] = {
    socket.AF_UNSPEC: "unspecified",
    socket.AF_UNIX: "unix",
    socket.AF_INET: "ipv4",
    socket.AF_INET6: "ipv6",
    socket.AF_NETLINK: "netlink",
}
_V4_MAPPED = bytes(10) + b"\xff\xff"


@lru_cache(maxsize=1024)
def open_flags(bits: int) -> str:
    """The flags of open(2) as its manual writes them."""
    names = [_ACCESS_MODES[bits & 3]]
    rest = bits & ~3
    if rest & O_TMPFILE == O_TMPFILE:
        names.append("O_TMPFILE")
        rest &= ~O_TMPFILE
    if rest & os.O_SYNC == os.O_SYNC:
        names.append("O_SYNC")
        rest &= ~os.O_SYNC
    for name, bit in _OPEN_FLAGS.items():
        if rest & bit:
            names.append(name)
            rest &= ~bit
    if rest:
        names.append(hex(rest))
    return "|".join(names)


@lru_cache(maxsize=4096)
def endpoint(family: int, packed: bytes, port: int) -> str:
    """`ADDRESS:PORT`; an IPv6 address in brackets, an IPv4-mapped one as IPv4."""
    if family == socket.AF_INET6 and packed.startswith(_V4_MAPPED):
        family, packed = socket.AF_INET, packed[12:]
    if family == socket.AF_INET6:
        return f"[{socket.inet_ntop(family, packed)}]:{port}"
    return f"{socket.inet_ntop(socket.AF_INET, packed[:4])}:{port}"


def family_name(family: int) -> str:
    """`ipv4`, `ipv6`, `unix`, ..., or the number."""
    return _FAMILIES.get(family) or str(family)


def signed(value: int, bits: int = 32) -> int:
    """The low bits of an argument register as a signed number."""
    value &= (1 << bits) - 1
    return value - (1 << bits) if value >> (bits - 1) else value


def sockaddr(family: int, packed: bytes) -> str | None:
    """The address in a struct sockaddr; None if the family has no text form or it is too short."""
    port = int.from_bytes(packed[2:4], "big")
    if family == socket.AF_INET and len(packed) >= 8:
        return endpoint(family, packed[4:8], port)
    if family == socket.AF_INET6 and len(packed) >= 24:
        return endpoint(family, packed[8:24], port)
    if family == socket.AF_UNIX:
        path = packed[2:]
        if path[:1] == b"\0":  # an abstract name is all of its bytes
            return "@" + clean(path[1:])
        return clean(path.partition(b"\0")[0])
    return None


_ESCAPES = {ord("\\"): "\\\\", ord("\n"): "\\n", ord("\r"): "\\r", ord("\t"): "\\t"}
_ESCAPED = tuple(
    _ESCAPES.get(byte) or (chr(byte) if 0x20 <= byte < 0x7F else f"\\x{byte:02x}")
    for byte in range(256)
)


def escaped(data: bytes) -> str:
    """Bytes as text from which they can be told exactly: C's escapes, the backslash included."""
    return "".join(map(_ESCAPED.__getitem__, data))


def signal_name(number: int) -> str:
    """SIGKILL, ..., or SIG and the number."""
    try:
        return signal.Signals(number).name
    except ValueError:
        return f"SIG{number}"


def tcp_state(number: int) -> str:
    """ESTABLISHED, ..., or the number."""
    return _TCP_STATES[number] if 0 < number < len(_TCP_STATES) else str(number)
