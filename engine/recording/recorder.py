"""Writes everything an engine delivers into one SQLite file, by a thread of its own.

Twice a second what is new is written and committed, so that a program killed at any moment
loses at most that, and never the file. What cannot be written (a full disk) is tried again from
the engine's own memory; what had left that memory meanwhile is counted in `losses`.
"""

from __future__ import annotations

import contextlib
import os
import sqlite3
import threading
import time
from collections.abc import Callable, Iterable
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Protocol

from engine.core.counters import Counters, Tally
from engine.core.errors import RecordingError
from engine.core.kinds import KINDS, TABLE_KEYS
from engine.core.records import Batch, Record
from engine.core.snapshot import Snapshot
from engine.core.source import SourceState, SourceStatus
from engine.recording.redaction import redaction
from engine.recording.schema import create_tables, insertion, row_of, write_meta
from engine.recording.views import create_views

COMMIT_S = 0.5
_PULLED = 1_000
"""Records decoded at once: the screen must have its turn between two lots."""
_SPARE = 0.9
"""Of the greatest size, what a file that has grown too large is pruned to."""


class Recorded(Protocol):
    """What is recorded; an engine is one."""

    def snapshot(self) -> Snapshot:
        """The state of everything now."""

    def since(self, kind: str, seq: int, limit: int = ...) -> Batch:
        """Records of a kind numbered above `seq`, oldest first."""

    def last_seq(self, kind: str) -> int:
        """Number of the newest record of a kind."""


@dataclass(frozen=True)
class RecordingOptions:
    """What a recording may grow to, and what is left out of it."""

    keep_s: float | None = None
    """Only the last so many seconds are kept; None for all."""
    max_bytes: int | None = None
    """The oldest records go when the file is larger; None for no bound."""
    redact: tuple[str, ...] = ()
    """Sorts of content left out, see `engine.recording.redaction`."""
    filter_text: str = ""
    """The filter in force, told in the file; what it leaves out is not recorded."""


