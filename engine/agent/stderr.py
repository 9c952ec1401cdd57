"""What a plugin wrote to stderr, also in its earlier runs.

The agent empties a plugin's stderr file at each start, and with it the reason of the last crash.
Here the last lines of earlier runs are kept in memory.
"""

from __future__ import annotations

import os
from collections import deque
from pathlib import Path

from engine.core.sanitise import clean

KEPT_LINES = 500
"""Of earlier runs together."""
SHOWN_LINES = 20
"""In a row of the table."""
LINE = 200
"""Longest line shown, in characters."""


def tail_lines(descriptor: int, count: int) -> list[str]:
    """The last lines of a file that are not blank, fit to be shown; at most `count`."""
    window = count * LINE + LINE
    try:
        size = os.fstat(descriptor).st_size
        tail = os.pread(descriptor, window, max(0, size - window))
    except OSError:
        return []
    lines = tail.splitlines()
    if size > window and len(lines) > 1:
        del lines[0]  # its beginning is missing
    return [clean(line.strip(), LINE) for line in lines if line.strip()][-count:]


class StderrHistory:
    """The last stderr lines of a plugin's earlier runs. Written by one thread, read by any."""

    def __init__(self) -> None:
        self._earlier: deque[str] = deque(maxlen=KEPT_LINES)

    def end_run(self, lines: list[str], how: str) -> None:
        """Keep what a run has left, and how it ended."""
        self._earlier.extend((*lines, f"--- {how} ---"))

    def tail(self, current: list[str], count: int = SHOWN_LINES) -> list[str]:
        """The last lines of the earlier runs and of the one that goes on."""
        missing = count - len(current)
        earlier = list(self._earlier)[-missing:] if missing > 0 else []
        return [*earlier, *current[-count:]]


def read_stderr(path: Path, count: int) -> list[str]:
    """The last lines of a stderr file; none if it cannot be read."""
    try:
        descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC | os.O_NOFOLLOW | os.O_NONBLOCK)
    except OSError:
        return []
    try:
        return tail_lines(descriptor, count)
    finally:
        os.close(descriptor)
