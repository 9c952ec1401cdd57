"""The deadline of a plugin call: one thread that advances the Wasm engine's epoch.

A call is given a number of epochs; when they have passed, the running code traps. The thread
ticks only while calls are being made and for a moment after, so an idle host costs nothing.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable

TICKS = 10
"""Epochs in one deadline; a call is ended between 9 and 10 tenths of it."""


class Watchdog:
    """Advances an epoch `TICKS` times per deadline while calls are being made.

    Args:
        advance: What advances the epoch by one.
        deadline_ms: Longest time of one call.
        linger_s: How long to go on ticking after the last call could have ended.
    """

    def __init__(
        self, advance: Callable[[], None], deadline_ms: float, linger_s: float = 1.0
    ) -> None:
        self._advance = advance
        self._period_s = deadline_ms / 1_000 / TICKS
        self._idle_after_s = deadline_ms / 1_000 + linger_s
        self._last_call = 0.0
        self._asleep = False
        self._wake = threading.Event()
        self._stop = threading.Event()
        self._lock = threading.Lock()
        self._thread: threading.Thread | None = None

    def arm(self) -> None:
        """Note that a call is about to begin, so that its epochs will pass."""
        self._last_call = time.monotonic()
        if self._asleep:
            self._wake.set()
        elif self._thread is None:
            self._begin()

    @property
    def asleep(self) -> bool:
        """Whether no epochs pass because no call is being made."""
        return self._asleep

    def stop(self) -> None:
        """End the thread; the next `arm` begins a new one."""
        with self._lock:
            thread, self._thread = self._thread, None
            if thread is None:
                return
            self._stop.set()
            self._wake.set()
            thread.join()
            self._stop.clear()
            self._asleep = False

    def _begin(self) -> None:
        with self._lock:
            if self._thread is None:
                self._thread = threading.Thread(target=self._run, name="wasm-watchdog", daemon=True)
                self._thread.start()

    def _run(self) -> None:
        due = time.monotonic() + self._period_s
        while not self._stop.wait(max(0.0, due - time.monotonic())):
            self._advance()
            now = time.monotonic()
            due += self._period_s
            if due < now:
                # A thread that came late (a stopped process, a busy machine) does not catch up:
                # that would take time from calls that never had it.
                due = now + self._period_s
            if now - self._last_call > self._idle_after_s:
                self._sleep()
                due = time.monotonic() + self._period_s

    def _sleep(self) -> None:
        """Wait for the next call.

        `arm` writes the time and then looks at `_asleep`; here `_asleep` is written and then the
        time is looked at. So one of the two always sees the other.
        """
        self._asleep = True
        self._wake.clear()
        if not self._stop.is_set() and time.monotonic() - self._last_call > self._idle_after_s:
            self._wake.wait()
        self._asleep = False
