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
        """Rows that differ from the last record of their key, whoever wrote it."""
        last = self._last[kind]
        for record in self._rings[kind].since(self._cursors[kind], _LIMIT).records:
            last[record.key()] = record
        changed = [
            replace(row, ts_ns=snapshot.wall_ns)
            for row in snapshot.tables.get(kind, ())
            if (before := last.get(row.key())) is None or before.values != row.values
        ]
        self._cursors[kind] = self._rings[kind].last_seq
        last.update((row.key(), row) for row in changed)
        return changed

    def _run(self) -> None:
        while not self._stopping.wait(self._interval_s):
            self.sample()
        self.sample()
