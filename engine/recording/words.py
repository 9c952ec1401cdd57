"""What may come next while a question in SQL is being written."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping, Sequence

from engine.core.filters.completion import Completion
from engine.core.kinds import KINDS
from engine.recording.place import tokens
from engine.recording.query import Relation

_KEYWORDS = (
    "SELECT", "DISTINCT", "FROM", "JOIN", "LEFT JOIN", "USING", "ON", "WHERE", "AND", "OR", "NOT",
    "IN", "LIKE", "GLOB", "BETWEEN", "IS NULL", "IS NOT NULL", "GROUP BY", "HAVING", "ORDER BY",
    "ASC", "DESC", "LIMIT", "AS", "CASE", "WHEN", "THEN", "ELSE", "END", "UNION ALL", "WITH",
)  # fmt: skip
_FUNCTIONS = {
    "abs": "without its sign",
    "avg": "mean",
    "coalesce": "the first that is not NULL",
    "count": "how many",
    "group_concat": "all texts in one",
    "json_each": "a row for each item of a list or map: FROM t, json_each(t.column)",
    "json_extract": "part of a list or map: json_extract(attributes, '$.name')",
    "length": "characters, or bytes",
    "lower": "in small letters",
    "max": "largest",
    "min": "smallest",
    "replace": "with one text in place of another",
    "round": "rounded: round(x, 3)",
    "strftime": "a time as text",
    "substr": "part of a text: substr(time, 1, 19)",
    "sum": "all added up",
}
_BEFORE_RELATION = frozenset({"FROM", "JOIN"})
_AFTER_RELATION = frozenset({"WHERE", "GROUP", "ORDER", "LIMIT", "SELECT", "ON", "USING", "HAVING"})


def complete_sql(text: str, cursor: int, relations: Sequence[Relation]) -> list[Completion]:
    """How a question may go on at the cursor.

    Args:
        text: The whole question.
        cursor: Position of the cursor.
        relations: The tables and views there are.

    Returns:
        Completions that begin with the word at the cursor, the likeliest first; none within a
        text or a comment.
    """
    written = [token for token in tokens(text) if token.lastgroup != "space"]
    before = [token for token in written if token.start() < cursor]
    last = before[-1] if before else None
    if last is not None and _is_within(last, cursor):
        return []
    begun, start = "", cursor
    if last is not None and last.lastgroup == "name" and cursor <= last.end():
        begun, start = text[last.start() : cursor], last.start()
        before.pop()
    known = {relation.name.lower(): relation for relation in relations}
    words = [token.group() for token in before]
    named = _named([token.group() for token in written], known)
    return [
        Completion(word, start, cursor, help_)
        for word, help_ in dict(_expected(words, named, relations, bool(begun))).items()
        if word.lower().startswith(begun.lower()) and word != begun
    ]


def _is_within(token: re.Match[str], cursor: int) -> bool:
    """Whether a text or a comment goes on at the cursor."""
    if token.lastgroup not in ("text", "comment") or cursor > token.end():
        return False
    closed = len(token.group()) > 1 and token.group().endswith(("'", "*/"))
    return cursor < token.end() or not closed


def _named(words: Sequence[str], known: Mapping[str, Relation]) -> dict[str, Relation]:
    """The tables of a question, by name and by what it calls them."""
    found: dict[str, Relation] = {}
    for position, word in enumerate(words):
        relation = known.get(word.lower())
        before = words[position - 1].upper() if position else ""
        if relation is None or not (before in _BEFORE_RELATION or before == ","):
            continue
        found[word.lower()] = relation
        alias = [each for each in words[position + 1 : position + 3] if each.upper() != "AS"][:1]
        if alias and alias[0].isidentifier() and alias[0].upper() not in _AFTER_RELATION:
            found[alias[0].lower()] = relation
    return found


def _expected(
    before: Sequence[str],
    named: Mapping[str, Relation],
    relations: Iterable[Relation],
    begun: bool,
) -> Iterator[tuple[str, str]]:
    """Everything that may stand there, with what it is; some only once a letter is typed."""
    last = before[-1].upper() if before else ""
    if last == ".":
        relation = named.get(before[-2].lower()) if len(before) > 1 else None
        yield from _columns([relation] if relation else [])
        return
    if last in _BEFORE_RELATION:
        yield from ((relation.name, relation.help) for relation in relations)
        return
    if not before:
        yield from (("SELECT", ""), ("WITH", ""))
        return
    yield from _columns(named.values() or (relations if begun else ()))
    if begun:
        yield from ((word, "") for word in _KEYWORDS)
        yield from _FUNCTIONS.items()
        yield from ((name, relation.help) for name, relation in named.items())


def _columns(relations: Iterable[Relation]) -> Iterator[tuple[str, str]]:
    for relation in relations:
        for column in relation.columns:
            yield column, _help(relation, column)


def _help(relation: Relation, column: str) -> str:
    """What a column holds, where its kind declares it."""
    kind = KINDS.get(relation.name)
    field = next((each for each in kind.fields if each.name == column), None) if kind else None
    if field is None:
        return f"of {relation.name}"
    return field.help + (f" [{field.unit}]" if field.unit else "")
