"""What is told about a process: read from /proc, as raw text."""

from __future__ import annotations

import os
import pwd
import time
from collections.abc import MutableMapping
from dataclasses import dataclass
from functools import lru_cache
from typing import TypeAlias

from engine.core.containers import SHOWN_DIGITS, container_of
from engine.core.errors import ProcessGone
from engine.core.identity import ProcessId, ProcessStat, read_stat
from engine.discovery.language import Language, Languages

_ARGV_BYTES = 32_768
"""How much of the arguments is read; what lies beyond is left out."""
_TICKS = os.sysconf("SC_CLK_TCK")


@dataclass(frozen=True, slots=True)
class ProcessFacts:
    """One process as it was when it was read; texts are as the kernel gives them."""

    identity: ProcessId
    comm: bytes
    ppid: int
    exe: str | None
    """Path of the executable, with ` (deleted)` if it was replaced; None if it is hidden."""
    argv: tuple[str, ...]
    user: str | None
    """Name of the effective user, or its number if it has no name here."""
    container: str | None
    """Full id of the innermost container it runs in."""
    language: Language | None
    """None if the executable cannot be reached."""
    has_not_exec_ed: bool = False
    """Whether it still runs the program of the process it was forked from."""
    cgroup: str | None = None
    """Path of its control group, in the unified hierarchy where there is one."""

    @property
    def container_id(self) -> str | None:
        """First 12 digits of the id of its container."""
        return self.container and self.container[:SHOWN_DIGITS]


Siblings: TypeAlias = MutableMapping[tuple[int, str], Language | None]
"""By parent and executable: what was forked from one process and has not exec'ed since runs the
same program, so it is written in one language."""


def read_facts(pid: int, languages: Languages, siblings: Siblings | None = None) -> ProcessFacts:
    """Read everything about a process; what its rights hide is None or empty.

    Args:
        pid: The process.
        languages: Who tells languages.
        siblings: What is known of other processes; what is found out here is added.

    Raises:
        ProcessGone: if it has ended, or /proc hides it altogether.
    """
    try:
        stat = read_stat(pid)
    except PermissionError as hidden:
        raise ProcessGone(f"process {pid} is hidden") from hidden
    exe = read_exe(pid)
    container, cgroup = _confinement(_read(f"/proc/{pid}/cgroup", 16_384))
    return ProcessFacts(
        identity=stat.identity,
        comm=stat.comm,
        ppid=stat.ppid,
        exe=exe,
        argv=read_argv(pid),
        user=_effective_user(_read(f"/proc/{pid}/status", 4096)),
        container=container,
        language=_language(stat, exe, languages, {} if siblings is None else siblings),
        has_not_exec_ed=stat.has_not_exec_ed,
        cgroup=cgroup,
    )


@lru_cache(maxsize=256)
def _confinement(cgroups: bytes) -> tuple[str | None, str | None]:
    """Container and control group; many processes have the same text."""
    text = os.fsdecode(cgroups)
    return container_of(text), cgroup_of(text)


def _language(
    stat: ProcessStat, exe: str | None, languages: Languages, siblings: Siblings
) -> Language | None:
    if not exe:
        return None
    pid = stat.identity.pid
    if not stat.has_not_exec_ed:
        return languages.of(pid, exe)
    family = stat.ppid, exe
    if family not in siblings:
        siblings[family] = languages.of(pid, exe)
    return siblings[family]


def read_exe(pid: int) -> str | None:
    """Path of the executable as the kernel names it; None if it is hidden or there is none."""
    try:
        return os.readlink(f"/proc/{pid}/exe")
    except OSError:
        return None


def thread_group(pid: int) -> int | None:
    """The process that a thread belongs to, itself if it is one; None if that is hidden."""
    status = _read(f"/proc/{pid}/status", 4096)
    at = status.find(b"\nTgid:")
    return int(status[at:].split(maxsplit=2)[1]) if at >= 0 else None


def read_argv(pid: int) -> tuple[str, ...]:
    """The arguments of a process; none if they are hidden, or it is a zombie."""
    arguments = os.fsdecode(_read(f"/proc/{pid}/cmdline", _ARGV_BYTES)).removesuffix("\0")
    return tuple(arguments.split("\0")) if arguments else ()


def age_s(identity: ProcessId) -> float:
    """How long ago a process started, in seconds of the clock that goes on while suspended."""
    return time.clock_gettime(time.CLOCK_BOOTTIME) - identity.start_ticks / _TICKS


def cgroup_of(cgroups: str) -> str | None:
    """The path in the unified hierarchy of a /proc/PID/cgroup text, else in the first one."""
    lines = [line.split(":", 2) for line in cgroups.splitlines() if line.count(":") >= 2]
    unified = next((path for number, _, path in lines if number == "0"), None)
    return unified or (lines[0][2] if lines else None)


@lru_cache(maxsize=1024)
def user_name(uid: int) -> str:
    """Name of a user, or the number if it has no name here."""
    try:
        return pwd.getpwuid(uid).pw_name
    except KeyError:
        return str(uid)


def _effective_user(status: bytes) -> str | None:
    """From the text of /proc/PID/status; the owner of /proc/PID may be root for another's."""
    at = status.find(b"\nUid:")
    return user_name(int(status[at:].split(maxsplit=3)[2])) if at >= 0 else None


def _read(path: str, limit: int) -> bytes:
    """The beginning of a file; empty if it cannot be read."""
    try:
        descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    except OSError:
        return b""
    try:
        return os.read(descriptor, limit)
    except OSError:
        return b""
    finally:
        os.close(descriptor)
