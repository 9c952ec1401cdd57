"""Page faults as the programs count them: all of them, while only some become events."""

from __future__ import annotations

import contextlib
import struct
from collections import Counter
from collections.abc import Mapping
from typing import NamedTuple

from engine.core.fields import JsonValue
from engine.probe import bpfsys
from engine.probe.task_values import fault_access

_KEY = struct.Struct("<II")
"""struct fault_key: tgid, error."""
_SHOWN = 20
"""Processes that are told of, those with the most faults."""


class Fault(NamedTuple):
    """A kind of page fault of a process."""

    pid: int
    error: int
    """The processor's error code; `engine.probe.task_values.fault_access` tells what it means."""


def read_page_faults(descriptor: int) -> dict[Fault, int]:
    """How many page faults of each kind there were while they were subscribed.

    Args:
        descriptor: Of the faults map.

    Raises:
        OSError: if the kernel refuses.
    """
    found = {}
    for key in bpfsys.map_keys(descriptor, _KEY.size):
        with contextlib.suppress(FileNotFoundError):  # it made room for a newer one
            (count,) = bpfsys.per_cpu_lookup(descriptor, key, 8, 1)
            found[Fault(*_KEY.unpack(key))] = int.from_bytes(count, "little")
    return found


def by_process(faults: Mapping[Fault, int]) -> list[JsonValue]:
    """Per process the total and the numbers by access, the process with the most first."""
    totals: Counter[int] = Counter()
    accesses: dict[int, dict[str, JsonValue]] = {}
    for (pid, error), count in sorted(faults.items(), key=lambda item: -item[1]):
        access, of_process = fault_access(error), accesses.setdefault(pid, {})
        before = of_process.get(access)
        of_process[access] = count + (before if isinstance(before, int) else 0)
        totals[pid] += count
    return [
        {"pid": pid, "count": count, **accesses[pid]} for pid, count in totals.most_common(_SHOWN)
    ]
