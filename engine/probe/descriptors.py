"""What a file descriptor is, in words: paths, both ends of a connection, inodes."""

from __future__ import annotations

import socket
from functools import lru_cache
from typing import NamedTuple

from engine.core.sanitise import clean
from engine.probe.abi import FD_SOCKET, FD_UNIX, InodeKind, PathMark, Role, SectionKind
from engine.probe.calls import FdType
from engine.probe.raw import Section
from engine.probe.values import endpoint, tcp_state

CUT = "..."
"""Stands for the part of a path that was too long to be read."""
DELETED = " (deleted)"

_CACHED = 4096
_TCP, _MPTCP = 6, 262
_PROTOCOLS = {
    1: "icmp", _TCP: "tcp", 17: "udp", 58: "icmpv6", 132: "sctp", 136: "udplite", _MPTCP: "mptcp",
}  # fmt: skip
_NETLINK_PROTOCOLS = {
    0: "route", 2: "usersock", 4: "sock_diag", 5: "nflog", 6: "xfrm", 7: "selinux", 9: "audit",
    10: "fib_lookup", 11: "connector", 12: "netfilter", 15: "kobject_uevent", 16: "generic",
    21: "crypto",
}  # fmt: skip
_OTHER_FAMILIES = {17: "packet", 29: "can", 31: "bluetooth", 38: "alg", 40: "vsock", 44: "xdp"}
_TYPES = {1: "stream", 2: "dgram", 5: "seqpacket"}
_RAW = 3
_LISTEN = 10
_ROLES = {role.value: role.name.lower() for role in Role}
_INODES = {InodeKind.PIPE.value: "pipe", InodeKind.PROCESS.value: "pidfd"}
_FD_SECTIONS = frozenset(
    (SectionKind.FD_PATH, SectionKind.FD_INODE, SectionKind.FD_SOCKET, SectionKind.FD_UNIX)
)


class Descriptor(NamedTuple):
    """What is told of an event's file descriptor."""

    type: str | None
    """One of Kindling's fd types; None without a descriptor."""
    name: str | None = None
    """Path; `CLIENT -> SERVER` or the own `ADDRESS:PORT`; `unix:PATH`; `pipe:[INODE]`; ..."""
    protocol: str | None = None
    """`tcp`, `udp`, ...; the type of a unix socket; the protocol of a netlink socket."""
    role: str | None = None
    """`server`, `client` or `listener`, where that is known."""
    state: str | None = None
    """TCP state; `LISTEN` of a unix socket that listens."""
    inode: int | None = None
    """Of a socket, pipe, namespace or process."""


NO_DESCRIPTOR = Descriptor(None)
"""Of an event that does not work on a file descriptor."""

_ANONYMOUS = {
    FdType.EVENT: "[eventfd]",
    FdType.SIGNALFD: "[signalfd]",
    FdType.EVENTPOLL: "[eventpoll]",
    FdType.INOTIFY: "inotify",
    FdType.TIMERFD: "[timerfd]",
}
_UNNAMED = {kind.value: Descriptor(kind.name.lower()) for kind in FdType} | {
    kind.value: Descriptor(kind.name.lower(), f"anon_inode:{name}")
    for kind, name in _ANONYMOUS.items()
}


def describe(fd_type: int, sections: tuple[Section, ...]) -> Descriptor:
    """What an event tells of its descriptor; the type alone where its name could not be read.

    Raises:
        KeyError: unknown type.
        struct.error, ValueError, IndexError: a section that is not what the programs write.
    """
    for section in sections:
        if section.kind in _FD_SECTIONS:
            return _described(fd_type, section)
    return _UNNAMED[fd_type]


@lru_cache(maxsize=_CACHED)
def _described(fd_type: int, section: Section) -> Descriptor:
    kind = _UNNAMED[fd_type]
    match section.kind:
        case SectionKind.FD_PATH:
            return kind._replace(name=_path(fd_type, section.argument, section.data))
        case SectionKind.FD_INODE:
            number = int.from_bytes(section.data[:8], "little")
            text = clean(section.data[8:].partition(b"\0")[0])
            name = _INODES.get(section.argument) or text or "namespace"
            return kind._replace(name=f"{name}:[{number}]", inode=number)
        case SectionKind.FD_UNIX:
            return _unix(kind, section.data)
    return _socket(kind, section.data)


def _path(fd_type: int, marks: int, data: bytes) -> str:
    names = data.split(b"\0")[:-1]  # what is not ended is cut
    if marks & PathMark.LOOSE:
        loose = clean(names[0])
        return loose if fd_type == FdType.FILE else f"anon_inode:{loose}"
    above = CUT.encode() if marks & PathMark.CUT else b""
    path = above + b"/" + b"/".join(reversed(names))
    return clean(path) + (DELETED if marks & PathMark.DELETED else "")


def _socket(kind: Descriptor, data: bytes) -> Descriptor:
    (
        inode, protocol, sort, state, role, family, local_port, remote_port, local, remote,
    ) = FD_SOCKET.unpack(data)  # fmt: skip
    if family not in (socket.AF_INET, socket.AF_INET6):
        if family == socket.AF_NETLINK:
            label, spoken = "netlink", _NETLINK_PROTOCOLS.get(protocol) or str(protocol)
            return kind._replace(name=f"{label}:[{inode}]", protocol=spoken, inode=inode)
        return kind._replace(name=f"{_OTHER_FAMILIES.get(family, 'socket')}:[{inode}]", inode=inode)
    spoken = _PROTOCOLS.get(protocol) or str(protocol)
    if sort == _RAW or not (local_port or remote_port):
        name = f"{spoken}:[{inode}]"
    else:
        name = endpoint(family, local, local_port)
        if remote_port:
            ends = [name, endpoint(family, remote, remote_port)]
            name = " -> ".join(reversed(ends) if role == Role.SERVER else ends)
    return kind._replace(
        name=name,
        protocol=spoken,
        role=_ROLES.get(role),
        state=tcp_state(state) if protocol in (_TCP, _MPTCP) else None,
        inode=inode,
    )


def _unix(kind: Descriptor, data: bytes) -> Descriptor:
    inode, _, sort, state, role = FD_UNIX.unpack_from(data)
    bound = data[FD_UNIX.size :]
    if bound[:1] == b"\0":  # an abstract name is all of its bytes
        name = "unix:@" + clean(bound[1:])
    elif bound:
        name = "unix:" + clean(bound.partition(b"\0")[0])
    else:
        name = f"unix:[{inode}]"
    return kind._replace(
        name=name,
        protocol=_TYPES.get(sort),
        role=_ROLES.get(role),
        state="LISTEN" if state == _LISTEN else None,
        inode=inode,
    )
