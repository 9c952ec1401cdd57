"""The runner's end of what it and its supervisor say to each other."""

from __future__ import annotations

import json
import os
import threading
from collections.abc import Iterator, Mapping
from typing import Any, Protocol

from engine.modules.runner.protocol import EVENTS_FD, OPERATIONS_FD

TEXT = 3_000
"""Longest text of an event, in characters."""


class Tell(Protocol):
    """Tells a step of the module's life."""

    def __call__(self, event: str, **fields: object) -> None:
        """`event` as in `protocol.Event`, with what there is to say of it."""


class Channel:
    """Operations come in, events go out; may be used from any thread."""

    def __init__(self, operations: int = OPERATIONS_FD, events: int = EVENTS_FD) -> None:
        """Take both pipes over, so that nothing the module starts has them."""
        for descriptor in (operations, events):
            os.set_inheritable(descriptor, False)
        self._operations = os.fdopen(operations, "rb")
        self._events = events
        self._lock = threading.Lock()

    def operations(self) -> Iterator[Mapping[str, Any]]:
        """What is to be done, until the supervisor has gone."""
        for line in self._operations:
            yield json.loads(line)

    def tell(self, event: str, **fields: object) -> None:
        """Tell a step of the module's life."""
        shown = {name: _short(value) for name, value in fields.items() if value is not None}
        self._send({"event": event, **shown})

    def done(self, succeeded: bool) -> None:
        """The operation is over."""
        self._send({"done": True, "ok": succeeded})

    def _send(self, told: Mapping[str, object]) -> None:
        line = json.dumps(told, default=str).encode() + b"\n"
        with self._lock:
            while line:
                line = line[os.write(self._events, line) :]


def _short(value: object) -> object:
    return value[:TEXT] if isinstance(value, str) else value
