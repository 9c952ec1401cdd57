"""Counters that the programs keep for each CPU of its own, added up."""

from __future__ import annotations

import struct
from collections.abc import Iterable

from engine.probe import bpfsys


class PerCpuCounters:
    """A per-CPU array of counters of one form.

    Args:
        descriptor: The map's.
        form: The counters of one entry, 64 bits each.
    """

    def __init__(self, descriptor: int, form: struct.Struct) -> None:
        self._descriptor = descriptor
        self._form = form
        self._cpus = bpfsys.possible_cpus()

    def total(self, entries: Iterable[int]) -> list[int]:
        """The counters of these entries, one at least, together over all CPUs.

        Raises:
            OSError: if the kernel refuses, or there is no such entry.
        """
        each = (
            self._form.unpack(value)
            for entry in entries
            for value in bpfsys.per_cpu_lookup(
                self._descriptor, bpfsys.number_key(entry), self._form.size, self._cpus
            )
        )
        return list(map(sum, zip(*each, strict=True)))
