"""The line of parents of a process, up to init or to the init of its container."""

from __future__ import annotations

from typing import NamedTuple

from engine.core.errors import ProcessGone
from engine.core.identity import read_stat

_MOST = 64


class Ancestor(NamedTuple):
    """One parent."""

    pid: int
    comm: bytes


def ancestry(ppid: int) -> tuple[Ancestor, ...]:
    """The parent of a process, its parent, and so on.

    The last one is init, the first process of the container it runs in, or the last that can
    be seen.
    """
    found: list[Ancestor] = []
    pid = ppid
    while pid > 0 and len(found) < _MOST:
        try:
            stat = read_stat(pid)
        except (ProcessGone, PermissionError, ValueError):
            break
        found.append(Ancestor(pid, stat.comm))
        if is_init(pid):
            break
        pid = stat.ppid
    return tuple(found)


def is_init(pid: int) -> bool:
    """Whether it is the first process of a pid namespace."""
    if pid == 1:
        return True
    try:
        with open(f"/proc/{pid}/status", "rb") as file:
            for line in file:
                if line.startswith(b"NSpid:"):
                    return line.split()[-1] == b"1"
    except OSError:
        pass
    return False
