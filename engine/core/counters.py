"""Counters of a data path: everything seen is either kept or dropped with a reason."""

from __future__ import annotations

import threading
from collections.abc import Mapping
from dataclasses import dataclass, field


@dataclass(frozen=True, slots=True)
class Counters:
    """One consistent reading of a Tally."""

    seen: int = 0
    kept: int = 0
    dropped: Mapping[str, int] = field(default_factory=dict)
    """How many were lost, by reason."""
    lag_ms: float = 0.0
    """Age of the newest item when it was taken in, in milliseconds."""

    @property
    def dropped_total(self) -> int:
        """Items lost for any reason."""
        return sum(self.dropped.values())

    @property
    def balanced(self) -> bool:
        """Whether seen = kept + dropped."""
        return self.seen == self.kept + self.dropped_total

    def after_reader_missed(self, missed: int) -> Counters:
        """These counters for a reader that came too late for `missed` of the kept items."""
        if not missed:
            return self
        dropped = {**self.dropped, "reader_behind": missed}
        return Counters(self.seen, self.kept - missed, dropped, self.lag_ms)


class Tally:
    """The counters of one source or stage; written by threads, read by anyone.

    A whole batch is added at once, so no reader ever sees an item between the states.
    """

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._seen = 0
        self._kept = 0
        self._dropped: dict[str, int] = {}
        self._lag_ms = 0.0

    def add(
        self,
        *,
        seen: int,
        kept: int,
        dropped: Mapping[str, int] | None = None,
        lag_ms: float | None = None,
    ) -> None:
        """Account for one batch.

        Args:
            seen: Items that arrived, counted where they arrive.
            kept: Items handed on, counted where they are handed on.
            dropped: Items lost, by reason.
            lag_ms: Age of the newest item, if known.
        """
        with self._lock:
            self._seen += seen
            self._kept += kept
            for reason, count in (dropped or {}).items():
                if count:
                    self._dropped[reason] = self._dropped.get(reason, 0) + count
            if lag_ms is not None:
                self._lag_ms = lag_ms

    def read(self) -> Counters:
        """A consistent copy."""
        with self._lock:
            return Counters(self._seen, self._kept, dict(self._dropped), self._lag_ms)
