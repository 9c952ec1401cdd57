"""What a host would do with a plugin, as text for people."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

from engine.core.sanitise import clean

if TYPE_CHECKING:  # loaded only when a file is really looked at
    from engine.modules.outcome import Cause, Explanation, Group, Verdict

_MOST_NAMED = 4
"""Longest list of packages that is printed in full; JSON has all of it."""
_OVERWRITTEN = (
    "a constructor has written over memory of the host's run time: it may die at any time, and "
    "with other words"
)


def opening_lines(verdict: Verdict) -> Iterator[str]:
    """The verdict, the words that will be said, why, and what mends it."""
    from engine.modules.outcome import MEANINGS

    yield f"{clean(verdict.file)}: {MEANINGS[verdict.outcome]}"
    if verdict.text:
        open_end = "..." if verdict.text.endswith(" ") else ""
        yield _line("says", clean(verdict.text) + open_end)
    for text in verdict.or_texts:
        yield _line("or says", clean(text))
    if verdict.reason:
        yield _line("because", clean(verdict.reason))
    if verdict.differences:
        yield _line("differ", f"{len(verdict.differences)} of {verdict.shared} shared packages")
    elif verdict.outcome == "opens" and verdict.shared:
        yield _line("agree", f"all of {verdict.shared} shared packages")
    yield from _explained(verdict.explanation)
    for note in verdict.notes:
        yield _line("note", clean(note))
    if verdict.overwritten:
        yield _line("note", _OVERWRITTEN)


def _explained(explanation: Explanation) -> Iterator[str]:
    for group in explanation.groups:
        yield _line("", _group(group))
    for cause in explanation.causes:
        yield _line("cause", _cause(cause))
    if explanation.hint:
        yield _line("cause", explanation.hint)
    for fix in explanation.fixes:
        yield _line("to mend", fix)


def _group(group: Group) -> str:
    named = ", ".join(group.packages[:_MOST_NAMED])
    more = len(group.packages) - _MOST_NAMED
    packages = f"{named} and {more} more" if more > 0 else named
    versions = group.host if group.host == group.plugin else f"{group.host} / {group.plugin}"
    return f"{group.module}  {versions}: {packages}"


def _cause(cause: Cause) -> str:
    return f"{cause.what}: host {cause.host}, plugin {cause.plugin}"


def _line(what: str, text: str) -> str:
    return f"  {what:<8} {text}"
