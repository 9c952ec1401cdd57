"""Files that somebody named: read whole, up to a bound."""

from __future__ import annotations

from pathlib import Path

from engine.core.errors import UsageError
from engine.core.sanitise import clean


def read_bounded(path: Path, most: int) -> bytes:
    """The bytes of a file.

    Args:
        path: The file.
        most: How many bytes it may have; whole KiB.

    Raises:
        OSError: it cannot be read.
        UsageError: it is longer.
    """
    with path.open("rb") as opened:
        read = opened.read(most + 1)
    if len(read) > most:
        bound = f"{most >> 20} MiB" if most >= 1 << 20 else f"{most >> 10} KiB"
        raise UsageError(f"{clean(str(path))} is longer than {bound}")
    return read


def read_named(path: Path, most: int, *, fix: str) -> bytes:
    """The bytes of a file, or an error to be shown.

    Args:
        path: The file.
        most: How many bytes it may have; whole KiB.
        fix: What to do where it cannot be read.

    Raises:
        UsageError: it cannot be read, or is longer.
    """
    try:
        return read_bounded(path, most)
    except OSError as error:
        raise UsageError(f"cannot read {clean(str(path))}: {error.strerror}", fix=fix) from error
