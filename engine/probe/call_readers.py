"""How each attribute of a call is read, by its source in `calls.tsv`; see `schema.py`."""

from __future__ import annotations

import socket
from collections.abc import Callable
from typing import TypeAlias

from engine.core.fields import JsonValue
from engine.core.sanitise import clean
from engine.probe.abi import FACTS, TUPLE, EventFlag, SectionKind
from engine.probe.calls import Call
from engine.probe.notation import (
    NOTATIONS,
    creates,
    epoll_events,
    poll_events,
    signal_set,
    socket_option,
)
from engine.probe.raw import Raw
from engine.probe.schema import Attribute
from engine.probe.values import (
    endpoint,
    escaped,
    family_name,
    signal_name,
    signed,
    sockaddr,
)

_MISSING = int(EventFlag.MISSING)
_INET = (socket.AF_INET, socket.AF_INET6)
_NANOSECOND, _MICROSECOND = 1, 1_000
_BITS = {"u8": 8, "f8": 8, "u16": 16, "f16": 16, "i16": 16, "u64": 64, "i64": 64}
_SIGNED = frozenset({"fd", "err", "pid", "i16", "i32", "i64", "uid", "gid", "ms", "dyn"})


class Absent:
    """In place of a value: there is none, or it could not be read."""


OMITTED, UNREAD = Absent(), Absent()
Value: TypeAlias = "JsonValue | Absent"
Reader: TypeAlias = Callable[[Raw], Value]
"""Makes the value of one attribute."""


def _number(attribute: Attribute) -> Callable[[int], JsonValue]:
    """How a register or a field of a structure is written."""
    if attribute.notation in NOTATIONS:
        return NOTATIONS[attribute.notation]
    if attribute.type == "sig":
        return lambda value: signal_name(value & 0x7F) if value else "0"
    if attribute.type == "mode":
        return NOTATIONS["mode"]
    kind = attribute.notation or attribute.type
    width = _BITS.get(kind, 32)
    mask, sign = (1 << width) - 1, 1 << (width - 1)
    if kind in _SIGNED:
        return lambda value: ((value & mask) ^ sign) - sign
    return lambda value: value & mask


def _section(raw: Raw, kind: SectionKind, argument: int, filled: bool = False) -> bytes | Absent:
    """Captured memory.

    Args:
        raw: The event.
        kind: What it is.
        argument: Whose.
        filled: By the call, so that only one that succeeded has it.
    """
    for section in raw.sections:
        if section.kind == kind and section.argument == argument:
            return section.data
    if (filled and raw.result < 0) or not raw.flags & _MISSING:
        return OMITTED
    return UNREAD if argument > 5 or raw.args[argument] else OMITTED


def _register(attribute: Attribute) -> Reader:
    number, write = attribute.argument, _number(attribute)
    if attribute.notation == "createmode":
        mode = NOTATIONS["mode"]
        return lambda raw: mode(raw.args[number]) if creates(raw.args[number - 1]) else OMITTED
    if attribute.notation == "sockopt":
        return lambda raw: socket_option(raw.args[number - 1], raw.args[number])
    return lambda raw: write(raw.args[number])


def _passed(attribute: Attribute) -> Reader:
    write = _number(attribute)
    # A new image begins with empty registers, which are no arguments of anything.
    return lambda raw: write(raw.args[attribute.argument]) if any(raw.args) else OMITTED


def _result(attribute: Attribute) -> Reader:
    if attribute.key == "size":  # of what was read: as much as the call returned
        return lambda raw: raw.result if raw.result >= 0 else OMITTED
    if attribute.notation in NOTATIONS:
        write = NOTATIONS[attribute.notation]
        return lambda raw: write(raw.result) if raw.result >= 0 else raw.result
    return lambda raw: raw.result


def _text(attribute: Attribute) -> Reader:
    argument, filled = attribute.argument, attribute.source == "S"
    # The new image of a successful execve has no arguments in its registers.
    lost = attribute.source == "e"

    def read(raw: Raw) -> Value:
        found = _section(raw, SectionKind.TEXT, argument, filled)
        if isinstance(found, Absent):
            if lost and raw.flags & _MISSING and not raw.result:
                return UNREAD
            return found if filled or found is UNREAD else None
        return clean(found.partition(b"\0")[0])

    return read


def _payload(attribute: Attribute) -> Reader:
    argument = attribute.argument

    def read(raw: Raw) -> Value:
        found = _section(raw, SectionKind.DATA, argument, filled=True)
        if isinstance(found, Absent):
            return found if raw.result else ""
        return escaped(found)

    return read


def _messages(attribute: Attribute) -> Reader:
    def read(raw: Raw) -> Value:
        found = [each.data for each in raw.sections if each.kind == SectionKind.DATA]
        if found:
            return [escaped(data) for data in found]
        return UNREAD if raw.result > 0 and raw.flags & _MISSING else OMITTED

    return read


def _content(attribute: Attribute) -> Reader:
    argument = attribute.argument

    def read(raw: Raw) -> Value:
        found = _section(raw, SectionKind.DATA, argument, filled=True)
        return found if isinstance(found, Absent) else clean(found)

    return read


def _structure(attribute: Attribute) -> Reader:
    argument, offset, filled = attribute.argument, attribute.offset, attribute.source == "o"
    end = offset + attribute.size
    write = _duration(attribute) or _number(attribute)
    if attribute.notation == "openmode2":
        write = NOTATIONS["mode"]
    if attribute.type == "sigset":
        write = signal_set

    def read(raw: Raw) -> Value:
        found = _section(raw, SectionKind.STRUCT, argument, filled)
        if isinstance(found, Absent):
            return found
        if len(found) < end:
            return OMITTED
        return write(int.from_bytes(found[offset:end], "little"))

    return read


