"""One export: what an engine delivers, sent to an OpenTelemetry collector in three signals."""

from __future__ import annotations

import logging
import os
import threading
import time
from collections import Counter
from collections.abc import Callable, Sequence
from typing import Any

from engine.core.counters import Counters
from engine.core.errors import BoxscopeError, RequirementError
from engine.core.filters import Filter
from engine.core.kinds import KINDS
from engine.core.records import Record
from engine.core.source import Logbook, SourceState, SourceStatus
from engine.otlp.options import (
    INSTALL,
    LOG_KINDS,
    SIGNALS,
    SPAN_KINDS,
    OtlpOptions,
    Signal,
    require,
)
from engine.otlp.sender import Sender
from engine.recording.beginning import Recorded
from engine.recording.redaction import redaction

NAME = "otlp"
_UNTOUCHED = frozenset({"log"})
"""Kinds a filter does not choose among."""


class OtlpExport:
    """Sends all that an engine delivers; the engine never waits for it but at the end.

    Args:
        source: The engine.
        options: Where to, and what.
        log: Where it says that a collector no longer takes what it is sent, or does again.
    """

    def __init__(self, source: Recorded, options: OtlpOptions, log: Logbook) -> None:
        self._source = source
        self._options = options
        self._log = log
        self._wanted = _wanted(options.filter_text)
        self._redact = redaction(options.redact)
        self._senders: tuple[Sender[Any], ...] = ()
        self._state: tuple[SourceState, str, str, bool] = ("starting", "", "", False)
        self._lost = Counters()
        self._ended = False
        self._thread = threading.Thread(target=self._begin, name="boxscope-otlp", daemon=True)

    def start(self) -> None:
        """Begin to send; the SDK is loaded meanwhile."""
        self._thread.start()

    def stop(self) -> None:
        """Send what is left, within the time the options give, and count what was not sent."""
        if self._thread.ident is not None:
            self._thread.join()
        deadline = time.monotonic() + self._options.flush_s
        for sender in self._senders:
            sender.stop_by(deadline)
        for sender in self._senders:
            sender.finish()
        if not self._senders:
            self._lost = self._all_lost()
        self._state = self._outcome()

    def status(self) -> SourceStatus:
        """State and counters, as of a source; its stages are the signals."""
        state, reason, fix, missing = self._state if self._ended else self._present()
        stages = {sender.name: sender.counters() for sender in self._senders}
        return SourceStatus(
            NAME, state, reason, fix, missing, _sum([*stages.values(), self._lost]), stages
        )

    # Life.

    def _begin(self) -> None:
        """Load the SDK and start the senders; runs in a thread, as that takes half a second."""
        try:
            require(self._options)
            _silence()
            senders = self._make_senders()
        except BoxscopeError as error:
            self._fail(error.message, error.fix, missing=isinstance(error, RequirementError))
        except ImportError as error:
            self._fail(f"OpenTelemetry's SDK cannot be loaded: {error}", INSTALL, missing=True)
        else:
            self._senders = senders
            self._state = ("running", "", "", False)
            for sender in senders:
                sender.start()

    def _fail(self, reason: str, fix: str, *, missing: bool) -> None:
        self._state = ("failed", reason, fix, missing)
        self._log.write(NAME, "error", reason)

    def _make_senders(self) -> tuple[Sender[Any], ...]:
        from engine.otlp.feeds import MetricFeed, RecordFeed
        from engine.otlp.logs import LogMaker
        from engine.otlp.metrics import as_data
        from engine.otlp.origin import Origin
        from engine.otlp.post import SdkPost, open_post
        from engine.otlp.spans import SpanMaker

        origin = Origin(self._source.snapshot().host)

        def records(kinds: Sequence[str], make: Callable[[Record], Any]) -> RecordFeed[Any]:
            return RecordFeed(self._source, kinds, make, self._wanted, self._redact)

        feeds: dict[Signal, Any] = {
            "logs": records(LOG_KINDS, LogMaker(origin)),
            "traces": records(SPAN_KINDS, SpanMaker(origin)),
            "metrics": MetricFeed(self._source, self._options.metrics_s),
        }
        wraps: dict[Signal, Callable[[Any], Any]] = {
            "metrics": lambda metrics: as_data(metrics, origin)
        }
        return tuple(
            Sender(
                signal,
                feeds[signal],
                SdkPost(*open_post(self._options, signal), wrap=wraps.get(signal, list)),
                self._options.retry_s,
                self._changed,
            )
            for signal in SIGNALS
        )

    # What is told.

    def _changed(self, signal: str, trouble: str) -> None:
        where = self._options.shown(SIGNALS[0])
        if trouble:
            self._log.write(NAME, "warning", f"{where} does not take {signal}: {trouble}")
        else:
            self._log.write(NAME, "info", f"{where} takes {signal} again")

    def _present(self) -> tuple[SourceState, str, str, bool]:
        """How it is now: degraded while a signal is not taken."""
        if self._state[0] != "running":
            return self._state
        troubled = [sender for sender in self._senders if sender.trouble]
        broken = [sender for sender in self._senders if sender.failure]
        if broken:
            names = ", ".join(sender.name for sender in broken)
            return "failed", f"the export of {names} has failed: {broken[0].failure}", "", False
        if not troubled:
            return self._state
        names = ", ".join(sender.name for sender in troubled)
        where = self._options.shown(SIGNALS[0])
        waiting = 0 if self._ended else sum(sender.waiting() for sender in troubled)
        reason = f"{where} does not take all {names}: {troubled[0].trouble}"
        reason += f"; {waiting} wait" if waiting else ""
        fix = "see that a collector listens there" + ("" if self._ended else "; it is tried again")
        return "degraded", reason, fix, False

    def _outcome(self) -> tuple[SourceState, str, str, bool]:
        """How it is after the end."""
        self._ended = True
        present = self._present()
        return ("off", "", "", False) if present[0] in ("running", "starting") else present

    def _all_lost(self) -> Counters:
        """Nothing could be sent: everything there was is lost."""
        number = sum(self._source.last_seq(kind) for kind in (*LOG_KINDS, *SPAN_KINDS))
        return Counters(number, 0, {"not_sent": number} if number else {})


def _wanted(text: str) -> Callable[[Record], bool]:
    if not text:
        return lambda record: True
    chosen = Filter(text, KINDS)
    return lambda record: record.kind in _UNTOUCHED or chosen.matches(record)


def _silence() -> None:
    """Keep the SDK from writing on stderr, over the screen; the status tells all it would.

    gRPC's core takes its word from the C library's environment. What plugins are given is Python's
    and stays as it is.
    """
    if "GRPC_VERBOSITY" not in os.environ:
        os.putenv("GRPC_VERBOSITY", "NONE")
    for name in ("opentelemetry", "urllib3", "grpc"):
        logger = logging.getLogger(name)
        logger.addHandler(logging.NullHandler())
        logger.propagate = False


def _sum(several: list[Counters]) -> Counters:
    """The counters of all signals together."""
    dropped: Counter[str] = Counter()
    for each in several:
        dropped.update(each.dropped)
    return Counters(
        sum(each.seen for each in several),
        sum(each.kept for each in several),
        dict(dropped),
        max((each.lag_ms for each in several), default=0.0),
    )
