"""The recordings of an engine: at most one at a time, and its memory written out on demand."""

from __future__ import annotations

import threading
from pathlib import Path
from typing import TYPE_CHECKING

from engine.core.clock import Clock
from engine.core.errors import RecordingError
from engine.core.progress import Tasks, by_asking
from engine.core.snapshot import RecordingFacts
from engine.core.source import SourceStatus
from engine.recording.beginning import Recorded
from engine.recording.options import RecordingOptions

if TYPE_CHECKING:
    from engine.recording.recorder import Context, Recorder


class Recordings:
    """Starts and stops recordings; usable from any thread.

    Args:
        source: What is recorded.
        context: What is subscribed, filtered and attached.
        clock: The engine's.
        tasks: Told what takes long.
    """

    def __init__(self, source: Recorded, context: Context, clock: Clock, tasks: Tasks) -> None:
        self._source = source
        self._tasks = tasks
        self._context = context
        self._clock = clock
        self._lock = threading.Lock()
        self._current: Recorder | None = None
        self._last: Recorder | None = None

    def start(self, path: Path, options: RecordingOptions) -> None:
        """Record from now on.

        Raises:
            UsageError: the options mean nothing.
            RecordingError: one is being recorded, or the file exists or cannot be made.
        """
        from engine.recording.recorder import Recorder  # SQLite is loaded when it is wanted

        with self._lock:
            if self._current is not None:
                raise RecordingError(
                    f"{self._current.path} is being recorded already", fix="stop that first"
                )
            recorder = Recorder(self._source, path, options, self._context, self._clock)
            recorder.start()
            self._current = self._last = recorder

    def stop(self) -> RecordingFacts | None:
        """Write what is left; returns what the file holds, None where nothing was recorded.

        Raises:
            RecordingError: the last of it could not be written.
        """
        with self._lock:
            recorder, self._current = self._current, None
            if recorder is None:
                return None
            with self._tasks.begin(f"ending {recorder.path.name}"):
                recorder.stop()
        return _outcome(recorder)

    def dump(self, path: Path, options: RecordingOptions) -> RecordingFacts:
        """Write all that the engine remembers; returns what the file holds.

        Raises:
            UsageError: the options mean nothing.
            RecordingError: the file exists or cannot be written, or it was cancelled.
        """
        from engine.recording.recorder import Recorder

        recorder = Recorder(self._source, path, options, self._context, self._clock)
        with self._tasks.begin(f"writing {path.name}", by_asking) as task:
            recorder.write_memory(task)
        return _outcome(recorder)

    def status(self) -> SourceStatus | None:
        """How the present recording, or else the last one, is; None before the first."""
        return self._last.status() if self._last is not None else None

    def facts(self) -> RecordingFacts | None:
        """What is being recorded."""
        recorder = self._current
        return _facts(recorder) if recorder is not None else None


def _facts(recorder: Recorder) -> RecordingFacts:
    return RecordingFacts(str(recorder.path), recorder.size, recorder.counters.kept)


def _outcome(recorder: Recorder) -> RecordingFacts:
    status = recorder.status()
    if status.state == "failed":
        raise RecordingError(status.reason, fix="what was written before can be replayed")
    return _facts(recorder)
