"""TOML files that people write: read with a bound, and errors that name the line."""

from __future__ import annotations

import tomllib
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TypeAlias

from engine.core.errors import UsageError
from engine.core.files import read_bounded
from engine.core.sanitise import clean

MAX_BYTES = 256 * 1024
"""More than anybody writes by hand."""

_LINES = 2_000
"""Lines that are searched; finding one takes time that grows with their square."""

Place: TypeAlias = Sequence[str | int]
"""Keys and list positions that lead to a value, as in `plugins`, 0, `file`."""


def read_text(path: Path) -> str:
    """The text of a file.

    Raises:
        OSError: it cannot be read.
        UsageError: it is no text, or longer than `MAX_BYTES`.
    """
    try:
        return read_bounded(path, MAX_BYTES).decode()
    except UnicodeDecodeError as error:
        raise UsageError(
            f"{clean(str(path))} is not valid TOML: {error}", fix="mend or remove it"
        ) from error


def parse_toml(text: str, path: Path) -> dict[str, object]:
    """What a TOML text holds.

    Args:
        text: The text.
        path: Where it came from, for errors.

    Raises:
        UsageError: it is not TOML; the message says where.
    """
    try:
        return tomllib.loads(text)
    except (tomllib.TOMLDecodeError, RecursionError, ValueError) as error:
        told = clean(f"{path} is not valid TOML: {error}")
        raise UsageError(told, fix="mend or remove it") from error


def line_of(text: str, place: Place) -> int:
    """The line, from 1, on which a value or what is nearest around it begins; 0 if none does,
    or the text is very long.

    Args:
        text: Valid TOML.
        place: Where the value is.
    """
    lines = text.splitlines(keepends=True)
    if len(lines) > _LINES:
        return 0
    for length in range(len(place), 0, -1):
        names = [str(part) for part in place[:length] if isinstance(part, str)]
        if names and (found := _line_of(lines, place[:length], names[-1])):
            return found
    return 0


def nearest(found: object, place: Place) -> Place:
    """As much of a place as there is."""
    return next(
        place[:length] for length in range(len(place), -1, -1) if _reaches(found, place[:length])
    )


def _line_of(lines: Sequence[str], place: Place, name: str) -> int:
    """The first line that names it where a statement begins after which the value is there."""
    for index, line in enumerate(lines):
        if name not in line or not _begins_statement(lines[:index], place):
            continue
        for end in range(index + 1, len(lines) + 1):
            found = _parsed("".join(lines[index:end]))
            if found is None:
                continue
            whole = _parsed("".join(lines[:end]))
            if whole is not None and _reaches(whole, place):
                return index + 1
            break
    return 0


def _begins_statement(before: Sequence[str], place: Place) -> bool:
    known = _parsed("".join(before))
    return known is not None and not _reaches(known, place)


def _parsed(text: str) -> Mapping[str, object] | None:
    try:
        return tomllib.loads(text)
    except (tomllib.TOMLDecodeError, RecursionError, ValueError):
        return None


def _reaches(found: object, place: Place) -> bool:
    for part in place:
        match found:
            case Mapping() if part in found:
                found = found[part]
            case list() if isinstance(part, int) and part < len(found):
                found = found[part]
            case _:
                return False
    return True
