"""What boxscope needs on this box: found or missing, what it costs, what mends it."""

from __future__ import annotations

import importlib.metadata
import os
import socket
import sys
from collections.abc import Callable, Generator
from dataclasses import asdict, dataclass

from engine.core.capabilities import SIGHT, effective, grant, lacking
from engine.core.errors import FailedError
from engine.core.fields import JsonValue
from engine.core.progress import Tasks, by_asking
from engine.probe import preflight

_NETLINK_SOCK_DIAG = 4
_NAMED = 3
"""Processes named that may not be looked into."""


@dataclass(frozen=True)
class Need:
    """One thing boxscope uses."""

    name: str
    found: bool
    detail: str
    """What was found, or why it counts as missing."""
    costs: str = ""
    """What does not work without it."""
    fix: str = ""
    """The command or sentence that provides it."""
    sources: tuple[str, ...] = ()
    """The sources that depend on it; all where there is none."""

    def as_json(self) -> dict[str, JsonValue]:
        """The need as a flat object."""
        return {**asdict(self), "sources": list(self.sources)}


Check = Callable[[], Need]


def examine() -> tuple[Need, ...]:
    """Look at every need; what is tried out is closed at once, and nothing stays changed."""
    return tuple(check() for check in CHECKS)


def examine_in_turn(tasks: Tasks) -> Generator[Need, None, None]:
    """Look at one need after the other, telling how far it is.

    Raises:
        FailedError: it was cancelled.
    """
    with tasks.begin("checking what this box has", by_asking) as task:
        for number, check in enumerate(CHECKS):
            task.advance(number, len(CHECKS))
            if task.cancelled:
                raise FailedError("the checks were cancelled", fix="r makes them again")
            yield check()


def need_for(needs: tuple[Need, ...], sources: tuple[str, ...], reason: str = "") -> Need | None:
    """The need that tells why some sources cannot run, as far as one does.

    Args:
        needs: What `examine` has found.
        sources: The sources.
        reason: What they say themselves.
    """
    missing = [need for need in needs if not need.found]
    theirs = [need for need in missing if set(need.sources) & set(sources)]
    told = [need for need in missing if need.detail and need.detail in reason]
    return next(iter([*told, *theirs]), None)


def _python() -> Need:
    version = ".".join(str(part) for part in sys.version_info[:3])
    return Need("Python 3.11 or newer", True, version)


def _foreign_processes() -> Need:
    """Whether the sockets of other users' processes can be traced to their owners."""
    name = "sight of other users' processes"
    present = effective()
    missing = lacking(SIGHT, present)
    if missing:
        return Need(
            name,
            False,
            f"{' and '.join(missing)} missing",
            "ports of other users' processes have no owner, and their traffic is not captured "
            "by port",
            grant(SIGHT, present),
            ("discovery",),
        )
    closed = _closed_processes()
    told = f"/proc/PID can be read, but not that of {closed}: ports of theirs have no owner"
    return Need(name, True, told if closed else "/proc/PID can be read", sources=("discovery",))


def _closed_processes() -> str:
    """The processes whose descriptors may not be looked at in spite of the rights for it."""
    closed = []
    for pid in sorted(int(name) for name in os.listdir("/proc") if name.isdigit()):
        try:
            os.readlink(f"/proc/{pid}/ns/net")
        except PermissionError:
            closed.append(pid)
        except OSError:
            continue
    more = f" and {len(closed) - _NAMED} more" if len(closed) > _NAMED else ""
    return ", ".join(map(str, closed[:_NAMED])) + more


def _namespaces() -> Need:
    """Whether the sockets of containers can be listed, and kernel programs timed."""
    name, needed, present = "other network namespaces", ("CAP_SYS_ADMIN",), effective()
    if lacking(needed, present):
        return Need(
            name,
            False,
            "CAP_SYS_ADMIN missing",
            "ports within containers are not listed; the cost of kernel programs cannot be timed",
            grant(needed, present),
            ("discovery",),
        )
    return Need(name, True, "can be entered", sources=("discovery",))


def _socket_listing() -> Need:
    """Whether the kernel lists its sockets (sock_diag), as the scan of ports asks it to."""
    name = "list of sockets"
    try:
        socket.socket(socket.AF_NETLINK, socket.SOCK_RAW, _NETLINK_SOCK_DIAG).close()
    except OSError as refused:
        return Need(
            name,
            False,
            f"the kernel refuses sock_diag: {refused.strerror}",
            "no process is found by its port",
            "modprobe inet_diag, or run outside the sandbox that forbids netlink",
            ("discovery",),
        )
    return Need(name, True, "sock_diag answers", sources=("discovery",))


def _wasm() -> Need:
    """Whether Wasm plugins can be run."""
    try:
        version = importlib.metadata.version("wasmtime")
    except importlib.metadata.PackageNotFoundError:
        return Need(
            "Wasm runtime",
            False,
            "the package wasmtime is not installed",
            "no Wasm plugin can be loaded; traffic is read without them",
            f"{sys.executable} -m pip install wasmtime",
            ("wasm",),
        )
    return Need("Wasm runtime", True, f"wasmtime {version}", sources=("wasm",))


def _of_probe(check: Callable[[], preflight.Requirement]) -> Check:
    def need() -> Need:
        found = check()
        sources = ("probe", "traffic")
        return Need(found.name, found.ok, found.detail, found.costs_you, found.fix, sources)

    return need


CHECKS: tuple[Check, ...] = (
    _python,
    _foreign_processes,
    _namespaces,
    _socket_listing,
    _wasm,
    *map(_of_probe, preflight.CHECKS),
)
"""All there is to look at, each by itself."""
