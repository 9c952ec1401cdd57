"""A moment of a recording as somebody types it."""

from __future__ import annotations

import re
from datetime import datetime, timedelta

from engine.core.errors import UsageError
from engine.core.filters.units import read_number
from engine.core.sanitise import clean

EXAMPLES = "14:03:22, +90s from the beginning, -10s before the end, or 2026-11-21T14:03Z"
"""What a moment may look like."""

_FARTHEST = 2.0**62
"""Nanoseconds beyond which no recording reaches."""
_CLOCK = re.compile(r"(\d{1,2}):(\d\d)(?::(\d\d)(?:\.(\d{1,9}))?)?")


def parse_moment(text: str, first_ns: int, last_ns: int) -> int:
    """The moment that a text means in a recording, in nanoseconds since the epoch.

    Args:
        text: A time of day in this box's zone, as the columns show it; a distance from the
            beginning (`+`) or before the end (`-`), with a unit; or a date and time.
        first_ns: When the recording begins.
        last_ns: When it ends.

    Raises:
        UsageError: it is none of these.
    """
    typed = text.strip()
    if typed[:1] in ("+", "-"):
        number = read_number(typed[1:])
        if number is not None and number.quantity != "size" and number.value >= 0:
            distance = int(
                min(number.value * (1e9 if number.quantity == "plain" else 1), _FARTHEST)
            )
            return first_ns + distance if typed[0] == "+" else last_ns - distance
    elif clock := _CLOCK.fullmatch(typed):
        found = _on_the_clock(clock, first_ns)
        if found is not None:
            return found
    else:
        found = _date(typed)
        if found is not None:
            return found
    raise UsageError(f"{clean(typed, 40)!r} is no moment of a recording", fix=EXAMPLES)


def _on_the_clock(clock: re.Match[str], first_ns: int) -> int | None:
    """The first time after the beginning that the clock showed this; None if no clock does."""
    hour, minute, second = (int(part or 0) for part in clock.groups()[:3])
    if hour > 23 or minute > 59 or second > 59:
        return None
    day = datetime.fromtimestamp(first_ns // 1_000_000_000)
    moment = day.replace(hour=hour, minute=minute, second=second, microsecond=0)
    nanos = int((clock[4] or "0").ljust(9, "0"))
    found = int(moment.timestamp()) * 1_000_000_000 + nanos
    # A minute that was written without its fraction may be the one the recording begins in.
    if found < first_ns - 60_000_000_000:
        found = int((moment + timedelta(days=1)).timestamp()) * 1_000_000_000 + nanos
    return found


def _date(text: str) -> int | None:
    try:
        return int(datetime.fromisoformat(text).timestamp() * 1e6) * 1_000
    except (ValueError, OverflowError, OSError):
        return None
