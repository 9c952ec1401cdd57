"""What one console is told of an engine's records: in order, bounded, every loss counted.

The records wait in the engine's own bounded memory, not in a queue for each console. A console
that does not read costs nothing; when it reads again, what that memory no longer holds, or what
would be too much at once, is left out and counted.
"""

from __future__ import annotations

import base64
import json
from collections.abc import Iterator, Mapping, Sequence
from typing import NamedTuple, Protocol

from engine.core.counters import Tally
from engine.core.kinds import KINDS
from engine.core.records import Batch, Record
from engine.remote.frames import framed
from engine.remote.wire import LARGEST_RECORD, pieces, record_text

BEHIND, TOO_FAST, TOO_LARGE = "console_behind", "too_fast", "too_large"
"""Reasons: it did not read in time; more came than is told; a record longer than a frame."""
WINDOW_NS = 200_000_000
PER_WINDOW = 2_000
"""Records of a kind told in that time, where not all of them are wanted."""
SAMPLED = 500
"""Records of a kind told in that time, the newest, once more than twice as many come: nobody reads
each of them then, and having them made would cost the engine a tenth of a core for each console."""
PER_LOOK = 5_000
"""Records of a kind told between two looks at what else there is to say."""
LATE_NS = 1_000_000_000
"""From so much time between two looks on it is the console that was late."""
FRAMES = 64
"""Plugin records, the newest of a lot, whose bytes are told as well: those that come into view."""
LARGEST_FRAME = 4096


class Told(Protocol):
    """What a console is told of; an engine is one."""

    def since(self, kind: str, seq: int, limit: int = ...) -> Batch:
        """As `Engine.since`."""

    def last_seq(self, kind: str) -> int:
        """As `Engine.last_seq`."""

    def raw(self, kind: str, seq: int) -> bytes | None:
        """As `Engine.raw`."""


class _Lot(NamedTuple):
    begin: int
    """Number after which it begins; what lies between is left out."""
    records: Sequence[Record]
    reached: int
    """Number up to which it goes, what was left out included."""
    lost: Mapping[str, int]


class Feed:
    """The records of an engine, for one console.

    Args:
        source: The engine.
        after: For each kind that is wanted the number after which to begin.
        every: Tell all of them, as fast as they are read, instead of what one can look at.
    """

    def __init__(self, source: Told, after: Mapping[str, int], *, every: bool) -> None:
        self.tally = Tally()
        self._source = source
        self._cursors = {kind: seq for kind, seq in after.items() if kind in KINDS}
        self._every = every
        self._looked_ns = 0
        self._window = -1
        self._spent: dict[str, int] = {}

    @property
    def cursors(self) -> Mapping[str, int]:
        """Number of the last record of each kind that was told or counted as lost."""
        return dict(self._cursors)

    def frames(self, now_ns: int, wall_ns: int) -> Iterator[bytes]:
        """Frames with what is new.

        Args:
            now_ns: Monotonic time.
            wall_ns: Wall time.
        """
        reason = BEHIND if self._looked_ns and now_ns - self._looked_ns > LATE_NS else TOO_FAST
        self._looked_ns = now_ns
        if now_ns // WINDOW_NS != self._window:
            self._window, self._spent = now_ns // WINDOW_NS, {}
        for kind, cursor in self._cursors.items():
            last = self._source.last_seq(kind)
            if last > cursor and (room := self._room(kind)) > 0:
                lot = self._take(kind, cursor, last, room, reason)
                flood = lot.begin > cursor
                spent = PER_WINDOW if flood else self._spent.get(kind, 0) + len(lot.records)
                self._spent[kind] = spent
                self._cursors[kind] = lot.reached
                yield from self._tell(kind, lot, wall_ns)

    def behind(self) -> bool:
        """Whether there is more that may be told at once."""
        return any(
            self._source.last_seq(kind) > cursor and self._room(kind) > 0
            for kind, cursor in self._cursors.items()
        )

    def _room(self, kind: str) -> int:
        return PER_LOOK if self._every else PER_WINDOW - self._spent.get(kind, 0)

    def _take(self, kind: str, cursor: int, last: int, room: int, reason: str) -> _Lot:
        flood = not self._every and last - cursor > 2 * PER_WINDOW
        if flood:
            room = min(room, SAMPLED)
        begin = last - room if flood else cursor
        batch = self._source.since(kind, begin, room)
        lost = {reason: begin - cursor}
        lost[BEHIND] = lost.get(BEHIND, 0) + batch.missed
        return _Lot(begin, batch.records, batch.last_seq, lost)

    def _tell(self, kind: str, lot: _Lot, wall_ns: int) -> Iterator[bytes]:
        texts = [record_text(record) for record in lot.records]
        large = sum(len(text) > LARGEST_RECORD for text in texts)
        if large:
            texts = [text for text in texts if len(text) <= LARGEST_RECORD]
        kept, lost = len(texts), {**lot.lost, TOO_LARGE: large}
        newest = lot.records[-1].ts_ns if lot.records else 0
        self.tally.add(
            seen=kept + sum(lost.values()),
            kept=kept,
            dropped=lost,
            lag_ms=max(0, wall_ns - newest) / 1e6 if newest else None,
        )
        for piece in pieces(texts):
            yield framed(f'{{"type":"records","kind":"{kind}","records":[{",".join(piece)}]}}')
        reasons = json.dumps({reason: count for reason, count in lost.items() if count})
        yield framed(
            f'{{"type":"reached","kind":"{kind}","seq":{lot.reached},"lost":{reasons},'
            f'"bodies":{{{self._bodies(kind, lot.records)}}}}}'
        )

    def _bodies(self, kind: str, records: Sequence[Record]) -> str:
        """The bytes of the newest records, as members of a JSON object."""
        if kind != "plugin_record" or self._every:
            return ""
        found = ((record.seq, self._source.raw(kind, record.seq)) for record in records[-FRAMES:])
        return ",".join(
            f'"{seq}":"{base64.urlsafe_b64encode(body).decode()}"'
            for seq, body in found
            if body is not None and len(body) <= LARGEST_FRAME
        )
