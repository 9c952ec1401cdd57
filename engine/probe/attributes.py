"""The attributes of each event out of its raw arguments and payload."""

from __future__ import annotations

import os
import signal
import socket
from collections.abc import Callable, Mapping
from functools import lru_cache
from typing import TypeAlias

from engine.core.fields import JsonValue
from engine.core.sanitise import clean
from engine.probe.abi import TUPLE, EventFlag
from engine.probe.calls import CALLS, FdType
from engine.probe.catalogue import PROCEXIT, TCP_SET_STATE

Attributes: TypeAlias = dict[str, JsonValue]
Decoder: TypeAlias = Callable[[tuple[int, ...], int, int, bytes], Attributes]
"""Makes attributes of (args, fd type, flags, payload)."""

_O_TMPFILE = 0o20200000
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
_UNRESOLVED = int(EventFlag.UNRESOLVED)
_MISSING = int(EventFlag.MISSING)
_FD_TYPES = {kind.value: kind.name.lower() for kind in FdType}


@lru_cache(maxsize=1024)
def open_flags(bits: int) -> str:
    """The flags of open(2) as its manual writes them."""
    names = [_ACCESS_MODES[bits & 3]]
    rest = bits & ~3
    if rest & _O_TMPFILE == _O_TMPFILE:
        names.append("O_TMPFILE")
        rest &= ~_O_TMPFILE
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


def opened(args: tuple[int, ...], fd_type: int, flags: int, payload: bytes) -> Attributes:
    """openat: `name`, `flags`, `dirfd` (AT_FDCWD is -100), and `mode` where one is used."""
    bits = args[2] & 0xFFFFFFFF
    made: Attributes = {}
    _put_text(made, "name", flags, payload)
    made["flags"] = open_flags(bits)
    made["dirfd"] = signed(args[0])
    if bits & os.O_CREAT or bits & _O_TMPFILE == _O_TMPFILE:
        made["mode"] = f"{args[3] & 0o7777:#o}"
    return made


def transferred(args: tuple[int, ...], fd_type: int, flags: int, payload: bytes) -> Attributes:
    """read, write: `size` asked for, `fd_type`."""
    made: Attributes = {"size": args[2], "fd_type": _FD_TYPES[fd_type]}
    if flags & _UNRESOLVED:
        made["unresolved"] = True
    return made


def judged(args: tuple[int, ...], fd_type: int, flags: int, payload: bytes) -> Attributes:
    """close: `fd_type`."""
    made: Attributes = {"fd_type": _FD_TYPES[fd_type]}
    if flags & _UNRESOLVED:
        made["unresolved"] = True
    return made


def connected(args: tuple[int, ...], fd_type: int, flags: int, payload: bytes) -> Attributes:
    """connect: `family` and `address` as the caller gave them."""
    if flags & _MISSING or len(payload) < 2:
        return {"family": None, "address": None, "missing": ["address"]}
    family = int.from_bytes(payload[:2], "little")
    return {"family": family_name(family), "address": _sockaddr(family, payload)}


def accepted(args: tuple[int, ...], fd_type: int, flags: int, payload: bytes) -> Attributes:
    """accept, accept4: `family`, `peer` and `local` of the new socket; nothing if it failed."""
    if flags & _MISSING:
        return {"peer": None, "local": None, "missing": ["peer", "local"]}
    if len(payload) < TUPLE.size:
        return {}
    family, local_port, remote_port, local, remote = TUPLE.unpack_from(payload)
    made: Attributes = {"family": family_name(family)}
    if family in (socket.AF_INET, socket.AF_INET6):
        made["peer"] = endpoint(family, remote, remote_port)
        made["local"] = endpoint(family, local, local_port)
    return made


def executed(args: tuple[int, ...], fd_type: int, flags: int, payload: bytes) -> Attributes:
    """execve: `filename`."""
    made: Attributes = {}
    _put_text(made, "filename", flags, payload)
    return made


def exited(args: tuple[int, ...], fd_type: int, flags: int, payload: bytes) -> Attributes:
    """procexit: `status` (the kernel's word), `exit_code` or `signal`, `group_dead`."""
    status = args[0]
    number = status & 0x7F
    made: Attributes = {
        "status": status,
        "exit_code": None if number else status >> 8 & 0xFF,
        "signal": _signal_name(number) if number else None,
        "group_dead": bool(args[1]),
    }
    if status & 0x80:
        made["core_dumped"] = True
    return made


def changed_state(args: tuple[int, ...], fd_type: int, flags: int, payload: bytes) -> Attributes:
    """tcp_set_state: `src` (this end), `dst` (the other), the states, `ctx_tid`.

    `ctx_tid` is the thread the processor was running, which need not have to do with the socket.
    """
    family, local_port, remote_port, local, remote = TUPLE.unpack_from(payload)
    return {
        "src": endpoint(family, local, local_port),
        "dst": endpoint(family, remote, remote_port),
        "old_state": _tcp_state(args[0]),
        "new_state": _tcp_state(args[1]),
        "ctx_tid": args[2],
    }


def _put_text(made: Attributes, name: str, flags: int, payload: bytes) -> None:
    if flags & _MISSING:
        made[name] = None
        made["missing"] = [name]
    else:
        made[name] = clean(payload.partition(b"\0")[0])


def _sockaddr(family: int, packed: bytes) -> str | None:
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


def _signal_name(number: int) -> str:
    try:
        return signal.Signals(number).name
    except ValueError:
        return f"SIG{number}"


def _tcp_state(number: int) -> str:
    return _TCP_STATES[number] if 0 < number < len(_TCP_STATES) else str(number)


def _decoders() -> Mapping[int, Decoder]:
    of_call: dict[str, Decoder] = {
        "openat": opened,
        "close": judged,
        "read": transferred,
        "write": transferred,
        "connect": connected,
        "accept": accepted,
        "accept4": accepted,
        "execve": executed,
    }
    by_row: dict[int, Decoder] = {PROCEXIT.type_id: exited, TCP_SET_STATE.type_id: changed_state}
    for call in CALLS:
        by_row[call.type_id] = by_row[call.type_id + 1] = of_call[call.name]
    return by_row


DECODERS = _decoders()
"""The decoder of each row."""
