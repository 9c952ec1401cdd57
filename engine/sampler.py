"""States turned into a stream: once a second, every table row that changed becomes a record."""

from __future__ import annotations

import threading
from collections.abc import Callable
from dataclasses import replace

from engine.core.fields import JsonValue
from engine.core.kinds import TABLE_KEYS
from engine.core.records import Record, RecordRing
from engine.core.snapshot import Snapshot
from engine.recording.lines import stats_record

SAMPLED = tuple(kind for kind in TABLE_KEYS if kind != "process")
"""Tables that change all the time; processes report their own changes."""
_LIMIT = 20_000


class Sampler:
    """Writes changed rows, and the counters as `stats`, into rings.

    Args:
        take: Gives the engine's present snapshot.
        rings: One ring per kind in SAMPLED, and `stats`.
        interval_s: Time between two samples.
    """

    def __init__(
        self, take: Callable[[], Snapshot], rings: dict[str, RecordRing], interval_s: float = 1.0
    ) -> None:
        self._take = take
        self._rings = rings
        self._interval_s = interval_s
        self._last: dict[str, dict[tuple[JsonValue, ...], Record]] = {kind: {} for kind in SAMPLED}
        self._cursors = dict.fromkeys(SAMPLED, 0)
        self._seen: dict[str, frozenset[int]] = dict.fromkeys(SAMPLED, frozenset())
        self._rows: dict[str, tuple[Record, ...]] = {}
        self._stopping = threading.Event()
        self._thread = threading.Thread(target=self._run, name="boxscope-sampler", daemon=True)

    def start(self) -> None:
        """Begin to sample."""
        self._thread.start()

    def stop(self) -> None:
        """Stop, after one last sample."""
        self._stopping.set()
        if self._thread.is_alive():
            self._thread.join()

    def sample(self) -> None:
        """Take one sample now."""
        snapshot = self._take()
        for kind in SAMPLED:
            self._rings[kind].extend(self._changed(kind, snapshot))
        self._rings["stats"].append(stats_record(snapshot))

    def _changed(self, kind: str, snapshot: Snapshot) -> list[Record]:
        """Rows that differ from the last record of their key, whoever wrote it.

        A row that is still the same object, as most of a large table are, is not looked into
        unless somebody else has written records of its kind.
        """
        last, rows = self._last[kind], snapshot.tables.get(kind, ())
        written = self._rings[kind].since(self._cursors[kind], _LIMIT).records
        foreign = [record for record in written if last.get(record.key()) is not record]
        last.update((record.key(), record) for record in foreign)
        seen = frozenset() if foreign else self._seen[kind]
        changed = [
            replace(row, ts_ns=snapshot.wall_ns)
            for row in rows
            if id(row) not in seen
            and ((before := last.get(row.key())) is None or before.values != row.values)
        ]
        self._seen[kind] = frozenset(map(id, rows))
        self._rows[kind] = rows  # keeps the objects, so that none takes the place of another
        self._cursors[kind] = self._rings[kind].last_seq
        last.update((row.key(), row) for row in changed)
        return changed

    def _run(self) -> None:
        while not self._stopping.wait(self._interval_s):
            self.sample()
        self.sample()
