"""A recorded stream behind the engine's face: the same panes, without root."""

from __future__ import annotations

import threading
from pathlib import Path

from engine.core.clock import Clock, SystemClock
from engine.core.fields import JsonValue
from engine.core.kinds import KINDS, TABLE_KEYS
from engine.core.records import Batch, Record, RecordRing
from engine.core.snapshot import Snapshot
from engine.core.source import SourceStatus
from engine.engine import Engine
from engine.recording.lines import read_recording, sources_from_json

RowKey = tuple[JsonValue, ...]


class ReplayEngine(Engine):
    """Plays a recording.

    Args:
        path: A recorded stream (JSON Lines).
        clock: Paces the replay.
        instant: Deliver everything at `start` instead of at the recorded pace.
        capacity: Records kept per kind.

    Raises:
        RecordingError: if the file cannot be read.
    """

    def __init__(
        self,
        path: Path,
        *,
        clock: Clock | None = None,
        instant: bool = False,
        capacity: int = 100_000,
    ) -> None:
        self._clock = clock or SystemClock()
        self._recording = read_recording(path)
        self._label = f"replay {path.name}"
        self._instant = instant
        self._rings = {kind: RecordRing(capacity) for kind in KINDS}
        self._tables: dict[str, dict[RowKey, Record]] = {kind: {} for kind in TABLE_KEYS}
        self._sources: dict[str, SourceStatus] = {}
        self._lock = threading.Lock()
        self._stopping = threading.Event()
        self._thread: threading.Thread | None = None
        self._first_ns = self._recording.records[0].ts_ns
        self._now_ns = self._first_ns

    @property
    def faults(self) -> tuple[str, ...]:
        """Lines of the recording that could not be read."""
        return self._recording.faults

    def start(self) -> None:
        """Begin to play."""
        if self._instant:
            for record in self._recording.records:
                self._deliver(record)
            return
        self._thread = threading.Thread(target=self._play, name="boxscope-replay", daemon=True)
        self._thread.start()

    def stop(self) -> None:
        """Stop playing."""
        self._stopping.set()
        self.join()

    def join(self) -> None:
        """Wait until the recording has been played to its end, or was stopped."""
        if self._thread is not None:
            self._thread.join()

    def snapshot(self) -> Snapshot:
        """The state as of the moment the replay has reached."""
        with self._lock:
            tables = {kind: tuple(rows.values()) for kind, rows in self._tables.items()}
            return Snapshot(
                wall_ns=self._now_ns,
                elapsed_s=(self._now_ns - self._first_ns) / 1e9,
                host=self._recording.host,
                sources=dict(self._sources),
                tables=tables,
                own_cpu=0.0,
                own_rss=0,
                source_label=self._label,
            )

    def since(self, kind: str, seq: int, limit: int = 1_000) -> Batch:
        """Records the replay has reached."""
        return self._rings[kind].since(seq, limit)

    def last_seq(self, kind: str) -> int:
        """Number of the newest record the replay has reached."""
        return self._rings[kind].last_seq

    def _play(self) -> None:
        begun = self._clock.monotonic_ns()
        for record in self._recording.records:
            due = record.ts_ns - self._first_ns
            ahead = due - (self._clock.monotonic_ns() - begun)
            if ahead > 0 and self._stopping.wait(ahead / 1e9):
                return
            self._deliver(record)

    def _deliver(self, record: Record) -> None:
        with self._lock:
            self._now_ns = max(self._now_ns, record.ts_ns)
            if record.kind == "stats":
                self._sources.update(sources_from_json(record.get("sources")))
            elif record.kind in TABLE_KEYS:
                self._update_table(record)
            self._rings[record.kind].append(record)

    def _update_table(self, record: Record) -> None:
        rows = self._tables[record.kind]
        if _is_gone(record):
            rows.pop(record.key(), None)
        else:
            rows[record.key()] = record


def _is_gone(record: Record) -> bool:
    match record.kind:
        case "process":
            return record.get("change") == "deleted"
        case "plugin_state":
            return record.get("state") == "unloaded"
    return False
