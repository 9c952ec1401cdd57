"""Questions to an engine: to what a live one remembers, to the file that a replay plays."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from typing import NamedTuple, TypeVar

from engine.core.errors import BoxscopeError
from engine.engine import Engine
from engine.recording.memory import Held, MemoryRecording
from engine.recording.query import Answer, Query, Relation

ROWS, SIZE, SECONDS = 10_000, 64 << 20, 60.0
"""Bounds of an answer: rows, bytes of texts, time."""

T = TypeVar("T")


class Progress(NamedTuple):
    """How far a question is."""

    doing: str
    """`opening`, `taking in`, `asking`."""
    done: int = 0
    of: int = 0
    began_s: float = 0.0
    """Monotonic time at which the question was asked."""

    @property
    def seconds(self) -> float:
        """Time since it was asked."""
        return time.monotonic() - self.began_s


class Asker:
    """Asks one question at a time, in the thread that calls; told about and ended from any other.

    What a live engine remembers is taken into a recording in memory when the first question is
    asked, and what is new since then with every further one.

    Args:
        engine: What is asked.
        rows, size, seconds: Bounds of an answer.
    """

    def __init__(
        self,
        engine: Engine,
        *,
        rows: int = ROWS,
        size: int = SIZE,
        seconds: float = SECONDS,
    ) -> None:
        self.rows = rows
        self.progress: Progress | None = None
        """How far the present question is; None while there is none."""
        self.held: Held | None = None
        """What there was of a live engine to be asked the last time; None in a replay."""
        self._engine = engine
        self._size = size
        self._seconds = seconds
        self._lock = threading.Lock()
        self._ended = threading.Event()
        self._closed = False
        self._query: Query | None = None
        self._memory: MemoryRecording | None = None
        self._epoch = 0

    def ask(self, sql: str) -> Answer:
        """The answer to a question about everything up to now.

        Raises:
            SqlError: it is no question in SQL, or none about what there is.
            FailedError: it took too long, or was interrupted.
            RecordingError: the recording cannot be read.
        """
        return self._one_at_a_time(
            lambda query: query.answer(
                sql, rows=self.rows, size=self._size, found=lambda rows: self._tell("asking", rows)
            )
        )

    def relations(self) -> list[Relation]:
        """The tables and views that can be asked.

        Raises:
            BoxscopeError: as when something is asked.
        """
        return self._one_at_a_time(Query.relations)

    def interrupt(self) -> None:
        """End the present question, if there is one."""
        self._ended.set()

    def close(self) -> None:
        """End the present question and let go of everything; nothing can be asked any more."""
        self._closed = True
        self._ended.set()
        with self._lock:
            self._let_go()

    def _one_at_a_time(self, question: Callable[[Query], T]) -> T:
        with self._lock:
            if not self._closed:
                self._ended.clear()
            self.progress = Progress("opening", began_s=time.monotonic())
            try:
                return question(self._opened())
            except BoxscopeError:
                if self._memory is not None and self._memory.is_broken:
                    self._let_go()
                raise
            finally:
                self.progress = None

    def _opened(self) -> Query:
        """What is asked, with everything up to now in it."""
        path = self._engine.recording_path
        if path is not None:
            if self._query is None:
                self._query = Query.open(
                    path, seconds=self._seconds, interrupted=self._ended.is_set
                )
            self._tell("asking")
            return self._query
        if self._memory is not None and (self._memory.is_full or self._epoch != self._engine.epoch):
            self._let_go()
        if self._memory is None:
            self._epoch = self._engine.epoch
            self._memory = MemoryRecording(self._engine, self._engine.in_force)
        self._memory.catch_up(
            self._ended.is_set, lambda done, of: self._tell("taking in", done, of)
        )
        self.held = self._memory.held
        self._tell("asking")
        return self._memory.query(seconds=self._seconds, interrupted=self._ended.is_set)

    def _tell(self, doing: str, done: int = 0, of: int = 0) -> None:
        if self.progress is not None:
            self.progress = Progress(doing, done, of, self.progress.began_s)

    def _let_go(self) -> None:
        for opened in (self._query, self._memory):
            if opened is not None:
                opened.close()
        self._query = self._memory = None
