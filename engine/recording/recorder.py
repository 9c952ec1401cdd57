"""Writes everything an engine delivers into one SQLite file, by a thread of its own.

Twice a second what is new is written and committed, so that a program killed at any moment
loses at most that, and never the file. What cannot be written (a full disk) is tried again from
the engine's own memory; what had left that memory meanwhile is counted in `losses`.
"""

from __future__ import annotations

import contextlib
import json
import os
import sqlite3
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path

from engine.core.clock import Clock, SystemClock
from engine.core.counters import Counters, Tally
from engine.core.errors import RecordingError
from engine.core.fields import JsonValue
from engine.core.kinds import KINDS
from engine.core.progress import Task
from engine.core.records import Record
from engine.core.source import SourceState, SourceStatus
from engine.recording.beginning import Beginning, Recorded, from_memory, from_now
from engine.recording.creation import create_file
from engine.recording.options import RecordingOptions
from engine.recording.pruning import Pruner
from engine.recording.redaction import redaction
from engine.recording.schema import write_meta, write_rows

COMMIT_S = 0.5
FORGOT, NOT_WRITTEN = "engine_forgot", "not_written"
_PULLED = 1_000
"""Records decoded at once: the screen must have its turn between two lots."""

_UNKNOWN = object()
"""No value of the context."""

Context = Callable[[], Mapping[str, JsonValue]]


@dataclass
class _Pass:
    """What one transaction has written."""

    now_ns: int
    kept: dict[str, int] = field(default_factory=dict)
    lost: dict[str, int] = field(default_factory=dict)
    newest_ns: int = 0

    @property
    def lag_ms(self) -> float:
        """Age of the newest record."""
        return max(0, self.now_ns - self.newest_ns) / 1e6 if self.newest_ns else 0.0


