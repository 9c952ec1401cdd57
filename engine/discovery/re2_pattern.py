"""Patterns that RE2 looks for: any pattern in time linear in the text, so none can stop a scan.

Beyla's own expressions are RE2's, and its globs never go back either. Patterns and texts cross over
as bytes, since a path may hold bytes that are no UTF-8; like Go we see U+FFFD there.
"""

from __future__ import annotations

import re2

_OPTIONS = re2.Options()
_OPTIONS.log_errors = False  # they are raised; the log would go to the terminal
_OPTIONS.never_capture = True  # what a group matched costs time, and nobody asks


class Re2Error(ValueError):
    """RE2 does not take the pattern; the text says why."""


class Re2Pattern:
    """A compiled pattern.

    Args:
        pattern: In RE2's syntax.

    Raises:
        Re2Error: if it is none, or takes RE2 more than its 8 MiB.
    """

    __slots__ = ("_compiled",)

    def __init__(self, pattern: str) -> None:
        try:
            self._compiled = re2.compile(_encoded(pattern), _OPTIONS)
        except re2.error as error:
            raise Re2Error(_reason(error)) from error

    def found_in(self, text: str) -> bool:
        """Whether it matches somewhere in the text."""
        return self._compiled.search(_encoded(text)) is not None

    def is_all_of(self, text: str) -> bool:
        """Whether it matches the whole text."""
        return self._compiled.fullmatch(_encoded(text)) is not None


def _encoded(text: str) -> bytes:
    try:
        return text.encode()
    except UnicodeEncodeError:
        return "".join("\ufffd" if "\ud800" <= each <= "\udfff" else each for each in text).encode()


def _reason(error: Exception) -> str:
    said = error.args[0] if error.args else ""
    return said.decode("utf-8", "replace") if isinstance(said, bytes) else str(said)
