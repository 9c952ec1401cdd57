"""Raw ring records to kernel_event records."""

from __future__ import annotations

import errno
import struct
from typing import NamedTuple

from engine.core.errors import ProbeError
from engine.core.records import Record
from engine.core.sanitise import clean
from engine.probe.abi import EVENT, NO_FD, EventFlag
from engine.probe.attributes import DECODERS, Decoder
from engine.probe.calls import Category
from engine.probe.catalogue import COLUMNS, EVENTS, ROWS, Direction

_COMM_CACHE = 8192
_LAST_ERRNO = 4095
_ERRNO_NAMES = {
    **errno.errorcode,
    # What a call returns inside the kernel when a signal interrupts it.
    512: "ERESTARTSYS",
    513: "ERESTARTNOINTR",
    514: "ERESTARTNOHAND",
    516: "ERESTART_RESTARTBLOCK",
}
_LABELS = {category.value: category.label for category in Category}
_HAS_LATENCY = int(EventFlag.LATENCY)
_NO_OWNER = int(EventFlag.NO_OWNER)


class _Row(NamedTuple):
    """What all events of one row have in common."""

    emitted: str
    direction: Direction
    name: str
    decode: Decoder


_ROWS = {
    event.type_id: _Row(event.emitted, event.direction, event.name, DECODERS[event.type_id])
    for event in EVENTS
}


class Converter:
    """Makes records of raw events and counts them by matrix cell."""

    def __init__(self) -> None:
        self.wall_offset_ns = 0
        """Added to the kernel's monotonic stamps to get wall time."""
        self.newest_ns = 0
        """Monotonic stamp of the newest event converted."""
        self.counts = [0] * (ROWS * COLUMNS)
        """Events converted, by row and category as in the matrix."""
        self._comms: dict[bytes, str] = {}

    def convert(self, data: memoryview, offset: int, length: int) -> Record:
        """One raw event as a record without a number.

        Args:
            data: The ring's data.
            offset: Where the event starts in it.
            length: Its length in bytes.

        Raises:
            ProbeError: if it is not what the programs write.
        """
        try:
            return self._convert(data, offset, length)
        except (struct.error, KeyError, ValueError, IndexError) as wrong:
            raise ProbeError(f"not an event: {length} bytes ({wrong!r})") from wrong

    def _convert(self, data: memoryview, offset: int, length: int) -> Record:
        (
            ts, latency, result, arg0, arg1, arg2, arg3, tgid, tid, uid, gid, fd, payload_length,
            row, cpu, category, fd_type, flags, raw_comm,
        ) = EVENT.unpack_from(data, offset)  # fmt: skip
        if EVENT.size + payload_length > length:
            raise ValueError(payload_length)
        emitted, direction, name, decode = _ROWS[row]
        if payload_length:
            start = offset + EVENT.size
            payload = bytes(data[start : start + payload_length])
        else:
            payload = b""
        attributes = decode((arg0, arg1, arg2, arg3), fd_type, flags, payload)
        comm = self._comms.get(raw_comm)
        if comm is None:
            comm = self._clean_comm(raw_comm)
        label = _LABELS[category]
        self.counts[row * COLUMNS + category] += 1
        self.newest_ns = ts
        ts += self.wall_offset_ns
        if direction != "exit":
            result = error = None
        else:
            error = _errno_name(result) if result < 0 else None
        if not flags & _HAS_LATENCY:
            latency = None
        if fd == NO_FD:
            fd = None
        if flags & _NO_OWNER:
            tgid = comm = tid = uid = gid = None
        values = (
            cpu, tid, label, emitted, direction, result, error, latency, fd, attributes, uid, gid,
            name,
        )  # fmt: skip
        return Record("kernel_event", 0, ts, tgid, comm, values)

    def _clean_comm(self, raw: bytes) -> str:
        if len(self._comms) >= _COMM_CACHE:
            self._comms.clear()
        comm = self._comms[raw] = clean(raw.partition(b"\0")[0])
        return comm


def _errno_name(result: int) -> str | None:
    """The name of the error behind a negative result; None if it is none, as an address may be."""
    if result < -_LAST_ERRNO:
        return None
    return _ERRNO_NAMES.get(-result) or str(-result)
