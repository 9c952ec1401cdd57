"""What the attacher asks of whatever captures traffic, which is no part of discovery."""

from __future__ import annotations

from collections.abc import Mapping
from typing import NamedTuple, Protocol

from engine.core.errors import BoxscopeError
from engine.core.identity import ProcessId


class CaptureCost(NamedTuple):
    """What capturing the traffic of a process has cost since it was attached."""

    payloads: int = 0
    """Messages captured."""
    payload_bytes: int = 0
    """Their length."""
    dropped: int = 0
    """Messages lost."""
    cpu_ns: int = 0
    """Time spent on them here."""

    @property
    def us_per_payload(self) -> float | None:
        """Microseconds a message took; None before the first."""
        return round(self.cpu_ns / self.payloads / 1_000, 1) if self.payloads else None


NO_COST = CaptureCost()


class Capture(Protocol):
    """What captures traffic."""

    def attach(self, process: ProcessId) -> None:
        """Begin with a process.

        Raises:
            BoxscopeError: if that cannot be done.
        """

    def detach(self, process: ProcessId) -> CaptureCost:
        """End with a process, which may have ended itself; returns what it has cost.

        Raises:
            BoxscopeError: if that cannot be done.
        """

    def costs(self) -> Mapping[ProcessId, CaptureCost]:
        """What is attached, with what it costs."""

    @property
    def ready(self) -> bool:
        """Whether what is attached is captured at once; before, it waits for that."""

    @property
    def failure(self) -> BoxscopeError | None:
        """Why nothing at all can be captured, if so."""
