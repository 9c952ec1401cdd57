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
from typing import NamedTuple

_NR_BPF = 321  # x86-64
_libc = ctypes.CDLL(None, use_errno=True)
_POSSIBLE_CPUS = Path("/sys/devices/system/cpu/possible")
_PROG_INFO_SIZE = 224
_PROG_INFO_RUNS = struct.Struct("<192xQQQ")
"""struct bpf_prog_info: run time, runs, recursion misses."""


class Command(IntEnum):
    """Commands of bpf(2)."""

    MAP_CREATE = 0
    MAP_LOOKUP_ELEM = 1
    MAP_UPDATE_ELEM = 2
    MAP_DELETE_ELEM = 3
    MAP_GET_NEXT_KEY = 4
    PROG_LOAD = 5
    PROG_TEST_RUN = 10
    PROG_GET_NEXT_ID = 11
    OBJ_GET_INFO_BY_FD = 15
    RAW_TRACEPOINT_OPEN = 17
    LINK_GET_NEXT_ID = 31
    ENABLE_STATS = 32


_MAP_TYPE_RINGBUF = 27
_PROG_TYPE_RAW_TRACEPOINT = 17
_STATS_RUN_TIME = 0
_LOG_OF_REFUSAL = 1


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


def number_key(number: int) -> bytes:
    """The key of a map whose keys are numbers of 32 bits."""
    return number.to_bytes(4, "little")


def map_delete(descriptor: int, key: bytes) -> None:
    """Delete an entry of a hash map.

    Raises:
        OSError: ENOENT if it has none.
    """
    _map_call(Command.MAP_DELETE_ELEM, descriptor, key, None)


def map_keys(descriptor: int, key_size: int) -> list[bytes]:
    """The keys a hash map has now; others may come and go meanwhile.

    Raises:
        OSError: if the descriptor is not a map's.
    """
    keys: list[bytes] = []
    following = ctypes.create_string_buffer(key_size)
    while True:
        try:
            _map_call(Command.MAP_GET_NEXT_KEY, descriptor, keys[-1] if keys else None, following)
        except FileNotFoundError:
            return keys
        keys.append(following.raw)


def map_lookup(descriptor: int, key: bytes, value_size: int) -> bytes:
    """The value under a key of a map that is not per-CPU.

    Raises:
        OSError: ENOENT if there is no such entry.
    """
    value = ctypes.create_string_buffer(value_size)
    _map_call(Command.MAP_LOOKUP_ELEM, descriptor, key, value)
    return value.raw


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


class ProgramRuns(NamedTuple):
    """What the kernel counted of one program since it was loaded."""

    run_ns: int
    """Only while `count_run_time` is held by somebody."""
    runs: int
    """Likewise."""
    skipped: int
    """How often it was left out because it was already running on that CPU."""


def program_runs(program: int) -> ProgramRuns:
    """How often and how long a program ran.

    Raises:
        OSError: if the descriptor is not a program's.
    """
    information = ctypes.create_string_buffer(_PROG_INFO_SIZE)
    address = ctypes.addressof(information)
    bpf(
        Command.OBJ_GET_INFO_BY_FD,
        _attributes(struct.pack("<IIQ", program, _PROG_INFO_SIZE, address)),
    )
    return ProgramRuns(*_PROG_INFO_RUNS.unpack_from(information))


def count_run_time() -> int:
    """Have the kernel time every program of the box until the returned descriptor is closed.

    It costs each run about 30 ns.

    Raises:
        OSError: EPERM without CAP_SYS_ADMIN, EINVAL before Linux 5.8.
    """
    return bpf(Command.ENABLE_STATS, _attributes(struct.pack("<I", _STATS_RUN_TIME)))


def create_map(
    kind: int, key_size: int, value_size: int, entries: int, flags: int, name: str
) -> int:
    """A map, as `union bpf_attr` has its sizes; returns its descriptor.

    Raises:
        OSError: EPERM without the right.
    """
    sizes = struct.pack("<IIIIIII", kind, key_size, value_size, entries, flags, 0, 0)
    return bpf(Command.MAP_CREATE, _attributes((sizes + _object_name(name)).ljust(72, b"\0")))


