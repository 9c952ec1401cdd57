"""The attributes of system calls out of their arguments and captured memory.

Every call has the attributes its line of `calls.tsv` names, in that order. One that does not
apply is left out: what a failed call would have filled in, the mode of an open that creates
nothing. One whose memory could not be read is null, and `missing` names it.
"""

from __future__ import annotations

from engine.core.fields import JsonValue
from engine.probe.abi import EventFlag
from engine.probe.call_readers import reader_of
from engine.probe.call_sections import UNREAD, Absent
from engine.probe.calls import CALLS, Call
from engine.probe.raw import Attributes, Decoder, Raw
from engine.probe.schema import Attribute

FAITHFUL_ATTRIBUTES = 8
"""Kindling's records have no more."""

_UNRESOLVED = int(EventFlag.UNRESOLVED)


def _decoder(call: Call, attributes: tuple[Attribute, ...]) -> Decoder:
    readers = tuple((each.key, reader_of(call, each)) for each in attributes if each.told)

    def decode(raw: Raw) -> Attributes:
        made: Attributes = {}
        missing: list[JsonValue] = []
        for key, read in readers:
            value = read(raw)
            if not isinstance(value, Absent):
                made[key] = value
            elif value is UNREAD:
                made[key] = None
                missing.append(key)
        if raw.flags & _UNRESOLVED:
            made["unresolved"] = True
        if missing:
            made["missing"] = missing
        return made

    return decode


def _by_row() -> dict[int, Decoder]:
    made: dict[int, Decoder] = {}
    for call in CALLS:
        made[call.row] = _decoder(call, call.enter)
        made[call.row + 1] = _decoder(call, call.exit)
    return made


CALL_DECODERS = _by_row()
"""The decoder of each row that is a system call's."""

_KINDLINGS: dict[int, tuple[str, ...]] = {
    row: tuple(each.key for each in attributes if not each.ours)[:FAITHFUL_ATTRIBUTES]
    for call in CALLS
    for row, attributes in ((call.row, call.enter), (call.row + 1, call.exit))
}


def faithful(row: int, attributes: Attributes) -> Attributes:
    """Of a call's attributes those that a record of Kindling has, at most 8.

    Args:
        row: The event's; what is no call is left as it is.
        attributes: All of them.
    """
    keys = _KINDLINGS.get(row)
    if keys is None:
        return attributes
    return {key: attributes[key] for key in keys if key in attributes}