def _duration(attribute: Attribute) -> Callable[[int], JsonValue] | None:
    """A struct timespec or timeval as nanoseconds."""
    if attribute.type not in ("rel", "reltv"):
        return None
    unit = _NANOSECOND if attribute.type == "rel" else _MICROSECOND

    def write(value: int) -> JsonValue:
        return signed(value, 64) * 1_000_000_000 + (value >> 64) * unit

    return write


def _descriptors(attribute: Attribute) -> Reader:
    """poll's and epoll's lists, as `FD:EVENTS` each."""
    argument, filled = attribute.argument, attribute.source == "L"
    write = {"epoll": _of_epoll, "pollin": _of_poll, "pollout": _of_poll_result}
    one, item = write[attribute.notation], 12 if attribute.notation == "epoll" else 8

    def read(raw: Raw) -> Value:
        found = _section(raw, SectionKind.STRUCT, argument, filled)
        if isinstance(found, Absent):
            return found if found is UNREAD or raw.result < 0 else ""
        listed = (one(found[at : at + item]) for at in range(0, len(found), item))
        return " ".join(filter(None, listed))

    return read


def _of_poll(item: bytes) -> str:
    return f"{_signed_at(item, 0)}:{poll_events(int.from_bytes(item[4:6], 'little'))}"


def _of_poll_result(item: bytes) -> str:
    happened = int.from_bytes(item[6:8], "little")
    return f"{_signed_at(item, 0)}:{poll_events(happened)}" if happened else ""


def _of_epoll(item: bytes) -> str:
    """What the program keeps with an event is its own affair; most keep the descriptor, in the
    lower half, and leave the upper as it was."""
    kept = int.from_bytes(item[4:12], "little")
    shown = str(kept & 0xFFFFFFFF) if kept & 0xFFFFFFFF < 1 << 20 else hex(kept)
    return f"{shown}:{epoll_events(int.from_bytes(item[:4], 'little'))}"


def _signed_at(item: bytes, at: int) -> int:
    return int.from_bytes(item[at : at + 4], "little", signed=True)


def _bytes(attribute: Attribute) -> Reader:
    argument, filled = attribute.argument, attribute.source == "B"

    def read(raw: Raw) -> Value:
        found = _section(raw, SectionKind.STRUCT, argument, filled)
        if isinstance(found, Absent):
            return found
        if attribute.key == "optlen":
            return len(found)
        if len(found) == 4:  # most options are an int
            return int.from_bytes(found, "little", signed=True)
        return escaped(found)

    return read


def _field(attribute: Attribute) -> Reader:
    """One field of an array of structures; there need not be as many."""
    argument, offset = attribute.argument, attribute.offset
    write = _number(attribute)

    def read(raw: Raw) -> Value:
        found = _section(raw, SectionKind.STRUCT, argument)
        if isinstance(found, Absent):
            return found
        if len(found) < offset + 2:
            return OMITTED
        return write(int.from_bytes(found[offset : offset + 2], "little"))

    return read


def _address(attribute: Attribute) -> Reader:
    argument, filled = attribute.argument, attribute.source.isupper()

    def read(raw: Raw) -> Value:
        found = _section(raw, SectionKind.SOCKADDR, argument, filled)
        if isinstance(found, Absent):
            return found
        if len(found) < 2:
            return OMITTED
        family = int.from_bytes(found[:2], "little")
        if attribute.key == "family":
            return family_name(family)
        return sockaddr(family, found)

    return read


def _ends(attribute: Attribute) -> Reader:
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
    for section in raw.sections:
        if section.kind in (SectionKind.FD_SOCKET, SectionKind.TUPLE):
            return section.data[-TUPLE.size :]
    return None


def _named_address(raw: Raw) -> str | None:
    for section in raw.sections:
        if section.kind == SectionKind.SOCKADDR:
            return sockaddr(int.from_bytes(section.data[:2], "little"), section.data)
    return None


def _arguments(attribute: Attribute) -> Reader:
    first = attribute.source == "g"

    def read(raw: Raw) -> Value:
        found = raw.section(SectionKind.ARGV)
        if not found:
            return UNREAD if raw.flags & _MISSING else OMITTED
        strings = [clean(each) for each in found.removesuffix(b"\0").split(b"\0")]
        return strings[0] if first else [*strings[1:]]

    return read


_FACTS = ("vm_size", "pgft_maj", "pgft_min", "fdlimit", "tid", "pid", "ptid")


def _fact(attribute: Attribute) -> Reader:
    place = _FACTS.index(attribute.key)

    def read(raw: Raw) -> Value:
        found = raw.section(SectionKind.FACTS)
        return FACTS.unpack(found)[place] if found else OMITTED

    return read


def _call_number(call: Call) -> Reader:
    return lambda raw: call.number


_MAKERS: dict[str, Callable[[Attribute], Reader]] = {
    "a": _register,
    "p": _passed,
    "r": _result,
    "c": _content,
    "M": _messages,
    "f": _field,
    "x": _fact,
    **dict.fromkeys("sSe", _text),
    **dict.fromkeys("dvm", _payload),
    **dict.fromkeys("iow", _structure),
    **dict.fromkeys("lL", _descriptors),
    **dict.fromkeys("bB", _bytes),
    **dict.fromkeys("kKnN", _address),
    **dict.fromkeys("tuT", _ends),
    **dict.fromkeys("gh", _arguments),
}


def reader_of(call: Call, attribute: Attribute) -> Reader:
    """What reads an attribute that is told.

    Args:
        call: The call it belongs to.
        attribute: The attribute.
    """
    if attribute.source == "#":
        return _call_number(call)
    return _MAKERS[attribute.source](attribute)
