"""Where the records of a live engine are, by their kind."""

from __future__ import annotations

from collections.abc import Mapping

from engine.core.kinds import KINDS
from engine.core.records import RecordRing, RecordStore
from engine.sampler import SAMPLED

SAMPLED_RECORDS = 20_000
STATS_RECORDS = 3_600
"""An hour; each is some kilobytes, as it has the counters of every source and stage."""
_EMPTY = RecordRing(1)


class Stores:
    """The engine's own rings and those that its sources bring.

    Args:
        log: The ring of the engine's log.
    """

    def __init__(self, log: RecordRing) -> None:
        self.sampled = {kind: RecordRing(SAMPLED_RECORDS) for kind in SAMPLED}
        """What the sampler writes to: a ring for each kind of table, and `stats`."""
        self.sampled["stats"] = RecordRing(STATS_RECORDS)
        self._by_kind: dict[str, RecordStore] = {**self.sampled, "log": log}

    def of(self, kind: str) -> RecordStore:
        """The records of a kind; an empty store where no source that runs has any.

        Raises:
            KeyError: if no record kind has that name.
        """
        if kind not in KINDS:
            raise KeyError(kind)
        return self._by_kind.get(kind, _EMPTY)

    def take(self, rings: Mapping[str, RecordStore]) -> None:
        """Make a source's records readable; what is sampled of the same kinds joins them."""
        for kind, ring in rings.items():
            self._by_kind[kind] = ring
            if kind in self.sampled and isinstance(ring, RecordRing):
                self.sampled[kind] = ring
