"""Regular expressions in the dialect of Beyla's older criteria: Go's RE2 syntax.

Translated to Python's syntax where the two differ: `$` is the end of the text alone, `\\s`, `\\d`
and `\\w` are ASCII, flags may stand anywhere, `{` that begins no repetition is literal. What RE2
refuses (look-around, back-references, possessive repetition) is refused. Unicode classes such as
`\\pL` are RE2's but not known here.
"""

from __future__ import annotations

import re
import warnings
from dataclasses import dataclass, field

from engine.core.errors import UsageError
from engine.core.sanitise import clean

_REPETITION = re.compile(r"\{[0-9]+(?:,[0-9]*)?\}")
_FLAGS = re.compile(r"\(\?([imsU]*)(?:-([imsU]+))?([:)])")
_NAMED = re.compile(r"\(\?P?<([A-Za-z_][A-Za-z0-9_]*)>")
_POSIX = {
    "alnum": "0-9A-Za-z", "alpha": "A-Za-z", "ascii": r"\x00-\x7f", "blank": r"\t ",
    "cntrl": r"\x00-\x1f\x7f", "digit": "0-9", "graph": "!-~", "lower": "a-z", "print": " -~",
    "punct": r"!-/:-@\[-`{-~", "space": r"\t\n\v\f\r ", "upper": "A-Z", "word": "0-9A-Za-z_",
    "xdigit": "0-9A-Fa-f",
}  # fmt: skip
_SPACE = r"\t\n\f\r "
_NO_SPACE = r"\x00-\x08\x0b\x0e-\x1f!-\U0010ffff"
_ASSERTIONS = {"A": r"(?:\A)", "z": r"(?:\Z)", "b": r"(?:\b)", "B": r"(?:(?!\b))"}
"""Python's `\\B` does not hold in an empty text."""
_LARGEST_REPEAT = 1000


@dataclass(frozen=True, slots=True)
class Regexp:
    """A compiled regular expression, searched for anywhere in a text."""

    text: str
    _pattern: re.Pattern[str] = field(compare=False)

    @classmethod
    def parse(cls, text: str) -> Regexp:
        """Compile an expression.

        Raises:
            UsageError: if it is no valid RE2, or uses what is not known here.
        """
        translated = _Translation(text).result()
        try:
            with warnings.catch_warnings():
                warnings.simplefilter("ignore", FutureWarning)  # `[[` and the like are literal
                return cls(text, re.compile(translated, re.ASCII))
        except (re.error, OverflowError, RecursionError) as error:
            raise _invalid(text, str(error)) from error

    def matches(self, text: str) -> bool:
        """Whether it is found somewhere in the text."""
        return self._pattern.search(text) is not None


@dataclass(slots=True)
class _Group:
    """An open group: the flags that hold in it, and the flag groups opened inside for them."""

    multiline: bool
    opened: list[str] = field(default_factory=list)


