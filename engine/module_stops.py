"""Ends keepers that were stopped, by their module as like as not.

A module is under its keeper's deadlines only, so one that stops its keeper would be under none.
"""

from __future__ import annotations

import os
import signal
import time
from collections.abc import Iterable
from contextlib import suppress

from engine.core.errors import ProcessGone
from engine.core.identity import read_stat

LOOK_S = 0.5
"""Time between two looks."""
PATIENCE_S = 1.0
"""How long a keeper may be stopped."""
_STOPPED = "T"
"""Not `t`, which a process is while somebody debugs it."""


class StoppedKeepers:
    """Notices keepers that stay stopped; for one thread."""

    def __init__(self) -> None:
        self._since: dict[int, float] = {}

    def end_overdue(self, keepers: Iterable[int]) -> frozenset[int]:
        """Kill those that have been seen stopped for too long; returns which.

        Args:
            keepers: Pids of children of this process.
        """
        now = time.monotonic()
        stopped = {pid for pid in keepers if _is_stopped(pid)}
        self._since = {pid: self._since.get(pid, now) for pid in stopped}
        overdue = (pid for pid, since in self._since.items() if now - since >= PATIENCE_S)
        return frozenset(pid for pid in overdue if _end(pid))


def _is_stopped(pid: int) -> bool:
    with suppress(ProcessGone, PermissionError):
        stat = read_stat(pid)
        return stat.state == _STOPPED and stat.ppid == os.getpid()
    return False


def _end(pid: int) -> bool:
    """Kill it if it is stopped still, and no other process that has its number by now."""
    with suppress(ProcessLookupError):
        descriptor = os.pidfd_open(pid)
        try:
            if _is_stopped(pid):
                signal.pidfd_send_signal(descriptor, signal.SIGKILL)
                return True
        finally:
            os.close(descriptor)
    return False
