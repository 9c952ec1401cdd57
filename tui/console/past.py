"""Keeps the history of figures: from every snapshot of a live engine, else from its records.

An engine tells its tables and counters as records, too, once a second. What was before the console
looked, all of a replay, and what a jump in it has left out are read from those.
"""

from __future__ import annotations

import asyncio
import heapq
from collections.abc import Iterator, Mapping, Sequence

from engine.core.errors import BoxscopeError
from engine.core.fields import JsonValue
from engine.core.records import Record
from engine.core.snapshot import Snapshot
from engine.engine import Engine
from engine.recording.lines import sources_from_json
from tui.console.figures import FigureId, FigureReader, Look
from tui.console.history import KEPT, History
from tui.console.moments import first_since

SAMPLE_S = 0.5
"""Snapshots closer together than this add no sample."""
SPAN_NS = KEPT * 1_000_000_000
_ALL = (
    "plugin_state",
    "wasm_plugin",
    "subscription",
    "probe_state",
    "process",
    "l7_message",
    "stats",
)
"""Kinds that tell of figures; counters come after what they count."""
_MOST_READ = {"stats": 2 * KEPT, "l7_message": 20_000, "subscription": 20_000}
"""Newest records of a kind that are read of a past; what lies before them is a gap."""
_MOST = 50_000
_BATCH = 1_000
_MOST_MESSAGES = 5_000
"""Messages of one second that its latency is taken of."""
_MISSED_S = 3.0
"""An engine that runs for longer than this has a past nobody has looked at."""

Sample = tuple[int, dict[FigureId, float]]


class Past:
    """Feeds the history.

    Args:
        engine: What is looked at.
        history: Takes the figures.
    """

    def __init__(self, engine: Engine, history: History) -> None:
        self.history = history
        self._engine = engine
        self._figures = FigureReader()
        self._sampled_s = -1.0
        self._message = 0
        self._rows: dict[str, dict[tuple[JsonValue, ...], Record]] = {}
        self._cursors: dict[str, int] = {}
        self._reading = False
        self._unreadable = False

    def wants_records(self, snapshot: Snapshot) -> bool:
        """Whether the figures of now have to be read from records, which takes a thread."""
        if self._reading or self._unreadable:
            return False
        if snapshot.replay is not None:
            return snapshot.wall_ns != self.history.newest_ns
        return self._sampled_s < 0 and snapshot.elapsed_s > _MISSED_S

    def look(self, snapshot: Snapshot) -> None:
        """Take a sample of a live engine, unless the last one has only just been taken."""
        since_s = snapshot.elapsed_s - self._sampled_s
        live = snapshot.replay is None and not self._reading
        if not live or 0 <= since_s < SAMPLE_S:
            return
        if snapshot.wall_ns <= self.history.newest_ns:  # the box's clock was set back
            self.history.forget()
        self._sampled_s = snapshot.elapsed_s
        look = Look(
            snapshot.wall_ns,
            snapshot.elapsed_s,
            snapshot.sources,
            snapshot.tables,
            (snapshot.own_cpu, snapshot.own_rss),
            self._engine.last_seq("process"),
            self._new_messages(),
            self._engine.last_seq("l7_message"),
        )
        self.history.take(look.ts_ns, self._figures.read(look))

    def _new_messages(self) -> list[Record]:
        """The newest of those that have come since the last look."""
        last = self._engine.last_seq("l7_message")
        cursor = max(min(self._message, last), last - _MOST_MESSAGES)
        self._message = last
        found: list[Record] = []
        while cursor < last:
            batch = self._engine.since("l7_message", cursor, _BATCH)
            found += batch.records
            cursor = batch.last_seq
        return found

    async def catch_up(self, snapshot: Snapshot) -> None:
        """Read what the history lacks, up to a snapshot, from the records.

        Raises:
            BoxscopeError: they cannot be read; it is not tried again.
        """
        if self._reading:
            return
        newest_ns, now_ns = self.history.newest_ns, snapshot.wall_ns
        if not 0 < now_ns - newest_ns <= SPAN_NS or not newest_ns:
            self.history.forget()
            self._figures, self._rows, self._cursors = FigureReader(), {}, {}
        self._reading = True
        try:
            samples = await asyncio.to_thread(self._read, now_ns)
        except BoxscopeError:
            self._unreadable = True
            raise
        finally:
            self._reading = False
        for ts_ns, figures in samples:
            self.history.take(ts_ns, figures)
        if snapshot.replay is None:
            self._message = self._engine.last_seq("l7_message")
            self._sampled_s = snapshot.elapsed_s

    def _read(self, end_ns: int) -> list[Sample]:
        """The figures of every second that has not been read yet, up to a moment."""
        for kind in _ALL:
            if kind not in self._cursors:
                first, _known = first_since(self._engine, kind, end_ns - SPAN_NS)
                most = _MOST_READ.get(kind, _MOST)
                self._cursors[kind] = max(first - 1, self._engine.last_seq(kind) - most)
        samples: list[Sample] = []
        messages: list[Record] = []
        changes, message_number = self._cursors["process"], self._cursors["l7_message"]
        streams = [self._of_kind(kind, end_ns) for kind in _ALL]
        for record in heapq.merge(*streams, key=lambda record: record.ts_ns):
            match record.kind:
                case "stats":
                    look = self._look(record, changes, messages, message_number)
                    samples.append((record.ts_ns, self._figures.read(look)))
                    messages = []
                case "process":
                    changes = record.seq
                case "l7_message":
                    messages.append(record)
                    message_number = record.seq
                case _:
                    self._note(record)
        return samples

    def _of_kind(self, kind: str, end_ns: int) -> Iterator[Record]:
        """The records of a kind up to a moment that have not been read yet."""
        while batch := self._engine.since(kind, self._cursors[kind], _BATCH).records:
            for record in batch:
                if record.ts_ns > end_ns:
                    return
                self._cursors[kind] = record.seq
                yield record

    def _look(
        self, stats: Record, changes: int, messages: Sequence[Record], message_number: int
    ) -> Look:
        elapsed = stats.get("elapsed_s")
        tables: Mapping[str, Sequence[Record]] = {
            kind: tuple(rows.values()) for kind, rows in self._rows.items()
        }
        return Look(
            stats.ts_ns,
            float(elapsed) if isinstance(elapsed, (int, float)) else 0.0,
            sources_from_json(stats.get("sources")),
            tables,
            changes=changes,
            messages=messages,
            message_number=message_number,
        )

    def _note(self, row: Record) -> None:
        """A row of a table has changed, or gone."""
        rows = self._rows.setdefault(row.kind, {})
        if row.kind == "plugin_state" and row.get("state") == "unloaded":
            rows.pop(row.key(), None)
        else:
            rows[row.key()] = row
