"""What a field path of a filter finds in a record, and how it compares."""

from __future__ import annotations

import operator
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any, TypeAlias

from engine.core.fields import JsonValue
from engine.core.filters.patterns import Pattern
from engine.core.filters.units import read_number

Leaf: TypeAlias = bool | int | float | str
Test = Callable[[Leaf], bool]
"""Whether one value inside a field satisfies a comparison."""


def leaves(value: JsonValue, path: str = "") -> Iterator[Leaf]:
    """Every plain value below `path` inside a field's value.

    A list stands for each of its items, a map without a path for each of its values. A map's
    own key wins over the same path taken apart at its dots.
    """
    match value:
        case None:
            return
        case str() | bool() | int() | float():
            if not path:
                yield value
        case Mapping():
            yield from _of_map(value, path)
        case Sequence():
            for item in value:
                yield from leaves(item, path)


def _of_map(value: Mapping[str, JsonValue], path: str) -> Iterator[Leaf]:
    if not path:
        for item in value.values():
            yield from leaves(item)
    elif path in value:
        yield from leaves(value[path])
    else:
        first, dot, rest = path.partition(".")
        if dot and first in value:
            yield from leaves(value[first], rest)


def as_number(value: Leaf) -> float | None:
    """The value as a number, if it is one or spells one as a filter would.

    Whole numbers stay exact. `nan`, `infinity` and `1_000` are names like any other.
    """
    if not isinstance(value, str):
        return value
    number = read_number(value)
    return number.value if number and number.bare else None


def equals_text(text: str) -> Test:
    """Equal to a text; a truth value is `true` or `false`."""
    return lambda value: as_text(value) == text


def equals_number(number: float, spelt: str) -> Test:
    """Equal to a number, or spelt like it."""
    return lambda value: as_number(value) == number or value == spelt


def ordered_number(order: str, number: float) -> Test:
    """Less or more than a number; text that is no number is neither."""
    compare = _ORDERS[order]

    def test(value: Leaf) -> bool:
        found = as_number(value)
        return found is not None and compare(found, number)

    return test


def ordered_text(order: str, text: str) -> Test:
    """Before or after a text, by code points."""
    compare = _ORDERS[order]
    return lambda value: isinstance(value, str) and compare(value, text)


def found_by(pattern: Pattern) -> Test:
    """Whether a pattern is found anywhere in the value."""
    return lambda value: pattern.found_in(as_text(value))


def as_text(value: Leaf) -> str:
    """The value as it is searched and compared as text."""
    if isinstance(value, bool):
        return "true" if value else "false"
    return str(value)


_ORDERS: dict[str, Callable[[Any, Any], bool]] = {
    "<": operator.lt,
    "<=": operator.le,
    ">": operator.gt,
    ">=": operator.ge,
}
