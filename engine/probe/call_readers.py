"""How each attribute of a call is read, by its source in `calls.tsv`; see `schema.py`."""

from __future__ import annotations

from collections.abc import Callable

from engine.core.fields import JsonValue
from engine.core.sanitise import clean
from engine.probe.abi import FACTS, SectionKind
from engine.probe.call_addresses import address, ends
from engine.probe.call_polls import polled_descriptors
from engine.probe.call_sections import MISSING, OMITTED, UNREAD, Absent, Reader, Value, section
from engine.probe.calls import Call
from engine.probe.notation import NOTATIONS, creates, signal_set, socket_option
from engine.probe.raw import Raw
from engine.probe.schema import Attribute
from engine.probe.values import escaped, signal_name, signed

_NANOSECOND, _MICROSECOND = 1, 1_000
_BITS = {"u8": 8, "f8": 8, "u16": 16, "f16": 16, "i16": 16, "u64": 64, "i64": 64}
_SIGNED = frozenset({"fd", "err", "pid", "i16", "i32", "i64", "uid", "gid", "ms", "dyn"})


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
        found = section(raw, SectionKind.TEXT, argument, filled)
        if isinstance(found, Absent):
            if lost and raw.flags & MISSING and not raw.result:
                return UNREAD
            return found if filled or found is UNREAD else None
        return clean(found.partition(b"\0")[0])

    return read


def _payload(attribute: Attribute) -> Reader:
    argument = attribute.argument

    def read(raw: Raw) -> Value:
        found = section(raw, SectionKind.DATA, argument, filled=True)
        if isinstance(found, Absent):
            return found if raw.result else ""
        return escaped(found)

    return read


def _messages(attribute: Attribute) -> Reader:
    def read(raw: Raw) -> Value:
        found = [each.data for each in raw.sections if each.kind == SectionKind.DATA]
        if found:
            return [escaped(data) for data in found]
        return UNREAD if raw.result > 0 and raw.flags & MISSING else OMITTED

    return read


def _content(attribute: Attribute) -> Reader:
    argument = attribute.argument

    def read(raw: Raw) -> Value:
        found = section(raw, SectionKind.DATA, argument, filled=True)
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
        found = section(raw, SectionKind.STRUCT, argument, filled)
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


def _bytes(attribute: Attribute) -> Reader:
    argument, filled = attribute.argument, attribute.source == "B"

    def read(raw: Raw) -> Value:
        found = section(raw, SectionKind.STRUCT, argument, filled)
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
        found = section(raw, SectionKind.STRUCT, argument)
        if isinstance(found, Absent):
            return found
        if len(found) < offset + 2:
            return OMITTED
        return write(int.from_bytes(found[offset : offset + 2], "little"))

    return read


def _arguments(attribute: Attribute) -> Reader:
    first = attribute.source == "g"

    def read(raw: Raw) -> Value:
        found = raw.section(SectionKind.ARGV)
        if not found:
            return UNREAD if raw.flags & MISSING else OMITTED
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
    **dict.fromkeys("lL", polled_descriptors),
    **dict.fromkeys("bB", _bytes),
    **dict.fromkeys("kKnN", address),
    **dict.fromkeys("tuT", ends),
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
