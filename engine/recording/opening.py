"""Opening a recording of either form."""

from __future__ import annotations

from pathlib import Path

from engine.core.errors import RecordingError
from engine.core.progress import Progress, say_nothing
from engine.recording.file import RecordingFile, is_database
from engine.recording.lines_file import import_lines


def open_recording(
    path: Path, progress: Progress = say_nothing
) -> tuple[RecordingFile, tuple[str, ...]]:
    """A recording, or a stream of JSON Lines that a `--json` command has written.

    Args:
        path: The file.
        progress: Told how much of a stream has been taken in.

    Returns:
        The recording, and the lines of a stream that could not be read, each with the reason.

    Raises:
        RecordingError: it cannot be read.
    """
    if path.exists() and not path.is_file():
        # A pipe would be waited for, and read only once.
        raise RecordingError(
            f"cannot read the recording {path}: it is no file",
            fix="name a file that boxscope record or a --json command has written",
        )
    if is_database(path):
        return RecordingFile.open(path), ()
    return import_lines(path, progress)