def load_raw_tracepoint(instructions: bytes, name: str = "") -> int:
    """Load a raw tracepoint program; returns its descriptor.

    Args:
        instructions: 8 bytes each; those that refer to maps have the maps' descriptors.
        name: Shown by tools that list programs.

    Raises:
        OSError: if the kernel refuses it.
    """
    return _load(instructions, _object_name(name), None)


def verifier_log(instructions: bytes) -> str:
    """The end of what the kernel's verifier says of a program it refuses; empty if it does not."""
    log = ctypes.create_string_buffer(1 << 20)
    try:
        os.close(_load(instructions, _object_name(""), log))
    except OSError:
        return log.value.decode(errors="replace")[-16384:]
    return ""


def _load(instructions: bytes, name: bytes, log: ctypes.Array[ctypes.c_char] | None) -> int:
    code = ctypes.create_string_buffer(instructions, len(instructions))
    licence = ctypes.create_string_buffer(b"GPL")
    packed = struct.pack(
        "<IIQQIIQII",
        _PROG_TYPE_RAW_TRACEPOINT,
        len(instructions) // 8,
        ctypes.addressof(code),
        ctypes.addressof(licence),
        0 if log is None else _LOG_OF_REFUSAL,
        0 if log is None else len(log),
        0 if log is None else ctypes.addressof(log),
        0,
        0,
    )
    return bpf(Command.PROG_LOAD, _attributes((packed + name).ljust(72, b"\0")))


def _object_name(name: str) -> bytes:
    """What the kernel takes as a name: at most 15 characters, padded to 16."""
    return name.encode()[:15].ljust(16, b"\0")


def program_ids() -> Iterator[int]:
    """The ids of all programs loaded in the kernel (needs CAP_SYS_ADMIN).

    Raises:
        OSError: without the right.
    """
    return _ids(Command.PROG_GET_NEXT_ID)


def link_ids() -> Iterator[int]:
    """The ids of all attachments in the kernel (needs CAP_SYS_ADMIN).

    Raises:
        OSError: without the right.
    """
    return _ids(Command.LINK_GET_NEXT_ID)


def _ids(command: Command) -> Iterator[int]:
    current = 0
    while True:
        attributes = _attributes(struct.pack("<III", current, 0, 0))
        try:
            bpf(command, attributes)
        except FileNotFoundError:
            return
        current = struct.unpack_from("<I", attributes, 4)[0]
        yield current


def possible_cpus(text: str | None = None) -> int:
    """How many CPUs the kernel keeps per-CPU values for.

    Args:
        text: Contents of /sys/devices/system/cpu/possible, such as `0-3,8`; read if not given.
    """
    return sum(last - first + 1 for first, last in _cpu_ranges(text))


def highest_cpu(text: str | None = None) -> int:
    """The highest number a CPU can have.

    Args:
        text: As for `possible_cpus`.
    """
    return max(last for _, last in _cpu_ranges(text))


def _cpu_ranges(text: str | None) -> Iterator[tuple[int, int]]:
    listed = _POSSIBLE_CPUS.read_text() if text is None else text
    for part in listed.strip().split(","):
        first, _, last = part.partition("-")
        yield int(first), int(last or first)


def _attributes(packed: bytes) -> ctypes.Array[ctypes.c_char]:
    return ctypes.create_string_buffer(packed, len(packed))


def _map_call(
    command: Command, descriptor: int, key: bytes | None, value: ctypes.Array[ctypes.c_char] | None
) -> None:
    key_buffer = None if key is None else ctypes.create_string_buffer(key, len(key))
    key_address = 0 if key_buffer is None else ctypes.addressof(key_buffer)
    address = 0 if value is None else ctypes.addressof(value)
    packed = struct.pack("<I4xQQQ", descriptor, key_address, address, 0)
    bpf(command, _attributes(packed))
