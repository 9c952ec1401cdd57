"""A recording behind the engine's face: the same panes, without root.

Nothing is loaded beforehand: what a reader asks for is looked up in the file, up to the moment
the playhead has reached.
"""

from __future__ import annotations

import threading
from collections.abc import Iterable, Iterator
from pathlib import Path

from engine.core.clock import Clock, SystemClock
from engine.core.errors import RecordingError
from engine.core.fields import JsonValue
from engine.core.kinds import KINDS, TABLE_KEYS
from engine.core.progress import Tasks
from engine.core.records import Batch, Record
from engine.core.snapshot import Snapshot
from engine.core.source import SourceStatus
from engine.engine import Engine
from engine.recording.lines import sources_from_json
from engine.recording.opening import open_recording
from engine.recording.playhead import Playhead
from engine.recording.problems import next_problem

RowKey = tuple[JsonValue, ...]
_FAR = 5_000
"""Records of a table from which on its rows are looked up anew instead of followed."""


class ReplayEngine(Engine):
    """Plays a recording.

    Args:
        path: A recording, or a stream of JSON Lines that a `--json` command has written.
        clock: Paces the replay.
        instant: Be at the end from the start.
        tasks: Told while the file is opened, and of what takes long later.

    Raises:
        RecordingError: if the file cannot be read.
    """

    def __init__(
        self,
        path: Path,
        *,
        clock: Clock | None = None,
        instant: bool = False,
        tasks: Tasks | None = None,
    ) -> None:
        self.tasks = tasks or Tasks()
        self.faults: tuple[str, ...]
        """Lines of a JSON Lines recording that could not be read."""
        with self.tasks.begin(f"opening {path.name}") as task:
            self._file, self.faults = open_recording(path, task.advance)
        self._playhead = Playhead(clock or SystemClock(), self._file.first_ns, self._file.last_ns)
        self._path = path
        self._label = f"replay {path.name}"
        self._instant = instant
        self._lock = threading.RLock()
        self._reached = dict.fromkeys(KINDS, 0)
        self._reached_ns = self.playhead.first_ns - 1
        self._rows: dict[str, dict[RowKey, Record]] = {kind: {} for kind in TABLE_KEYS}
        self._rows_seq = dict.fromkeys(TABLE_KEYS, 0)
        self._sources: tuple[int, dict[str, SourceStatus]] = (0, {})
        self._closed = False

    @property
    def playhead(self) -> Playhead:
        """Where the replay is, to be moved."""
        return self._playhead

    @property
    def recording_path(self) -> Path:
        """The recording."""
        return self._path

    @property
    def kinds(self) -> tuple[str, ...]:
        """Kinds of records it may hold."""
        return self._file.kinds

    def in_order(self, kinds: Iterable[str]) -> Iterator[Record]:
        """Every record of some kinds from the present moment on, in the order of time."""
        begin_ns = self._playhead.now_ns
        with self._lock:
            after = {kind: self._file.reached(kind, begin_ns - 1) for kind in self._file.kinds}
        known = [kind for kind in kinds if kind in self._file.kinds]
        return self._file.in_order(after if begin_ns > self._playhead.first_ns else {}, known)

    def start(self) -> None:
        """Begin to play."""
        if self._instant:
            self.playhead.seek(self.playhead.last_ns)
        self.playhead.go_on()

    def stop(self) -> None:
        """Stop playing; may be called twice."""
        self.playhead.hold()

    def close(self) -> None:
        """Close the file; nothing can be read from then on."""
        with self._lock:
            if not self._closed:
                self._closed = True
                self._file.close()

    def snapshot(self) -> Snapshot:
        """The state as of the moment the replay has reached."""
        with self._lock:
            self._advance()
            now_ns = self._reached_ns
            return Snapshot(
                wall_ns=now_ns,
                elapsed_s=max(0, now_ns - self.playhead.first_ns) / 1e9,
                host=self._file.host,
                sources=self._sources_now(),
                tables={kind: self._table(kind) for kind in TABLE_KEYS},
                own_cpu=0.0,
                own_rss=0,
                source_label=self._label,
                replay=self._playhead.facts(),
                tasks=self.tasks.facts(),
            )

    def since(self, kind: str, seq: int, limit: int = 1_000) -> Batch:
        """Records the replay has reached."""
        with self._lock:
            self._advance()
            last = self._reached[kind]
            records = self._file.records(kind, seq, last, limit)
        return Batch(tuple(records), records[-1].seq if records else max(seq, last), 0)

    def last_seq(self, kind: str) -> int:
        """Number of the newest record the replay has reached."""
        with self._lock:
            self._advance()
            return self._reached[kind]

    def go_to(self, ts_ns: int) -> None:
        """Be at another moment; returns when what there was then is at hand."""
        with self.tasks.begin("looking up the moment"):
            self.playhead.seek(ts_ns)
            self.snapshot()

    def step(self) -> None:
        """Stand still on the next record of any kind."""
        with self.tasks.begin("looking for the next record"), self._lock:
            self._advance()
            following = (
                self._file.records(kind, seq, 2**62, 1) for kind, seq in self._reached.items()
            )
            due = [record.ts_ns for records in following for record in records]
        self.playhead.hold()
        if due:
            self.playhead.seek(max(min(due), self._reached_ns + 1))

    def next_problem(self) -> str:
        """Stand still on the next loss or error.

        Returns:
            What it is; empty, and nothing has moved, where there is none.

        Raises:
            RecordingError: the file is damaged, or the search was cancelled.
        """
        searching = self.tasks.begin("looking for the next problem", self._file.interrupt)
        with searching as task, self._lock:
            self._advance()
            try:
                found = next_problem(self._file, self._reached_ns)
            except RecordingError as error:
                if not task.cancelled:
                    raise
                raise RecordingError("the search was cancelled") from error
        if found is None:
            return ""
        self.playhead.hold()
        self.playhead.seek(found.ts_ns)
        return found.text

    # Following the playhead.

    def _advance(self) -> None:
        now_ns = self.playhead.now_ns
        if now_ns == self._reached_ns:
            return
        for kind in self._file.kinds:
            self._reached[kind] = self._file.reached(kind, now_ns)
        self._reached_ns = now_ns

    def _table(self, kind: str) -> tuple[Record, ...]:
        reached, known = self._reached[kind], self._rows_seq[kind]
        if reached != known:
            near = 0 < reached - known < _FAR and known > 0
            rows = self._rows[kind] if near else {}
            told = (
                self._file.records(kind, known, reached, _FAR)
                if near
                else self._file.rows_at(kind, reached)
            )
            for record in told:
                if _is_gone(record):
                    rows.pop(record.key(), None)
                else:
                    rows[record.key()] = record
            self._rows[kind], self._rows_seq[kind] = rows, reached
        return tuple(self._rows[kind].values())

    def _sources_now(self) -> dict[str, SourceStatus]:
        reached = self._reached["stats"]
        if reached != self._sources[0]:
            records = self._file.records("stats", reached - 1, reached, 1)
            told = sources_from_json(records[0].get("sources")) if records else {}
            self._sources = (reached, told)
        return dict(self._sources[1])


def _is_gone(record: Record) -> bool:
    match record.kind:
        case "process":
            return record.get("change") == "deleted"
        case "plugin_state":
            return record.get("state") == "unloaded"
    return False