class _Translation:
    """One pass over an expression."""

    def __init__(self, text: str) -> None:
        self._text = text
        self._at = 0
        self._out: list[str] = []
        self._groups = [_Group(multiline=False)]
        self._repeated = False
        """Whether what was written last is a repetition, which may not be repeated."""

    def result(self) -> str:
        """The same expression in Python's syntax."""
        while self._at < len(self._text):
            self._step()
        if len(self._groups) > 1:
            raise self._wrong("missing closing )")
        return "".join(self._out) + ")" * len(self._groups[0].opened)

    def _step(self) -> None:
        character = self._text[self._at]
        repetition = _REPETITION.match(self._text, self._at)
        if character in "*+?" or repetition:
            self._repeat(repetition[0] if repetition else character)
            return
        self._repeated = False
        if character == "(":
            self._open()
        elif character == "[":
            self._class()
        elif character == "\\":
            self._escape()
        else:
            self._at += 1
            self._plain(character)

    def _plain(self, character: str) -> None:
        group = self._groups[-1]
        if character == ")":
            if len(self._groups) == 1:
                raise self._wrong("unexpected )")
            self._groups.pop()
            self._out.append(")" * (len(group.opened) + 1))
        elif character == "|":
            self._out.append(")" * len(group.opened) + "|" + "".join(group.opened))
        elif character == "$":
            self._out.append("(?:$)" if group.multiline else r"(?:\Z)")
        elif character == "^":
            self._out.append("(?:^)")  # in a group, since RE2 lets assertions be repeated
        else:
            self._out.append(r"\{" if character == "{" else character)

    def _repeat(self, operator: str) -> None:
        if self._repeated:
            raise self._wrong(f"invalid nested repetition operator {operator}")
        if operator[0] == "{":
            counts = [int(count) for count in operator[1:-1].split(",") if count]
            if max(counts) > _LARGEST_REPEAT or counts != sorted(counts):
                raise self._wrong(f"invalid repeat count {operator}")
        self._at += len(operator)
        if self._text[self._at : self._at + 1] == "?":
            operator += "?"
            self._at += 1
        self._out.append(operator)
        self._repeated = True

    def _open(self) -> None:
        rest, group = self._text[self._at :], self._groups[-1]
        if flags := _FLAGS.match(rest):
            self._flags(*flags.groups())
            self._at += flags.end()
        elif named := _NAMED.match(rest):
            self._out.append(f"(?P<{named[1]}>")
            self._groups.append(_Group(group.multiline))
            self._at += named.end()
        elif rest.startswith("(?"):
            raise self._wrong(f"RE2 has no {clean(rest[:4])}: no look-around, no back-references")
        else:
            self._out.append("(")
            self._groups.append(_Group(group.multiline))
            self._at += 1

    def _flags(self, on: str, off: str | None, end: str) -> None:
        off = off or ""
        if "U" in on + off:
            raise self._wrong("the flag U is not known here")
        group = self._groups[-1]
        multiline = (group.multiline or "m" in on) and "m" not in off
        opening = f"(?{on}{'-' if off else ''}{off}:"
        self._out.append(opening)
        if end == ":":
            self._groups.append(_Group(multiline))
        else:
            group.multiline = multiline
            group.opened.append(opening)

    def _class(self) -> None:
        """A `[...]`; RE2 reads it as Python does, but for POSIX names and escapes."""
        self._at += 1
        negated = self._text.startswith("^", self._at)
        self._at += negated
        parts, first = ["[^" if negated else "["], True
        while first or not self._text.startswith("]", self._at):
            character = self._text[self._at : self._at + 1]
            if not character:
                raise self._wrong("missing closing ]")
            posix = re.compile(r"\[:([a-z]+):\]").match(self._text, self._at)
            if posix and posix[1] in _POSIX:
                parts.append(_POSIX[posix[1]])
                self._at = posix.end()
            elif character == "\\":
                parts.append(self._escaped(inside=True))
            else:
                parts.append("\\" + character if character in "[]&~|" else character)
                self._at += 1
            first = False
        self._at += 1
        self._out.append("".join(parts) + "]")

    def _escape(self) -> None:
        self._out.append(self._escaped(inside=False))

    def _escaped(self, *, inside: bool) -> str:
        """The escape that begins here."""
        rest = self._text[self._at :]
        letter = rest[1:2]
        if rest.startswith(r"\Q") and not inside:
            quoted, _, _ = rest[2:].partition(r"\E")
            self._at += 2 + len(quoted) + 2
            return re.escape(quoted)
        if code := re.compile(r"\\x(?:([0-9a-fA-F]{2})|\{([0-9a-fA-F]{1,6})\})").match(rest):
            self._at += code.end()
            return re.escape(chr(min(int(code[1] or code[2], 16), 0x10FFFF)))
        if octal := re.compile(r"\\(0[0-7]{0,2}|[1-7][0-7]{1,2})").match(rest):
            self._at += octal.end()
            return re.escape(chr(int(octal[1], 8)))
        self._at += 2
        if letter == "s":
            return _SPACE if inside else f"[{_SPACE}]"
        if letter == "S":
            return _NO_SPACE if inside else f"[^{_SPACE}]"
        if letter in _ASSERTIONS and not inside:
            return _ASSERTIONS[letter]
        if letter in "dDwWaftnrv":
            if letter:
                return "\\" + letter
            raise self._wrong("trailing backslash")
        if letter.isascii() and not letter.isalnum():
            return "\\" + letter
        if letter in "pPC":
            raise self._wrong(f"\\{letter} is not known here")
        raise self._wrong(f"RE2 has no \\{clean(letter)}")

    def _wrong(self, why: str) -> UsageError:
        return _invalid(self._text, why)


def _invalid(text: str, why: str) -> UsageError:
    return UsageError(
        f"invalid regular expression {clean(text, limit=200)!r}: {clean(why, limit=200)}",
        fix="write it in Go's RE2 syntax",
    )
