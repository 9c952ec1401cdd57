"""The memory that was captured with a call, and what stands for a value that is not there."""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeAlias

from engine.core.fields import JsonValue
from engine.probe.abi import EventFlag, SectionKind
from engine.probe.raw import Raw

MISSING = int(EventFlag.MISSING)
"""Flag of an event some of whose memory could not be read."""


class Absent:
    """In place of a value: there is none, or it could not be read."""


OMITTED, UNREAD = Absent(), Absent()
Value: TypeAlias = "JsonValue | Absent"
Reader: TypeAlias = Callable[[Raw], Value]
"""Makes the value of one attribute."""


def section(raw: Raw, kind: SectionKind, argument: int, filled: bool = False) -> bytes | Absent:
    """Captured memory, or why there is none.

    Args:
        raw: The event.
        kind: What it is.
        argument: Whose.
        filled: By the call, so that only one that succeeded has it.
    """
    for each in raw.sections:
        if each.kind == kind and each.argument == argument:
            return each.data
    if (filled and raw.result < 0) or not raw.flags & MISSING:
        return OMITTED
    return UNREAD if argument > 5 or raw.args[argument] else OMITTED
