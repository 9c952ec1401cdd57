"""What can be set about events that are not system calls."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class HookSettings:
    """In force for all of them at once."""

    segment_interval_s: float = 5.0
    """Between two reports of one socket's segments; 0 reports every segment."""
    fault_interval: int = 100
    """Of a process's page faults, every n-th becomes an event; all are counted."""
