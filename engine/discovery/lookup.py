"""Finding the process somebody means: by its pid, a port it listens on, or its name."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from pathlib import Path

from engine.core.errors import FailedError, UsageError
from engine.core.sanitise import clean
from engine.discovery.namespaces import read_netns
from engine.discovery.process_sockets import listening_inodes, socket_inodes

WAYS = "a pid, a port as :8080, or a name"
_NAMED = 8
"""Processes named where several fit."""
_DIGITS = 19
"""What is longer is no number of the kernel's, and more than Python reads as one."""


def find_pid(text: str) -> int:
    """The process that is meant; one given as a pid need not exist.

    A look at every process of the box, unless a pid is given.

    Raises:
        UsageError: the text means nothing, or several processes.
        FailedError: no process that may be looked into fits.
    """
    wanted = text.strip()
    if _is_number(wanted):
        return int(wanted)
    port = wanted.removeprefix(":")
    if wanted.startswith(":"):
        if not _is_number(port) or not 0 < int(port) < 65_536:
            raise UsageError(f"{clean(port, 40)!r} is no port", fix=WAYS)
        return _only(f"listens on port {int(port)}", _Listens(int(port)))
    if not wanted:
        raise UsageError("no process is named", fix=WAYS)
    return _only(f"is named {clean(wanted, 40)!r}", lambda _pid, name: name == wanted)


def _only(described: str, fits: Callable[[int, str], bool]) -> int:
    found = [(pid, name) for pid, name in _processes() if fits(pid, name)]
    if not found:
        raise FailedError(
            f"no process that may be looked into {described}",
            fix="a pid finds it where it is hidden; as root nothing is",
        )
    if len(found) > 1:
        some = ", ".join(f"{pid} {clean(name)}" for pid, name in found[:_NAMED])
        more = f" and {len(found) - _NAMED} more" if len(found) > _NAMED else ""
        raise UsageError(f"more than one process {described}: {some}{more}", fix="give a pid")
    return found[0][0]


def _processes() -> Iterator[tuple[int, str]]:
    """Every process with its name."""
    for entry in filter(_is_number, os.listdir("/proc")):
        try:
            name = Path("/proc", entry, "comm").read_bytes()
        except OSError:
            continue
        yield int(entry), name.decode(errors="replace").rstrip("\n")


class _Listens:
    """Whether a process listens on a port; reads the sockets of each network namespace once."""

    def __init__(self, port: int) -> None:
        self._port = port
        self._inodes: dict[int | None, set[str]] = {}

    def __call__(self, pid: int, _name: str) -> bool:
        netns = read_netns(pid)
        if netns not in self._inodes:
            self._inodes[netns] = listening_inodes(pid, self._port)
        wanted = self._inodes[netns]
        try:
            return bool(wanted) and not wanted.isdisjoint(socket_inodes(pid))
        except OSError:
            return False


def _is_number(text: str) -> bool:
    return text.isascii() and text.isdigit() and len(text) <= _DIGITS
