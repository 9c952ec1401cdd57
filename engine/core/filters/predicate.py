"""The filter language: one text that chooses records, wherever records are read.

    comm == nginx and latency_ms > 5ms
    protocol in [HTTP, DNS] and not status == 200
    attributes.dip ~ "^10\\." or "connection refused"

A field is written by its name; what a list or a map holds is reached after a dot, and a
comparison with several values is true if one of them satisfies it. `!=`, `!~` and `not in` say
exactly what `not` before `==`, `~` and `in` says, so they hold for a record without the field.
A pattern has RE2's syntax, Go's as well: without look-around, so that none takes long.
A word that is no field, and any text in quotes, stands for records that contain it.
"""

from __future__ import annotations

import difflib
from collections.abc import Callable, Iterable

from engine.core.fields import COMMON, Field, JsonValue, RecordKind
from engine.core.filters.comparison import TestMaker, names_none
from engine.core.filters.errors import FilterError
from engine.core.filters.parser import parse
from engine.core.filters.syntax import Comparison, Expression, Junction, Mention, Negation
from engine.core.filters.tokens import Token
from engine.core.filters.values import Leaf, Test, as_text, leaves
from engine.core.kinds import KINDS
from engine.core.records import Record

Predicate = Callable[[Record], bool]
_Getter = Callable[[Record], JsonValue]
_Scalar = (str, int, float)
_COMMON = {field.name: field for field in COMMON}


class Filter:
    """A filter expression, ready for records of some kinds.

    Args:
        text: The expression.
        kinds: Names of the kinds it will meet; a field must be one of theirs. All, if empty.

    Raises:
        FilterError: the expression is not well-formed, names no field of these kinds, or
            compares a field with what it cannot hold.
    """

    def __init__(self, text: str, kinds: Iterable[str] = ()) -> None:
        self.text = text
        self._kinds = tuple(kinds) or tuple(KINDS)
        self._expression = parse(text)
        _check_names(text, self._expression, [KINDS[name] for name in self._kinds])
        names = frozenset[str]().union(*(KINDS[name].names for name in self._kinds))
        self._of_kind = {
            name: _Compiler(text, KINDS[name], names).predicate(self._expression)
            for name in self._kinds
        }

    def matches(self, record: Record) -> bool:
        """Whether the filter chooses a record; one of a kind it was not made for, never."""
        predicate = self._of_kind.get(record.kind)
        return predicate is not None and predicate(record)


def _check_names(text: str, expression: Expression, kinds: list[RecordKind]) -> None:
    match expression:
        case Junction(parts=parts):
            for part in parts:
                _check_names(text, part, kinds)
        case Negation(part=part):
            _check_names(text, part, kinds)
        case Comparison(path=path):
            if not any(_field(kind, path.text) for kind in kinds):
                raise _unknown(text, path, kinds)


def _unknown(text: str, path: Token, kinds: list[RecordKind]) -> FilterError:
    name = path.text.partition(".")[0]
    names = sorted(frozenset[str]().union(*(kind.names for kind in kinds)))
    close = difflib.get_close_matches(name, names, n=3)
    hint = f"is it {' or '.join(close)}?" if close else f"fields: {', '.join(names)}"
    return FilterError(text, path.start, path.start + len(name), f"there is no field {name}", hint)


def _field(kind: RecordKind, path: str) -> Field | None:
    name = path.partition(".")[0]
    position = kind.index.get(name)
    return kind.fields[position] if position is not None else _COMMON.get(name)


class _Compiler:
    """Makes the predicate of an expression for one kind.

    Args:
        text: The whole filter, for errors.
        kind: The kind of the records it will meet.
        names: Fields of any of the filter's kinds.
    """

    def __init__(self, text: str, kind: RecordKind, names: frozenset[str]) -> None:
        self._text = text
        self._kind = kind
        self._names = names

    def predicate(self, expression: Expression) -> Predicate:
        match expression:
            case Junction(word="and", parts=parts):
                all_of = tuple(self.predicate(part) for part in parts)
                return lambda record: all(part(record) for part in all_of)
            case Junction(parts=parts):
                any_of = tuple(self.predicate(part) for part in parts)
                return lambda record: any(part(record) for part in any_of)
            case Negation(part=part):
                return _negated(self.predicate(part))
            case Mention(token=token):
                return self._mention(token)
        return self._comparison(expression)

    def _comparison(self, comparison: Comparison) -> Predicate:
        field = _field(self._kind, comparison.path.text)
        negative = comparison.operator in ("!=", "!~", "not in")
        if field is None:
            return lambda record: negative
        inner = comparison.path.text.partition(".")[2]
        if inner and field.type not in ("list", "map"):
            raise self._nothing_below(comparison.path, field)
        test = TestMaker(self._text, field, inside=bool(inner)).make(comparison)
        getter = self._getter(field)
        if names_none(comparison.values) and comparison.operator not in ("~", "!~"):
            found = _empty_or(getter, inner, test)
        else:
            found = _any_leaf(getter, inner, test)
        return _negated(found) if negative else found

    def _nothing_below(self, path: Token, field: Field) -> FilterError:
        start = path.start + len(field.name)
        problem = f"{field.name} holds one value, and nothing below it"
        return FilterError(self._text, start, path.end, problem)

    def _mention(self, token: Token) -> Predicate:
        """A field named alone has a value other than none, false, 0 and the empty text."""
        if token.kind == "word" and (field := _field(self._kind, token.text)):
            return _any_leaf(self._getter(field), token.text.partition(".")[2], bool)
        if token.kind == "word" and token.text.partition(".")[0] in self._names:
            return lambda record: False
        return self._containing(token.text)

    def _containing(self, text: str) -> Predicate:
        """Whether a column shows the text, in upper or lower case."""
        wanted = text.lower()
        getters = [
            self._getter(field)
            for field in self._kind.all_fields()
            if not field.hidden and field.name != "ts"
        ]
        return lambda record: any(
            wanted in as_text(leaf).lower() for getter in getters for leaf in leaves(getter(record))
        )

    def _getter(self, field: Field) -> _Getter:
        position = self._kind.index.get(field.name)
        if position is None:
            return lambda record: record.get(field.name)
        return lambda record: record.values[position]


def _negated(predicate: Predicate) -> Predicate:
    return lambda record: not predicate(record)


def _any_leaf(getter: _Getter, inner: str, test: Test) -> Predicate:
    def predicate(record: Record) -> bool:
        value = getter(record)
        if value is None:
            return False
        if isinstance(value, _Scalar):
            return not inner and test(value)
        return any(test(leaf) for leaf in leaves(value, inner))

    return predicate


def _empty_or(getter: _Getter, inner: str, test: Test) -> Predicate:
    """Whether nothing is there, or a value that passes."""

    def predicate(record: Record) -> bool:
        found: list[Leaf] = list(leaves(getter(record), inner))
        return not found or any(test(leaf) for leaf in found)

    return predicate
