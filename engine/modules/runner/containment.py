"""What stands between a module and the box: accidents are contained, an attacker is not.

Everything here runs in the runner's process between fork and exec, or in its supervisor.
"""

from __future__ import annotations

import ctypes
import os
import resource
import signal
from contextlib import suppress

from engine.modules.runner.protocol import Limits

_PR_SET_PDEATHSIG, _PR_SET_CHILD_SUBREAPER = 1, 36
_CLONE_NEWNET = 0x40000000
_PATH = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"

libc = ctypes.CDLL(None, use_errno=True)
"""Loaded before any fork: afterwards there is no time to look for libraries."""


def become_subreaper() -> None:
    """Have orphaned descendants become children of this process, also those of new sessions.

    Raises:
        OSError: the kernel refuses.
    """
    _prctl(_PR_SET_CHILD_SUBREAPER, 1)


def environment(scratch: str) -> dict[str, str]:
    """A module's whole environment."""
    return {"PATH": _PATH, "HOME": scratch, "LANG": "C.UTF-8"}


def confine(supervisor: int, limits: Limits, cgroup: str) -> str:
    """Put the calling process, which is about to become the runner, into its place.

    Args:
        supervisor: The pid it dies with.
        limits: What it may use.
        cgroup: Directory of the control group to enter; empty for none.

    Returns:
        Why it shares the network of the box; empty if it has a network of its own.

    Raises:
        OSError: a limit could not be set.
    """
    os.setsid()
    _prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)
    if os.getppid() != supervisor:
        os._exit(1)
    for number in (signal.SIGPIPE, signal.SIGXFSZ):
        signal.signal(number, signal.SIG_DFL)  # Python ignores them, and exec hands that on
    if cgroup:
        with open(f"{cgroup}/cgroup.procs", "w") as procs:
            procs.write("0")
    for which, value in (
        (resource.RLIMIT_CORE, 0),
        (resource.RLIMIT_CPU, limits.cpu_s),
        (resource.RLIMIT_FSIZE, limits.file_bytes),
        (resource.RLIMIT_NOFILE, limits.files),
    ):
        _, hard = resource.getrlimit(which)
        allowed = value if hard == resource.RLIM_INFINITY else min(value, hard)
        resource.setrlimit(which, (allowed, allowed))
    if libc.unshare(_CLONE_NEWNET):
        return os.strerror(ctypes.get_errno())
    return ""


def _prctl(option: int, value: int) -> None:
    if libc.prctl(option, ctypes.c_ulong(value), 0, 0, 0):
        number = ctypes.get_errno()
        raise OSError(number, os.strerror(number))


def descendants(pid: int) -> list[int]:
    """Every process below `pid`, parents first."""
    found, pending = [], [pid]
    while pending:
        children = children_of(pending.pop())
        found += children
        pending += children
    return found


def children_of(pid: int) -> list[int]:
    """The children of a process, as far as it is there."""
    found: list[int] = []
    with suppress(OSError):
        for thread in os.listdir(f"/proc/{pid}/task"):
            with suppress(OSError), open(f"/proc/{pid}/task/{thread}/children", "rb") as children:
                found += map(int, children.read().split())
    return found


def resident(pid: int) -> int:
    """Resident memory of a process in bytes; 0 if it is gone."""
    with suppress(OSError, ValueError, IndexError), open(f"/proc/{pid}/statm", "rb") as statm:
        return int(statm.read().split()[1]) * resource.getpagesize()
    return 0
