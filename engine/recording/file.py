"""Reading a recording: which moment holds what, without loading it whole."""

from __future__ import annotations

import heapq
import json
import sqlite3
from collections.abc import Iterator
from pathlib import Path

from engine.core.errors import RecordingError
from engine.core.fields import JsonValue
from engine.core.kinds import KINDS, TABLE_KEYS
from engine.core.records import Record
from engine.core.snapshot import HostFacts
from engine.recording.lines import host_of
from engine.recording.schema import APPLICATION_ID, VERSION, RowReader, kinds_in, read_meta

MAGIC = b"SQLite format 3\x00"
_LATEST_NS = 2_000_000_000
"""How much later than its time a record may have been written."""


def is_database(path: Path) -> bool:
    """Whether a file begins as SQLite files do."""
    try:
        with path.open("rb") as file:
            return file.read(len(MAGIC)) == MAGIC
    except OSError:
        return False


class RecordingFile:
    """A recording opened for reading; usable from any thread, by one at a time.

    Args:
        database: An open recording.
        name: How it is called in messages.

    Raises:
        RecordingError: it is no recording, damaged, or of a newer version.
    """

    def __init__(self, database: sqlite3.Connection, name: str) -> None:
        self._database = database
        self.name = name
        try:
            self._check()
            self.meta = read_meta(database)
            self._readers = {kind: RowReader(database, KINDS[kind]) for kind in kinds_in(database)}
            self._bounds = {kind: self._bounds_of(kind) for kind in self._readers}
        except sqlite3.Error as error:
            raise self._damaged(error) from error

    @classmethod
    def open(cls, path: Path) -> RecordingFile:
        """Open a file for reading only.

        Raises:
            RecordingError: it cannot be read.
        """
        try:
            path.open("rb").close()
            uri = f"{path.absolute().as_uri()}?mode=ro"
            database = sqlite3.connect(uri, uri=True, check_same_thread=False)
        except (OSError, sqlite3.Error) as error:
            reason = error.strerror if isinstance(error, OSError) else error
            raise RecordingError(
                f"cannot read the recording {path}: {reason}",
                fix="name a file that boxscope record has written",
            ) from error
        return cls(database, str(path))

    def close(self) -> None:
        """Close the file."""
        self._database.close()

    def _check(self) -> None:
        (application,) = self._database.execute("PRAGMA application_id").fetchone()
        (version,) = self._database.execute("PRAGMA user_version").fetchone()
        if application != APPLICATION_ID:
            raise RecordingError(
                f"{self.name} is an SQLite database, but no recording of boxscope",
                fix="name a file that boxscope record has written",
            )
        if version > VERSION:
            raise RecordingError(
                f"the recording {self.name} has version {version}; this boxscope reads up to "
                f"{VERSION}",
                fix="read it with a newer boxscope",
            )

    def _damaged(self, error: Exception) -> RecordingError:
        return RecordingError(
            f"the recording {self.name} is damaged: {error}",
            fix="sqlite3 FILE .recover may bring back what is left",
        )

    @property
    def host(self) -> HostFacts:
        """The box it was made on."""
        try:
            loaded: JsonValue = json.loads(self.meta.get("host", "{}"))
        except ValueError:
            loaded = {}
        return host_of(loaded)

    @property
    def kinds(self) -> tuple[str, ...]:
        """Kinds it has tables of."""
        return tuple(self._readers)

    @property
    def first_ns(self) -> int:
        """Time of its first record; 0 without one."""
        return min((bounds[0] for bounds in self._bounds.values() if bounds), default=0)

    @property
    def last_ns(self) -> int:
        """Time of its last record."""
        return max((bounds[1] for bounds in self._bounds.values() if bounds), default=0)

    def _bounds_of(self, kind: str) -> tuple[int, int] | None:
        first, last = self._database.execute(
            f'SELECT min(ts_ns), max(ts_ns) FROM "{kind}"'
        ).fetchone()
        return None if first is None else (first, last)

    # Records.

    def records(self, kind: str, after: int, up_to: int, limit: int) -> list[Record]:
        """Records of a kind numbered above `after` and at most `up_to`, oldest first.

        Raises:
            RecordingError: the file is damaged there.
        """
        reader = self._readers.get(kind)
        if reader is None:
            return []
        rows = self._database.execute(
            f'SELECT {reader.columns} FROM "{kind}" '
            "WHERE seq > ? AND seq <= ? ORDER BY seq LIMIT ?",
            (after, up_to, limit),
        )
        try:
            return [reader.record(row) for row in rows]
        except (sqlite3.Error, ValueError) as error:
            raise self._damaged(error) from error

    def reached(self, kind: str, ts_ns: int, since: int = 0) -> int:
        """Number of the last record of a kind up to a moment, known to be at least `since`.

        The marks tell between which numbers it is; records of a kind are in order but for those
        of different processors, whose order is that of their numbers.
        """
        if kind not in self._readers:
            return since
        low, high = self._between_marks(kind, ts_ns)
        (found,) = self._database.execute(
            f'SELECT max(seq) FROM "{kind}" WHERE seq > ? AND seq <= ? AND ts_ns <= ?',
            (max(low, since), high, ts_ns),
        ).fetchone()
        return max(since, low, found or 0)

    def _between_marks(self, kind: str, ts_ns: int) -> tuple[int, int]:
        (low,) = self._database.execute(
            "SELECT max(seq) FROM marks WHERE kind = ? AND ts_ns <= ?", (kind, ts_ns)
        ).fetchone()
        # What happened before a moment may have been written up to some seconds after it.
        (high,) = self._database.execute(
            "SELECT min(seq) FROM marks WHERE kind = ? AND ts_ns > ?",
            (kind, ts_ns + _LATEST_NS),
        ).fetchone()
        return low or 0, 2**62 if high is None else high

    def rows_at(self, kind: str, up_to: int) -> list[Record]:
        """The last record of each row of a table up to number `up_to`, oldest rows first."""
        reader = self._readers.get(kind)
        if reader is None:
            return []
        keys = ", ".join(TABLE_KEYS[kind])
        group = f"GROUP BY {keys}" if keys else ""
        rows = self._database.execute(
            f'SELECT {reader.columns} FROM "{kind}" JOIN '
            f'(SELECT max(seq) AS newest, min(seq) AS oldest FROM "{kind}" WHERE seq <= ? {group}) '
            "ON seq = newest ORDER BY oldest",
            (up_to,),
        )
        return [reader.record(row) for row in rows]

    def first_where(self, kind: str, after_ns: int, condition: str) -> Record | None:
        """The first record of a kind after a moment that a condition in SQL holds for."""
        reader = self._readers.get(kind)
        if reader is None:
            return None
        row = self._database.execute(
            f'SELECT {reader.columns} FROM "{kind}" WHERE seq > ? AND ts_ns > ? AND ({condition}) '
            "ORDER BY seq LIMIT 1",
            (max(0, self._between_marks(kind, after_ns)[0]), after_ns),
        ).fetchone()
        return reader.record(row) if row else None

    def counts(self) -> dict[str, int]:
        """How many records of each kind it holds."""
        return {
            kind: self._database.execute(f'SELECT count(*) FROM "{kind}"').fetchone()[0]
            for kind in self._readers
        }

    def in_order(self) -> Iterator[Record]:
        """Every record, in the order of time and, within a kind, of number."""
        # Merged here, not by SQLite: a union over all tables would be sorted in memory first.
        yield from heapq.merge(
            *(self._stream(kind) for kind in self._readers), key=lambda record: record.ts_ns
        )

    def _stream(self, kind: str) -> Iterator[Record]:
        after = 0
        while batch := self.records(kind, after, 2**62, 2_000):
            yield from batch
            after = batch[-1].seq
