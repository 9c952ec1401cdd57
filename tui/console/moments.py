"""Moments as people write them, and where a stream of records has reached one."""

from __future__ import annotations

import re
from datetime import datetime, timedelta

from engine.core.clock import parse_rfc3339
from engine.core.filters.units import read_number
from tui.console.reader import RecordsByNumber

EXAMPLES = "13:05, 13:05:07.250, -30s, -5m, now"

_TIME_OF_DAY = re.compile(r"(\d{1,2}):(\d{2})(?::(\d{2})(?:\.(\d{1,9}))?)?")


def read_moment(text: str, now_ns: int) -> int | None:
    """The moment a text names, in wall nanoseconds; None if it names none.

    Args:
        text: `now`, a time before now such as `-30s`, a time of day of this box, the last one
            that was, or RFC 3339 in UTC.
        now_ns: What is now, in wall nanoseconds.
    """
    text = text.strip()
    if text in ("now", "end"):
        return now_ns
    if text.startswith("-"):
        number = read_number(text)
        return None if number is None or number.quantity != "time" else now_ns + int(number.value)
    if "T" in text:
        try:
            return parse_rfc3339(text if "." in text else text.replace("Z", ".0Z"))
        except ValueError:
            return None
    return _time_of_day(text, now_ns)


def _time_of_day(text: str, now_ns: int) -> int | None:
    found = _TIME_OF_DAY.fullmatch(text)
    if not found:
        return None
    hour, minute, second = (int(part or 0) for part in found.group(1, 2, 3))
    nanos = int((found[4] or "").ljust(9, "0"))
    today = datetime.fromtimestamp(now_ns // 1_000_000_000)
    try:
        moment = today.replace(hour=hour, minute=minute, second=second)
    except ValueError:
        return None
    told_ns = int(moment.timestamp()) * 1_000_000_000 + nanos
    if told_ns > now_ns:
        told_ns = int((moment - timedelta(days=1)).timestamp()) * 1_000_000_000 + nanos
    return told_ns


def first_since(reader: RecordsByNumber, kind: str, ts_ns: int) -> tuple[int, bool]:
    """The number of the first record from a moment on.

    Returns:
        The number, one more than there are if the moment is still to come, and whether an
        earlier record is kept, or none has ever been.
    """
    oldest = _at(reader, kind, 1)
    low, high = oldest[0], reader.last_seq(kind) + 1
    first = low
    while low < high:
        middle = (low + high) // 2
        number, found_ns = _at(reader, kind, middle)
        if found_ns is not None and found_ns < ts_ns:
            low = max(number, middle) + 1
        else:
            high = middle
    return low, low > first or first == 1


def _at(reader: RecordsByNumber, kind: str, seq: int) -> tuple[int, int | None]:
    """Number and time of a record, or of the oldest one kept if it has left."""
    records = reader.since(kind, seq - 1, 1).records
    return (records[0].seq, records[0].ts_ns) if records else (seq, None)
