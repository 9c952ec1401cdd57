"""Being stopped and continued without ever leaving the terminal in another state than the shell's.

The framework gives the terminal back on SIGTSTP and takes it again on SIGCONT. After a SIGSTOP,
which nobody is told of, it would take it a second time, note the state of its own making as the
one to restore, and leave the shell with that. Here what was not given back is given back first, and
all is drawn again, as the framework does only where it was suspended by a key.
"""

from __future__ import annotations

import asyncio
import signal
from collections.abc import Callable
from types import FrameType

from textual.driver import Driver


class Suspension:
    """Stands before the framework's handlers of both signals.

    Args:
        driver: What has the terminal; it has set its handlers.
        draw: Draws everything.
    """

    def __init__(self, driver: Driver, draw: Callable[[], object]) -> None:
        self._driver = driver
        self._draw = draw
        self._loop = asyncio.get_running_loop()
        self._given_back = False
        self._stop = signal.signal(signal.SIGTSTP, self._on_stop)
        self._go_on = signal.signal(signal.SIGCONT, self._on_continue)

    def _on_stop(self, number: int, frame: FrameType | None) -> None:
        self._given_back = True
        if callable(self._stop):
            self._stop(number, frame)

    def _on_continue(self, number: int, frame: FrameType | None) -> None:
        if not self._given_back:
            self._driver.suspend_application_mode()
        self._given_back = False
        if callable(self._go_on):
            self._go_on(number, frame)
        self._loop.call_soon_threadsafe(self._draw)
