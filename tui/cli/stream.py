"""A headless run of an engine: every record as it comes, the counters at the end."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, replace

from engine.core.counters import Counters
from engine.core.errors import FailedError, RequirementError
from engine.core.filters import Filter
from engine.core.records import Record
from engine.core.source import SourceStatus
from engine.engine import Engine
from engine.recording.lines import header_line, stats_record
from tui.cli.diagnostics import (
    INTERRUPTED,
    Interruption,
    leave_quietly,
    report,
    report_refused,
    say,
)
from tui.cli.output import ColumnOutput, Output
from tui.collector import rare_collections

_PULL_S = 0.05
_LIMIT = 5_000

_TO_THE_END = ("otlp",)
"""Sources that work until all others have ended: how they are is known only then."""

SOURCE_OF_KIND = {
    "plugin_record": "agent",
    "plugin_state": "agent",
    "module_event": "modules",
    "process": "discovery",
    "kernel_event": "probe",
    "l7_message": "traffic",
    "wasm_result": "wasm",
}
"""Whose counters suffer when this reader is too slow for a kind."""


@dataclass(frozen=True)
class StreamOptions:
    """What to print and when to stop."""

    kinds: tuple[str, ...]
    seconds: float | None = None
    count: int | None = None
    """Stop after so many records of the first kind."""
    header: bool = False
    """Open with a `recording` object, so that the output can be replayed."""
    every: Callable[[Record], bool] = lambda record: True
    """Which records concern the command; the filter chooses among them."""
    filter_text: str = ""
    """Which records to print, in the filter language; all, if empty."""
    done: Callable[[], bool] = lambda: False
    """Another reason to stop, asked at each pull."""
    ready: Callable[[], bool] = lambda: True
    """Whether the sources have begun; `seconds` count from then."""
    announce: Callable[[], Iterable[str]] = tuple
    """Lines said on stderr once they have; what it raises ends the run."""
    tables: tuple[str, ...] = ()
    """Tables whose rows are printed at the end, before the counters."""
    log_of: str = ""
    """A source whose log is said on stderr as it comes, from the announcement on."""
    conclude: Callable[[], Iterable[str]] = tuple
    """Lines said on stderr at the end, asked for while the sources still run."""


class StreamRunner:
    """Starts an engine, prints its streams, stops it and prints the counters.

    Args:
        engine: The engine; started and stopped here.
        output: Where records go.
        options: What to print and when to stop.

    Raises:
        FilterError: the filter means nothing, or nothing to these kinds.
    """

    def __init__(self, engine: Engine, output: Output, options: StreamOptions) -> None:
        self._engine = engine
        self._output = output
        self._options = options
        self._cursors = dict.fromkeys(options.kinds, 0)
        self._log_cursor = 0
        self._missed: dict[str, int] = {}
        self._left = options.count
        kinds = (*options.kinds, *options.tables)
        self._filter = Filter(options.filter_text, kinds) if options.filter_text else None
        self._chosen = self._asked = 0
        self._printed = ""
        """Kind of the last record that was printed."""
        self._interruption = Interruption()
        self._running: Mapping[str, SourceStatus] = {}

    def run(self) -> int:
        """Run to the end; returns the exit code."""
        with self._interruption, rare_collections():
            try:
                self._run_until_done()
            except BrokenPipeError:
                self._engine.stop()
                leave_quietly()
                return 0
            except OSError as refused:
                return report_refused(refused)
            return INTERRUPTED if self._interruption.asked else 0

    def run_or_fail(self, *vital: str) -> int:
        """Run to the end; fails with the first of the `vital` sources that could not run.

        Returns:
            The exit code: 3 where a right or a dependency was missing, 1 where a vital source
            failed otherwise.
        """
        code = self.run()
        for name in vital:
            status = self._running.get(name)
            if status is not None and status.state == "failed":
                error = RequirementError if status.missing else FailedError
                return report(error(status.reason, fix=status.fix))
        return code

    def _run_until_done(self) -> None:
        if self._options.header:
            self._output.object(header_line(self._engine.snapshot().host))
        try:
            self._engine.start()
            self._wait_until_ready()
            self._pump()
            concluded = list(self._options.conclude())
        finally:
            present = self._engine.snapshot().sources
            self._running = {name: present[name] for name in present if name not in _TO_THE_END}
            self._engine.stop()
        self._pull_rest()
        self._print_stats()
        self._output.flush()
        for line in concluded:
            say(line)
        if self._filter is not None:
            say(f"the filter chose {self._chosen} of {self._asked} records")

    def _wait_until_ready(self) -> None:
        while not self._options.ready():
            if self._interruption.asked:
                return
            time.sleep(_PULL_S)
        if not self._options.done():
            for line in self._options.announce():
                say(line)
        self._log_cursor = self._engine.last_seq("log")

    def _pump(self) -> None:
        begun = time.monotonic()
        while self._left is None or self._left > 0:
            if self._over() or self._interruption.asked:
                return
            elapsed = time.monotonic() - begun
            if self._options.seconds is not None and elapsed >= self._options.seconds:
                return
            pulled = self._pull()
            self._say_log()
            if not pulled:
                self._output.flush()
                time.sleep(_PULL_S)

    def _over(self) -> bool:
        """Whether there is nothing more to come."""
        return self._options.done()

    def _pull_rest(self) -> None:
        while self._left is None or self._left > 0:
            if not self._pull():
                return

    def _pull(self) -> int:
        """Print what is new; returns how many records there were."""
        pulled = 0
        for kind, cursor in self._cursors.items():
            batch = self._engine.since(kind, cursor, _LIMIT)
            self._cursors[kind] = batch.last_seq
            if batch.missed and kind in SOURCE_OF_KIND:
                owner = SOURCE_OF_KIND[kind]
                self._missed[owner] = self._missed.get(owner, 0) + batch.missed
            pulled += len(batch.records)
            for record in batch.records:
                self._print(record)
        return pulled

    def _say_log(self) -> None:
        """What the source in question has to say meanwhile."""
        if not self._options.log_of:
            return
        batch = self._engine.since("log", self._log_cursor, _LIMIT)
        self._log_cursor = batch.last_seq
        for line in batch.records:
            if line.get("source") == self._options.log_of:
                say(str(line.get("text")))

    def _print(self, record: Record) -> None:
        if self._left == 0 or not self._wanted(record):
            return
        self._output.record(record)
        self._printed = record.kind
        if self._left is not None and self._counts(record):
            self._left -= 1

    def _counts(self, record: Record) -> bool:
        """Whether a record counts where so many are asked for."""
        return record.kind == self._options.kinds[0]

    def _wanted(self, record: Record) -> bool:
        if not self._options.every(record):
            return False
        if self._filter is None:
            return True
        chosen = self._filter.matches(record)
        self._asked += 1
        self._chosen += chosen
        return chosen

    def _print_stats(self) -> None:
        snapshot = self._engine.snapshot()
        for kind in self._options.tables:
            for seq, row in enumerate(snapshot.tables.get(kind, ()), self._engine.last_seq(kind)):
                if self._wanted(row):
                    self._output.record(replace(row, seq=seq + 1))
        sources = {
            name: replace(
                self._running.get(name, status),
                counters=self._as_read(status),
                stages=status.stages,
            )
            for name, status in snapshot.sources.items()
        }
        final = stats_record(snapshot, sources)
        final.seq = self._engine.last_seq("stats") + 1
        if isinstance(self._output, ColumnOutput):
            self._output.object(final.as_json())
        else:
            self._output.record(final)

    def _as_read(self, status: SourceStatus) -> Counters:
        """The source's counters, with what this reader was too late for."""
        return status.counters.after_reader_missed(self._missed.get(status.name, 0))
