"""The maps of the payload programs."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Mapping
from typing import NamedTuple

from engine.core.errors import RAISE_THE_LIMIT, TOO_MANY_FILES, ProbeError
from engine.core.sanitise import clean
from engine.probe import bpfsys
from engine.probe.payload_abi import PAYLOAD_CONFIG, PAYLOAD_STATS, PayloadSlot
from engine.probe.per_cpu import PerCpuCounters
from engine.probe.ring import RingReader, Taken

PAYLOAD_PROGRAMS = ("on_payload_enter", "on_payload_exit", "on_payload_messages")


class PayloadCounters(NamedTuple):
    """What the payload programs counted since they were loaded."""

    produced: int = 0
    dropped: int = 0
    """Of these, lost because the ring was full."""
    faults: int = 0
    """Of these, with memory that could not be read."""
    left_out: int = 0
    """Not produced: messages beyond those told of one call."""


class PayloadMaps:
    """Ring, choice and counters of the payload programs.

    Args:
        maps: Descriptors by name; not closed here.
        ring_bytes: Size of the payload ring.
        attach: Has the payload programs attached, or not; may raise ProbeError.

    The ring is mapped when the first process is chosen: until then it is no memory of ours.
    """

    def __init__(
        self, maps: Mapping[str, int], ring_bytes: int, attach: Callable[[bool], None]
    ) -> None:
        self._ring: RingReader | None = None
        self._ring_map, self._ring_bytes = maps["payload_ring"], ring_bytes
        self._tgids = maps["payload_tgids"]
        self._config = maps["payload_config"]
        self._stats = PerCpuCounters(maps["payload_stats"], PAYLOAD_STATS)
        self._attach = attach
        self._chosen: frozenset[int] = frozenset()

    def set_chosen(self, tgids: frozenset[int], cap: int) -> None:
        """Capture up to `cap` bytes a message of these processes only; of none: detach.

        Raises:
            ProbeError: if the kernel refuses.
        """
        try:
            if tgids and self._ring is None:
                self._ring = RingReader(self._ring_map, self._ring_bytes)
            bpfsys.map_update(self._config, bpfsys.number_key(0), PAYLOAD_CONFIG.pack(cap))
            for tgid in self._chosen - tgids:
                with contextlib.suppress(FileNotFoundError):
                    bpfsys.map_delete(self._tgids, bpfsys.number_key(tgid))
            for tgid in tgids - self._chosen:
                bpfsys.map_update(self._tgids, bpfsys.number_key(tgid), bytes(8))
        except OSError as refused:
            raise ProbeError(
                f"cannot choose processes: {clean(str(refused))}",
                fix=RAISE_THE_LIMIT if refused.errno in TOO_MANY_FILES else "",
            ) from refused
        self._chosen = tgids
        self._attach(bool(tgids))

    def take(self, limit: int) -> Taken:
        """The oldest records, about `limit` bytes of them."""
        return self._ring.take(limit) if self._ring else Taken(b"", 0, 0)

    def counters(self) -> PayloadCounters:
        """The totals now.

        Raises:
            ProbeError: if the kernel refuses.
        """
        try:
            return PayloadCounters(*self._stats.total(PayloadSlot))
        except OSError as refused:
            raise ProbeError(
                f"cannot read the payloads' counters: {clean(str(refused))}"
            ) from refused

    def losses(self) -> dict[int, int]:
        """Messages lost of each chosen process, since it was chosen.

        Raises:
            ProbeError: if the kernel refuses.
        """
        lost: dict[int, int] = {}
        try:
            for tgid in self._chosen:
                with contextlib.suppress(FileNotFoundError):
                    value = bpfsys.map_lookup(self._tgids, bpfsys.number_key(tgid), 8)
                    lost[tgid] = int.from_bytes(value, "little")
        except OSError as refused:
            raise ProbeError(f"cannot read the losses: {clean(str(refused))}") from refused
        return lost

    def close(self) -> None:
        """Unmap. May be called twice."""
        if self._ring is not None:
            self._ring.close()
