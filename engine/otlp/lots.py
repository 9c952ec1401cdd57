"""What goes into one request, and where it comes from."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Generic, Protocol, TypeVar

T = TypeVar("T")
LOT = 1_000
"""Most records in one request."""


@dataclass(slots=True)
class Lot(Generic[T]):
    """What goes into one request."""

    items: list[T] = field(default_factory=list)
    size: int = 0
    """As many as a collector will count in it."""
    forgotten: int = 0
    """Records before these that had left the engine's memory."""
    newest_ns: int = 0


class Feed(Protocol[T]):
    """Where lots come from; used by one thread at a time."""

    def take(self, *, last: bool) -> Lot[T] | None:
        """The next lot; None where there is nothing to send now.

        Args:
            last: Whether this is the end, and what would wait is wanted now.
        """

    def waiting(self) -> int:
        """How many there are to be taken yet."""

    def size_of(self, items: Sequence[T]) -> int:
        """As how many a collector counts these."""
