"""What is told in a corner for a while: gone as soon as somebody who has seen it goes on."""

from __future__ import annotations

from time import time
from typing import ClassVar

from textual import events
from textual.app import App
from textual.notifications import Notification

SEEN_AFTER_S = {"information": 0.7, "warning": 2.0, "error": 2.0}
"""How long a notice has to have been there to be taken as seen, by how grave it is."""


class Notices(App[None]):
    """The part of the application that is about notices, which cover what stands below them."""

    NOTIFICATION_TIMEOUT: ClassVar[float] = 5.0

    async def on_key(self, event: events.Key) -> None:
        """Take away what has been seen; what says itself how long it stays is left.

        The framework calls the handlers of all bases, one after the other.
        """
        now = time()
        for notice in list(self._notifications):
            if notice.timeout <= self.NOTIFICATION_TIMEOUT and is_seen(notice, now):
                self._unnotify(notice)


def is_seen(notice: Notification, now: float) -> bool:
    """Whether a notice has been there for long enough at a time.

    Where the clock was set back meanwhile nobody knows: it has been seen then.
    """
    return not 0 <= now - notice.raised_at < SEEN_AFTER_S[notice.severity]
