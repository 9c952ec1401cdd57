"""Making the file of a recording."""

from __future__ import annotations

import os
import sqlite3
from pathlib import Path

from engine.core.errors import RecordingError
from engine.recording.schema import create_tables
from engine.recording.views import create_views


def create_file(path: Path) -> sqlite3.Connection:
    """A new, empty recording that nobody else can read.

    Raises:
        RecordingError: there is a file of that name, or none can be made.
    """
    try:
        # The kernel refuses what exists; nobody else can read what is about to be written.
        os.close(os.open(path, os.O_CREAT | os.O_EXCL | os.O_WRONLY | os.O_CLOEXEC, 0o600))
        database = sqlite3.connect(path, isolation_level=None, check_same_thread=False)
        database.execute("PRAGMA journal_mode = WAL")
        database.execute("PRAGMA synchronous = NORMAL")
        database.execute("BEGIN")
        lay_out(database)
        database.execute("COMMIT")
        # Whoever copies the file without its journal has a recording at least.
        database.execute("PRAGMA wal_checkpoint(TRUNCATE)")
    except FileExistsError as error:
        raise RecordingError(
            f"there is a file {path} already", fix="choose another name, or remove it"
        ) from error
    except (OSError, sqlite3.Error, ValueError) as error:
        reason = error.strerror if isinstance(error, OSError) else error
        raise RecordingError(
            f"cannot write the recording {path}: {reason}",
            fix="choose a directory that can be written, with room on its disk",
        ) from error
    return database


def lay_out(database: sqlite3.Connection) -> None:
    """Tables and views of an empty file, within a transaction."""
    create_tables(database)
    for statement in create_views().split(";\n"):
        database.execute(statement)
