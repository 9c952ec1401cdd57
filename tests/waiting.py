"""Wait for a condition, with a deadline instead of a guess."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable

_TICK = threading.Event()


def wait_until(condition: Callable[[], object], deadline_s: float = 10.0) -> None:
    """Return as soon as `condition()` is true; fail the test after `deadline_s`."""
    end = time.monotonic() + deadline_s
    while not condition():
        assert time.monotonic() < end, f"not true within {deadline_s} s"
        _TICK.wait(0.005)
