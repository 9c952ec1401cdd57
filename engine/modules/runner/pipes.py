"""Descriptors that are waited for in one place, each with what is done when it can be read."""

from __future__ import annotations

import os
import select
from collections.abc import Callable, Iterator

READ_BYTES = 64 * 1024


class Pipes:
    """Whose turn it is to be read."""

    def __init__(self) -> None:
        self._poll = select.poll()
        self._handlers: dict[int, Callable[[], None]] = {}

    def watch(self, descriptor: int, handler: Callable[[], None]) -> None:
        """Call the handler whenever the descriptor can be read."""
        self._handlers[descriptor] = handler
        self._poll.register(descriptor, select.POLLIN)

    def ready(self, timeout_ms: float | None) -> Iterator[Callable[[], None]]:
        """Handlers of what can be read; waits for one, so long at the most."""
        for descriptor, _ in self._poll.poll(timeout_ms):
            handler = self._handlers.get(descriptor)
            if handler is not None:
                yield handler

    def read(self, descriptor: int) -> bytes:
        """What there is; at the end of the pipe it is looked at no more."""
        try:
            fresh = os.read(descriptor, READ_BYTES)
        except BlockingIOError:
            return b""
        if not fresh and self._handlers.pop(descriptor, None) is not None:
            self._poll.unregister(descriptor)
        return fresh

    def holds(self, descriptor: int) -> bool:
        """Whether there is more to be read of one that is watched, without waiting for it."""
        if descriptor not in self._handlers:
            return False
        poll = select.poll()
        poll.register(descriptor, select.POLLIN)
        return bool(poll.poll(0))
