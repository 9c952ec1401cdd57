"""What plugins and the agent have sent: kept raw, counted, shown where it is no record."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence

from engine.agent.config import AGENT_NAME
from engine.agent.faults import fault_record
from engine.agent.plugin import Run
from engine.agent.roster import Log
from engine.agent.sdk import encode_record
from engine.agent.store import Origin, PluginRecordStore
from engine.agent.transmission import AGENT_BUFFER_FULL, CAPACITY, Own, TransmissionBuffer
from engine.agent.wire import LOST_SYNC, MAX_FRAME, OVER_LONG, TRUNCATED, ZERO_LENGTH, Frames, frame
from engine.core.clock import Clock
from engine.core.counters import Tally
from engine.core.records import RecordRing

FAULT_RECORDS = 2_000

_LOSSES = {
    ZERO_LENGTH: "sends records of length 0; a real agent loses the stream there",
    OVER_LONG: f"sends records above {MAX_FRAME >> 20} MiB; they are skipped",
    TRUNCATED: "ended in the middle of a record",
    LOST_SYNC: "sent a length that cannot be one",
    AGENT_BUFFER_FULL: "sends more records than an agent's buffer takes; the rest is dropped",
}


class Intake:
    """The stores that records of all plugins go to; filled by the ingest thread alone.

    Args:
        clock: Where the time is taken from.
        tally: Where they are counted.
        log: Where losses are told, each kind once a run.
        capacity: How many records are kept for readers.
        faithful: Drop what finds no room in an agent's transmission buffer.
        agent_buffer: How many records that takes.
    """

    def __init__(
        self,
        clock: Clock,
        tally: Tally,
        log: Log,
        *,
        capacity: int,
        faithful: bool = False,
        agent_buffer: int = CAPACITY,
    ) -> None:
        self.records = PluginRecordStore(capacity)
        self.faults = RecordRing(FAULT_RECORDS)
        """Pieces of streams that are no record."""
        self._clock = clock
        self._tally = tally
        self._log = log
        self._faithful = faithful
        self._transmission = TransmissionBuffer(clock.monotonic_ns(), agent_buffer)
        self._own = Own()
        self._own_origin = Origin(AGENT_NAME, os.getpid(), "boxscope")

    @property
    def agent_dropped(self) -> int:
        """How many records an agent's transmission buffer would have lost so far."""
        return self._transmission.dropped

    def take(self, run: Run, frames: Frames, lag_ms: float) -> Frames:
        """Keep and count what a plugin sent; returns what is kept of it."""
        now_ns = self._clock.monotonic_ns()
        taken = self._transmission.put(run, frames.kept, now_ns)
        if self._faithful and taken < frames.kept:
            frames = frames.only_first(taken, AGENT_BUFFER_FULL)
        if frames.kept:
            self.records.append(run.origin, self._clock.wall_ns(), frames.data, frames.kept)
        self._tally.add(seen=frames.sent, kept=frames.kept, dropped=frames.dropped, lag_ms=lag_ms)
        if frames.dropped:
            self._show_losses(run, frames, now_ns)
        return frames

    def _show_losses(self, run: Run, frames: Frames, now_ns: int) -> None:
        for reason in frames.dropped.keys() - run.dropped.keys():
            self._log("warning", f"plugin {run.plugin.name} {_LOSSES[reason]}")
        shown = run.fault_limit.take(len(frames.faults), now_ns)
        ts_ns = self._clock.wall_ns()
        self.faults.extend(
            fault_record(run.origin, fault, ts_ns) for fault in frames.faults[:shown]
        )

    def take_own(self, frames: Sequence[bytes]) -> None:
        """Keep and count records of the agent itself."""
        count = len(frames)
        self._transmission.put(self._own, count, self._clock.monotonic_ns(), tolerate=False)
        self.records.append(self._own_origin, self._clock.wall_ns(), b"".join(frames), count)
        self._tally.add(seen=count, kept=count)


def own_frames(contents: Sequence[tuple[int, Mapping[str, str]]], stamp_s: int) -> list[bytes]:
    """Records of the agent itself as they would be sent: data types and fields, at one time."""
    return [frame(encode_record(data_type, stamp_s, fields)) for data_type, fields in contents]
