"""What the engine is busy with: operations that may take a while, and how far each of them is.

Whoever does something long begins a task and goes on as before; readers ask what there is. A task
costs nothing while nobody asks.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from itertools import count

from engine.core.clock import Clock, SystemClock
from engine.core.errors import FailedError
from engine.core.sanitise import clean

Progress = Callable[[int, int | None], None]
"""Takes how much is done, and how much there is to do if that is known."""

SHOWN_AFTER_S = 0.5
"""A task younger than this is not worth a reader's attention."""


@dataclass(frozen=True, slots=True)
class TaskFacts:
    """One task as it is now."""

    number: int
    """Tells it from all others of the engine."""
    name: str
    elapsed_s: float
    done: int = 0
    total: int | None = None
    """How much there is to do, in the same unit as `done`; None where nobody knows."""
    cancellable: bool = False
    cancelled: bool = False
    """Whether it has been told to end, and has not yet."""

    @property
    def share(self) -> float | None:
        """How much of it is done, from 0 to 1; None where nobody knows."""
        return min(1.0, self.done / self.total) if self.total else None

    @property
    def is_long(self) -> bool:
        """Whether it takes long enough to be shown."""
        return self.elapsed_s >= SHOWN_AFTER_S


class Task:
    """One operation under way, as the one sees it who does it."""

    def __init__(
        self, number: int, name: str, began_ns: int, cancel: Callable[[], None] | None
    ) -> None:
        self._number = number
        self._name = name
        self._began_ns = began_ns
        self._cancel = cancel
        self._done = 0
        self._total: int | None = None
        self._cancelled = False

    @property
    def cancelled(self) -> bool:
        """Whether somebody wants it to end."""
        return self._cancelled

    def advance(self, done: int, total: int | None = None) -> None:
        """Say how far it is, and of how much, if that is known."""
        self._done, self._total = done, total

    def facts(self, now_ns: int) -> TaskFacts:
        """How it is now."""
        return TaskFacts(
            self._number,
            self._name,
            max(0, now_ns - self._began_ns) / 1e9,
            self._done,
            self._total,
            self._cancel is not None,
            self._cancelled,
        )

    def cancel(self) -> None:
        """Tell it to end.

        Raises:
            FailedError: it cannot be.
        """
        if self._cancel is None:
            raise FailedError(f"{self._name} cannot be cancelled", fix="wait for its end")
        self._cancelled = True
        self._cancel()


def say_nothing(done: int, total: int | None = None) -> None:
    """Nobody wants to know how far it is."""


def by_asking() -> None:
    """What cancels a task that asks again and again whether it is `cancelled`."""


class Tasks:
    """The tasks of one engine; usable from any thread.

    Args:
        clock: What they are timed by.
    """

    def __init__(self, clock: Clock | None = None) -> None:
        self._clock = clock or SystemClock()
        self._numbers = count(1)
        self._lock = threading.Lock()
        self._running: dict[int, Task] = {}

    @contextmanager
    def begin(self, name: str, cancel: Callable[[], None] | None = None) -> Iterator[Task]:
        """Be busy with something as long as the context lasts.

        Args:
            name: What is being done: `compiling the kernel programs`.
            cancel: Called, from another thread, to end it early; None where that cannot be.
        """
        number = next(self._numbers)
        task = Task(number, clean(name, 80), self._clock.monotonic_ns(), cancel)
        with self._lock:
            self._running[number] = task
        try:
            yield task
        finally:
            with self._lock:
                del self._running[number]

    def facts(self) -> tuple[TaskFacts, ...]:
        """All that are under way, the oldest first."""
        if not self._running:
            return ()
        with self._lock:
            tasks = list(self._running.values())
        now_ns = self._clock.monotonic_ns()
        return tuple(task.facts(now_ns) for task in tasks)

    def cancel(self, number: int) -> None:
        """Tell one to end; nothing happens if it has ended.

        Raises:
            FailedError: it cannot be.
        """
        with self._lock:
            task = self._running.get(number)
        if task is not None:
            task.cancel()


def progress_text(task: TaskFacts) -> str:
    """A task in a few words: `opening box.jsonl 45% 3 s`."""
    share = "" if task.share is None else f" {task.share:.0%}"
    ending = ", being cancelled" if task.cancelled else ""
    return f"{task.name}{share} {task.elapsed_s:.0f} s{ending}"
