"""When the box is looked at: each interval, and soon after something is said to have happened."""

from __future__ import annotations

import threading
import time
from typing import Literal

Reason = Literal["bind", "listen", "exec", "exit"]

_LEAST_GAP_S = 0.02
"""Between the end of a scan and one that somebody asked for; many requests become one scan."""
_SHARE = 0.2
"""Most of a core that scans may take which somebody asked for: a longer scan, a longer gap."""


class WakeUps:
    """The alarm clock of a thread that scans."""

    def __init__(self) -> None:
        self._changed = threading.Condition()
        self._pids: set[int] = set()
        self._poked = self._stopped = False
        self._not_before = 0.0

    def poke(self, pid: int | None) -> None:
        """Have a scan made soon; never waits.

        Args:
            pid: The process that changed; None if it is not known.
        """
        with self._changed:
            self._poked = True
            if pid is not None:
                self._pids.add(pid)
            self._changed.notify()

    def take(self) -> frozenset[int]:
        """The pids of all pokes until now, which the scan to come will have answered."""
        with self._changed:
            pids, self._pids, self._poked = frozenset(self._pids), set(), False
            return pids

    def note_cost(self, scan_s: float) -> None:
        """Tell how much CPU time the scan took that just ended."""
        gap_s = max(_LEAST_GAP_S, scan_s * (1 / _SHARE - 1))
        with self._changed:
            self._not_before = time.monotonic() + gap_s

    def wait(self, timeout_s: float) -> Literal["poked", "time", ""]:
        """Wait for the time to scan; returns nothing when it is to stop.

        Args:
            timeout_s: When to scan if nobody pokes.
        """
        with self._changed:
            self._changed.wait_for(lambda: self._poked or self._stopped, timeout_s)
            if self._poked:
                gap_s = self._not_before - time.monotonic()
                self._changed.wait_for(lambda: self._stopped, max(gap_s, 0.0))
            if self._stopped:
                return ""
            return "poked" if self._poked else "time"

    def wait_to_stop(self, timeout_s: float) -> None:
        """Wait that long, or until it is to stop."""
        with self._changed:
            self._changed.wait_for(lambda: self._stopped, timeout_s)

    def stop(self) -> None:
        """End every waiting, for good."""
        with self._changed:
            self._stopped = True
            self._changed.notify_all()
