"""Completing a path as a shell does."""

from __future__ import annotations

import os
from collections.abc import Sequence
from itertools import islice, takewhile
from pathlib import Path
from typing import NamedTuple

from engine.core.sanitise import clean

LOOKED_AT = 10_000
"""Entries of a directory that are looked at."""


class Completion(NamedTuple):
    """What the beginning of a path can become."""

    text: str
    """As far as all candidates agree; at least what was given."""
    candidates: tuple[str, ...] = ()
    """Names that fit; `/` behind a directory, `*` behind what can be executed."""
    problem: str = ""
    """Why there is nothing to offer."""


def complete(text: str, suffix: str = "") -> Completion:
    """Look for what begins as `text` does; reads a directory, so not for the UI's thread.

    Of files those are offered that end with `suffix`. Names that cannot be shown as they are
    cannot be completed either; hidden ones are offered once their dot is typed.
    """
    directory, prefix = os.path.split(text)
    try:
        with os.scandir(Path(directory or ".").expanduser()) as entries:
            found = sorted(
                offer
                for entry in islice(entries, LOOKED_AT)
                if (offer := _offered(entry))[0].endswith(("/", suffix))
                and entry.name.startswith(prefix)
                and (prefix.startswith(".") or not entry.name.startswith("."))
                and clean(entry.name) == entry.name
            )
    except (OSError, RuntimeError, ValueError) as error:
        reason = error.strerror if isinstance(error, OSError) else None
        return Completion(text, problem=clean(f"{directory}: {reason or error}"))
    common = beginning_of_all([name for name, _mark in found])
    offered = tuple(name + mark for name, mark in found)
    return Completion(os.path.join(directory, common or prefix), offered)


def beginning_of_all(names: Sequence[str]) -> str:
    """What sorted names have in common."""
    if not names:
        return ""
    pairs = zip(names[0], names[-1], strict=False)
    return "".join(one for one, _other in takewhile(lambda pair: pair[0] == pair[1], pairs))


def _offered(entry: os.DirEntry[str]) -> tuple[str, str]:
    """A name as it is completed, and the mark it is shown with."""
    try:
        if entry.is_dir():
            return f"{entry.name}/", ""
        executable = entry.is_file() and os.access(entry.path, os.X_OK)
    except OSError:
        executable = False
    return entry.name, "*" if executable else ""


def problem_with_file(text: str) -> str:
    """Why there is no file at a path; empty if there is. Looks at the file system."""
    if not text.strip():
        return "a path is needed"
    try:
        path = Path(text.strip()).expanduser()
        if path.is_dir():
            return "this is a directory, not a file"
        if not path.exists():
            return "there is no such file"
    except (OSError, RuntimeError, ValueError) as error:
        return clean(f"it cannot be looked at: {error}")
    return ""
