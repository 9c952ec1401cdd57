"""bpf(2), by its system call number: what the engine does itself once programs are loaded.

Numbers and structures are those of the kernel's `include/uapi/linux/bpf.h`.
"""

from __future__ import annotations

import ctypes
import os
import struct
from collections.abc import Iterator
from enum import IntEnum
from pathlib import Path

_NR_BPF = 321  # x86-64
_libc = ctypes.CDLL(None, use_errno=True)
_POSSIBLE_CPUS = Path("/sys/devices/system/cpu/possible")
_PROG_INFO_SIZE = 224
_PROG_INFO_RECURSION_MISSES = struct.Struct("<208xQ")


class Command(IntEnum):
    """Commands of bpf(2)."""

    MAP_CREATE = 0
    MAP_LOOKUP_ELEM = 1
    MAP_UPDATE_ELEM = 2
    MAP_DELETE_ELEM = 3
    PROG_TEST_RUN = 10
    PROG_GET_NEXT_ID = 11
    OBJ_GET_INFO_BY_FD = 15
    RAW_TRACEPOINT_OPEN = 17


_MAP_TYPE_RINGBUF = 27


def bpf(command: Command, attributes: ctypes.Array[ctypes.c_char]) -> int:
    """Call bpf(2).

    Args:
        command: What to do.
        attributes: The packed `union bpf_attr`; the kernel may write into it.

    Returns:
        What the call returned, often a new descriptor (close-on-exec).

    Raises:
        OSError: if the kernel refuses.
    """
    result: int = _libc.syscall(_NR_BPF, int(command), attributes, ctypes.sizeof(attributes))
    if result < 0:
        code = ctypes.get_errno()
        raise OSError(code, os.strerror(code), f"bpf({command.name})")
    return result


def create_ring(size: int) -> int:
    """A ring buffer map of `size` bytes (a power of two of pages); returns its descriptor.

    Raises:
        OSError: EPERM without the right, EINVAL before Linux 5.8.
    """
    return bpf(Command.MAP_CREATE, _attributes(struct.pack("<IIII", _MAP_TYPE_RINGBUF, 0, 0, size)))


def raw_tracepoint_open(name: str, program: int) -> int:
    """Attach a program to a raw tracepoint; closing the returned descriptor detaches it.

    Raises:
        OSError: if there is no such tracepoint or the program reads beyond its arguments.
    """
    text = ctypes.create_string_buffer(name.encode())
    attributes = _attributes(struct.pack("<QII", ctypes.addressof(text), program, 0))
    return bpf(Command.RAW_TRACEPOINT_OPEN, attributes)


def map_update(descriptor: int, key: bytes, value: bytes) -> None:
    """Set an entry of a map that is not per-CPU.

    Raises:
        OSError: if the map is full or the sizes are wrong for it.
    """
    _map_call(Command.MAP_UPDATE_ELEM, descriptor, key, ctypes.create_string_buffer(value))


def map_delete(descriptor: int, key: bytes) -> None:
    """Delete an entry of a hash map.

    Raises:
        OSError: ENOENT if it has none.
    """
    _map_call(Command.MAP_DELETE_ELEM, descriptor, key, None)


def per_cpu_lookup(descriptor: int, key: bytes, value_size: int, cpus: int) -> list[bytes]:
    """The values every possible CPU has under one key.

    Args:
        descriptor: A per-CPU map.
        key: The packed key.
        value_size: Size of one CPU's value in bytes, a multiple of 8.
        cpus: How many CPUs are possible; see `possible_cpus`.

    Raises:
        OSError: if there is no such entry.
    """
    values = ctypes.create_string_buffer(value_size * cpus)
    _map_call(Command.MAP_LOOKUP_ELEM, descriptor, key, values)
    raw = values.raw
    return [raw[start : start + value_size] for start in range(0, len(raw), value_size)]


def run_once(program: int) -> int:
    """Run a raw tracepoint program once, here and now; returns what it returned (Linux 5.10).

    Raises:
        OSError: if the kernel cannot.
    """
    attributes = _attributes(struct.pack("<I", program).ljust(64, b"\0"))
    bpf(Command.PROG_TEST_RUN, attributes)
    result: int = struct.unpack_from("<I", attributes, 4)[0]
    return result


def recursion_misses(program: int) -> int:
    """How often a program was skipped because it was already running on that CPU.

    Raises:
        OSError: if the descriptor is not a program's.
    """
    information = ctypes.create_string_buffer(_PROG_INFO_SIZE)
    address = ctypes.addressof(information)
    bpf(
        Command.OBJ_GET_INFO_BY_FD,
        _attributes(struct.pack("<IIQ", program, _PROG_INFO_SIZE, address)),
    )
    misses: int = _PROG_INFO_RECURSION_MISSES.unpack_from(information)[0]
    return misses


def program_ids() -> Iterator[int]:
    """The ids of all programs loaded in the kernel (needs CAP_SYS_ADMIN).

    Raises:
        OSError: without the right.
    """
    current = 0
    while True:
        attributes = _attributes(struct.pack("<III", current, 0, 0))
        try:
            bpf(Command.PROG_GET_NEXT_ID, attributes)
        except FileNotFoundError:
            return
        current = struct.unpack_from("<I", attributes, 4)[0]
        yield current


def possible_cpus(text: str | None = None) -> int:
    """How many CPUs the kernel keeps per-CPU values for.

    Args:
        text: Contents of /sys/devices/system/cpu/possible, such as `0-3,8`; read if not given.
    """
    listed = _POSSIBLE_CPUS.read_text() if text is None else text
    total = 0
    for part in listed.strip().split(","):
        first, _, last = part.partition("-")
        total += int(last or first) - int(first) + 1
    return total


def _attributes(packed: bytes) -> ctypes.Array[ctypes.c_char]:
    return ctypes.create_string_buffer(packed, len(packed))


def _map_call(
    command: Command, descriptor: int, key: bytes, value: ctypes.Array[ctypes.c_char] | None
) -> None:
    key_buffer = ctypes.create_string_buffer(key, len(key))
    address = 0 if value is None else ctypes.addressof(value)
    packed = struct.pack("<I4xQQQ", descriptor, ctypes.addressof(key_buffer), address, 0)
    bpf(command, _attributes(packed))
