"""How the probe is doing, as the one row of a table."""

from __future__ import annotations

from engine.core.counters import Counters
from engine.core.fields import JsonValue
from engine.core.kinds import PROBE_STATE
from engine.core.records import Record, new_record
from engine.probe.health import Health
from engine.probe.kernel_maps import KernelCounters


def state_row(counters: Counters, counted: KernelCounters, health: Health, wall_ns: int) -> Record:
    """The row.

    Args:
        counters: What was read and lost.
        counted: What the programs counted.
        health: The ring, and the price of the probe.
        wall_ns: The time now.
    """
    values: dict[str, JsonValue] = {
        "produced": counters.seen,
        "read": counters.kept,
        "dropped": dict(counters.dropped),
        "ring_bytes": health.ring_bytes,
        "ring_fill": round(health.ring_fill * 100, 1),
        "ring_peak": round(health.ring_peak * 100, 1),
        "oldest_ms": round(health.oldest_ms, 2),
        "reader_cpu": round(health.reader_cpu, 4),
        "programs_cpu": None if health.programs_cpu is None else round(health.programs_cpu, 4),
        "incomplete": counted.faults,
        "unresolved": counted.unresolved,
        "suppressed": counted.suppressed,
        "unowned": counted.unowned,
    }
    return new_record(PROBE_STATE, values, ts_ns=wall_ns)
