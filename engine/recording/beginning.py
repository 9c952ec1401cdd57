"""Where a recording begins: behind which records, and with which rows of the tables.

A table's rows are told when they change. A recording that does not have all of that from the
beginning of the engine opens with the rows as they are, numbered below what follows.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import replace
from typing import NamedTuple, Protocol

from engine.core.fields import JsonValue
from engine.core.kinds import KINDS, TABLE_KEYS
from engine.core.records import Batch, Record
from engine.core.snapshot import Snapshot

_PULLED = 1_000


class Recorded(Protocol):
    """What is recorded; an engine is one."""

    def snapshot(self) -> Snapshot:
        """The state of everything now."""

    def since(self, kind: str, seq: int, limit: int = ...) -> Batch:
        """Records of a kind numbered above `seq`, oldest first."""

    def last_seq(self, kind: str) -> int:
        """Number of the newest record of a kind."""


class Beginning(NamedTuple):
    """What a recording opens with."""

    cursors: dict[str, int]
    """By kind, the number of the record behind which it begins."""
    rows: dict[str, list[Record]]
    """Rows of the tables that the records behind the cursors do not tell."""
    forgotten: dict[str, int]
    """Records that the engine no longer had, by kind, where all it remembers is recorded."""


def from_now(source: Recorded) -> Beginning:
    """Begin with what comes."""
    cursors = {kind: source.last_seq(kind) for kind in KINDS}
    snapshot = source.snapshot()
    rows: dict[str, list[Record]] = {}
    for kind in TABLE_KEYS:
        present = snapshot.tables.get(kind, ())
        if len(present) > cursors[kind]:
            cursors[kind] = 0  # its rows are about to be told, or have just been
        else:
            rows[kind] = _numbered(present, cursors[kind], snapshot.wall_ns)
    return Beginning(cursors, rows, {})


def from_memory(source: Recorded) -> Beginning:
    """Begin with the oldest that the engine remembers."""
    snapshot = source.snapshot()
    first = {kind: source.since(kind, 0, 1) for kind in KINDS}
    forgotten = {kind: batch.missed for kind, batch in first.items() if batch.missed}
    times = [batch.records[0].ts_ns for batch in first.values() if batch.records]
    rows = {
        kind: _numbered(
            _not_told(source, kind, snapshot.tables.get(kind, ())),
            first[kind].missed,
            min(times, default=snapshot.wall_ns),
        )
        for kind in TABLE_KEYS
        if first[kind].missed
    }
    return Beginning({kind: batch.missed for kind, batch in first.items()}, rows, forgotten)


def _not_told(source: Recorded, kind: str, rows: Sequence[Record]) -> list[Record]:
    """Rows that none of the remembered records is about: they have not changed since."""
    told: set[tuple[JsonValue, ...]] = set()
    cursor, last = 0, source.last_seq(kind)
    while cursor < last:
        batch = source.since(kind, cursor, _PULLED)
        told.update(record.key() for record in batch.records)
        cursor = batch.last_seq
    return [row for row in rows if row.key() not in told]


def _numbered(rows: Iterable[Record], last: int, ts_ns: int) -> list[Record]:
    """Rows as records of a moment, numbered up to `last`; those there is no number for go."""
    present = list(rows)[-last:] if last else []
    return [
        replace(row, seq=last - len(present) + position, ts_ns=ts_ns)
        for position, row in enumerate(present, 1)
    ]
