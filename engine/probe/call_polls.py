"""How poll's and epoll's lists of descriptors are read."""

from __future__ import annotations

from engine.probe.abi import SectionKind
from engine.probe.call_sections import UNREAD, Absent, Reader, Value, section
from engine.probe.notation import epoll_events, poll_events
from engine.probe.raw import Raw
from engine.probe.schema import Attribute


def polled_descriptors(attribute: Attribute) -> Reader:
    """The list, as `FD:EVENTS` each."""
    argument, filled = attribute.argument, attribute.source == "L"
    write = {"epoll": _of_epoll, "pollin": _of_poll, "pollout": _of_poll_result}
    one, item = write[attribute.notation], 12 if attribute.notation == "epoll" else 8

    def read(raw: Raw) -> Value:
        found = section(raw, SectionKind.STRUCT, argument, filled)
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
