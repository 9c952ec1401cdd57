"""Words, texts and marks of a filter expression, each with its column."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Literal

from engine.core.filters.errors import FilterError

TokenKind = Literal["word", "text", "mark", "end"]

_MARKS = ("==", "!=", "<=", ">=", "!~", "<", ">", "~", "(", ")", "[", "]", ",")
_BLANK = re.compile(r"\s+")
_WORD = re.compile(r"""[^\s()\[\],"'=!<>~]+""")
_QUOTED = re.compile(r""""((?:[^"\\]|\\.)*)"|'((?:[^'\\]|\\.)*)'""", re.DOTALL)
_ESCAPE = re.compile(r"\\([\"'])")


@dataclass(frozen=True, slots=True)
class Token:
    """A piece of the expression."""

    kind: TokenKind
    text: str
    """Its meaning: a quoted text without its quotes."""
    start: int
    """Column of its first character, from 0."""
    end: int
    """Column after its last character, as written."""

    def is_mark(self, *marks: str) -> bool:
        """Whether it is one of these operators or brackets."""
        return self.kind == "mark" and self.text in marks

    def is_word(self, *words: str) -> bool:
        """Whether it is one of these words, written without quotes."""
        return self.kind == "word" and self.text in words


def tokens(expression: str) -> list[Token]:
    """The pieces of an expression; the last one is of kind `end`.

    Raises:
        FilterError: a quote is not closed, or a character means nothing here.
    """
    return list(_scan(expression))


def _scan(expression: str) -> Iterator[Token]:
    at = 0
    while at < len(expression):
        if blank := _BLANK.match(expression, at):
            at = blank.end()
            continue
        token = _next(expression, at)
        yield token
        at = token.end
    yield Token("end", "", at, at)


def _next(expression: str, at: int) -> Token:
    if expression[at] in "\"'":
        return _quoted(expression, at)
    for mark in _MARKS:
        if expression.startswith(mark, at):
            return Token("mark", mark, at, at + len(mark))
    if word := _WORD.match(expression, at):
        return Token("word", word.group(), at, word.end())
    hint = "write == to compare" if expression[at] == "=" else "write not, != or !~"
    raise FilterError(expression, at, at + 1, f"{expression[at]!r} alone means nothing", hint)


def _quoted(expression: str, at: int) -> Token:
    """A text in quotes: a backslash keeps a quote from ending it, and is itself elsewhere."""
    found = _QUOTED.match(expression, at)
    if not found:
        raise FilterError(expression, at, len(expression), "this quote is not closed")
    inner = found.group(1) if found.group(1) is not None else found.group(2)
    return Token("text", _ESCAPE.sub(r"\1", inner), at, found.end())
