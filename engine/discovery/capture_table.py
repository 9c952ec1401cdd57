"""The rows about captured traffic: whose, since when not, and at what cost."""

from __future__ import annotations

from collections.abc import Iterable

from engine.core.clock import Clock
from engine.core.fields import JsonValue
from engine.core.identity import ProcessId
from engine.core.kinds import CAPTURE_STATE
from engine.core.records import Record, new_record
from engine.core.sanitise import clean
from engine.discovery.attachment import Attachment


class CaptureTable:
    """Keeps a row for each attachment; one that did not change stays the same object."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._rows: dict[ProcessId, tuple[Attachment, Record]] = {}

    def rows(self, attachments: Iterable[Attachment]) -> tuple[Record, ...]:
        """The rows; of several attachments of one process the last counts."""
        before, now = self._rows, dict[ProcessId, tuple[Attachment, Record]]()
        for each in attachments:
            old = before.get(each.process)
            now[each.process] = old if old and old[0] == each else (each, self._row(each))
        self._rows = now
        return tuple(row for _, row in now.values())

    def _row(self, attachment: Attachment) -> Record:
        cost = attachment.cost
        values: dict[str, JsonValue] = {
            "state": attachment.state,
            "cause": attachment.cause,
            "payloads": cost.payloads,
            "payload_bytes": cost.payload_bytes,
            "dropped": cost.dropped,
            "us_per_payload": cost.us_per_payload,
            "start": attachment.process.start_ticks,
        }
        pid, comm = attachment.process.pid, clean(attachment.facts.comm)
        return new_record(CAPTURE_STATE, values, ts_ns=self._clock.wall_ns(), pid=pid, comm=comm)
