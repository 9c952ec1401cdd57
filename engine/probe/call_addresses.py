"""How the attributes of a call that name the ends of a socket are read."""

from __future__ import annotations

import socket

from engine.probe.abi import TUPLE, SectionKind
from engine.probe.call_sections import OMITTED, Absent, Reader, Value, section
from engine.probe.raw import Raw
from engine.probe.schema import Attribute
from engine.probe.values import endpoint, family_name, sockaddr

_INET = (socket.AF_INET, socket.AF_INET6)


def address(attribute: Attribute) -> Reader:
    """An address the call was given, or filled in; or its family."""
    argument, filled = attribute.argument, attribute.source.isupper()

    def read(raw: Raw) -> Value:
        found = section(raw, SectionKind.SOCKADDR, argument, filled)
        if isinstance(found, Absent):
            return found
        if len(found) < 2:
            return OMITTED
        family = int.from_bytes(found[:2], "little")
        if attribute.key == "family":
            return family_name(family)
        return sockaddr(family, found)

    return read


def ends(attribute: Attribute) -> Reader:
    """Both ends of a socket: `FROM->TO`, or one of them."""
    key, inbound = attribute.key, attribute.source in "uT"

    def read(raw: Raw) -> Value:
        found = _tuple(raw)
        if found is None:
            return "unix" if key == "family" and raw.section(SectionKind.FD_UNIX) else OMITTED
        family, local_port, remote_port, local, remote = TUPLE.unpack(found)
        if key == "family":
            return family_name(family)
        if family not in _INET:
            return OMITTED
        ours, peer = endpoint(family, local, local_port), endpoint(family, remote, remote_port)
        if not remote_port:  # not connected: the call may name the other end
            peer = _named_address(raw) or peer
        if key == "tuple":
            return f"{peer}->{ours}" if inbound else f"{ours}->{peer}"
        return ours if key == "local" else peer

    return read


def _tuple(raw: Raw) -> bytes | None:
    """The struct tuple of the event's descriptor; it may lie at the end of a struct fd_socket."""
    for each in raw.sections:
        if each.kind in (SectionKind.FD_SOCKET, SectionKind.TUPLE):
            return each.data[-TUPLE.size :]
    return None


def _named_address(raw: Raw) -> str | None:
    for each in raw.sections:
        if each.kind == SectionKind.SOCKADDR:
            return sockaddr(int.from_bytes(each.data[:2], "little"), each.data)
    return None
