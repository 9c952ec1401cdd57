"""Where a replay is: a moment that goes on by itself, at a speed, unless it is held."""

from __future__ import annotations

import threading

from engine.core.clock import Clock
from engine.core.errors import UsageError
from engine.core.snapshot import ReplayFacts

SLOWEST, FASTEST = 0.01, 1_000.0


class Playhead:
    """A moment of a recording.

    Args:
        clock: What it goes by.
        first_ns: The earliest moment, where it begins.
        last_ns: The latest one, where it stops by itself.
    """

    def __init__(self, clock: Clock, first_ns: int, last_ns: int) -> None:
        self.first_ns = first_ns
        self.last_ns = last_ns
        self._clock = clock
        self._lock = threading.Lock()
        self._speed = 1.0
        self._held = True
        self._from_ns = first_ns
        self._since_ns = clock.monotonic_ns()

    @property
    def now_ns(self) -> int:
        """The moment it has reached."""
        with self._lock:
            return self._now()

    @property
    def held(self) -> bool:
        """Whether it stands still because somebody wanted it to."""
        return self._held

    @property
    def speed(self) -> float:
        """How many seconds of the recording pass in one."""
        return self._speed

    @property
    def at_end(self) -> bool:
        """Whether there is nothing more to come."""
        return self.now_ns >= self.last_ns

    def facts(self) -> ReplayFacts:
        """Where it is, all at one moment."""
        with self._lock:
            return ReplayFacts(self.first_ns, self.last_ns, self._now(), self._speed, self._held)

    def hold(self) -> None:
        """Stand still."""
        with self._lock:
            self._anchor(self._now())
            self._held = True

    def go_on(self) -> None:
        """Go on from where it is."""
        with self._lock:
            self._anchor(self._now())
            self._held = False

    def set_speed(self, speed: float) -> None:
        """Go faster or slower.

        Raises:
            UsageError: the speed is not between 0.01 and 1000.
        """
        if not SLOWEST <= speed <= FASTEST:
            raise UsageError(
                f"a replay cannot run {speed:g} times as fast",
                fix=f"a speed from {SLOWEST:g} to {FASTEST:g}",
            )
        with self._lock:
            self._anchor(self._now())
            self._speed = speed

    def seek(self, ts_ns: int) -> None:
        """Go to a moment, as far as the recording reaches."""
        with self._lock:
            self._anchor(min(max(ts_ns, self.first_ns), self.last_ns))

    def _anchor(self, ts_ns: int) -> None:
        self._from_ns, self._since_ns = ts_ns, self._clock.monotonic_ns()

    def _now(self) -> int:
        if self._held:
            return self._from_ns
        passed = (self._clock.monotonic_ns() - self._since_ns) * self._speed
        return min(self.last_ns, self._from_ns + int(passed))
