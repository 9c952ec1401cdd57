"""Numbers with units: `5ms`, `2MB`, `1.5k`, `0x1f`, converted to the unit a field has."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Literal

Quantity = Literal["time", "size", "plain"]

_TIMES = {
    "ns": 1.0,
    "us": 1e3,
    "µs": 1e3,
    "μs": 1e3,
    "ms": 1e6,
    "s": 1e9,
    "min": 60e9,
    "m": 60e9,
    "h": 3.6e12,
}
_SIZES = {
    "B": 1.0,
    **{f"{prefix}B": 1000.0**power for power, prefix in enumerate(("k", "M", "G", "T"), 1)},
    "KB": 1000.0,
    **{f"{prefix}iB": 1024.0**power for power, prefix in enumerate(("K", "M", "G", "T"), 1)},
}
_PLAIN = {"": 1.0, "k": 1e3, "M": 1e6, "G": 1e9}
_NUMBER = re.compile(
    r"(?P<hex>-?0[xX][0-9a-fA-F]+)|(?P<whole>[-+]?\d{1,300})|(?P<value>[-+]?(?:\d+\.?\d*|\.\d+)(?:[eE][-+]?\d+)?)"
    r"(?P<unit>[A-Za-zµμ]*)(?P<rate>/s)?",
)

EXAMPLES = {"time": "5ms, 250us, 2s", "size": "2MB, 64KiB", "plain": "10, 2.5k, 0x1f"}
"""What a number of each quantity may look like."""


@dataclass(frozen=True, slots=True)
class Number:
    """A number as it was written."""

    value: float
    """In nanoseconds, bytes, or as it stands; a whole one is exact, as identifiers must be."""
    quantity: Quantity
    """Of which sort its unit is; `plain` for one without a unit."""
    scaled: bool = False
    """Whether `k`, `M` or `G` stood behind it."""
    rate: bool = False
    """Whether `/s` stood behind it."""

    @property
    def bare(self) -> bool:
        """Whether it is digits alone: `5m` and `2k` may as well be names."""
        return self.quantity == "plain" and not self.scaled and not self.rate


def read_number(text: str) -> Number | None:
    """The number that a word spells, or None if it spells none."""
    found = _NUMBER.fullmatch(text)
    if not found:
        return None
    if found["hex"]:
        return Number(int(found["hex"], 16), "plain")
    if found["whole"]:
        return Number(int(found["whole"]), "plain")
    unit, value, rate = found["unit"], float(found["value"]), bool(found["rate"])
    if unit in _PLAIN:
        return Number(value * _PLAIN[unit], "plain", scaled=bool(unit), rate=rate)
    if unit in _TIMES and not rate:
        return Number(value * _TIMES[unit], "time")
    return Number(value * _SIZES[unit], "size", rate=rate) if unit in _SIZES else None


def quantity_of(unit: str) -> Quantity:
    """The sort of quantity that a field's unit measures."""
    base = unit.removesuffix("/s")
    if unit in _TIMES:
        return "time"
    return "size" if base in _SIZES else "plain"


def in_unit(number: Number, unit: str) -> float | None:
    """The number in a field's unit; a plain one is taken to be in it already.

    Returns:
        None if it measures something else than the field does.
    """
    if number.rate and not unit.endswith("/s"):
        return None
    if number.quantity == "plain":
        return number.value
    if number.quantity != quantity_of(unit):
        return None
    scale = _TIMES[unit] if number.quantity == "time" else _SIZES[unit.removesuffix("/s")]
    return number.value / scale
