"""Raw ring records to kernel_event records."""

from __future__ import annotations

import errno
import struct
from functools import lru_cache
from typing import NamedTuple

from engine.core.errors import ProbeError
from engine.core.fields import JsonValue
from engine.core.kinds import KERNEL_EVENT
from engine.core.records import Record, new_record
from engine.core.sanitise import clean
from engine.probe.abi import EVENT, NO_FD, EventFlag
from engine.probe.call_attributes import CALL_DECODERS, faithful
from engine.probe.calls import Category
from engine.probe.catalogue import EVENTS
from engine.probe.containers import Containers
from engine.probe.descriptors import NO_DESCRIPTOR, describe
from engine.probe.events import Direction
from engine.probe.hook_attributes import HOOK_DECODERS
from engine.probe.raw import Decoder, Raw, sections_of

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
_KINDLING_LABELS = {event.row: event.accepts[0].label for event in EVENTS if event.accepts}
"""By row, where Kindling's category of an event is another."""
_HAS_LATENCY = int(EventFlag.LATENCY)
_NO_OWNER = int(EventFlag.NO_OWNER)
_SHOWN_BYTES = 64
_REPEATED_MAX = 128
"""Bytes of sections that are likely to come again: what a descriptor is, and little else."""
_known_sections = lru_cache(maxsize=8192)(sections_of)


class _Row(NamedTuple):
    """What all events of one row have in common."""

    emitted: str
    direction: Direction
    name: str
    decode: Decoder
    type_id: int
    source: str


_DECODERS = CALL_DECODERS | HOOK_DECODERS
_ROWS = {
    event.row: _Row(
        event.emitted,
        event.direction,
        event.name,
        _DECODERS[event.row],
        event.type_id,
        event.name.partition("-")[0] if event.name.startswith("syscall_") else "tracepoint",
    )
    for event in EVENTS
}


class Converter:
    """Makes records of raw events; any thread may.

    Args:
        containers: Tells which container a process is in; without it none is told.
    """

    def __init__(self, containers: Containers | None = None) -> None:
        self._containers = containers
        self._modules: dict[int, str] = {}
        self._comms: dict[bytes, str] = {}
        self.faithful = False
        """Whether events have the attributes and categories of Kindling's records, and no more."""

    def name_module(self, cgroup: int, name: str) -> None:
        """From now on, events of this control group are those of a module.

        Args:
            cgroup: Inode number of its directory in the version 2 tree; no other gets it later.
            name: What is shown.
        """
        self._modules = {**self._modules, cgroup: name}

    def convert(self, data: memoryview, offset: int, length: int, wall_offset_ns: int) -> Record:
        """One raw event as a record without a number.

        Args:
            data: Where it lies.
            offset: Where it starts there.
            length: Its length in bytes.
            wall_offset_ns: Added to its monotonic stamp to get wall time.

        Raises:
            ProbeError: if it is not what the programs write.
        """
        try:
            return self._convert(data, offset, length, wall_offset_ns)
        except (struct.error, KeyError, ValueError, IndexError) as wrong:
            raise ProbeError(f"not an event: {length} bytes ({wrong!r})") from wrong

    def _convert(self, data: memoryview, offset: int, length: int, wall_offset_ns: int) -> Record:
        (
            ts, latency, result, arg0, arg1, arg2, arg3, arg4, arg5, tgid, tid, uid, gid, fd,
            payload_length, cgroup, row, cpu, category, fd_type, flags, raw_comm,
        ) = EVENT.unpack_from(data, offset)  # fmt: skip
        if EVENT.size + payload_length > length:
            raise ValueError(payload_length)
        emitted, direction, name, decode, type_id, source = _ROWS[row]
        if payload_length:
            start = offset + EVENT.size
            payload = bytes(data[start : start + payload_length])
            take_apart = _known_sections if payload_length <= _REPEATED_MAX else sections_of
            sections = take_apart(payload)
        else:
            sections = ()
        args = (arg0, arg1, arg2, arg3, arg4, arg5)
        attributes = decode(Raw(args, result, flags, sections, ts + wall_offset_ns))
        label = _LABELS[category]
        if self.faithful:
            attributes = faithful(row, attributes)
            label = _KINDLING_LABELS.get(row, label)
        comm = self._comms.get(raw_comm)
        if comm is None:
            comm = self._clean_comm(raw_comm)
        if direction != "exit":
            result = error = None
        else:
            error = _errno_name(result) if result < 0 else None
        if not flags & _HAS_LATENCY:
            latency = None
        if fd == NO_FD:
            fd, described = None, NO_DESCRIPTOR
        else:
            described = describe(fd_type, sections)
        container = None
        if flags & _NO_OWNER:
            tgid = comm = tid = uid = gid = None
        elif self._containers is not None:
            container = self._containers.of(cgroup, tgid, ts)
        values = (
            cpu, tid, label, emitted, direction, result, error, latency, fd, described.type,
            described.name, attributes, uid, gid, name, described.protocol, described.role,
            described.state, described.inode, container, source, type_id, ts,
            self._modules.get(cgroup),
        )  # fmt: skip
        return Record("kernel_event", 0, ts + wall_offset_ns, tgid, comm, values)

    def _clean_comm(self, raw: bytes) -> str:
        if len(self._comms) >= _COMM_CACHE:
            self._comms.clear()
        comm = self._comms[raw] = clean(raw.partition(b"\0")[0])
        return comm


def undecodable(raw: memoryview, wall_offset_ns: int) -> Record:
    """What is shown in place of an event that the programs never write, so that none vanishes.

    Args:
        raw: All of its bytes.
        wall_offset_ns: As for `Converter.convert`.
    """
    stamp = int.from_bytes(raw[:8], "little")
    attributes: JsonValue = {"length": len(raw), "bytes": raw[:_SHOWN_BYTES].hex()}
    named: dict[str, JsonValue] = {
        "name": "undecodable",
        "event": "undecodable",
        "direction": "-",
        "attributes": attributes,
    }
    return new_record(KERNEL_EVENT, named, ts_ns=stamp + wall_offset_ns)


def _errno_name(result: int) -> str | None:
    """The name of the error behind a negative result; None if it is none, as an address may be."""
    if result < -_LAST_ERRNO:
        return None
    return _ERRNO_NAMES.get(-result) or str(-result)
