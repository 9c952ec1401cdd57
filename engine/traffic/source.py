"""The traffic source: reads its inputs, makes messages, asks the Wasm plugins."""

from __future__ import annotations

import threading
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import TYPE_CHECKING

from engine.core.clock import Clock
from engine.core.counters import Counters
from engine.core.errors import BoxscopeError, CaptureError
from engine.core.fields import JsonValue
from engine.core.kinds import TRAFFIC_STATE
from engine.core.records import Record, RecordRing, new_record
from engine.core.sanitise import clean
from engine.core.source import Logbook, Source
from engine.traffic.dissect import Dissector
from engine.traffic.inputs import Input
from engine.traffic.messages import Message
from engine.traffic.options import TrafficOptions
from engine.traffic.packets import Segment
from engine.traffic.reassembly import Ordered, Reassembler

if TYPE_CHECKING:
    from engine.wasm.host import WasmHost


class TrafficSource(Source):
    """Turns the segments of its inputs into `l7_message` records.

    Counters: seen = segments that carry payload, and what was lost before it could be one; kept =
    segments a parser used, that belong to a flow nobody understands (which has a row of its own),
    or that were read at the other end of their connection; dropped by the reasons of
    `engine.traffic.reasons.DropReason` and, of listened-to processes, by those of the kernel's
    ring.

    Args:
        clock: The engine's clock.
        logbook: The engine's log.
        inputs: What is read, each in a thread of its own.
        wasm: The plugins every message is offered to, if any.
        options: How it is read.
        capacity: Messages kept for readers.
    """

    name = "traffic"

    def __init__(
        self,
        clock: Clock,
        logbook: Logbook,
        *,
        inputs: Sequence[Input],
        wasm: WasmHost | None,
        options: TrafficOptions | None = None,
        capacity: int = 20_000,
    ) -> None:
        super().__init__(clock, logbook)
        self._messages = RecordRing(capacity)
        self.rings = {"l7_message": self._messages}
        self._inputs = tuple(inputs)
        self._wasm = wasm
        self._options = options or TrafficOptions()
        self._stop = threading.Event()
        self._done = threading.Event()
        self._reading = threading.Lock()
        self._left = 0
        self._threads: list[threading.Thread] = []
        self._sessions: Counter[str] = Counter()
        self._protocols: Counter[str] = Counter()
        self._attributes_dropped = 0
        self._missing_bytes = 0
        self._readers: tuple[_Reader, ...] = ()

    def start(self) -> None:
        """Read every input in a thread."""
        if self._threads:
            return
        self._stop.clear()
        self._done.clear()
        self.set_status("running")
        self._left = len(self._inputs)
        self._threads = [
            threading.Thread(target=self._run, args=(each,), name="traffic", daemon=True)
            for each in self._inputs
        ]
        for thread in self._threads:
            thread.start()

    def stop(self) -> None:
        """End the threads, wherever they are."""
        self._stop.set()
        threads, self._threads = self._threads, []
        for thread in threads:
            thread.join()
        if self.status().state == "running":
            self.set_status("off")

    def wait_done(self, timeout: float) -> bool:
        """Wait until every input has been read to its end, at most `timeout` seconds."""
        return self._done.wait(timeout)

    def run_once(self) -> None:
        """Read the inputs to their end here and now.

        Raises:
            CaptureError: if one cannot be read to its end; what came before is kept.
        """
        for each in self._inputs:
            self._read(each)

    def counters(self) -> Counters:
        """The segments, with what the inputs lost before."""
        read = self.tally.read()
        lost: Counter[str] = Counter(read.dropped)
        for each in self._inputs:
            lost.update(each.lost().dropped)
        return Counters(read.kept + lost.total(), read.kept, dict(lost), read.lag_ms)

    def tables(self) -> Mapping[str, tuple[Record, ...]]:
        """One row of totals under `traffic_state`."""
        readers = self._readers
        values: dict[str, JsonValue] = {
            "flows": sum(reader.dissector.flows for reader in readers),
            "messages": self._sessions.total(),
            "answered": self._sessions["answered"],
            "unanswered": self._sessions["unanswered"],
            "unmatched": self._sessions["unmatched"],
            "single": self._sessions[""],
            "attributes_dropped": self._attributes_dropped,
            "missing_bytes": self._missing_bytes,
            "protocols": dict(self._protocols),
            "gap_bytes": sum(reader.gap_bytes for reader in readers),
            "order": self._options.order,
            "reassembled": self._options.reassemble,
            "truncation": self._options.truncation,
        }
        return {"traffic_state": (new_record(TRAFFIC_STATE, values, ts_ns=self.clock.wall_ns()),)}

    def _run(self, source: Input) -> None:
        try:
            self._read(source)
            if not self._stop.is_set() and not any(each.endless for each in self._inputs):
                self.set_status("off", f"{source.label} has been read to its end")
        except BoxscopeError as error:
            self.fail(error, "degraded" if self.tally.read().seen else "failed")
        except Exception as error:  # a bug here must not leave the source looking alive
            self.fail(CaptureError(f"{source.label}: internal error: {clean(repr(error))}"))
        finally:
            with self._reading:
                self._left -= 1
                if not self._left:
                    self._done.set()

    def _read(self, source: Input) -> None:
        reader = _Reader(
            Dissector(self._wasm, self._options),
            reassemble=self._options.reassemble and not source.in_order,
        )
        self._readers = (*self._readers, reader)
        try:
            for item in source.items(self._stop.wait):
                if self._stop.is_set() and not source.endless:
                    break
                self._take(reader, source, item)
        finally:
            self._finish(reader, source)

    def _take(self, reader: _Reader, source: Input, item: Segment | str) -> None:
        if isinstance(item, Segment):
            with self._reading:
                self._missing_bytes += item.missing
            lag_ms = max(0, self.clock.wall_ns() - item.ts_ns) / 1e6 if source.endless else None
            self._pieces(reader, source, reader.ordered(item), lag_ms)
        elif item == "idle":
            self._emit(source, reader.dissector.expire(self.clock.wall_ns()))
        elif item == "lost":
            reader.dissector.mark_lost()
        elif item == "over":
            self._finish(reader, source)
        elif item == "echo":
            self.tally.add(seen=1, kept=1)
        else:
            self.tally.add(seen=1, kept=0, dropped={item: 1})

    def _pieces(
        self, reader: _Reader, source: Input, pieces: Iterable[Ordered], lag_ms: float | None
    ) -> None:
        for segment, count in pieces:
            with self._reading:
                messages, reason = reader.dissector.take(segment)
            self._emit(source, messages)
            if reason is not None:
                count = max(count, 1)
                self.tally.add(seen=count, kept=0, dropped={reason: count}, lag_ms=lag_ms)
            elif segment.payload or segment.missing:
                count = max(count, 1)
                self.tally.add(seen=count, kept=count, lag_ms=lag_ms)
        again = reader.newly_retransmitted()
        if again:
            self.tally.add(seen=again, kept=0, dropped={"retransmission": again})

    def _finish(self, reader: _Reader, source: Input) -> None:
        self._pieces(reader, source, reader.rest(), None)
        self._emit(source, reader.dissector.finish())

    def _emit(self, source: Input, messages: list[Message]) -> None:
        if not messages:
            return
        records = [message.record(source.label) for message in messages]
        self._messages.extend(records)
        with self._reading:
            for message in messages:
                self._sessions[message.session] += 1
                self._protocols[message.protocol] += 1
            self._attributes_dropped += sum(_attributes_dropped(each) for each in records)
        for message, record in zip(messages, records, strict=True):
            if message.calls and self._wasm is not None:
                self._wasm.join(message.calls, record.seq)


def _attributes_dropped(record: Record) -> int:
    count = record.get("attributes_dropped")
    return count if isinstance(count, int) else 0


class _Reader:
    """What one input is read with."""

    def __init__(self, dissector: Dissector, *, reassemble: bool) -> None:
        self.dissector = dissector
        self._reassembler = Reassembler() if reassemble else None
        self._retransmitted = 0

    @property
    def gap_bytes(self) -> int:
        """Bytes that reassembly waited for in vain."""
        return self._reassembler.gap_bytes if self._reassembler else 0

    def ordered(self, segment: Segment) -> Iterable[Ordered]:
        """The segment, or what is in its turn with it."""
        if self._reassembler is None:
            return (Ordered(segment, bool(segment.payload)),)
        return self._reassembler.take(segment)

    def rest(self) -> Iterator[Ordered]:
        """What is held back."""
        return iter(()) if self._reassembler is None else self._reassembler.finish()

    def newly_retransmitted(self) -> int:
        """Segments seen again since the last question."""
        if self._reassembler is None:
            return 0
        new = self._reassembler.retransmitted - self._retransmitted
        self._retransmitted = self._reassembler.retransmitted
        return new
