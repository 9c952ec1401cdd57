"""From a comparison and the declaration of its field to a test of one value."""

from __future__ import annotations

from collections.abc import Iterable

from engine.core.fields import Field
from engine.core.filters.errors import FilterError
from engine.core.filters.patterns import Pattern
from engine.core.filters.syntax import Comparison
from engine.core.filters.tokens import Token
from engine.core.filters.units import EXAMPLES, in_unit, quantity_of, read_number
from engine.core.filters.values import (
    Test,
    equals_number,
    equals_text,
    found_by,
    ordered_number,
    ordered_text,
)

NONE = "none"
"""What a field without a value equals."""
_TRUTH = ("true", "false")


def is_none(token: Token) -> bool:
    """Whether a value is the word for no value."""
    return token.is_word(NONE)


class TestMaker:
    """Makes the test of one comparison against one field.

    Args:
        expression: The whole filter, for errors.
        field: What the comparison's path begins with.
        inside: Whether the path goes on below the field, where nothing is declared.
    """

    __test__ = False

    def __init__(self, expression: str, field: Field, *, inside: bool) -> None:
        self._expression = expression
        self._field = field
        self._declared = not inside and field.type not in ("list", "map")

    def make(self, comparison: Comparison) -> Test:
        """The test that any of the field's values must pass.

        Negation, and the word for no value, are left to the caller.

        Raises:
            FilterError: a value cannot be what the field holds.
        """
        operator = comparison.operator.removeprefix("not ")
        if operator == "in":
            tests = [self._equal(value) for value in comparison.values]
            return lambda value: any(test(value) for test in tests)
        (value,) = comparison.values
        if operator in ("~", "!~"):
            return found_by(self._pattern(value))
        if operator in ("==", "!="):
            return self._equal(value)
        return self._ordered(operator, value)

    def _wrong(self, token: Token, problem: str, hint: str = "") -> FilterError:
        return FilterError(self._expression, token.start, token.end, problem, hint)

    def _pattern(self, token: Token) -> Pattern:
        try:
            return Pattern(token.text)
        except ValueError as error:
            raise self._wrong(token, f"this pattern is wrong: {error}") from error

    def _equal(self, token: Token) -> Test:
        if is_none(token):
            return lambda value: False
        if self._declared and self._field.type == "bool" and token.text not in _TRUTH:
            raise self._wrong(token, f"{self._field.name} is true or false")
        number = self._number(token)
        return equals_text(token.text) if number is None else equals_number(number, token.text)

    def _ordered(self, operator: str, token: Token) -> Test:
        if is_none(token) or (self._declared and self._field.type == "bool"):
            raise self._wrong(token, f"nothing is less or more than {token.text}")
        number = self._number(token)
        if number is not None:
            return ordered_number(operator, number)
        return ordered_text(operator, token.text)

    def _number(self, token: Token) -> float | None:
        """The value as a number in the field's unit; None where it is to be taken as text.

        Text in quotes is a number only where the field is one.
        """
        numeric = self._declared and self._field.type in ("int", "float")
        if token.kind == "text" and not numeric:
            return None
        number = read_number(token.text)
        if number is None:
            if numeric:
                raise self._wrong(token, f"{self._field.name} is a number", self._example())
            return None
        if not numeric:
            return number.value if number.bare else None
        converted = in_unit(number, self._field.unit)
        if converted is None:
            raise self._wrong(token, f"{self._field.name} {self._measures()}", self._example())
        return converted

    def _measures(self) -> str:
        match quantity_of(self._field.unit):
            case "time":
                return f"is a time, in {self._field.unit} if no unit is given"
            case "size":
                return f"is a size, in {self._field.unit} if no unit is given"
        return f"is counted in {self._field.unit}" if self._field.unit else "has no unit"

    def _example(self) -> str:
        return f"write, for example, {EXAMPLES[quantity_of(self._field.unit)]}"


def names_none(values: Iterable[Token]) -> bool:
    """Whether no value is among the values compared with."""
    return any(is_none(value) for value in values)
