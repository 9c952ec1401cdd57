"""Questions in SQL to a recording: read-only, bounded in rows, size and time, interruptible."""

from __future__ import annotations

import sqlite3
import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import NamedTuple

from engine.core.errors import FailedError, RecordingError, UsageError
from engine.core.kinds import KINDS
from engine.core.sanitise import clean
from engine.recording.opening import open_recording
from engine.recording.views import HELP, VIEWS

Value = int | float | str | bytes | None

_LARGEST = 64 << 20
"""Bytes of one value; more is no answer to read."""
_EVERY = 10_000
"""Steps of SQLite's machine between two looks at the clock: well below a millisecond."""
_FORBIDDEN = frozenset({sqlite3.SQLITE_ATTACH, sqlite3.SQLITE_DETACH})
_SETTINGS = frozenset({"table_info", "table_xinfo", "table_list", "index_list", "index_info"})
"""Pragmas that only tell."""
_DAMAGED = frozenset({sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB, sqlite3.SQLITE_IOERR})


class Relation(NamedTuple):
    """A table or a view of a recording."""

    name: str
    type: str
    """`table` or `view`."""
    rows: int
    columns: tuple[str, ...]
    help: str


class Query:
    """A recording to be asked; one question at a time.

    Args:
        path: A recording of either form.
        seconds: How long a question may take.
        interrupted: Asked now and then; true ends the question.

    Raises:
        RecordingError: it cannot be read.
    """

    def __init__(
        self,
        path: Path,
        *,
        seconds: float | None = None,
        interrupted: Callable[[], bool] = lambda: False,
    ) -> None:
        self._file, self.faults = open_recording(path)
        self._seconds = seconds
        self._interrupted = interrupted
        self._deadline = float("inf")
        self.columns: tuple[str, ...] = ()
        """Names of the columns of the last answer."""
        database = self._file.database
        database.execute("PRAGMA query_only = ON")
        database.setlimit(sqlite3.SQLITE_LIMIT_LENGTH, _LARGEST)
        database.set_authorizer(_allowed)
        database.set_progress_handler(self._over, _EVERY)

    def close(self) -> None:
        """Close the recording."""
        self._file.close()

    def relations(self) -> list[Relation]:
        """The tables and views of the recording, the views first."""
        found: dict[str, str] = dict(
            self._file.database.execute(
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

    def ask(self, sql: str, values: Sequence[Value] = ()) -> Iterator[tuple[Value, ...]]:
        """The rows that answer a question, as they are found; `columns` is set before the first.

        Raises:
            UsageError: it is no question in SQL, or none about this recording.
            FailedError: it took too long, or was interrupted.
            RecordingError: the file is damaged.
        """
        self._deadline = time.monotonic() + (self._seconds or float("inf"))
        try:
            rows = self._file.database.execute(sql, values)
            self.columns = tuple(column[0] for column in rows.description or ())
            yield from rows
        except (sqlite3.Error, sqlite3.Warning, ValueError) as error:
            raise self._explained(error) from error

    def _over(self) -> bool:
        return self._interrupted() or time.monotonic() > self._deadline

    def _explained(self, error: Exception) -> Exception:
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
                f"the recording {self._file.name} is damaged: {error}",
                fix="sqlite3 FILE .recover may bring back what is left",
            )
        return UsageError(f"the question is refused: {clean(str(error))}", fix=_advice(primary))


def _advice(code: int | None) -> str:
    if code in (sqlite3.SQLITE_READONLY, sqlite3.SQLITE_AUTH):
        return "a recording is only read: ask with SELECT"
    if code == sqlite3.SQLITE_TOOBIG:
        return f"a value may have {_LARGEST >> 20} MiB"
    return "without SQL, boxscope query FILE lists tables, views and their columns"


def _allowed(action: int, first: str | None, second: str | None, *_: object) -> int:
    """What SQLite may do for a question: read, and tell about tables."""
    if action in _FORBIDDEN:
        return sqlite3.SQLITE_DENY
    if action == sqlite3.SQLITE_PRAGMA and (first or "").lower() not in _SETTINGS:
        return sqlite3.SQLITE_DENY
    return sqlite3.SQLITE_OK
