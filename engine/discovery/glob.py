"""Globs over executable paths, in the dialect of Beyla's criteria (gobwas/glob, no separators).

`*` and `**` match any run of characters, `/` included; `?` one character; `[abc]`, `[a-c]` and
`[!abc]` a class; `{x,y}` alternatives, nestable; `\\` takes the next character literally. The
whole text must match, case counts. `^` does not negate, and a class is either one range or a
plain list: in `[ab-d]` the `-` is a member.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from itertools import islice

from engine.core.errors import UsageError
from engine.core.sanitise import clean
from engine.discovery.re2_pattern import Re2Error, Re2Pattern

_ALTERNATIVES, _MOST_BRACES = 256, 50
_SPECIAL = frozenset(r"\.+*?()|[]{}^$-&~#")


@dataclass(frozen=True, slots=True)
class Glob:
    """A compiled glob."""

    text: str
    _pattern: Re2Pattern = field(compare=False)

    @classmethod
    def parse(cls, text: str) -> Glob:
        """Compile a glob.

        Raises:
            UsageError: if a character class is not closed, empty, or its range is reversed, or if
                the glob is too large.
        """
        try:
            return cls(text, Re2Pattern(f"(?s:{''.join(_translate(text))})"))
        except Re2Error as error:
            raise _invalid(text, str(error), "write a shorter one, or several criteria") from error

    def matches(self, text: str) -> bool:
        """Whether the whole text matches."""
        return self._pattern.is_all_of(text)

    def alternatives(self) -> tuple[str, ...]:
        """The globs without braces that this one stands for, at most _ALTERNATIVES of them;
        none if they are nested too deeply to tell."""
        if self.text.count("{") > _MOST_BRACES:
            return ()
        return tuple(islice(_expand(self.text), _ALTERNATIVES))


def _translate(glob: str) -> Iterator[str]:
    """The pieces of the regular expression for a glob."""
    position, depth = 0, 0
    while position < len(glob):
        character = glob[position]
        position += 1
        if character == "*":
            while glob[position : position + 1] == "*":
                position += 1
            yield ".*"
        elif character == "?":
            yield "."
        elif character == "[":
            piece, position = _class(glob, position)
            yield piece
        elif character == "{":
            depth += 1
            yield "(?:"
        elif character == "}" and depth:
            depth -= 1
            yield ")"
        elif character == "," and depth:
            yield "|"
        elif character == "\\" and position < len(glob):
            yield _literal(glob[position])
            position += 1
        else:
            yield _literal(character)
    yield ")" * depth  # an alternation left open is accepted


def _expand(glob: str) -> Iterator[str]:
    """A glob with its first alternation written out, again and again until there is none."""
    opening = next((at for at, character in _syntax(glob, 0) if character == "{"), None)
    if opening is None:
        yield glob
        return
    depth, begin, end = 1, opening + 1, len(glob)
    pieces = []
    for at, character in _syntax(glob, begin):
        depth += (character == "{") - (character == "}")
        if depth == 0 or (depth == 1 and character == ","):
            pieces.append(glob[begin:at])
            begin = at + 1
        if depth == 0:
            end = at
            break
    else:
        pieces.append(glob[begin:])
    for piece in pieces:
        yield from _expand(glob[:opening] + piece + glob[end + 1 :])


def _syntax(glob: str, position: int) -> Iterator[tuple[int, str]]:
    """The braces and commas that are neither escaped nor in a class, with their positions."""
    while position < len(glob):
        character = glob[position]
        if character == "\\":
            position += 1
        elif character == "[":
            position = max(glob.find("]", position), position)
        elif character in "{,}":
            yield position, character
        position += 1


def _class(glob: str, start: int) -> tuple[str, int]:
    """The class whose `[` stands before `start`, and the position behind its `]`."""
    end = glob.find("]", start)
    negated = glob[start : start + 1] == "!"
    members = glob[start + negated : end]
    if end < 0:
        raise _invalid(glob, "a character class is not closed")
    if not members:
        raise _invalid(glob, "a character class is empty")
    if len(members) == 3 and members[1] == "-":
        if members[0] > members[2]:
            raise _invalid(glob, f"the range {members} is reversed")
        inside = f"{_literal(members[0])}-{_literal(members[2])}"
    elif len(members) == 2 and members[1] == "-":
        raise _invalid(glob, f"the range {members} has no end")
    else:
        inside = "".join(map(_literal, members))
    return f"[{'^' if negated else ''}{inside}]", end + 1


def _literal(character: str) -> str:
    """The character as a pattern, outside a class and in one."""
    return f"\\{character}" if character in _SPECIAL else character


def _invalid(glob: str, why: str, fix: str = r"write \[ for a literal bracket") -> UsageError:
    return UsageError(f"invalid glob {clean(glob, limit=200)!r}: {clean(why, limit=200)}", fix=fix)