class Recorder:
    """One recording being written.

    Args:
        source: What is recorded.
        path: The file; must not exist yet.
        options: Bounds, redaction and filter.
        context: What is subscribed, filtered and attached; asked each time, changes are recorded.
        clock: The engine's; it may be set while something is recorded.

    Raises:
        UsageError: the options mean nothing.
        RecordingError: the file exists or cannot be made.
    """

    def __init__(
        self,
        source: Recorded,
        path: Path,
        options: RecordingOptions | None = None,
        context: Context = dict,
        clock: Clock | None = None,
    ) -> None:
        self.path = path
        self._clock = clock or SystemClock()
        self._source = source
        self._options = options or RecordingOptions()
        self._wanted = self._options.wanted()
        self._redact = redaction(self._options.redact)
        self._context = context
        self._known_context: dict[str, JsonValue] = {}
        self._tallies = {kind: Tally() for kind in KINDS}
        self._lag_ms = 0.0
        self._state: tuple[SourceState, str, str] = ("starting", "", "")
        self._cursors = dict.fromkeys(KINDS, 0)
        self._opening: Mapping[str, list[Record]] = {}
        self._task: Task | None = None
        self._first: Mapping[str, int] = {}
        self._stopping = threading.Event()
        self._thread = threading.Thread(target=self._run, name="boxscope-recorder", daemon=True)
        self._database = create_file(path)
        self._inode = path.stat().st_ino
        self._pruner = Pruner(self._database, self._options)

    # Life.

    def start(self) -> None:
        """Begin to write what comes."""
        self._begin(from_now(self._source))
        self._thread.start()

    def write_memory(self, task: Task) -> None:
        """Write all that the engine remembers, in the calling thread, and close the file.

        Raises:
            RecordingError: the task was cancelled; there is no file then.
        """
        self._begin(from_memory(self._source))
        self._task, self._first = task, dict(self._cursors)
        try:
            self._write_what_is_new()
        except RecordingError:
            self._database.close()
            self.path.unlink(missing_ok=True)
            raise
        self.stop()

    def stop(self) -> None:
        """Write what is left and close the file; may be called twice."""
        self._stopping.set()
        if self._thread.ident is not None:
            self._thread.join()
        if self._state[0] in ("degraded", "failed"):
            self._count_as_lost()
            self._state = ("failed", *self._state[1:])
        else:
            self._state = ("off", "", "")
        self._close()

    def status(self) -> SourceStatus:
        """State and counters, as of a source; its stages are the kinds."""
        state, reason, fix = self._state
        stages = {kind: tally.read() for kind, tally in self._tallies.items()}
        told = {kind: counters for kind, counters in stages.items() if counters.seen}
        return SourceStatus(
            "recording", state, reason, fix, counters=_sum(told.values(), self._lag_ms), stages=told
        )

    @property
    def counters(self) -> Counters:
        """Records that were to be written, and what became of them."""
        return self.status().counters

    @property
    def size(self) -> int:
        """Bytes of the file and its journal."""
        total = 0
        for suffix in ("", "-wal"):
            with contextlib.suppress(OSError):
                total += os.stat(f"{self.path}{suffix}").st_size
        return total

    def _begin(self, beginning: Beginning) -> None:
        self._cursors, self._opening = beginning.cursors, beginning.rows
        snapshot = self._source.snapshot()
        facts: dict[str, JsonValue] = {
            "host": asdict(snapshot.host),
            "began_ns": snapshot.wall_ns,
            "elapsed_s": snapshot.elapsed_s,
            "options": asdict(self._options),
            "forgotten": beginning.forgotten,
        }
        try:
            write_meta(self._database, facts)
        except sqlite3.Error as error:
            self._degrade(error)
        else:
            self._state = ("running", "", "")

    # Writing.

    def _run(self) -> None:
        try:
            took_s = 0.0
            while not self._stopping.wait(max(0.0, COMMIT_S - took_s)):
                began = time.monotonic()
                self._write_what_is_new()
                took_s = time.monotonic() - began
            self._write_what_is_new()
        except Exception as error:  # a bug here must not leave the recording looking alive
            self._fail(f"the recording {self.path} has failed: {error!r}")

    def _write_what_is_new(self) -> None:
        """One transaction; when it fails nothing of it counts, and it is tried again."""
        if self._state[0] != "failed" and not self._is_ours():
            self._fail(
                f"the recording {self.path} is no longer where it was: it was removed or replaced"
            )
        if self._state[0] == "failed":
            self._count_as_lost()
            return
        before = dict(self._cursors), dict(self._known_context)
        done = _Pass(self._clock.wall_ns())
        try:
            self._database.execute("BEGIN IMMEDIATE")
            self._write_all(done)
            self._pruner.prune(done.now_ns, self._clock.monotonic_ns())
            self._database.execute("COMMIT")
        except sqlite3.Error as error:
            self._cursors, self._known_context = before
            with contextlib.suppress(sqlite3.Error):
                self._database.execute("ROLLBACK")
            self._degrade(error)
            return
        self._account(done)

    def _account(self, done: _Pass) -> None:
        """What was written is in the file now."""
        self._opening = {}
        self._lag_ms = done.lag_ms
        for kind in done.kept.keys() | done.lost.keys():
            kept, lost = done.kept.get(kind, 0), done.lost.get(kind, 0)
            self._tallies[kind].add(seen=kept + lost, kept=kept, dropped={FORGOT: lost})
        self._state = ("running", "", "")

    def _degrade(self, error: sqlite3.Error) -> None:
        waiting = sum(
            max(0, self._source.last_seq(kind) - cursor) for kind, cursor in self._cursors.items()
        )
        self._state = (
            "degraded",
            f"the recording {self.path} cannot be written: {error}; {waiting:,} records wait",
            "make room on its disk; it is tried again",
        )

    def _fail(self, reason: str) -> None:
        self._state = ("failed", reason, "start another one")

    def _count_as_lost(self) -> None:
        """What has come and will not be written; with a filter, also what it would not choose."""
        for kind, cursor in self._cursors.items():
            last = self._source.last_seq(kind)
            lost = max(0, last - cursor)
            self._tallies[kind].add(seen=lost, kept=0, dropped={NOT_WRITTEN: lost})
            self._cursors[kind] = max(cursor, last)

    def _is_ours(self) -> bool:
        try:
            return self.path.stat().st_ino == self._inode
        except OSError:
            return False

    def _write_all(self, done: _Pass) -> None:
        """Write what every kind has now; what comes meanwhile is for the next time."""
        self._write_context(done.now_ns)
        for kind in KINDS:
            self._write(done, kind, self._opening.get(kind, ()))
            last = self._source.last_seq(kind)
            while self._cursors[kind] < last:
                batch = self._source.since(kind, self._cursors[kind], _PULLED)
                self._write(done, kind, batch.records)
                if batch.missed:
                    self._note_loss(done, kind, batch.missed)
                self._cursors[kind] = batch.last_seq
                self._tell_progress()
            if self._cursors[kind]:
                self._database.execute(
                    "INSERT OR REPLACE INTO marks VALUES (?, ?, ?)",
                    (done.now_ns, kind, self._cursors[kind]),
                )

    def _tell_progress(self) -> None:
        """Say how much of the memory is written.

        Raises:
            RecordingError: nobody wants it any more.
        """
        if self._task is None:
            return
        if self._task.cancelled:
            raise RecordingError(f"writing {self.path} was cancelled", fix="there is no file of it")
        first = self._first
        done = sum(self._cursors[kind] - first[kind] for kind in KINDS)
        total = sum(self._source.last_seq(kind) - first[kind] for kind in KINDS)
        self._task.advance(done, total)

    def _write(self, done: _Pass, kind: str, records: Sequence[Record]) -> None:
        if self._options.filter_text:
            records = [record for record in records if self._wanted(record)]
        if self._options.redact:
            records = [self._redact(record) for record in records]
        if records:
            write_rows(self._database, KINDS[kind], records)
            done.kept[kind] = done.kept.get(kind, 0) + len(records)
            done.newest_ns = max(done.newest_ns, records[-1].ts_ns)

    def _note_loss(self, done: _Pass, kind: str, number: int) -> None:
        done.lost[kind] = done.lost.get(kind, 0) + number
        self._database.execute(
            "INSERT INTO losses VALUES (?, ?, ?, ?)", (done.now_ns, kind, number, FORGOT)
        )

    def _write_context(self, now_ns: int) -> None:
        """What of the context has changed since it was last written."""
        for name, value in self._context().items():
            if self._known_context.get(name, _UNKNOWN) != value:
                self._database.execute(
                    "INSERT INTO context VALUES (?, ?, ?)", (now_ns, name, json.dumps(value))
                )
                self._known_context[name] = value

    def _close(self) -> None:
        with contextlib.suppress(sqlite3.Error):
            write_meta(self._database, {"ended_ns": self._clock.wall_ns()})
            self._database.execute("PRAGMA journal_mode = DELETE")
        self._database.close()


def _sum(several: Iterable[Counters], lag_ms: float) -> Counters:
    """The counters of all kinds together."""
    every = list(several)
    dropped: Counter[str] = Counter()
    for counters in every:
        dropped.update(counters.dropped)
    seen, kept = sum(each.seen for each in every), sum(each.kept for each in every)
    return Counters(seen, kept, dict(dropped), lag_ms)
