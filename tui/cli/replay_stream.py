"""A recording as a stream: its records in the order of time, then its last counters."""

from __future__ import annotations

from engine.core.records import Record
from engine.recording.replay import ReplayEngine
from tui.cli.output import ColumnOutput, Output
from tui.cli.stream import StreamOptions, StreamRunner

_PRINTED = 1_000
"""Records between two looks at the clock and at signals."""


class ReplayRunner(StreamRunner):
    """Prints what the playhead has passed; ends with the recording.

    Args:
        engine: The recording; where its playhead is, it begins.
        output: Where records go.
        options: What to print and when to stop; the count is of records of all kinds.
        paced: Print each record at its time instead of at once.
    """

    def __init__(
        self, engine: ReplayEngine, output: Output, options: StreamOptions, *, paced: bool
    ) -> None:
        super().__init__(engine, output, options)
        self._playhead = engine.playhead
        self._paced = paced
        self._records = engine.in_order(options.kinds)
        self._next: Record | None = next(self._records, None)

    def _pull(self) -> int:
        """Print what is due; returns how many records there were."""
        due_ns = self._playhead.now_ns if self._paced else self._playhead.last_ns
        printed = 0
        while self._next is not None and self._next.ts_ns <= due_ns and printed < _PRINTED:
            if self._left == 0:
                break
            self._print(self._next)
            self._next = next(self._records, None)
            printed += 1
        if not self._paced and self._next is not None:
            self._playhead.seek(self._next.ts_ns)
        return printed

    def _over(self) -> bool:
        return self._next is None

    def _counts(self, record: Record) -> bool:
        return True

    def _print_stats(self) -> None:
        """The last counters, unless they are what was printed last, as with a whole stream."""
        if self._printed != "stats" or isinstance(self._output, ColumnOutput):
            super()._print_stats()

    def _pull_rest(self) -> None:
        """Nothing comes after the end; the counters are those of then."""
        if self._next is None:
            self._playhead.seek(self._playhead.last_ns)
