"""The agent's transmission buffer, counted instead of filled.

An agent puts every record of every plugin, and its own, into one buffer that is emptied each
100 ms. What finds no room is lost without a word: a plugin's record is dropped, a record of the
agent itself takes the place of the oldest one. Agents up to 1.8 have more room; what they lose
is otherwise the same (1.7.0 calls the choice between the two `tolerate`).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

CAPACITY = 2_048
"""Records the buffer takes, since agent 1.9.1."""
CAPACITY_1_7 = 8_192
"""The same in agents 1.7 and 1.8."""
DRAIN_NS = 100_000_000

AGENT_BUFFER_FULL = "agent_buffer_full"


class Sender(Protocol):
    """Whose records are in the buffer."""

    agent_dropped: int
    """How many of its records an agent would have lost."""


@dataclass(slots=True)
class Own:
    """The agent itself as a sender."""

    agent_dropped: int = 0


class TransmissionBuffer:
    """How full an agent's buffer would be. For one thread."""

    def __init__(self, now_ns: int, capacity: int = CAPACITY) -> None:
        """Make an empty one; `now_ns` is monotonic."""
        self.dropped = 0
        """How many records of all senders together an agent would have lost."""
        self._capacity = capacity
        self._count = 0
        self._oldest: Sender | None = None
        self._drain_at_ns = now_ns + DRAIN_NS

    def put(self, sender: Sender, count: int, now_ns: int, *, tolerate: bool = True) -> int:
        """Offer records that came together; returns how many of them, the first ones, find room.

        Args:
            sender: Whose they are.
            count: How many.
            now_ns: Monotonic time.
            tolerate: Whether the others are dropped, as plugins' are; or each takes the place
                of the oldest record, as the agent's own do.
        """
        self._drain(now_ns)
        taken = min(count, self._capacity - self._count)
        if taken and not self._count:
            self._oldest = sender
        self._count += taken
        if taken < count:
            self._overflow(sender, count - taken, tolerate)
        return taken

    def _overflow(self, sender: Sender, count: int, tolerate: bool) -> None:
        self.dropped += count
        if not tolerate and self._oldest is not None:
            # The first one replaces the oldest record, each further one the one before it.
            self._oldest.agent_dropped += 1
            self._oldest = sender
            count -= 1
        sender.agent_dropped += count

    def _drain(self, now_ns: int) -> None:
        if now_ns >= self._drain_at_ns:
            self._drain_at_ns = now_ns + DRAIN_NS - (now_ns - self._drain_at_ns) % DRAIN_NS
            self._count = 0
            self._oldest = None
