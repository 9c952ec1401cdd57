"""Process identity: a pid alone is reused, a pid with its start time is not."""

from __future__ import annotations

import os
from typing import NamedTuple

from engine.core.errors import ProcessGone

_PF_EXITING, _PF_FORKNOEXEC, _PF_KTHREAD = 0x4, 0x40, 0x200000


class ProcessId(NamedTuple):
    """One life of one pid."""

    pid: int
    start_ticks: int
    """Start time in clock ticks since boot (field 22 of /proc/PID/stat)."""


class ProcessStat(NamedTuple):
    """The part of /proc/PID/stat the engine uses."""

    identity: ProcessId
    comm: bytes
    state: str
    """One letter as in ps(1): R, S, D, T, Z, X ..."""
    ppid: int
    cpu_ticks: int
    """User plus system time in clock ticks."""
    rss_pages: int
    flags: int = 0
    """The kernel's PF_* flags of the process (linux/sched.h)."""

    @property
    def has_not_exec_ed(self) -> bool:
        """Whether it still runs the program of the process it was forked from."""
        return bool(self.flags & _PF_FORKNOEXEC)

    @property
    def is_ending(self) -> bool:
        """Whether it is about to give back all it has, or has done so and is a zombie."""
        return bool(self.flags & _PF_EXITING)

    @property
    def is_kernel_thread(self) -> bool:
        """Whether it belongs to the kernel, which has no program and no descriptors."""
        return bool(self.flags & _PF_KTHREAD)


def parse_stat(pid: int, text: bytes) -> ProcessStat:
    """Read one /proc/PID/stat line; the comm may hold spaces and parentheses.

    Raises:
        ValueError: if the line is not of that form.
    """
    opening, closing = text.find(b"("), text.rfind(b")")
    if opening < 0 or closing < opening:
        raise ValueError(f"/proc/{pid}/stat has no process name: {text[:80]!r}")
    rest = text[closing + 1 :].split()
    if len(rest) < 22:
        raise ValueError(f"/proc/{pid}/stat is cut short: {text[:80]!r}")
    return ProcessStat(
        identity=ProcessId(pid, int(rest[19])),
        comm=text[opening + 1 : closing],
        state=rest[0].decode("ascii"),
        ppid=int(rest[1]),
        cpu_ticks=int(rest[11]) + int(rest[12]),
        rss_pages=int(rest[21]),
        flags=int(rest[6]),
    )


def read_stat(pid: int) -> ProcessStat:
    """Read /proc/PID/stat.

    Raises:
        ProcessGone: if there is no such process.
        PermissionError: if /proc hides it.
    """
    try:
        descriptor = os.open(f"/proc/{pid}/stat", os.O_RDONLY | os.O_CLOEXEC)
    except (FileNotFoundError, ProcessLookupError) as missing:
        raise ProcessGone(f"process {pid} has ended") from missing
    try:
        return parse_stat(pid, os.read(descriptor, 4096))
    except ProcessLookupError as missing:
        raise ProcessGone(f"process {pid} has ended") from missing
    finally:
        os.close(descriptor)


def own_identity() -> ProcessId:
    """The identity of this process."""
    return read_stat(os.getpid()).identity
