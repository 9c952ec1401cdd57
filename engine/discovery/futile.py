"""Criteria that can never match, told when they are read and not after an hour of waiting."""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple

from engine.core.sanitise import clean
from engine.discovery.criteria import KNOWN_METADATA, LANGUAGES, UNKNOWN, Criterion, Pattern
from engine.discovery.glob import Glob


class Futility(NamedTuple):
    """Something about a criterion that keeps it from matching."""

    never: bool
    """Whether it can match nothing at all; else only a part of it is futile."""
    why: str


def futilities(criterion: Criterion) -> Iterator[Futility]:
    """Everything about a criterion that is futile on a box like this one."""
    idle = criterion.open_ports.idle_entries()
    if idle:
        never = len(idle) == len(criterion.open_ports.ranges)
        listed = ", ".join(map(str, idle))
        yield Futility(
            never,
            f"open_ports {listed} covers no port a socket can have, which Beyla does not mind",
        )
    exe = criterion.exe_path or criterion.exe_path_regexp
    if exe and not _can_match_path(exe):
        yield Futility(
            True,
            f"no path matches {clean(exe.text, limit=200)!r}: paths begin with /, and "
            + ("a glob must match all of one; write */ before it" if isinstance(exe, Glob)
               else "^ demands another beginning"),
        )  # fmt: skip
    if criterion.languages:
        yield from _of_languages(criterion.languages)
    for key, _ in criterion.metadata:
        if key not in KNOWN_METADATA:
            yield Futility(
                True, f"{clean(key, limit=80)} is told by the Kubernetes API only, not by this box"
            )
    if criterion.has_condition and not (criterion.has_local_condition or criterion.about_container):
        alone = "exe_path_regexp" if criterion.exe_path_regexp else "containers_only"
        yield Futility(
            False,
            f"{alone} alone is no condition for Beyla: only processes with container metadata "
            "can match; add exe_path or open_ports",
        )


def _can_match_path(pattern: Pattern) -> bool:
    """Whether a path could match, as far as its beginning tells."""
    if pattern.matches(UNKNOWN):
        return True
    if isinstance(pattern, Glob):
        alternatives = pattern.alternatives()
        return not alternatives or any(map(_can_begin_with_slash, alternatives))
    anchored, first = pattern.text[:1] == "^", pattern.text[1:2]
    return not (anchored and first.isalnum() and not set("|?*{") & set(pattern.text))


def _can_begin_with_slash(glob: str) -> bool:
    """Whether a glob without alternatives could match a text that begins with `/`."""
    first = glob[:1]
    if first == "[":
        return Glob.parse(glob[: glob.index("]") + 1]).matches("/")
    return (first in ("*", "?", "/") and first != "") or glob.startswith("\\/")


def _of_languages(pattern: Pattern) -> Iterator[Futility]:
    shown = clean(pattern.text, limit=200)
    if not any(map(pattern.matches, LANGUAGES)):
        listed = ", ".join(LANGUAGES)
        yield Futility(True, f"no language is called {shown!r}: there are {listed}")
    elif isinstance(pattern, Glob):
        for each in pattern.alternatives():
            if not any(map(Glob.parse(each).matches, LANGUAGES)):
                yield Futility(False, f"in languages {shown!r}, {clean(each)!r} names none")
