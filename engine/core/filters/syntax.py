"""The parts a filter expression is made of."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from engine.core.filters.tokens import Token

Operator = Literal["==", "!=", "<", "<=", ">", ">=", "~", "!~", "in", "not in"]
COMPARISONS = ("==", "!=", "<", "<=", ">", ">=", "~", "!~")
"""Operators that are marks; `in` and `not in` are words."""


@dataclass(frozen=True, slots=True)
class Comparison:
    """`field operator value`; several values for `in`."""

    path: Token
    """The field, with what it holds below it after dots: `attributes.dip`."""
    operator: Operator
    values: tuple[Token, ...]


@dataclass(frozen=True, slots=True)
class Mention:
    """A word or text alone: a field that has a value, or text that occurs somewhere."""

    token: Token


@dataclass(frozen=True, slots=True)
class Negation:
    """`not part`."""

    part: Expression


@dataclass(frozen=True, slots=True)
class Junction:
    """Parts joined by `and` or by `or`."""

    word: Literal["and", "or"]
    parts: tuple[Expression, ...]


Expression = Comparison | Mention | Negation | Junction
