"""What may come next while a filter is being written."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass

from engine.core.fields import Field
from engine.core.filters.comparison import NONE
from engine.core.filters.errors import FilterError
from engine.core.filters.parser import RESERVED
from engine.core.filters.syntax import COMPARISONS
from engine.core.filters.tokens import Token, tokens
from engine.core.filters.units import EXAMPLES, quantity_of
from engine.core.kinds import KINDS

Values = Callable[[str], Iterable[str]]
"""Values seen of a field, most useful first."""

_OPERATOR_HELP = {
    "==": "equal",
    "!=": "not equal",
    "<": "less",
    "<=": "less or equal",
    ">": "more",
    ">=": "more or equal",
    "~": "contains the pattern",
    "!~": "does not contain the pattern",
}


@dataclass(frozen=True, slots=True)
class Completion:
    """One way to go on."""

    text: str
    """What to put in place of the columns `start` to `end`."""
    start: int
    end: int
    help: str


def complete(
    text: str, cursor: int, kinds: Iterable[str], values: Values = lambda name: ()
) -> list[Completion]:
    """How an expression may go on at the cursor.

    Args:
        text: The expression so far.
        cursor: Column of the cursor; what follows it is left alone.
        kinds: Names of the kinds the filter is for.
        values: Values seen of a field, for what comes after an operator.

    Returns:
        Completions that begin with the word at the cursor; none inside a quoted text.
    """
    try:
        before = tokens(text[:cursor])[:-1]
    except FilterError:
        return []
    partial = before.pop() if before and _touches(before[-1], cursor) else None
    begun = partial.text if partial else ""
    start = partial.start if partial else cursor
    fields = _fields(kinds)
    return [
        Completion(word, start, cursor, help_)
        for word, help_ in _expected(before, fields, values)
        if word.lower().startswith(begun.lower()) and word != begun
    ]


def _touches(token: Token, cursor: int) -> bool:
    return token.kind == "word" and token.end == cursor


def _fields(kinds: Iterable[str]) -> dict[str, Field]:
    found: dict[str, Field] = {}
    for name in kinds:
        for field in KINDS[name].all_fields():
            found.setdefault(field.name, field)
    return found


def _expected(
    before: list[Token], fields: dict[str, Field], values: Values
) -> Iterator[tuple[str, str]]:
    if _begins(before):
        yield from ((field.name, field.help) for field in fields.values())
        yield "not", "the opposite of what follows"
        return
    last = before[-1]
    subject = _subject(before)
    if last.is_word("not"):
        yield "in", "one of a list"
        yield from ((field.name, field.help) for field in fields.values())
    elif subject and (last.is_mark(*COMPARISONS) or _in_list(before)):
        yield from _values(fields.get(subject.text.partition(".")[0]), subject.text, values)
    elif last.kind == "word" and last.text not in RESERVED and _is_subject(before):
        yield from _OPERATOR_HELP.items()
        yield "in", "one of a list"
        yield "not in", "none of a list"
        yield from _joiners()
    elif not last.is_word("in"):
        yield from _joiners()


def _begins(before: list[Token]) -> bool:
    """Whether a field or a bracket comes next."""
    if not before or before[-1].is_word("and", "or"):
        return True
    return before[-1].is_mark("(") and not _in_list(before)


def _joiners() -> Iterator[tuple[str, str]]:
    yield "and", "both sides hold"
    yield "or", "one side holds"


def _is_subject(before: list[Token]) -> bool:
    """Whether the last word stands where a field stands."""
    return len(before) == 1 or before[-2].is_word("and", "or", "not") or before[-2].is_mark("(")


def _subject(before: list[Token]) -> Token | None:
    """The field that the last operator compares."""
    for position in range(len(before) - 1, 0, -1):
        token = before[position]
        if token.is_mark(*COMPARISONS):
            return before[position - 1]
        if token.is_word("in"):
            return before[position - 1 - before[position - 1].is_word("not")]
    return None


def _in_list(before: list[Token]) -> bool:
    """Whether a list of values is open."""
    for position in range(len(before) - 1, 0, -1):
        if before[position].is_mark("]", ")") or before[position].is_word("and", "or"):
            return False
        if before[position].is_mark("[", "("):
            return before[position - 1].is_word("in")
    return False


def _values(field: Field | None, path: str, values: Values) -> Iterator[tuple[str, str]]:
    if field is None:
        return
    if field.type == "bool":
        yield from (("true", ""), ("false", ""))
    yield from ((written, "seen") for value in values(path) if (written := _written(value)))
    if field.type in ("int", "float"):
        for example in EXAMPLES[quantity_of(field.unit)].split(", "):
            yield example, f"in {field.unit}" if field.unit else ""
    yield NONE, "no value"


def _written(value: str) -> str:
    """A value as it is written in a filter: in quotes where it must be; empty if it cannot be."""
    for written in (value, f'"{value}"', f"'{value}'"):
        try:
            first, *rest = tokens(written)
        except FilterError:
            continue
        if first.text == value and len(rest) == 1 and not first.is_word(*RESERVED, NONE):
            return written
    return ""
