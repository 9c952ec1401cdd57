"""The records of an engine as far as they were told to this process, read like the engine's own."""

from __future__ import annotations

import threading
from bisect import bisect_right
from collections import OrderedDict, deque
from collections.abc import Iterator, Mapping, Sequence
from itertools import islice

from engine.core.kinds import KINDS
from engine.core.records import Batch, Record

KEPT = 20_000
"""Records of each kind."""
BODIES_KEPT = 1_000
"""Plugin records whose bytes are kept."""


class MirrorStore:
    """Records of one kind in runs without a gap; what was not told lies between the runs.

    Args:
        after: Number of the last record before the first that is told.
        capacity: Records kept; the oldest runs go first.
        unread_stay: Keep those that were not read yet, however many; for a reader of every record,
            who is told no more as long as it is `behind`.
    """

    def __init__(self, after: int = 0, capacity: int = KEPT, *, unread_stay: bool = False) -> None:
        self._begin = after
        """What lies before was never meant for this reader."""
        self._reached = self._read = after
        self._unread_stay = unread_stay
        self._capacity = capacity
        self._runs: deque[tuple[Record, ...]] = deque()
        self._count = 0
        self._lock = threading.Lock()

    @property
    def last_seq(self) -> int:
        """Number up to which records were told, or said to be lost."""
        return self._reached

    def take(self, records: Sequence[Record]) -> None:
        """Take records in, in order; those that were told before are not taken twice."""
        with self._lock:
            for run in _runs(records, self._reached):
                self._runs.append(run)
                self._count += len(run)
                self._reached = run[-1].seq
            while len(self._runs) > 1 and self._may_go(self._runs[0]):
                self._count -= len(self._runs.popleft())

    def reach(self, seq: int) -> None:
        """What has a number up to this and was not told is lost."""
        with self._lock:
            self._reached = max(self._reached, seq)

    @property
    def behind(self) -> bool:
        """Whether more wait to be read than are kept."""
        return self._unread_stay and self._reached - self._read > self._capacity

    def _may_go(self, run: tuple[Record, ...]) -> bool:
        if self._unread_stay and run[-1].seq > self._read:
            return False
        return self._count - len(run) >= self._capacity

    def since(self, seq: int, limit: int = 1_000) -> Batch:
        """Records numbered above `seq`, oldest first, at most `limit`, up to the next gap."""
        batch = self._since(seq, limit)
        self._read = max(self._read, batch.last_seq)
        return batch

    def _since(self, seq: int, limit: int) -> Batch:
        with self._lock:
            index = bisect_right(self._runs, seq, key=_last_of)
            if index == len(self._runs):
                return Batch((), max(seq, self._reached), max(0, self._reached - self._from(seq)))
            taken = list(self._upward(index, seq, limit))
        missed = max(0, taken[0].seq - 1 - self._from(seq))
        return Batch(tuple(taken), taken[-1].seq, missed)

    def _from(self, seq: int) -> int:
        return max(seq, self._begin)

    def _upward(self, index: int, seq: int, limit: int) -> Iterator[Record]:
        """Records above a number from a run on, until one is missing."""
        following = None
        for run in islice(self._runs, index, None):
            if following not in (None, run[0].seq) or limit <= 0:
                return
            first = max(0, seq + 1 - run[0].seq)
            lot = run[first : first + limit]
            yield from lot
            limit -= len(lot)
            following = run[-1].seq + 1


def _last_of(run: tuple[Record, ...]) -> int:
    return run[-1].seq


def _runs(records: Sequence[Record], after: int) -> Iterator[tuple[Record, ...]]:
    """Records above a number, cut where one is missing."""
    run: list[Record] = []
    for record in records:
        if record.seq <= after:
            continue
        if run and record.seq != run[-1].seq + 1:
            yield tuple(run)
            run = []
        run.append(record)
        after = record.seq
    if run:
        yield tuple(run)


class Mirror:
    """All that was told of one run of an engine.

    Args:
        after: For each kind that is told the number after which that begins.
        unread_stay: As of `MirrorStore`.
    """

    def __init__(self, after: Mapping[str, int], *, unread_stay: bool = False) -> None:
        self._stores = {
            kind: MirrorStore(after.get(kind, 0), unread_stay=unread_stay) for kind in KINDS
        }
        self._bodies: OrderedDict[int, bytes] = OrderedDict()
        self._lock = threading.Lock()

    def store(self, kind: str) -> MirrorStore:
        """The records of a kind.

        Raises:
            KeyError: if no record kind has that name.
        """
        return self._stores[kind]

    def cursors(self) -> dict[str, int]:
        """The number that was reached in each kind."""
        return {kind: store.last_seq for kind, store in self._stores.items()}

    def keep_bodies(self, bodies: Mapping[int, bytes]) -> None:
        """Keep the bytes of plugin records; those kept longest go."""
        with self._lock:
            self._bodies.update(bodies)
            while len(self._bodies) > BODIES_KEPT:
                self._bodies.popitem(last=False)

    def body(self, seq: int) -> bytes | None:
        """The bytes of a plugin record, if they were told."""
        return self._bodies.get(seq)
