"""The records that a stream holds: how many are taken in one pull, left out, counted, gone back to.

Nothing here draws; `widgets/stream.py` does.
"""

from __future__ import annotations

from bisect import bisect_left
from collections import deque
from collections.abc import Iterator
from dataclasses import dataclass
from typing import NamedTuple, TypeAlias

from engine.core.records import Batch, Record
from tui.console.reader import RecordReader
from tui.console.widgets.choice import Choice

KEPT = 5_000
"""Rows a stream keeps to scroll back to."""
PULLED = 2_000
"""Records taken in one pull at most; 10,000 a second at five pulls a second. From twice as many
new ones on nobody reads each of them."""
SAMPLED = 200
"""Records taken then, the newest: some pages, which cost a tenth of a full pull."""
SOUGHT = 5_000
"""Records looked at in one pull at most while only some are shown."""
BACKLOG = 100_000
"""Records looked at, pull by pull, when others are to be shown than before."""


@dataclass(frozen=True, slots=True)
class Skipped:
    """Records that are not in the stream because they came too fast or nobody looked."""

    seq: int
    """Number of the last of them."""
    number: int
    missed: int = 0
    """Of these, the engine had lost before they were pulled."""


StreamRow: TypeAlias = Record | Skipped


class Held(NamedTuple):
    """What a stream held at a moment, to be gone back to."""

    choice: Choice
    rows: tuple[StreamRow, ...]
    taken_seq: int
    counts: tuple[int, int]
    """Shown, looked at."""


class StreamRows:
    """The newest records of a kind that are chosen, oldest first, and what is known of the others.

    Args:
        kind: The kind.
        pulled: Records taken in one pull at most; less than PULLED if they are dear to have made.
    """

    def __init__(self, kind: str, pulled: int = PULLED) -> None:
        self._kind = kind
        self._pulled = pulled
        self.choice = Choice()
        self.pending = 0
        """Records that came since the stream stands still."""
        self.looked_at = 0
        """Records that the filter was asked about since it is in force."""
        self.shown = 0
        """Those of them that it chose."""
        self._rows: deque[StreamRow] = deque(maxlen=KEPT)
        self._taken_seq = 0
        self._held_seq = 0
        """Up to here records are taken while the stream stands still."""
        self._sought_to = 0
        """Up to here the backlog is looked at."""
        self._counted_seq = 0
        self._epoch: int | None = None

    def __len__(self) -> int:
        return len(self._rows)

    def __getitem__(self, index: int) -> StreamRow:
        return self._rows[index]

    def __iter__(self) -> Iterator[StreamRow]:
        return iter(self._rows)

    def position(self, seq: int) -> int:
        """Where the record of a number is, or would be."""
        return bisect_left(self._rows, seq, key=lambda row: row.seq)

    def index_of(self, seq: int) -> int | None:
        """Where the row of a number is; None where there is none."""
        index = self.position(seq)
        return index if index < len(self._rows) and self._rows[index].seq == seq else None

    @property
    def backlog_left(self) -> bool:
        """Whether records from before are still to be looked through."""
        return bool(self.choice) and self._taken_seq < self._sought_to

    def choose(self, choice: Choice) -> None:
        """Begin anew with the records that are wanted, up to where the stream stands."""
        self.choice = choice
        self._rows.clear()
        self._taken_seq = self.shown = self.looked_at = 0
        self._sought_to = -1
        self._stood_still()

    def hold(self, seq: int | None = None) -> None:
        """Take records up to a number, or no more, until another one is told."""
        self._held_seq = self._taken_seq if seq is None else seq

    def go_on(self) -> None:
        """What was counted meanwhile was looked at, so it is not left out now."""
        self._sought_to = max(self._sought_to, self._counted_seq)

    # Going back to what was there.

    def held(self) -> Held:
        """What there is now."""
        return Held(self.choice, tuple(self._rows), self._taken_seq, (self.shown, self.looked_at))

    def go_back(self, held: Held) -> None:
        """Have again what there was, in place of what has just been begun."""
        self._rows.extend(held.rows)
        self._taken_seq = self._held_seq = self._sought_to = held.taken_seq
        self.shown, self.looked_at = held.counts
        self._stood_still()

    # Pulling.

    def has_begun_anew(self, epoch: int, last: int) -> bool:
        """Whether numbers have begun anew since the last pull: what is held is not what there is.

        Args:
            epoch: That of the reader.
            last: Its newest record.
        """
        known, self._epoch = self._epoch, epoch
        return last < self._taken_seq or known not in (None, epoch)

    def take(self, reader: RecordReader) -> bool:
        """Take records in up to where the stream stands; whether there were any."""
        last = self._held_seq
        if last <= self._taken_seq:
            return False
        begin = self._begin(last)
        batch = reader.since(self._kind, begin, min(self._lot, last - begin))
        skipped = begin - self._taken_seq + batch.missed
        if skipped and self._taken_seq:
            self._rows.append(Skipped(begin + batch.missed, skipped, batch.missed))
        self._take_over(batch)
        self._stood_still()
        return True

    def count(self, reader: RecordReader, last: int) -> bool:
        """Count what came instead of taking it in; whether there are more than before."""
        before = self.pending
        if last <= self._counted_seq:
            return False
        if not self.choice:
            self.pending = last - self._taken_seq
            self._counted_seq = last
        else:
            begin = max(self._counted_seq, last - self._backlog)
            batch = reader.since(self._kind, begin, min(self._lot, last - begin))
            self.pending += len(self.choice.of(batch.records).records)
            self._counted_seq = batch.last_seq
        return self.pending != before

    def _take_over(self, batch: Batch) -> None:
        chosen = self.choice.of(batch.records)
        self._rows.extend(chosen.records)
        self.shown += len(chosen.records)
        self.looked_at += chosen.asked
        self._taken_seq = batch.last_seq

    def _begin(self, last: int) -> int:
        """After which record to go on; what came too fast to be read or looked at is left out."""
        new, lot = last - self._taken_seq, self._lot
        if not self.choice:
            flood = new > 2 * lot and self._taken_seq > 0
            return last - (min(SAMPLED, lot) if flood else min(new, lot))
        if self._sought_to < 0:
            self._sought_to = last
            return max(0, last - self._backlog)
        behind = new > lot and self._taken_seq >= self._sought_to
        return last - lot if behind else self._taken_seq

    @property
    def _lot(self) -> int:
        """Records looked at in one pull at most."""
        return SOUGHT * self._pulled // PULLED if self.choice else self._pulled

    @property
    def _backlog(self) -> int:
        """How far back it is looked for records that are to be shown."""
        return BACKLOG * self._pulled // PULLED

    def _stood_still(self) -> None:
        self.pending = 0
        self._counted_seq = self._taken_seq

    # Going to a record.

    def covers(self, seq: int) -> bool:
        """Whether the record of a number is here, or would be if it were chosen."""
        index = self.position(seq)
        if index >= len(self._rows) or self._rows[0].seq > seq:
            return False
        return isinstance(self._rows[index], Record)

    def load_around(self, reader: RecordReader, seq: int) -> None:
        """Take the records around one instead of those there are."""
        self._rows.clear()
        self.shown = self.looked_at = 0
        last, at = reader.last_seq(self._kind), max(0, seq - 1 - self._pulled // 2)
        furthest = min(last, seq + self._backlog)
        self._taken_seq = at
        while self._taken_seq < furthest:
            self._take_over(reader.since(self._kind, self._taken_seq, self._pulled))
            if self._rows and self._rows[-1].seq >= seq:
                break
        self._held_seq = self._sought_to = self._taken_seq
        self._stood_still()
