"""Questions in SQL to a recording: read-only, bounded in rows, size and time, interruptible."""

from __future__ import annotations

import sqlite3
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import suppress
from pathlib import Path
from typing import NamedTuple

from engine.core.errors import FailedError, RecordingError
from engine.core.kinds import KINDS
from engine.core.sanitise import clean
from engine.recording.guard import LARGEST, guard
from engine.recording.opening import open_recording
from engine.recording.place import SqlError, place_of
from engine.recording.rows import ROWS, Value
from engine.recording.views import HELP, VIEWS

_DAMAGED = frozenset({sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB, sqlite3.SQLITE_IOERR})


class Relation(NamedTuple):
    """A table or a view of a recording."""

    name: str
    type: str
    """`table` or `view`."""
    rows: int
    columns: tuple[str, ...]
    help: str


class Answer(NamedTuple):
    """The rows that answer a question, as many as were wanted."""

    columns: tuple[str, ...]
    rows: tuple[tuple[Value, ...], ...]
    cut: str = ""
    """Why there may be more: `rows` or `size`, the bound it met; empty where these are all."""
    seconds: float = 0.0


class Query:
    """A recording to be asked; one question at a time.

    Args:
        database: The recording, which is only read from now on.
        name: How it is called in messages.
        seconds: How long a question may take.
        interrupted: Asked now and then; true ends the question.
    """

    def __init__(
        self,
        database: sqlite3.Connection,
        name: str,
        *,
        seconds: float | None = None,
        interrupted: Callable[[], bool] = lambda: False,
    ) -> None:
        self._database = database
        self._name = name
        self._seconds = seconds
        self._interrupted = interrupted
        self._deadline = float("inf")
        self.faults: tuple[str, ...] = ()
        """Lines of a JSON Lines recording that could not be read."""
        self.columns: tuple[str, ...] = ()
        """Names of the columns of the last answer."""
        guard(database, self._over)

    @classmethod
    def open(
        cls,
        path: Path,
        *,
        seconds: float | None = None,
        interrupted: Callable[[], bool] = lambda: False,
    ) -> Query:
        """A recording of either form, to be asked.

        Raises:
            RecordingError: it cannot be read.
        """
        file, faults = open_recording(path)
        query = cls(file.database, file.name, seconds=seconds, interrupted=interrupted)
        query.faults = faults
        return query

    def close(self) -> None:
        """Close the recording."""
        self._database.close()

    def relations(self) -> list[Relation]:
        """The tables and views of the recording, the views first."""
        found: dict[str, str] = dict(
            self._database.execute(
                "SELECT name, type FROM sqlite_master WHERE type IN ('table', 'view') "
                "AND name NOT LIKE 'sqlite%'"
            )
        )
        ordered = [name for name in (*VIEWS, *KINDS) if name in found]
        ordered += [name for name in found if name not in ordered]
        return [self._relation(name, found[name]) for name in ordered]

    def _relation(self, name: str, type_: str) -> Relation:
        quoted = '"' + name.replace('"', '""') + '"'
        ((rows,),) = self.ask(f"SELECT count(*) FROM {quoted}")
        columns = [str(row[1]) for row in self.ask(f"PRAGMA table_info({quoted})")]
        help_ = HELP.get(name) or (KINDS[name].help if name in KINDS else "")
        return Relation(name, type_, int(rows or 0), tuple(columns), help_)

    def answer(
        self,
        sql: str,
        *,
        rows: int | None = ROWS,
        size: float = float("inf"),
        found: Callable[[int], object] = lambda number: None,
    ) -> Answer:
        """The rows that answer a question, up to a bound.

        Args:
            sql: The question.
            rows: How many at most; None for all.
            size: Bytes of texts at most, about.
            found: Told now and then how many rows there are already.

        Raises:
            SqlError: it is no question in SQL, or none about this recording.
            FailedError: it took too long, or was interrupted.
            RecordingError: the file is damaged.
        """
        began, kept, cut, bytes_ = time.monotonic(), list[tuple[Value, ...]](), "", 0
        for row in self.ask(sql):
            if rows is not None and len(kept) >= rows:
                cut = "rows"
                break
            if bytes_ > size:
                cut = "size"
                break
            kept.append(row)
            bytes_ += sum(len(value) for value in row if isinstance(value, (str, bytes)))
            if len(kept) % 100 == 0:
                found(len(kept))
        return Answer(self.columns, tuple(kept), cut, time.monotonic() - began)

    def ask(self, sql: str, values: Sequence[Value] = ()) -> Iterator[tuple[Value, ...]]:
        """The rows that answer a question, as they are found; `columns` is set before the first.

        Raises:
            SqlError: it is no question in SQL, or none about this recording.
            FailedError: it took too long, or was interrupted.
            RecordingError: the file is damaged.
        """
        self._deadline = time.monotonic() + (self._seconds or float("inf"))
        cursor = self._database.cursor()
        try:
            rows = cursor.execute(sql, values)
            self.columns = tuple(column[0] for column in rows.description or ())
            yield from rows
        except (sqlite3.Error, sqlite3.Warning, ValueError) as error:
            raise self._explained(sql, error) from error
        finally:
            # One that is left before its end would hold what it reads.
            with suppress(sqlite3.Error):
                cursor.close()

    def _over(self) -> bool:
        return self._interrupted() or time.monotonic() > self._deadline

    def _explained(self, sql: str, error: Exception) -> Exception:
        code = getattr(error, "sqlite_errorcode", None)
        primary = code & 0xFF if isinstance(code, int) else None
        if primary == sqlite3.SQLITE_INTERRUPT:
            if self._interrupted():
                return FailedError("the question was interrupted")
            return FailedError(
                f"the question takes longer than {self._seconds:g} s",
                fix="narrow it with WHERE, or give it more with --timeout",
            )
        if primary in _DAMAGED:
            return RecordingError(
                f"the recording {self._name} is damaged: {error}",
                fix="sqlite3 FILE .recover may bring back what is left",
            )
        span = place_of(sql, str(error), self._refused)
        return SqlError(sql, span, clean(str(error)), _advice(primary))

    def _refused(self, sql: str) -> str:
        """What SQLite says about a question, without answering it."""
        try:
            self._database.execute(f"EXPLAIN {sql}").close()
        except (sqlite3.Error, sqlite3.Warning, ValueError) as error:
            return str(error)
        return ""


def _advice(code: int | None) -> str:
    if code in (sqlite3.SQLITE_READONLY, sqlite3.SQLITE_AUTH):
        return "a recording is only read: ask with SELECT"
    if code == sqlite3.SQLITE_TOOBIG:
        return f"a value may have {LARGEST >> 20} MiB"
    return "without SQL, boxscope query FILE lists tables, views and their columns"
