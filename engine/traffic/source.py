"""The traffic source: reads a capture, makes messages, asks the Wasm plugins."""

from __future__ import annotations

import threading
from pathlib import Path
from typing import TYPE_CHECKING

from engine.core.clock import Clock
from engine.core.errors import CaptureError
from engine.core.records import RecordRing
from engine.core.sanitise import clean
from engine.core.source import Logbook, Source
from engine.traffic.dissect import Dissector
from engine.traffic.messages import Message
from engine.traffic.packets import Segment
from engine.traffic.pcap import read_segments

if TYPE_CHECKING:
    from engine.wasm.host import WasmHost

_BETWEEN_PASSES_S = 1.0


class TrafficSource(Source):
    """Turns a packet capture into `l7_message` records.

    Counters: seen = segments that carry payload, kept = segments a parser used, or that belong to
    a flow nobody understands (which has a row of its own), dropped by the reasons of
    `engine.traffic.parsers.DropReason`.

    Args:
        clock: The engine's clock.
        logbook: The engine's log.
        capture: A pcap or pcapng file.
        wasm: The plugins every message is offered to, if any.
        loop: Begin again at the end, for ever, with the times of now. Implies `paced`.
        paced: Take as long as the traffic took, instead of as fast as can be.
        capacity: Messages kept for readers.
    """

    name = "traffic"

    def __init__(
        self,
        clock: Clock,
        logbook: Logbook,
        *,
        capture: Path,
        wasm: WasmHost | None,
        loop: bool = False,
        paced: bool = False,
        capacity: int = 20_000,
    ) -> None:
        super().__init__(clock, logbook)
        self._messages = RecordRing(capacity)
        self.rings = {"l7_message": self._messages}
        self._capture = capture
        self._label = f"pcap:{clean(capture.name, 200)}"
        self._wasm = wasm
        self._loop = loop
        self._paced = paced or loop
        self._stop = threading.Event()
        self._done = threading.Event()
        self._thread: threading.Thread | None = None

    def start(self) -> None:
        """Read the capture in a thread."""
        if self._thread is not None:
            return
        self._stop.clear()
        self._done.clear()
        self.set_status("running")
        self._thread = threading.Thread(target=self._run, name="traffic", daemon=True)
        self._thread.start()

    def stop(self) -> None:
        """End the thread, wherever it is in the capture."""
        self._stop.set()
        thread, self._thread = self._thread, None
        if thread is not None:
            thread.join()
        if self.status().state == "running":
            self.set_status("off")

    def wait_done(self, timeout: float) -> bool:
        """Wait until the capture has been read to its end, at most `timeout` seconds."""
        return self._done.wait(timeout)

    def run_once(self) -> None:
        """Read the whole capture here and now.

        Raises:
            CaptureError: if it cannot be read to its end; what came before is kept.
        """
        self._read(shift=False)

    def _run(self) -> None:
        try:
            while self._read(shift=self._loop) and self._loop:
                if self._stop.wait(_BETWEEN_PASSES_S):
                    break
            if not self._stop.is_set():
                self.set_status("off", f"{self._label} has been read to its end")
        except CaptureError as error:
            self.fail(error, "degraded" if self.tally.read().seen else "failed")
        except Exception as error:  # a bug here must not leave the source looking alive
            self.fail(CaptureError(f"{self._label}: internal error: {clean(repr(error))}"))
        finally:
            self._done.set()

    def _read(self, *, shift: bool) -> bool:
        """Read the capture once; returns whether there was anything in it.

        Args:
            shift: Give the segments the times of now.
        """
        dissector = Dissector(self._wasm)
        pace: _Pace | None = None
        try:
            for segment in read_segments(self._capture):
                if self._stop.is_set():
                    break
                if isinstance(segment, str):
                    self.tally.add(seen=1, kept=0, dropped={segment: 1})
                    continue
                if pace is None:
                    pace = _Pace(self.clock, segment.ts_ns)
                if self._paced and self._stop.wait(pace.wait_s(segment.ts_ns)):
                    break
                if shift:
                    segment = segment._replace(ts_ns=pace.shifted(segment.ts_ns))
                self._take(dissector, segment, pace.late_ms(segment.ts_ns) if shift else None)
        finally:
            self._emit(dissector.finish())
        return pace is not None

    def _take(self, dissector: Dissector, segment: Segment, lag_ms: float | None) -> None:
        messages, reason = dissector.take(segment)
        self._emit(messages)
        if reason is not None:
            self.tally.add(seen=1, kept=0, dropped={reason: 1}, lag_ms=lag_ms)
        elif segment.payload:
            self.tally.add(seen=1, kept=1, lag_ms=lag_ms)

    def _emit(self, messages: list[Message]) -> None:
        self._messages.extend(message.record(self._label) for message in messages)


class _Pace:
    """When each segment of one pass is due."""

    def __init__(self, clock: Clock, first_ts_ns: int) -> None:
        self._clock = clock
        self._first_ts_ns = first_ts_ns
        self._began_monotonic_ns = clock.monotonic_ns()
        self._began_wall_ns = clock.wall_ns()

    def wait_s(self, ts_ns: int) -> float:
        """Seconds until a segment is due; 0 if it is late."""
        due_ns = self._began_monotonic_ns + ts_ns - self._first_ts_ns
        return max(0, due_ns - self._clock.monotonic_ns()) / 1e9

    def shifted(self, ts_ns: int) -> int:
        """The time a segment has in this pass."""
        return self._began_wall_ns + ts_ns - self._first_ts_ns

    def late_ms(self, shifted_ns: int) -> float:
        """How long ago a shifted segment was due."""
        return max(0, self._clock.wall_ns() - shifted_ns) / 1e6
