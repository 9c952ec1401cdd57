"""What is to be sent, taken out of the engine lot by lot.

The engine's own bounded stores are the queue: a feed keeps only its place in them. Whatever had
left a store before it was taken is told as forgotten.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from typing import Generic, TypeVar

from opentelemetry.sdk.metrics.export import Metric

from engine.core.records import Record
from engine.otlp.lots import LOT, Lot
from engine.otlp.metrics import metrics_of, points_in
from engine.recording.beginning import Recorded

T = TypeVar("T")


class RecordFeed(Generic[T]):
    """Records of some kinds.

    Args:
        source: The engine.
        kinds: Which kinds.
        make: Makes of a record what is sent.
        wanted: Which records are sent.
        redact: Leaves out of a record what is not to be sent.
    """

    def __init__(
        self,
        source: Recorded,
        kinds: Sequence[str],
        make: Callable[[Record], T],
        wanted: Callable[[Record], bool],
        redact: Callable[[Record], Record],
    ) -> None:
        self._source = source
        self._cursors = dict.fromkeys(kinds, 0)
        self._make = make
        self._wanted = wanted
        self._redact = redact

    def take(self, *, last: bool) -> Lot[T] | None:
        """The next lot, of all kinds that have something new; it may have nothing chosen in it."""
        lot: Lot[T] = Lot()
        reached = dict(self._cursors)
        for kind, cursor in self._cursors.items():
            room = LOT - len(lot.items)
            if room <= 0:
                break
            if self._source.last_seq(kind) > cursor:
                batch = self._source.since(kind, cursor, room)
                self._fill(lot, batch.records)
                lot.forgotten += batch.missed
                reached[kind] = batch.last_seq
        if reached == self._cursors:
            return None
        lot.size = len(lot.items)
        self._cursors = _turned(reached)
        return lot

    def _fill(self, lot: Lot[T], records: Sequence[Record]) -> None:
        for record in records:
            if self._wanted(record):
                lot.items.append(self._make(self._redact(record)))
                lot.newest_ns = max(lot.newest_ns, record.ts_ns)

    def waiting(self) -> int:
        """How many there are to be taken yet, those a filter would not choose among them."""
        return sum(
            max(0, self._source.last_seq(kind) - cursor) for kind, cursor in self._cursors.items()
        )

    def size_of(self, items: Sequence[T]) -> int:
        """Each is one."""
        return len(items)


def _turned(cursors: dict[str, int]) -> dict[str, int]:
    """The kind that came first comes last the next time, so that none waits for ever."""
    first, *others = cursors
    return {kind: cursors[kind] for kind in (*others, first)}


class MetricFeed:
    """The engine's figures, now and then.

    While a lot waits to be sent there is no other: sums go on counting, so nothing is lost by it.

    Args:
        source: The engine.
        interval_s: Time between two lots.
    """

    def __init__(self, source: Recorded, interval_s: float) -> None:
        self._source = source
        self._interval_s = interval_s
        self._due = time.monotonic() + interval_s
        self._ended = False

    def take(self, *, last: bool) -> Lot[Metric] | None:
        """The figures of now, if it is time or the end."""
        now = time.monotonic()
        if self._ended or (now < self._due and not last):
            return None
        self._ended, self._due = last, now + self._interval_s
        snapshot = self._source.snapshot()
        metrics = metrics_of(snapshot)
        return Lot(metrics, points_in(metrics), 0, snapshot.wall_ns)

    def waiting(self) -> int:
        """None: they are made when they are taken."""
        return 0

    def size_of(self, items: Sequence[Metric]) -> int:
        """Each of its points is one."""
        return points_in(list(items))
