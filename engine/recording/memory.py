"""What an engine remembers, as a recording in memory: the same tables and views, to be asked."""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Callable
from dataclasses import asdict
from typing import NamedTuple

from engine.core.errors import FailedError
from engine.core.kinds import KINDS
from engine.recording.beginning import Recorded, from_memory
from engine.recording.creation import lay_out
from engine.recording.guard import unguard
from engine.recording.query import Query
from engine.recording.recorder import Context
from engine.recording.schema import write_meta, write_rows

MOST = 100_000
"""Records of a kind that are taken in at once; of more, the newest."""
_PULLED = 500
"""Records decoded at once: the screen must have its turn between two lots."""


class Held(NamedTuple):
    """What there is to be asked."""

    wall_ns: int
    """When it was last brought up to date."""
    records: int
    left_out: int
    """Records the engine still had and that were too many."""
    forgotten: int
    """Records the engine no longer had."""


class MemoryRecording:
    """A recording of an engine's memory; used by one thread at a time.

    Args:
        source: Whose memory.
        context: What is subscribed, filtered and attached.
        most: Records of a kind to take in at once.
    """

    def __init__(self, source: Recorded, context: Context = dict, most: int = MOST) -> None:
        self._source = source
        self._context = context
        self._most = most
        self._database = _empty()
        self._begun = False
        self.is_broken = False
        """Whether it could not take something in, and another one has to be begun."""
        self._cursors = dict.fromkeys(KINDS, 0)
        self._counts = dict.fromkeys(KINDS, 0)
        self._left_out = dict.fromkeys(KINDS, 0)
        self._forgotten = dict.fromkeys(KINDS, 0)
        self._wall_ns = 0

    @property
    def held(self) -> Held:
        """What there is to be asked now."""
        return Held(
            self._wall_ns,
            sum(self._counts.values()),
            sum(self._left_out.values()),
            sum(self._forgotten.values()),
        )

    @property
    def is_full(self) -> bool:
        """Whether it holds so much that another one should be begun."""
        return any(number > 2 * self._most for number in self._counts.values())

    def query(self, *, seconds: float | None, interrupted: Callable[[], bool]) -> Query:
        """It, to be asked until it is brought up to date again."""
        return Query(self._database, "in memory", seconds=seconds, interrupted=interrupted)

    def close(self) -> None:
        """Let go of it."""
        self._database.close()

    def catch_up(self, interrupted: Callable[[], bool], told: Callable[[int, int], object]) -> None:
        """Take in what the engine has now and this does not have yet.

        Args:
            interrupted: Asked now and then; true ends it, with what there is so far.
            told: Told how many records were taken in, and of how many.

        Raises:
            FailedError: it was interrupted, or there is no memory for it.
        """
        unguard(self._database)
        try:
            self._take_in(interrupted, told)
        except sqlite3.Error as error:
            self.is_broken = True
            raise FailedError(
                f"what the engine remembers cannot be taken in: {error}",
                fix="record into a file, and ask that",
            ) from error

    def _take_in(self, interrupted: Callable[[], bool], told: Callable[[int, int], object]) -> None:
        snapshot = self._source.snapshot()
        if not self._begun:
            self._begin(asdict(snapshot.host))
        last = {kind: self._source.last_seq(kind) for kind in KINDS}
        for kind, number in last.items():
            self._skip_to(kind, number - self._most)
        behind = {kind: number - self._cursors[kind] for kind, number in last.items()}
        all_, done = sum(behind.values()), 0
        for kind, number in last.items():
            while self._cursors[kind] < number:
                if interrupted():
                    raise FailedError("the question was interrupted")
                done += self._pull(kind, number)
                told(done, all_)
        self._wall_ns = snapshot.wall_ns
        self._database.execute("DELETE FROM context")
        self._database.executemany(
            "INSERT INTO context VALUES (?, ?, ?)",
            [(self._wall_ns, name, json.dumps(value)) for name, value in self._context().items()],
        )

    def _begin(self, host: dict[str, str]) -> None:
        """The facts of the box, and the rows that no record in memory tells."""
        beginning = from_memory(self._source)
        write_meta(self._database, {"host": host, "forgotten": beginning.forgotten})
        for kind, rows in beginning.rows.items():
            write_rows(self._database, KINDS[kind], rows)
            self._counts[kind] += len(rows)
        self._cursors.update(beginning.cursors)
        self._forgotten.update(beginning.forgotten)
        self._begun = True

    def _skip_to(self, kind: str, number: int) -> None:
        """Leave out what is too much."""
        left_out = max(0, number - self._cursors[kind])
        self._cursors[kind] += left_out
        self._left_out[kind] += left_out

    def _pull(self, kind: str, last: int) -> int:
        """Take in some records of a kind; returns how far that has led."""
        before = self._cursors[kind]
        batch = self._source.since(kind, before, min(_PULLED, last - before))
        self._database.execute("BEGIN")
        write_rows(self._database, KINDS[kind], batch.records)
        self._database.execute("COMMIT")
        self._counts[kind] += len(batch.records)
        self._forgotten[kind] += batch.missed
        self._cursors[kind] = batch.last_seq
        return batch.last_seq - before


def _empty() -> sqlite3.Connection:
    database = sqlite3.connect(":memory:", isolation_level=None, check_same_thread=False)
    database.execute("BEGIN")
    lay_out(database)
    database.execute("COMMIT")
    return database
