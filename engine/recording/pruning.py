"""Keeps a recording small: the oldest records go when they are too old or the file too large.

How old they are is told by the monotonic clock, as the wall clock may be set: when each of the
writer's passes was made stands in a table of its own, which only the writer's connection has.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator

from engine.core.kinds import KINDS, TABLE_KEYS
from engine.recording.options import RecordingOptions
from engine.recording.schema import GONE, write_meta

_SPARE = 0.9
"""Of the greatest size, what a file that has grown too large is pruned to."""
_AT_A_MOMENT = "kind IN ({}) AND ts_ns = ?".format(", ".join(f"'{kind}'" for kind in KINDS))
"""Its marks are found by their key, which begins with the kind; else all would be looked at."""


class Pruner:
    """Deletes what the bounds of a recording leave no room for, within the writer's transaction.

    Args:
        database: The recording.
        options: Its bounds.
    """

    def __init__(self, database: sqlite3.Connection, options: RecordingOptions) -> None:
        self._database = database
        self._options = options
        if options.keep_s is not None:
            database.execute("PRAGMA temp_store = MEMORY")
            database.execute("CREATE TEMP TABLE passes (monotonic_ns INTEGER, ts_ns INTEGER)")
            database.execute("CREATE INDEX temp.passed ON passes (monotonic_ns)")

    def prune(self, now_ns: int, monotonic_ns: int) -> None:
        """Let the oldest records go, as far as the bounds ask for it.

        Args:
            now_ns: Wall time that what was just written is marked with.
            monotonic_ns: The same moment by the clock that nobody sets.
        """
        keep_s, max_bytes = self._options.keep_s, self._options.max_bytes
        if keep_s is not None:
            self._database.execute("INSERT INTO passes VALUES (?, ?)", (monotonic_ns, now_ns))
            self._forget_passes(monotonic_ns - int(keep_s * 1e9))
        if max_bytes is None or self._used <= max_bytes * _SPARE:
            return
        for ts_ns in self._moments():
            self._forget_marked(ts_ns)
            if self._used <= max_bytes * _SPARE:
                return

    def _forget_passes(self, until_ns: int) -> None:
        """Delete what was written up to a time of the monotonic clock.

        The last pass covers all that those before it do. There are many of them at once where the
        writer was stopped for a while.
        """
        old = self._database.execute(
            "SELECT ts_ns FROM passes WHERE monotonic_ns <= ? ORDER BY monotonic_ns", (until_ns,)
        ).fetchall()
        if not old:
            return
        self._database.executemany(f"DELETE FROM marks WHERE {_AT_A_MOMENT}", old[:-1])
        self._forget_marked(*old[-1])
        self._database.execute("DELETE FROM passes WHERE monotonic_ns <= ?", (until_ns,))

    def _moments(self) -> Iterator[int]:
        """The moments of the marks in the order they were written; none for a single one.

        Time does not tell it: the clock may have been set back in between.
        """
        rows = self._database.execute(
            "SELECT ts_ns FROM marks GROUP BY ts_ns ORDER BY sum(seq), ts_ns"
        ).fetchall()
        if len(rows) > 1:
            yield from (ts_ns for (ts_ns,) in rows)

    @property
    def _used(self) -> int:
        """Bytes of the pages in use."""
        (pages,), (free,), (page_size,) = (
            self._database.execute(f"PRAGMA {name}").fetchone()
            for name in ("page_count", "freelist_count", "page_size")
        )
        return int((pages - free) * page_size)

    def _forget_marked(self, ts_ns: int) -> None:
        """Delete what the marks of a moment cover; of tables, what has been superseded."""
        covered = self._database.execute(
            f"SELECT kind, seq FROM marks WHERE {_AT_A_MOMENT}", (ts_ns,)
        ).fetchall()
        if not covered:
            return
        for kind, seq in covered:
            self._forget(kind, seq)
        self._database.execute(f"DELETE FROM marks WHERE {_AT_A_MOMENT}", (ts_ns,))
        write_meta(self._database, {"pruned_before_ns": ts_ns})

    def _forget(self, kind: str, seq: int) -> None:
        superseded = ""
        if kind in TABLE_KEYS:
            keys = ", ".join(TABLE_KEYS[kind])
            group = f"GROUP BY {keys}" if keys else ""
            gone = f"OR {GONE[kind]}" if kind in GONE else ""
            superseded = (
                f'AND (seq NOT IN (SELECT max(seq) FROM "{kind}" WHERE seq <= ?1 {group}) {gone})'
            )
        deleted = self._database.execute(
            f'DELETE FROM "{kind}" WHERE seq <= ?1 {superseded}', (seq,)
        ).rowcount
        if deleted:
            self._database.execute(
                "INSERT INTO pruned VALUES (?, ?) "
                "ON CONFLICT (kind) DO UPDATE SET number = number + excluded.number",
                (kind, deleted),
            )
