"""Regular expressions that end in time, whatever the text and whoever wrote the expression.

Python's own search goes back and tries again: `(a+)+$` takes longer than anybody waits on forty
letters, holding the interpreter, so that one filter would stop the whole console. RE2 takes time
in proportion to the text. In return it has no look-around and no references back.
"""

from __future__ import annotations

_MOST_MEMORY = 32 << 20
_LONGEST = 4096


class Pattern:
    """A regular expression in RE2's syntax (as Go's), searched for anywhere in a text.

    Args:
        text: The expression.

    Raises:
        ValueError: it is no valid one, or too large; the message says why.
    """

    def __init__(self, text: str) -> None:
        import re2  # here, because most filters have no pattern and it takes a while to load

        if len(text) > _LONGEST:
            raise ValueError(f"it has {len(text)} characters; at most {_LONGEST} are taken")
        options = re2.Options()
        options.max_mem = _MOST_MEMORY
        options.log_errors = False
        try:
            re2.compile(text, options)
        except (re2.error, UnicodeEncodeError) as error:
            raise ValueError(_reason(error)) from None
        # A set of one: told only whether it is found, it is five times as fast as a search.
        self._set = re2.Set.SearchSet(options)
        self._set.Add(text)
        self._set.Compile()

    def found_in(self, text: str) -> bool:
        """Whether it is found somewhere in the text."""
        try:
            return bool(self._set.Match(text))
        except UnicodeEncodeError:  # half a surrogate pair, which is no character
            return bool(self._set.Match(text.encode(errors="replace").decode()))


def _reason(error: Exception) -> str:
    """What RE2 says, which is bytes."""
    said = error.args[0] if error.args else error
    return said.decode(errors="replace") if isinstance(said, bytes) else str(error)
