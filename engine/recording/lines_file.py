"""A stream of JSON Lines taken into a recording in memory, so that both replay the same way."""

from __future__ import annotations

import sqlite3
from dataclasses import asdict, replace
from pathlib import Path

from engine.core.kinds import KINDS
from engine.core.progress import Progress, say_nothing
from engine.core.records import Record
from engine.recording.creation import lay_out
from engine.recording.file import RecordingFile
from engine.recording.lines import read_recording
from engine.recording.schema import cleaned, insertion, row_of, write_meta

_MARK_EVERY = 500


def import_lines(
    path: Path, progress: Progress = say_nothing
) -> tuple[RecordingFile, tuple[str, ...]]:
    """The recording that a stream holds, and the lines of it that could not be read.

    Records keep their numbers where these rise, as those of one engine do.

    Raises:
        RecordingError: it cannot be read, or holds no record at all.
    """
    recording = read_recording(path, progress)
    database = sqlite3.connect(":memory:", isolation_level=None, check_same_thread=False)
    database.execute("BEGIN")
    lay_out(database)
    write_meta(database, {"host": asdict(recording.host)})
    last = dict.fromkeys(KINDS, 0)
    total = len(recording.records)
    for number, record in enumerate(recording.records):
        if number % _MARK_EVERY == 0:
            progress(total + number, 2 * total)
        seq = last[record.kind] = max(record.seq, last[record.kind] + 1)
        database.execute(insertion(KINDS[record.kind]), row_of(_storable(record, seq)))
        if seq % _MARK_EVERY == 0:
            database.execute(
                "INSERT OR REPLACE INTO marks VALUES (?, ?, ?)", (record.ts_ns, record.kind, seq)
            )
    database.execute("COMMIT")
    return RecordingFile(database, str(path)), recording.faults


def _storable(record: Record, seq: int) -> Record:
    """A record as the database takes it: JSON may hold text that is no UTF-8."""
    comm = cleaned(record.comm)
    values = tuple(map(cleaned, record.values))
    return replace(record, seq=seq, comm=comm if isinstance(comm, str) else None, values=values)
