"""Leaving in every way a console is made to leave: asked by a signal, or the terminal is gone.

Signals end the application in good order, which restores the terminal. The framework writes
to the terminal through a bounded queue, so a terminal that is gone or no longer reads blocks
the application for good; a thread of its own watches for both, stops the engine and ends the
process then.
"""

from __future__ import annotations

import asyncio
import os
import select
import signal
import threading
from types import FrameType, TracebackType
from typing import Self

from tui.console.app import ConsoleApp

INTERRUPTED = 130
GRACE_S = 2.0
"""How long an orderly end may take after a signal."""

_SIGNALS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
_ASKED, _DONE = b"a", b"d"


class Departure:
    """Guards one run of the console on a terminal; a context manager around it.

    Args:
        app: The application to end.
        terminal: Descriptor of its terminal.
    """

    def __init__(self, app: ConsoleApp, terminal: int) -> None:
        self._app = app
        self._loop = asyncio.get_running_loop()
        self._receiver, self._sender = os.pipe2(os.O_CLOEXEC)
        self._poll = select.poll()
        self._poll.register(terminal, 0)
        self._poll.register(self._receiver, select.POLLIN)
        self._watcher = threading.Thread(target=self._watch, name="boxscope-departure", daemon=True)

    def __enter__(self) -> Self:
        self._previous = [signal.signal(number, self._asked) for number in _SIGNALS]
        self._watcher.start()
        return self

    def __exit__(
        self,
        exc_type: type[BaseException] | None,
        exc: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        for number, handler in zip(_SIGNALS, self._previous, strict=True):
            signal.signal(number, handler)
        os.write(self._sender, _DONE)
        self._watcher.join()
        os.close(self._sender)
        os.close(self._receiver)

    def _asked(self, number: int, frame: FrameType | None) -> None:
        """A signal came: end in good order, and be watched while doing so."""
        os.write(self._sender, _ASKED)
        self._loop.call_soon_threadsafe(self._app.exit, None, INTERRUPTED)

    def _watch(self) -> None:
        """Wait until the run is over; step in if it cannot end by itself."""
        patience: float | None = None
        while ready := self._poll.poll(patience):
            if any(descriptor != self._receiver for descriptor, _event in ready):
                break
            if _DONE in os.read(self._receiver, 64):
                return
            patience = GRACE_S * 1_000
        self._app.stop_engine()
        os._exit(INTERRUPTED)
