"""The events of system calls: one when it begins, one when it returns."""

from __future__ import annotations

from collections.abc import Iterator

from engine.probe.calls import BY_FD, CALLS, EXTENSION, Call, Category
from engine.probe.events import Event
from engine.probe.schema import Attribute

_NOT_HERE = "x86-64 has no such system call"


def _events_of(call: Call) -> Iterator[Event]:
    yield _event(call, call.enter, entering=True)
    if call.returns:
        yield _event(call, call.exit, entering=False)


def _event(call: Call, attributes: tuple[Attribute, ...], *, entering: bool) -> Event:
    ext = call.type_id == EXTENSION
    type_id = (0 if ext else call.type_id) + (not entering)
    row = call.row + (not entering)
    return Event(
        f"syscall_{'enter' if entering else 'exit'}-{call.name}",
        call.emitted,
        "enter" if entering else "exit",
        type_id,
        BY_FD if call.category is None else (call.category,),
        ("on_sys_enter",) if entering else ("on_sys_enter", "on_sys_exit"),
        f"{call.help}: the call {'begins' if entering else 'returns'}",
        tuple(attribute.key for attribute in attributes if attribute.told),
        own_row=0 if row == type_id else row,
        accepts=(Category.OTHER,) if _is_other(call) else (),
        ext=ext,
        absent="" if call.number is not None else _NOT_HERE,
    )


def _is_other(call: Call) -> bool:
    """Whether Kindling calls it `other`: what waits, and what it knows no descriptor of."""
    kindlings = call.type_id != EXTENSION
    return kindlings and (call.category is Category.WAIT or call.name == "recvmmsg")


CALL_EVENTS: tuple[Event, ...] = tuple(event for call in CALLS for event in _events_of(call))
"""All of them, in the order they are listed."""
