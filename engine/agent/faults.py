"""Pieces of a plugin's stream that are no record, shown with their bytes.

All are counted; of a plugin that sends nothing else only some are shown.
"""

from __future__ import annotations

from engine.agent.positional import describe, read_by_position
from engine.agent.store import Origin
from engine.agent.wire import LOST_SYNC, OVER_LONG, PREFIX, ZERO_LENGTH, Fault
from engine.core.kinds import PLUGIN_FAULT
from engine.core.records import Record, new_record

SHOWN_PER_SECOND = 20
"""Of one plugin; so many at once, too."""


class FaultLimit:
    """How many of one plugin's faults are shown, so that a flood costs no more than records do."""

    def __init__(self) -> None:
        self._allowed = float(SHOWN_PER_SECOND)
        self._then_ns = 0

    def take(self, wanted: int, now_ns: int) -> int:
        """How many of `wanted` may be shown; `now_ns` is monotonic."""
        gained = (now_ns - self._then_ns) / 1e9 * SHOWN_PER_SECOND
        self._allowed = min(self._allowed + gained, float(SHOWN_PER_SECOND))
        self._then_ns = now_ns
        taken = min(wanted, int(self._allowed))
        self._allowed -= taken
        return taken


def fault_record(origin: Origin, fault: Fault, ts_ns: int) -> Record:
    """A fault as a record of kind `plugin_fault`."""
    return new_record(
        PLUGIN_FAULT,
        {
            "plugin": origin.plugin,
            "reason": fault.reason,
            "length": fault.length,
            "bytes": fault.head.hex(),
            "agent_reading": agent_reading(fault),
        },
        ts_ns=ts_ns,
        pid=origin.pid,
        comm=origin.comm,
    )


def agent_reading(fault: Fault) -> str:
    """What a real agent would have done with it."""
    behind = fault.head[PREFIX.size :]
    if fault.reason == ZERO_LENGTH:
        return describe(read_by_position(b"", behind), b"", behind)
    if fault.reason == OVER_LONG:
        reading = read_by_position(behind)
        if reading.outcome != "record":
            return describe(reading, behind)
        return (
            f"a real agent, which takes any length, would have read this as data_type "
            f"{reading.data_type}, timestamp {reading.timestamp}"
        )
    if fault.reason == LOST_SYNC:
        return f"a real agent would have waited for {fault.length} bytes, whatever they are"
    if fault.length is None:
        return "a real agent would have crashed on sending its batch, unless it saw the exit first"
    return "a real agent would have sent it on with its end missing, unless it saw the exit first"
