"""Where in a question SQLite's complaint points to: it names a word, and not the place of it."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator

from engine.core.errors import UsageError

Span = tuple[int, int]
"""The first wrong character of a question, from 0, and the one after the last."""

_TOKEN = re.compile(
    r"(?P<comment>--[^\n]*|/\*.*?(?:\*/|\Z))"
    r"|(?P<text>'(?:[^']|'')*(?:'|\Z))"
    r'|(?P<name>"(?:[^"]|"")*(?:"|\Z)|\[[^\]]*\]|`[^`]*`|[^\W\d][\w$]*)'
    r"|(?P<number>\d[\w.]*)|(?P<space>\s+)|(?P<mark><=|>=|<>|!=|==|\|\||.)",
    re.DOTALL,
)
_SYNTAX = re.compile(r'near "(.*)": syntax error|unrecognized token: "(.*)"', re.DOTALL)
_UNKNOWN = re.compile(
    r"(?:no such (?:column|table|function|module|index)|ambiguous column name)"
    r"(?:: | )\"?(?P<first>[^\s\"]+)|(?:function|of aggregate:?|of window function) (?P<second>\w+)"
)


class SqlError(UsageError):
    """A question that means nothing, or that is not allowed.

    Args:
        sql: The whole question.
        span: Where it is wrong; None where that is not known.
        problem: What is wrong with it.
        hint: What to write instead.
    """

    def __init__(self, sql: str, span: Span | None, problem: str, hint: str) -> None:
        self.span = span
        self.problem = problem
        super().__init__(f"the question is refused: {problem}{_pointed(sql, span)}", fix=hint)

    @property
    def start(self) -> int | None:
        """Position of the first wrong character; None where it is not known."""
        return None if self.span is None else self.span[0]


def tokens(sql: str) -> Iterator[re.Match[str]]:
    """The words, texts, marks, comments and spaces of a question; `lastgroup` tells which."""
    return _TOKEN.finditer(sql)


def place_of(sql: str, problem: str, refused: Callable[[str], str]) -> Span | None:
    """Where the question is wrong.

    Args:
        sql: The question.
        problem: What SQLite said about it.
        refused: Gives what SQLite says about another question; empty if nothing.
    """
    if problem == "incomplete input":
        return len(sql.rstrip()), len(sql.rstrip()) + 1
    if syntax := _SYNTAX.fullmatch(problem):
        return _syntax_place(sql, syntax[1] or syntax[2] or "", problem, refused)
    if unknown := _UNKNOWN.search(problem):
        return _name_place(sql, unknown["first"] or unknown["second"])
    return None


def _syntax_place(sql: str, word: str, problem: str, refused: Callable[[str], str]) -> Span | None:
    """The first such word with which what stands before it is refused the same way."""
    spans = [token.span() for token in tokens(sql) if token.group() == word]
    if not spans:
        at = sql.find(word)
        return (at, at + len(word)) if word and at >= 0 else None
    for span in spans[:-1]:
        if refused(sql[: span[1]]) == problem:
            return span
    return spans[-1]


def _name_place(sql: str, name: str) -> Span | None:
    """Where a name stands outside of texts and comments; that with a table before it if it has."""
    masked = "".join(
        " " * len(token.group()) if token.lastgroup in ("comment", "text") else token.group()
        for token in tokens(sql)
    )
    path = r"\W{0,2}\.\W{0,2}".join(map(re.escape, name.split(".")))
    for before in (r"(?<![\w.])", r"(?<!\w)"):
        if found := re.search(rf"{before}{path}(?!\w)", masked, re.IGNORECASE):
            return found.span()
    return None


def _pointed(sql: str, span: Span | None) -> str:
    """The line that is wrong with carets under the place; nothing where it is not known."""
    if span is None:
        return ""
    start = sql.rfind("\n", 0, span[0]) + 1
    line = sql[start:].split("\n", 1)[0]
    shown = "".join(char if char.isprintable() else " " for char in line)
    column = span[0] - start
    carets = "^" * max(1, min(span[1] - span[0], len(line) - column))
    number = sql.count("\n", 0, start) + 1
    return f" (line {number}, column {column + 1})\n  {shown}\n  {' ' * column}{carets}"
