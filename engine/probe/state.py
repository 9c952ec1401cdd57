"""How the probe is doing, as the one row of a table."""

from __future__ import annotations

from collections.abc import Mapping

from engine.core.counters import Counters
from engine.core.fields import JsonValue
from engine.core.kinds import PROBE_STATE
from engine.core.records import Record, new_record
from engine.probe.health import Health
from engine.probe.kernel_maps import KernelCounters
from engine.probe.page_faults import Fault, by_process


def state_row(
    counters: Counters,
    counted: KernelCounters,
    health: Health,
    page_faults: Mapping[Fault, int],
    wall_ns: int,
) -> Record:
    """The row.

    Args:
        counters: What was read and lost.
        counted: What the programs counted.
        health: The ring, and the price of the probe.
        page_faults: As far as they are counted.
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
        "unfollowed": counted.unfollowed,
        "page_faults": by_process(page_faults),
    }
    return new_record(PROBE_STATE, values, ts_ns=wall_ns)