class Recorder:
    """One recording being written.

    Args:
        source: What is recorded.
        path: The file; must not exist yet.
        options: Bounds and redaction.
        wanted: Which records are written; all, if None.

    Raises:
        RecordingError: the file exists or cannot be made.
    """

    def __init__(
        self,
        source: Recorded,
        path: Path,
        options: RecordingOptions | None = None,
        *,
        wanted: Callable[[Record], bool] | None = None,
    ) -> None:
        self.path = path
        self._source = source
        self._options = options or RecordingOptions()
        self._wanted = wanted
        self._redact = redaction(self._options.redact)
        self._tally = Tally()
        self._state: tuple[SourceState, str, str] = ("starting", "", "")
        self._cursors = dict.fromkeys(KINDS, 0)
        self._stopping = threading.Event()
        self._thread = threading.Thread(target=self._run, name="boxscope-recorder", daemon=True)
        self._database = self._create(path)
        self._inode = path.stat().st_ino

    # Life.

    def start(self, *, from_now: bool = True) -> None:
        """Begin to write.

        Args:
            from_now: Whether to begin with what comes; else with all the engine still remembers.
        """
        if from_now:
            for kind in KINDS:
                if kind not in TABLE_KEYS:
                    self._cursors[kind] = self._source.last_seq(kind)
        self._state = ("running", "", "")
        self._thread.start()

    def stop(self) -> None:
        """Write what is left and close the file; may be called twice."""
        self._stopping.set()
        if self._thread.ident is not None:
            self._thread.join()
        self._close()

    def status(self) -> SourceStatus:
        """State and counters, as of a source."""
        state, reason, fix = self._state
        return SourceStatus("recording", state, reason, fix, counters=self.counters)

    @property
    def counters(self) -> Counters:
        """Records that were to be written, and what became of them."""
        return self._tally.read()

    @property
    def size(self) -> int:
        """Bytes of the file and its journal."""
        total = 0
        for suffix in ("", "-wal"):
            with contextlib.suppress(OSError):
                total += os.stat(f"{self.path}{suffix}").st_size
        return total

    def _create(self, path: Path) -> sqlite3.Connection:
        try:
            # The kernel refuses what exists; nobody else can read what is about to be written.
            os.close(os.open(path, os.O_CREAT | os.O_EXCL | os.O_WRONLY | os.O_CLOEXEC, 0o600))
            database = sqlite3.connect(path, isolation_level=None, check_same_thread=False)
            database.execute("PRAGMA journal_mode = WAL")
            database.execute("PRAGMA synchronous = NORMAL")
            database.execute("BEGIN")
            create_tables(database)
            for statement in create_views().split(";\n"):
                database.execute(statement)
            self._write_facts(database)
            database.execute("COMMIT")
        except FileExistsError as error:
            raise RecordingError(
                f"there is a file {path} already", fix="choose another name, or remove it"
            ) from error
        except (OSError, sqlite3.Error) as error:
            reason = error.strerror if isinstance(error, OSError) else error
            raise RecordingError(
                f"cannot write the recording {path}: {reason}",
                fix="choose a directory that can be written, with room on its disk",
            ) from error
        return database

    def _write_facts(self, database: sqlite3.Connection) -> None:
        snapshot = self._source.snapshot()
        write_meta(
            database,
            {
                "host": asdict(snapshot.host),
                "began_ns": snapshot.wall_ns,
                "elapsed_s": snapshot.elapsed_s,
                "options": asdict(self._options),
            },
        )

    # Writing.

    def _run(self) -> None:
        while not self._stopping.wait(COMMIT_S):
            self._write_what_is_new()
        self._write_what_is_new()

    def _write_what_is_new(self) -> None:
        """One transaction; when it fails nothing of it counts, and it is tried again."""
        if self._state[0] == "failed":
            return
        if not self._is_ours():
            self._state = (
                "failed",
                f"the recording {self.path} is no longer where it was: it was removed or replaced",
                "start another one",
            )
            return
        before = dict(self._cursors)
        try:
            self._database.execute("BEGIN IMMEDIATE")
            written = self._write_all()
            self._prune()
            self._database.execute("COMMIT")
        except sqlite3.Error as error:
            self._cursors = before
            with contextlib.suppress(sqlite3.Error):
                self._database.execute("ROLLBACK")
            self._state = (
                "degraded",
                f"the recording {self.path} cannot be written: {error}",
                "make room on its disk; it is tried again",
            )
            return
        seen, lost, lag_ms = written
        self._tally.add(seen=seen, kept=seen - lost, dropped={"engine_forgot": lost}, lag_ms=lag_ms)
        self._state = ("running", "", "")

    def _is_ours(self) -> bool:
        try:
            return self.path.stat().st_ino == self._inode
        except OSError:
            return False

    def _write_all(self) -> tuple[int, int, float]:
        """Write every kind; returns how many were to be written, how many were lost, the lag."""
        now_ns, seen, lost, newest_ns = time.time_ns(), 0, 0, 0
        for kind in KINDS:
            # What comes meanwhile is for the next transaction: this one must end.
            newest = self._source.last_seq(kind)
            while self._cursors[kind] < newest:
                batch = self._source.since(kind, self._cursors[kind], _PULLED)
                written = self._write(kind, batch.records)
                if batch.missed:
                    self._note_loss(now_ns, kind, batch.missed)
                seen += written + batch.missed
                lost += batch.missed
                if batch.records:
                    newest_ns = max(newest_ns, batch.records[-1].ts_ns)
                self._cursors[kind] = batch.last_seq
            if self._cursors[kind]:
                self._database.execute(
                    "INSERT OR REPLACE INTO marks VALUES (?, ?, ?)",
                    (now_ns, kind, self._cursors[kind]),
                )
        return seen, lost, max(0, now_ns - newest_ns) / 1e6 if newest_ns else 0.0

    def _write(self, kind: str, records: Iterable[Record]) -> int:
        wanted, redact = self._wanted, self._redact
        rows = [row_of(redact(record)) for record in records if wanted is None or wanted(record)]
        if rows:
            self._database.executemany(insertion(KINDS[kind]), rows)
        return len(rows)

    def _note_loss(self, now_ns: int, kind: str, number: int) -> None:
        self._database.execute(
            "INSERT INTO losses VALUES (?, ?, ?, ?)", (now_ns, kind, number, "engine_forgot")
        )

    # Keeping it small.

    def _prune(self) -> None:
        """Let the oldest records go, as far as the bounds ask for it."""
        keep_s, max_bytes = self._options.keep_s, self._options.max_bytes
        if keep_s is not None:
            self._forget_before(time.time_ns() - int(keep_s * 1e9))
        if max_bytes is None:
            return
        while self._used > max_bytes * _SPARE:
            oldest = self._database.execute(
                "SELECT ts_ns FROM marks GROUP BY ts_ns ORDER BY ts_ns LIMIT 1 OFFSET 1"
            ).fetchone()
            if oldest is None:
                return
            self._forget_before(oldest[0])

    @property
    def _used(self) -> int:
        """Bytes of the pages in use."""
        (pages,), (free,), (page_size,) = (
            self._database.execute(f"PRAGMA {name}").fetchone()
            for name in ("page_count", "freelist_count", "page_size")
        )
        return int((pages - free) * page_size)

    def _forget_before(self, ts_ns: int) -> None:
        """Delete what the marks before a moment cover; of tables, what has been superseded."""
        covered = self._database.execute(
            "SELECT kind, max(seq) FROM marks WHERE ts_ns <= ? GROUP BY kind", (ts_ns,)
        ).fetchall()
        for kind, seq in covered:
            latest = ""
            if kind in TABLE_KEYS:
                keys = ", ".join(TABLE_KEYS[kind])
                group = f"GROUP BY {keys}" if keys else ""
                latest = f'AND seq NOT IN (SELECT max(seq) FROM "{kind}" WHERE seq <= ?1 {group})'
            self._database.execute(f'DELETE FROM "{kind}" WHERE seq <= ?1 {latest}', (seq,))
        self._database.execute("DELETE FROM marks WHERE ts_ns <= ?", (ts_ns,))
        write_meta(self._database, {"pruned_before_ns": ts_ns})

    def _close(self) -> None:
        with contextlib.suppress(sqlite3.Error):
            write_meta(self._database, {"ended_ns": time.time_ns()})
            self._database.execute("PRAGMA journal_mode = DELETE")
        self._database.close()
