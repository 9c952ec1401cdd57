"""Port enumerations, Beyla's `open_port` syntax: `80,443,8000-8999`.

Format: the IntEnum of Beyla 3 (OpenTelemetry eBPF instrumentation, package `services`). What
Beyla accepts is read here with the same meaning, reversed ranges and 70000 included; whether such
entries are refused then is for who asks (`require_possible`).
"""

from __future__ import annotations

import json
import re
from dataclasses import dataclass
from typing import NamedTuple

from engine.core.errors import UsageError
from engine.core.sanitise import clean
from engine.discovery.document import Entry

_VALUE = r"[\t\n\f\r ]*[0-9]+[\t\n\f\r ]*"
"""A number between blanks; RE2's `\\s` lacks the vertical tab that Python's ASCII class has."""
_ENUMERATION = re.compile(rf"{_VALUE}(?:-{_VALUE})?(?:,{_VALUE}(?:-{_VALUE})?)*")
_UNICODE_SPACE = (
    "\t\n\v\f\r \x85\xa0\u1680\u2000\u2001\u2002\u2003\u2004\u2005\u2006\u2007\u2008\u2009\u200a"
    "\u2028\u2029\u202f\u205f\u3000"
)
"""What Go's `strings.TrimSpace` removes; `str.strip` would remove U+001C to U+001F as well."""
_LARGEST = 2**63 - 1
_LARGEST_PORT = 65535


class PortRange(NamedTuple):
    """One entry of an enumeration."""

    start: int
    end: int = 0
    """Last value of the range, included; 0 = the entry is the single value `start`."""

    def matches(self, port: int) -> bool:
        """Whether the entry covers the port; a reversed range covers none."""
        if self.end == 0:
            return port == self.start
        return self.start <= port <= self.end

    def __str__(self) -> str:
        return f"{self.start}-{self.end}" if self.end else str(self.start)


@dataclass(frozen=True, slots=True)
class PortEnum:
    """A list of ports and inclusive port ranges, in the order they were written."""

    ranges: tuple[PortRange, ...] = ()

    @classmethod
    def parse(cls, text: str) -> PortEnum:
        """Read an enumeration; blank text gives the unset one.

        Raises:
            UsageError: if the text is not of that form.
        """
        return cls().extended(text)

    def extended(self, text: str) -> PortEnum:
        """This enumeration after one more text was read into it, as Beyla reads its sources.

        Entries are appended; blank text clears what an earlier source had set.

        Raises:
            UsageError: if the text is not of that form.
        """
        trimmed = text.strip(_UNICODE_SPACE)
        if not trimmed:
            return PortEnum()
        if not _ENUMERATION.fullmatch(trimmed):
            quoted = clean(json.dumps(trimmed, ensure_ascii=False), limit=200)
            raise UsageError(
                f"invalid int enum {quoted}. Must be a comma-separated list of integers or "
                "ranges (e.g. 8000-8999)"
            )
        return PortEnum(self.ranges + tuple(_entry(entry) for entry in trimmed.split(",")))

    @classmethod
    def read(cls, entry: Entry) -> PortEnum:
        """Read the value of a YAML key: an enumeration as one value, or a list of whole numbers.

        The characters of a single value count, so `0x50` is refused there though it is 80 in a
        list. A list holds no ranges and no quoted numbers.

        Raises:
            UsageError: if it is anything else; the message begins with the place.
        """
        if entry.is_mapping:
            raise entry.place.error(
                "IntEnum: unexpected YAML node kind 4", "write 80,8000-8999 or [80, 443]"
            )
        try:
            if entry.is_sequence:
                return cls(tuple(PortRange(item.integer()) for item in entry.items()))
            return cls.parse(entry.text())
        except UsageError as error:
            if entry.is_sequence:
                raise UsageError(
                    f"IntEnum: invalid integer in list: {error.message}",
                    fix="write ranges as one value, without brackets: 80,8000-8999",
                ) from error
            raise entry.place.error(error.message) from error

    @property
    def is_set(self) -> bool:
        """Whether it is a condition at all; an unset one matches nothing and demands nothing."""
        return bool(self.ranges)

    def matches(self, port: int) -> bool:
        """Whether some entry covers the port."""
        return any(entry.matches(port) for entry in self.ranges)

    def idle_entries(self) -> tuple[PortRange, ...]:
        """Entries that cover no port a socket can have: reversed, 0, or above 65535."""
        return tuple(
            entry
            for entry in self.ranges
            if max(entry.start, 1) > min(entry.end or entry.start, _LARGEST_PORT)
        )

    def require_possible(self, origin: str) -> None:
        """Refuse what Beyla takes without a word: entries that can cover no port.

        Args:
            origin: Where they came from.

        Raises:
            UsageError: if there is such an entry.
        """
        idle = self.idle_entries()
        if idle:
            raise UsageError(
                f"{origin}: {', '.join(map(str, idle))} covers no port a socket can have",
                fix="1 to 65535, the lower end of a range first, as in 80,8000-8999 (Beyla takes "
                "it and matches nothing, and so does discover --faithful)",
            )

    def __str__(self) -> str:
        return ",".join(map(str, self.ranges))


UNSET = PortEnum()
"""No condition."""


def _entry(text: str) -> PortRange:
    start, _, end = text.partition("-")
    return PortRange(_number(start), _number(end) if end else 0)


def _number(text: str) -> int:
    """A decimal number, clamped to 63 bits as Go's `strconv.Atoi` leaves it on overflow."""
    digits = text.strip(_UNICODE_SPACE).lstrip("0")
    if len(digits) > len(str(_LARGEST)):
        return _LARGEST
    return min(int(digits or "0"), _LARGEST)
