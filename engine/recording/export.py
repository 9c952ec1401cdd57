"""Writing chosen records into a file of JSON Lines, which replays as a recorded stream does."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import TextIO

from engine.core.errors import RecordingError
from engine.core.records import Record
from engine.core.snapshot import HostFacts
from engine.recording.lines import header_line, json_line


@dataclass(frozen=True, slots=True)
class ExportFacts:
    """What was written."""

    path: Path
    records: int
    bytes: int


def export_records(
    path: Path, host: HostFacts, records: Sequence[Record], *, replace: bool = False
) -> ExportFacts:
    """Write records, in the order given, into a file only its owner can read.

    Args:
        path: The file.
        host: The box they are of, for the first line.
        records: The records; each is written as `--json` prints it.
        replace: Whether a file of that name may be replaced. It stays as it was until all is
            written.

    Raises:
        RecordingError: there is a file of that name, or it cannot be written.
    """
    try:
        with new_file(path, replace=replace) as file:
            file.writelines(_lines(host, records))
        return ExportFacts(path, len(records), path.stat().st_size)
    except FileExistsError as error:
        raise RecordingError(
            f"there is a file {path} already", fix="choose another name, or remove it"
        ) from error
    except (OSError, ValueError) as error:
        reason = error.strerror if isinstance(error, OSError) else error
        raise RecordingError(
            f"cannot write {path}: {reason}",
            fix="choose a directory that can be written, with room on its disk",
        ) from error


def _lines(host: HostFacts, records: Iterable[Record]) -> Iterator[str]:
    yield json_line(header_line(host))
    for record in records:
        yield json_line(record.as_json())


@contextmanager
def new_file(path: Path, *, replace: bool = False) -> Iterator[TextIO]:
    """A file under that name once all is written; nothing of it stays if that fails.

    Raises:
        OSError, ValueError: there is one and it is not to be replaced, or none can be made.
    """
    if replace:
        descriptor, name = tempfile.mkstemp(dir=path.parent, prefix=".boxscope-")
    else:
        name = str(path)
        flags = os.O_CREAT | os.O_EXCL | os.O_WRONLY | os.O_CLOEXEC
        descriptor = os.open(path, flags, 0o600)
    try:
        with open(descriptor, "w", encoding="utf-8", errors="backslashreplace") as file:
            yield file
        if replace:
            os.replace(name, path)
    except BaseException:
        with suppress(OSError):
            os.unlink(name)
        raise
