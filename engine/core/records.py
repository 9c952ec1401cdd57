"""Records and the bounded ring they are kept in until readers have pulled them."""

from __future__ import annotations

import threading
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Protocol

from engine.core.clock import parse_rfc3339, rfc3339
from engine.core.fields import JsonValue, RecordKind
from engine.core.kinds import KINDS, TABLE_KEYS

_MOST = 2**63 - 1
"""Largest number of a record, of a process, or time that is read."""


@dataclass(slots=True)
class Record:
    """One record. Treated as read-only by everyone; not frozen because that costs 0.7 us each."""

    kind: str
    seq: int
    """Number within its kind, from 1; 0 before a ring has taken it."""
    ts_ns: int
    """Wall time, nanoseconds since the epoch."""
    pid: int | None
    comm: str | None
    values: tuple[JsonValue, ...]
    """The kind's own fields, in the order of its declaration."""

    def get(self, name: str) -> JsonValue:
        """The value of a field, common or own.

        Raises:
            KeyError: if the kind has no such field.
        """
        position = KINDS[self.kind].index.get(name)
        if position is not None:
            return self.values[position]
        return self._common(name)

    def _common(self, name: str) -> JsonValue:
        match name:
            case "kind":
                return self.kind
            case "seq":
                return self.seq
            case "ts":
                return rfc3339(self.ts_ns)
            case "pid":
                return self.pid
            case "comm":
                return self.comm
        raise KeyError(name)

    def key(self) -> tuple[JsonValue, ...]:
        """What identifies the row this record describes, for kinds in TABLE_KEYS."""
        return tuple(self.get(name) for name in TABLE_KEYS[self.kind])

    def as_json(self) -> dict[str, JsonValue]:
        """The record as one flat JSON object; `pid` and `comm` only where there is a process."""
        shown: dict[str, JsonValue] = {
            "kind": self.kind,
            "seq": self.seq,
            "ts": rfc3339(self.ts_ns),
        }
        if self.pid is not None:
            shown["pid"] = self.pid
        if self.comm is not None:
            shown["comm"] = self.comm
        for field, value in zip(KINDS[self.kind].fields, self.values, strict=True):
            shown[field.name] = value
        return shown


def new_record(
    kind: RecordKind,
    values: Mapping[str, JsonValue],
    *,
    ts_ns: int,
    pid: int | None = None,
    comm: str | None = None,
) -> Record:
    """Make a record from named values; fields not named are None.

    For paths of up to some thousand records a second; faster ones build the tuple themselves.

    Raises:
        KeyError: if a name is not a field of the kind.
    """
    unknown = values.keys() - kind.index.keys()
    if unknown:
        raise KeyError(f"{kind.name} has no field {', '.join(sorted(unknown))}")
    return Record(
        kind.name, 0, ts_ns, pid, comm, tuple(values.get(field.name) for field in kind.fields)
    )


def record_from_json(shown: Mapping[str, JsonValue]) -> Record:
    """The record that `as_json` wrote; fields it does not know are ignored, absent ones are None.

    Raises:
        ValueError: if it is not a record.
    """
    kind = KINDS.get(str(shown.get("kind")))
    seq, pid, comm = shown.get("seq", 0), shown.get("pid"), shown.get("comm")
    if kind is None or not isinstance(seq, int) or not 0 <= seq <= _MOST:
        raise ValueError(f"not a record: kind {shown.get('kind')!r}, seq {seq!r}")
    ts_ns = parse_rfc3339(str(shown.get("ts")))
    if not abs(ts_ns) <= _MOST or (isinstance(pid, int) and not abs(pid) <= _MOST):
        raise ValueError(f"not a record: ts {shown.get('ts')!r}, pid {pid!r}")
    return Record(
        kind.name,
        seq,
        ts_ns,
        pid if isinstance(pid, int) else None,
        comm if isinstance(comm, str) else None,
        tuple(shown.get(field.name) for field in kind.fields),
    )


@dataclass(frozen=True, slots=True)
class Batch:
    """What a reader gets from a ring in one pull."""

    records: tuple[Record, ...]
    last_seq: int
    """Pass this to the next `since`."""
    missed: int
    """Records that had left the ring before this reader came for them."""


class RecordStore(Protocol):
    """Where readers pull records of one kind from; a ring, or something that decodes on demand."""

    @property
    def last_seq(self) -> int:
        """Number of the newest record; 0 when there was none yet."""

    def since(self, seq: int, limit: int = 1_000) -> Batch:
        """Records numbered above `seq`, oldest first, at most `limit`."""


class RecordRing:
    """The last `capacity` records of one kind, numbered from 1.

    Writers never wait: the newest record takes the place of the oldest. A reader that pulls
    too late learns from `Batch.missed` how many it lost.
    """

    def __init__(self, capacity: int) -> None:
        if capacity < 1:
            raise ValueError(f"a ring needs room for one record at least, not {capacity}")
        self._slots: list[Record | None] = [None] * capacity
        self._last = 0
        self._lock = threading.Lock()

    @property
    def last_seq(self) -> int:
        """Number of the newest record; 0 when there was none yet."""
        return self._last

    def append(self, record: Record) -> None:
        """Take one record in and number it."""
        self.extend((record,))

    def extend(self, records: Iterable[Record]) -> int:
        """Take records in, in order; returns how many."""
        slots, capacity = self._slots, len(self._slots)
        with self._lock:
            before = seq = self._last
            for record in records:
                seq += 1
                record.seq = seq
                slots[seq % capacity] = record
            self._last = seq
        return seq - before

    def since(self, seq: int, limit: int = 1_000) -> Batch:
        """Records numbered above `seq`, oldest first, at most `limit`."""
        with self._lock:
            first = max(seq + 1, self._last - len(self._slots) + 1, 1)
            last = min(self._last, first + limit - 1)
            slots, capacity = self._slots, len(self._slots)
            taken = [slots[number % capacity] for number in range(first, last + 1)]
        records = tuple(record for record in taken if record is not None)
        return Batch(records, max(last, seq), max(0, first - seq - 1))
