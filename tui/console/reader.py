"""What the console reads records from: an engine, live or a replay."""

from __future__ import annotations

from typing import Protocol

from engine.core.records import Batch


class RecordsByNumber(Protocol):
    """Records that are kept by number."""

    def since(self, kind: str, seq: int, limit: int = ...) -> Batch:
        """Records of a kind numbered above `seq`, oldest first."""

    def last_seq(self, kind: str) -> int:
        """Number of the newest record of a kind."""


class RecordReader(RecordsByNumber, Protocol):
    """What streams, and whoever goes through records, pull from."""

    @property
    def epoch(self) -> int:
        """Another number once the numbers of all records have begun anew."""

    def raw(self, kind: str, seq: int) -> bytes | None:
        """The bytes a record was made of; None where they are not kept."""
