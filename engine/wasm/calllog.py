"""The last calls of all plugins, made into records only when somebody reads them."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterable
from dataclasses import dataclass, replace
from typing import NamedTuple

from engine.core.records import Batch, Record
from engine.wasm.diff import Change
from engine.wasm.judge import Judgement
from engine.wasm.plugin import Call


@dataclass(frozen=True, slots=True)
class Entry:
    """One call as it is kept."""

    plugin: str
    call: Call
    judgement: Judgement
    ts_ns: int
    rerun_of: int | None = None
    """Number of the call whose message was offered again."""
    changes: tuple[Change, ...] = ()
    """What a rerun did differently."""
    messages: tuple[int, ...] = ()
    """Numbers of the messages (`l7_message`) it was made for, as far as they are complete."""


class Example(NamedTuple):
    """A call whose message can be offered again."""

    seq: int
    """Its number."""
    entry: Entry


class CallLog:
    """The last `capacity` calls, numbered from 1; a `RecordStore` of kind `wasm_result`.

    Args:
        capacity: Calls kept.
        as_record: Makes the record of an entry.
    """

    def __init__(self, capacity: int, as_record: Callable[[Entry], Record]) -> None:
        self._slots: list[Entry | None] = [None] * capacity
        self._as_record = as_record
        self._last = 0
        self._lock = threading.Lock()

    @property
    def last_seq(self) -> int:
        """Number of the newest call."""
        return self._last

    def append(self, entry: Entry) -> int:
        """Add a call; returns its number."""
        with self._lock:
            self._last += 1
            self._slots[self._last % len(self._slots)] = entry
            return self._last

    def join(self, calls: Iterable[int], message: int) -> None:
        """Note the message that calls were made for; those not kept any more are passed over."""
        with self._lock:
            for seq in calls:
                entry = self._kept(seq)
                if entry is not None:
                    joined = replace(entry, messages=(*entry.messages, message))
                    self._slots[seq % len(self._slots)] = joined

    def entry(self, seq: int) -> Entry | None:
        """The call of that number, or None if it is not kept any more."""
        with self._lock:
            return self._kept(seq)

    def last_of(self, plugin: str, count: int) -> list[Example]:
        """The last calls of a plugin that were no reruns, oldest first."""
        found: list[Example] = []
        with self._lock:
            oldest = max(0, self._last - len(self._slots))
            for seq in range(self._last, oldest, -1):
                entry = self._slots[seq % len(self._slots)]
                if entry is not None and entry.plugin == plugin and entry.rerun_of is None:
                    found.append(Example(seq, entry))
                if len(found) == count:
                    break
        return found[::-1]

    def since(self, seq: int, limit: int = 1_000) -> Batch:
        """The calls numbered above `seq` as records, oldest first, at most `limit`."""
        with self._lock:
            first = max(seq + 1, self._last - len(self._slots) + 1, 1)
            last = min(self._last, first + limit - 1)
            slots, capacity = self._slots, len(self._slots)
            taken = [(number, slots[number % capacity]) for number in range(first, last + 1)]
        records = tuple(self._record(number, entry) for number, entry in taken if entry)
        return Batch(records, max(last, seq), max(0, first - seq - 1))

    def _kept(self, seq: int) -> Entry | None:
        if not self._last - len(self._slots) < seq <= self._last or seq < 1:
            return None
        return self._slots[seq % len(self._slots)]

    def _record(self, number: int, entry: Entry) -> Record:
        record = self._as_record(entry)
        record.seq = number
        return record
