"""What every widget that is typed into has in common."""

from __future__ import annotations

from textual import events
from textual.widget import Widget


class Typed(Widget):
    """What is typed into."""

    async def take_up(self, event: events.Key) -> bool:
        """Add a character that has come to its turn, and tell whether it is one."""
        raise NotImplementedError
