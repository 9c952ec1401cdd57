"""What a source of records looks like to the engine, and what it tells about itself."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal

from engine.core.clock import Clock
from engine.core.counters import Counters, Tally
from engine.core.errors import BoxscopeError, FailedError, RequirementError
from engine.core.kinds import LOG
from engine.core.progress import Tasks
from engine.core.records import Record, RecordRing, RecordStore, new_record

SourceState = Literal["off", "starting", "running", "degraded", "failed"]
LogLevel = Literal["info", "warning", "error"]


@dataclass(frozen=True, slots=True)
class SourceStatus:
    """How a source is doing."""

    name: str
    state: SourceState
    reason: str = ""
    """Why it is degraded, failed or still starting: what is missing and what still works."""
    fix: str = ""
    """The command or sentence that would mend it."""
    missing: bool = False
    """Whether it waits for a right or a dependency that this box does not give."""
    counters: Counters = field(default_factory=Counters)
    stages: Mapping[str, Counters] = field(default_factory=dict)
    """The counters of each of its stages, in their order, where it has some."""


class Logbook:
    """The engine's own log, as records of kind `log`, and what it is busy with."""

    def __init__(self, clock: Clock, capacity: int = 2_000) -> None:
        self._clock = clock
        self.tasks = Tasks(clock)
        self.ring = RecordRing(capacity)

    def write(self, source: str, level: LogLevel, text: str) -> None:
        """Add a line; `text` must already be sanitised where it quotes something from outside."""
        values = {"source": source, "level": level, "text": text}
        self.ring.append(new_record(LOG, values, ts_ns=self._clock.wall_ns()))


class Source(ABC):
    """One part of the engine: runs in its own threads, fills rings, keeps tables.

    Subclasses set `name`, put one ring per record kind into `rings`, count into `tally`, and
    publish immutable tables. A source that cannot run says so with `set_status`; `start` never
    raises for a missing right or dependency.
    """

    name: str

    def __init__(self, clock: Clock, logbook: Logbook) -> None:
        self.clock = clock
        self.logbook = logbook
        self.tally = Tally()
        self.rings: dict[str, RecordStore] = {}
        self._state: tuple[SourceState, str, str, bool] = ("off", "", "", False)

    @abstractmethod
    def start(self) -> None:
        """Begin to produce. Returns at once; slow set-up goes on in a thread."""

    @abstractmethod
    def stop(self) -> None:
        """Stop, join the threads, release everything. May be called twice."""

    def tables(self) -> Mapping[str, tuple[Record, ...]]:
        """The source's state tables by record kind; called often, so return what is at hand."""
        return {}

    def status(self) -> SourceStatus:
        """State and counters."""
        state, reason, fix, missing = self._state
        return SourceStatus(self.name, state, reason, fix, missing, self.counters(), self.stages())

    @property
    def failure(self) -> BoxscopeError | None:
        """Why it cannot run, if so."""
        state, reason, fix, missing = self._state
        if state != "failed":
            return None
        return (RequirementError if missing else FailedError)(reason, fix=fix)

    def counters(self) -> Counters:
        """The source's counters; overridden where some of them live in the kernel."""
        return self.tally.read()

    def stages(self) -> Mapping[str, Counters]:
        """The counters of each stage, in their order; overridden by sources that have some."""
        return {}

    def set_status(
        self, state: SourceState, reason: str = "", fix: str = "", *, missing: bool = False
    ) -> None:
        """Change the state; a new reason is also logged."""
        previous, self._state = self._state, (state, reason, fix, missing)
        if reason and previous[1] != reason:
            level: LogLevel = "error" if state == "failed" else "warning"
            self.log(level if state in ("failed", "degraded") else "info", reason)

    def fail(self, error: BoxscopeError, state: SourceState = "failed") -> None:
        """Record an error as the source's state."""
        missing = isinstance(error, RequirementError)
        self.set_status(state, error.message, error.fix, missing=missing)

    def log(self, level: LogLevel, text: str) -> None:
        """Write to the engine's log under this source's name."""
        self.logbook.write(self.name, level, text)
