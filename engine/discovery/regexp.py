"""Regular expressions in the dialect of Beyla's older criteria: Go's RE2 syntax, read by RE2."""

from __future__ import annotations

from dataclasses import dataclass, field

from engine.core.errors import UsageError
from engine.core.sanitise import clean
from engine.discovery.re2_pattern import Re2Error, Re2Pattern


@dataclass(frozen=True, slots=True)
class Regexp:
    """A compiled regular expression, searched for anywhere in a text."""

    text: str
    _pattern: Re2Pattern = field(compare=False)

    @classmethod
    def parse(cls, text: str) -> Regexp:
        """Compile an expression.

        Raises:
            UsageError: if it is no valid RE2.
        """
        try:
            return cls(text, Re2Pattern(text))
        except Re2Error as error:
            shown = f"{clean(text, limit=200)!r}: {clean(str(error), limit=200)}"
            raise UsageError(
                f"invalid regular expression {shown}",
                fix="write it in Go's RE2 syntax: no look-around, no back-references",
            ) from error

    def matches(self, text: str) -> bool:
        """Whether it is found somewhere in the text."""
        return self._pattern.found_in(text)
