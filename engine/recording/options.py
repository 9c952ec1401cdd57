"""What a recording may grow to, and what is left out of it."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass

from engine.core.errors import UsageError
from engine.core.filters import Filter
from engine.core.filters.units import read_number
from engine.core.kinds import KINDS, TABLE_KEYS
from engine.core.records import Record
from engine.core.sanitise import clean
from engine.recording.redaction import redaction

FILTERED = tuple(kind for kind in KINDS if kind not in (*TABLE_KEYS, "log", "stats"))
"""Kinds a filter chooses among; the states around them are always recorded whole."""
LEAST_BYTES = 1_000_000
LONGEST_S = 1e9
"""Longer than any box has run: some thirty years, which its clock can be set back by."""


@dataclass(frozen=True)
class RecordingOptions:
    """What a recording may grow to, and what is left out of it."""

    keep_s: float | None = None
    """Only the last so many seconds are kept; None for all."""
    max_bytes: int | None = None
    """The oldest records go when the file is larger; None for no bound."""
    redact: tuple[str, ...] = ()
    """Sorts of content left out, see `engine.recording.redaction`."""
    filter_text: str = ""
    """Events, messages and records that it does not choose are not recorded."""

    def wanted(self) -> Callable[[Record], bool]:
        """Whether a record is to be recorded, as far as the filter decides it.

        Raises:
            FilterError: the filter means nothing.
        """
        if not self.filter_text:
            return lambda record: True
        chosen = Filter(self.filter_text, FILTERED)
        return lambda record: record.kind not in FILTERED or chosen.matches(record)


def read_options(
    keep: str = "", max_size: str = "", redact: Iterable[str] = (), filter_text: str = ""
) -> RecordingOptions:
    """The options that somebody has typed; empty text asks for nothing.

    Args:
        keep: How long records are kept: minutes, or a time with its unit.
        max_size: How large the file may grow: bytes, or a size with its unit.
        redact: Sorts of content left out.
        filter_text: Which records are wanted, in the filter language.

    Raises:
        UsageError: some of it means nothing.
    """
    options = RecordingOptions(
        keep_seconds(keep), size_bytes(max_size), tuple(redact), filter_text.strip()
    )
    redaction(options.redact)
    options.wanted()
    return options


def redacted_sorts(text: str) -> tuple[str, ...]:
    """The sorts of content that somebody has typed, between commas or blanks.

    Raises:
        UsageError: there is no such sort.
    """
    sorts = tuple(text.replace(",", " ").split())
    redaction(sorts)
    return sorts


def keep_seconds(text: str) -> float | None:
    """A time as somebody has typed it, in seconds; None for empty text.

    Raises:
        UsageError: it is no time, or none at all.
    """
    if not text.strip():
        return None
    number = read_number(text.strip())
    if number is None or number.quantity == "size":
        raise UsageError(f"{clean(text, 40)!r} is no time", fix="minutes, as in 10, or 90s or 2h")
    seconds = number.value * 60 if number.quantity == "plain" else number.value / 1e9
    if seconds <= 0:
        raise UsageError("a recording cannot keep no time at all", fix="as in 10 for minutes")
    return min(seconds, LONGEST_S)


def size_bytes(text: str) -> int | None:
    """A size as somebody has typed it, in bytes; None for empty text.

    Raises:
        UsageError: it is no size, or too small a one.
    """
    if not text.strip():
        return None
    number = read_number(text.strip())
    if number is None or number.quantity == "time":
        raise UsageError(f"{clean(text, 40)!r} is no size", fix="as in 500MB or 2GiB")
    if number.value < LEAST_BYTES:
        raise UsageError(f"{clean(text, 40)!r} is too small for a file", fix="1MB at least")
    return int(min(number.value, 2.0**62))
