"""From the text of a filter to its parts.

filter     = either
either     = both { "or" both }
both       = unary { "and" unary }
unary      = "not" unary | "(" either ")" | comparison
comparison = word [ operator value | ["not"] "in" list ] | text
list       = "[" value { "," value } "]"        also in round brackets
operator   = "==" | "!=" | "<" | "<=" | ">" | ">=" | "~" | "!~"
value      = word | text
"""

from __future__ import annotations

from typing import Literal, cast

from engine.core.filters.errors import FilterError
from engine.core.filters.syntax import (
    COMPARISONS,
    Comparison,
    Expression,
    Junction,
    Mention,
    Negation,
    Operator,
)
from engine.core.filters.tokens import Token, tokens

RESERVED = ("and", "or", "not", "in")
_DEEPEST = 50
"""Brackets and negations inside each other; more is a mistake, and would exhaust the stack."""


def parse(expression: str) -> Expression:
    """The parts of an expression.

    Raises:
        FilterError: it is empty or not well-formed.
    """
    return _Parser(expression).whole()


class _Parser:
    def __init__(self, expression: str) -> None:
        self._expression = expression
        self._tokens = tokens(expression)
        self._at = 0
        self._depth = 0

    @property
    def _token(self) -> Token:
        return self._tokens[self._at]

    def _take(self) -> Token:
        token = self._token
        self._at += token.kind != "end"
        return token

    def _wrong(self, token: Token, problem: str, hint: str = "") -> FilterError:
        return FilterError(self._expression, token.start, token.end, problem, hint)

    def whole(self) -> Expression:
        if len(self._tokens) == 1:
            raise self._wrong(self._token, "it is empty", 'write, for example, comm == "nginx"')
        found = self._joined("or")
        rest = self._take()
        if rest.is_mark(")", "]"):
            raise self._wrong(rest, "nothing opened this bracket")
        if rest.kind != "end":
            raise self._stray(rest)
        return found

    def _stray(self, token: Token) -> FilterError:
        before = self._tokens[self._tokens.index(token) - 1]
        return self._wrong(
            token,
            f"after {before.text!r} comes an operator, and, or, or the end",
            'text with blanks stands in quotes: "GET /users"',
        )

    def _joined(self, word: Literal["and", "or"]) -> Expression:
        part = self._unary if word == "and" else lambda: self._joined("and")
        parts = [part()]
        while self._token.is_word(word):
            self._take()
            parts.append(part())
        return parts[0] if len(parts) == 1 else Junction(word, tuple(parts))

    def _unary(self) -> Expression:
        if not (self._token.is_word("not") or self._token.is_mark("(")):
            return self._comparison()
        opening = self._take()
        self._depth += 1
        if self._depth > _DEEPEST:
            raise self._wrong(opening, f"more than {_DEEPEST} brackets inside each other")
        inner = Negation(self._unary()) if opening.kind == "word" else self._bracketed(opening)
        self._depth -= 1
        return inner

    def _bracketed(self, opening: Token) -> Expression:
        inner = self._joined("or")
        if self._token.is_mark(")"):
            self._take()
            return inner
        if self._token.kind == "end":
            raise self._wrong(opening, "this bracket is not closed")
        raise self._stray(self._token)

    def _comparison(self) -> Expression:
        subject = self._subject()
        if self._token.is_mark(*COMPARISONS):
            operator = cast(Operator, self._take().text)
            self._must_be_field(subject)
            return Comparison(subject, operator, (self._value(f"after {operator}"),))
        if self._token.is_word("in"):
            self._take()
            self._must_be_field(subject)
            return Comparison(subject, "in", self._list())
        if self._token.is_word("not"):
            self._take()
            self._must_be_field(subject)
            if not self._token.is_word("in"):
                raise self._wrong(self._token, "only in may follow here", "write: not in [a, b]")
            self._take()
            return Comparison(subject, "not in", self._list())
        return Mention(subject)

    def _subject(self) -> Token:
        token = self._take()
        if token.kind == "end":
            raise self._wrong(token, "a comparison is missing at the end")
        if token.kind == "mark" or token.is_word(*RESERVED):
            raise self._wrong(token, f"a field or a text is expected, not {token.text!r}")
        return token

    def _must_be_field(self, subject: Token) -> None:
        if subject.kind == "text":
            raise self._wrong(subject, "a field stands left of an operator, without quotes")

    def _value(self, where: str) -> Token:
        token = self._take()
        if token.kind in ("word", "text"):
            return token
        raise self._wrong(token, f"a value is missing {where}")

    def _list(self) -> tuple[Token, ...]:
        opening = self._take()
        if not opening.is_mark("[", "("):
            raise self._wrong(opening, "a list is missing after in", "write: in [200, 404]")
        closing = "]" if opening.text == "[" else ")"
        values = [self._value("in the list")]
        while self._token.is_mark(","):
            self._take()
            values.append(self._value("after the comma"))
        if not self._token.is_mark(closing):
            raise self._wrong(opening, "this list is not closed", f"end it with {closing}")
        self._take()
        return tuple(values)
