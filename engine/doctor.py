"""What boxscope needs on this box: found or missing, what it costs, what mends it."""

from __future__ import annotations

import os
import sys
from dataclasses import asdict, dataclass

from engine.core.fields import JsonValue
from engine.probe.preflight import requirements


@dataclass(frozen=True)
class Need:
    """One thing boxscope uses."""

    name: str
    found: bool
    detail: str
    """What was found, or why it counts as missing."""
    costs: str = ""
    """What does not work without it."""
    fix: str = ""
    """The command or sentence that provides it."""

    def as_json(self) -> dict[str, JsonValue]:
        """The need as a flat object."""
        return asdict(self)


def examine() -> tuple[Need, ...]:
    """Look at every need; what is tried out is closed at once, and nothing stays changed."""
    return (_python(), _foreign_processes(), *_probe_needs())


def _python() -> Need:
    version = ".".join(str(part) for part in sys.version_info[:3])
    return Need("Python 3.11 or newer", True, version)


def _foreign_processes() -> Need:
    """Whether the sockets of other users' processes can be traced to their owners."""
    try:
        os.listdir("/proc/1/fd")
    except OSError:
        return Need(
            "sight of other users' processes",
            False,
            "/proc/1/fd cannot be read",
            "ports of other users' processes are listed without their owner",
            "run as root",
        )
    return Need("sight of other users' processes", True, "/proc/PID/fd can be read")


def _probe_needs() -> tuple[Need, ...]:
    return tuple(
        Need(need.name, need.ok, need.detail, need.costs_you, need.fix) for need in requirements()
    )
