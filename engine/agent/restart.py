"""Starting a plugin again by itself: for development only, a real agent never does it."""

from __future__ import annotations

from pathlib import Path

FIRST_DELAY_S = 1.0
LONGEST_DELAY_S = 60.0
STEADY_S = 60.0
"""A run at least this long makes the next delay the first one again."""


class Backoff:
    """How long to wait before a plugin that has exited is started again: 1, 2, 4 ... 60 s."""

    def __init__(self) -> None:
        self._next_s = FIRST_DELAY_S

    def delay_s(self, ran_s: float) -> float:
        """The delay after a run of `ran_s` seconds."""
        if ran_s >= STEADY_S:
            self._next_s = FIRST_DELAY_S
        delay_s, self._next_s = self._next_s, min(2 * self._next_s, LONGEST_DELAY_S)
        return delay_s


class ExecutableWatch:
    """Notices that a plugin's file was written anew; by looking at it again and again."""

    def __init__(self, executable: Path) -> None:
        self._executable = executable
        self._running = self._seen = self._look()

    def changed(self) -> bool:
        """Whether the file is another one than at the last True, and at rest since the last look.

        A file that is missing or being written is waited for.
        """
        before, self._seen = self._seen, self._look()
        if self._seen is None or self._seen != before or self._seen == self._running:
            return False
        self._running = self._seen
        return True

    def _look(self) -> tuple[int, int, int, int] | None:
        try:
            status = self._executable.stat()
        except OSError:
            return None
        return status.st_dev, status.st_ino, status.st_mtime_ns, status.st_size
