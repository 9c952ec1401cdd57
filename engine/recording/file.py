"""Reading a recording: which moment holds what, without loading it whole."""

from __future__ import annotations

import heapq
import json
import sqlite3
from bisect import bisect_right
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from itertools import accumulate
from pathlib import Path
from typing import NamedTuple

from engine.core.errors import RecordingError
from engine.core.fields import JsonValue
from engine.core.kinds import KINDS, TABLE_KEYS
from engine.core.records import Record
from engine.core.sanitise import clean
from engine.core.snapshot import HostFacts
from engine.recording.lines import host_of
from engine.recording.schema import APPLICATION_ID, VERSION, RowReader, kinds_in, read_meta

MAGIC = b"SQLite format 3\x00"
_LATEST_NS = 2_000_000_000
"""How much later than its time a record may have been written."""
_NEVER = 2**62


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
        self.database = database
        """For reading only."""
        self.name = name
        self._windows: dict[str, _Window] = {}
        with self._telling_damage():
            self._check()
            self.meta = read_meta(database)
            self._readers = {kind: RowReader(database, KINDS[kind]) for kind in kinds_in(database)}
            self._bounds = {kind: self._bounds_of(kind) for kind in self._readers}

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
                fix="name a file that boxscope record or a --json command has written",
            ) from error
        try:
            return cls(database, str(path))
        except RecordingError:
            database.close()
            raise

    def interrupt(self) -> None:
        """Have what another thread reads just now fail."""
        self.database.interrupt()

    def close(self) -> None:
        """Close the file."""
        self.database.close()

    def _check(self) -> None:
        (application,) = self.database.execute("PRAGMA application_id").fetchone()
        (version,) = self.database.execute("PRAGMA user_version").fetchone()
        if application != APPLICATION_ID:
            raise RecordingError(
                f"{self.name} is an SQLite database, but no recording of boxscope",
                fix="name a file that boxscope record or a --json command has written",
            )
        if version > VERSION:
            raise RecordingError(
                f"the recording {self.name} has version {version}; this boxscope reads up to "
                f"{VERSION}",
                fix="read it with a newer boxscope",
            )
        self._check_relations()

    def _check_relations(self) -> None:
        """That what is read holds rows: a view may compute for ever, where nobody can end it.

        Raises:
            ValueError: it is a view.
        """
        own = {*KINDS, "meta", "marks"}
        for (name,) in self.database.execute("SELECT name FROM sqlite_master WHERE type = 'view'"):
            if str(name).lower() in own:
                raise ValueError(f"{name} is a view, where a table belongs")

    @contextmanager
    def _telling_damage(self) -> Iterator[None]:
        """Whatever SQLite, or a value that is not what its column holds, raises: it is damage."""
        try:
            yield
        except (sqlite3.Error, ValueError, TypeError, OverflowError, RecursionError) as error:
            if getattr(error, "sqlite_errorcode", 0) & 0xFF == sqlite3.SQLITE_CANTOPEN:
                raise RecordingError(
                    f"the recording {self.name} cannot be opened: its program was killed, and "
                    "what it wrote last cannot be taken in where nothing can be written",
                    fix=f"copy it and {self.name}-wal to a directory that can be written",
                ) from error
            raise RecordingError(
                f"the recording {self.name} is damaged: {clean(str(error))}",
                fix="sqlite3 FILE .recover may bring back what is left",
            ) from error

    @property
    def host(self) -> HostFacts:
        """The box it was made on."""
        try:
            loaded: JsonValue = json.loads(self.meta.get("host", "{}"))
        except (TypeError, ValueError, RecursionError):
            loaded = {}
        return host_of(loaded)

    @property
    def kinds(self) -> tuple[str, ...]:
        """Kinds it has tables of."""
        return tuple(self._readers)

    @property
    def first_ns(self) -> int:
        """Time of its first record, or from which on it is whole; 0 without one."""
        first = min((bounds[0] for bounds in self._bounds.values() if bounds), default=0)
        pruned = self.meta.get("pruned_before_ns", "")
        return min(max(first, int(pruned)), self.last_ns) if pruned.isdecimal() else first

    @property
    def last_ns(self) -> int:
        """Time of its last record."""
        return max((bounds[1] for bounds in self._bounds.values() if bounds), default=0)

    def _bounds_of(self, kind: str) -> tuple[int, int] | None:
        first, last = self.database.execute(
            f'SELECT min(ts_ns), max(ts_ns) FROM "{kind}"'
        ).fetchone()
        if first is None:
            return None
        if not isinstance(first, int) or not isinstance(last, int):
            raise ValueError(f"a {kind} without a time")
        return first, last

    # Records.

    def records(self, kind: str, after: int, up_to: int, limit: int) -> list[Record]:
        """Records of a kind numbered above `after` and at most `up_to`, oldest first.

        Raises:
            RecordingError: the file is damaged there.
        """
        return self._select(
            kind, "WHERE seq > ? AND seq <= ? ORDER BY seq LIMIT ?", (after, up_to, limit)
        )

    def _select(self, kind: str, condition: str, values: Sequence[int]) -> list[Record]:
        """Records of a kind that what stands behind FROM chooses."""
        reader = self._readers.get(kind)
        if reader is None:
            return []
        with self._telling_damage():
            rows = self.database.execute(
                f'SELECT {reader.columns} FROM "{kind}" {condition}', values
            )
            return [reader.record(row) for row in rows]

    def reached(self, kind: str, ts_ns: int) -> int:
        """Number of the last record of a kind up to a moment.

        The marks tell between which numbers it is; records of a kind are in order but for those
        of different processors, whose order is that of their numbers.
        """
        if kind not in self._readers:
            return 0
        window = self._windows.get(kind)
        if window is None or not window.begin_ns <= ts_ns < window.end_ns:
            with self._telling_damage():
                window = self._windows[kind] = self._window(kind, ts_ns)
        return window.last_by(ts_ns)

    def _window(self, kind: str, ts_ns: int) -> _Window:
        """What lies between the marks around a moment."""
        low, begin_ns = self.database.execute(
            "SELECT max(seq), max(ts_ns) FROM marks WHERE kind = ? AND ts_ns <= ?", (kind, ts_ns)
        ).fetchone()
        (end_ns,) = self.database.execute(
            "SELECT min(ts_ns) FROM marks WHERE kind = ? AND ts_ns > ?", (kind, ts_ns)
        ).fetchone()
        end_ns = _NEVER if end_ns is None else end_ns
        # What happened before a moment may have been written up to some seconds after it.
        (high,) = self.database.execute(
            "SELECT min(seq) FROM marks WHERE kind = ? AND ts_ns > ?", (kind, end_ns + _LATEST_NS)
        ).fetchone()
        if not all(isinstance(each, int) for each in (low or 0, begin_ns or 0, end_ns, high or 0)):
            raise ValueError(f"a mark of {kind} without a number or a time")
        rows = self.database.execute(
            f'SELECT seq, ts_ns FROM "{kind}" WHERE seq > ? AND seq <= ? ORDER BY seq',
            (low or 0, _NEVER if high is None else high),
        ).fetchall()
        return _Window.of(begin_ns or 0, end_ns, low or 0, rows)

    def rows_at(self, kind: str, up_to: int) -> list[Record]:
        """The last record of each row of a table up to number `up_to`, oldest rows first."""
        keys = ", ".join(TABLE_KEYS[kind])
        group = f"GROUP BY {keys}" if keys else ""
        return self._select(
            kind,
            f'JOIN (SELECT max(seq) AS newest, min(seq) AS oldest FROM "{kind}" WHERE seq <= ? '
            f"{group}) ON seq = newest ORDER BY oldest",
            (up_to,),
        )

    def first_where(self, kind: str, after_ns: int, condition: str) -> Record | None:
        """The first record of a kind after a moment that a condition in SQL holds for."""
        with self._telling_damage():
            (low,) = self.database.execute(
                "SELECT max(seq) FROM marks WHERE kind = ? AND ts_ns <= ?", (kind, after_ns)
            ).fetchone()
        found = self._select(
            kind,
            f"WHERE seq > ? AND ts_ns > ? AND ({condition}) ORDER BY seq LIMIT 1",
            (low or 0, after_ns),
        )
        return found[0] if found else None

    def counts(self) -> dict[str, int]:
        """How many records of each kind it holds."""
        with self._telling_damage():
            return {
                kind: self.database.execute(f'SELECT count(*) FROM "{kind}"').fetchone()[0]
                for kind in self._readers
            }

    def in_order(self, after: Mapping[str, int], kinds: Iterable[str]) -> Iterator[Record]:
        """Every record of some kinds, in the order of time and, within a kind, of number.

        Args:
            after: By kind, the number to begin behind; from the beginning where there is none.
            kinds: Which kinds.
        """
        # Merged here, not by SQLite: a union over all tables would be sorted in memory first.
        yield from heapq.merge(
            *(self._stream(kind, after.get(kind, 0)) for kind in kinds),
            key=lambda record: record.ts_ns,
        )

    def _stream(self, kind: str, after: int) -> Iterator[Record]:
        while batch := self.records(kind, after, _NEVER, 2_000):
            yield from batch
            after = batch[-1].seq


class _Window(NamedTuple):
    """The records of a kind around a moment, to find the last one up to it without asking."""

    begin_ns: int
    end_ns: int
    """From when until when it tells."""
    low: int
    """Number of the last record that lies before all of them."""
    seqs: list[int]
    earliest: list[int]
    """The earliest time of each record and all that are numbered above it."""

    @classmethod
    def of(cls, begin_ns: int, end_ns: int, low: int, rows: Sequence[tuple[int, int]]) -> _Window:
        """The window of records given as number and time.

        Raises:
            ValueError: one has no time.
        """
        if not all(type(ts_ns) is int for _seq, ts_ns in rows):
            raise ValueError("a record without a time")
        earliest = list(accumulate((ts_ns for _seq, ts_ns in reversed(rows)), min))[::-1]
        return cls(begin_ns, end_ns, low, [seq for seq, _ts_ns in rows], earliest)

    def last_by(self, ts_ns: int) -> int:
        """Number of the last record up to a moment."""
        number = bisect_right(self.earliest, ts_ns)
        return self.seqs[number - 1] if number else self.low
