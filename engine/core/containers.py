"""Container ids, as container runtimes write them into the names of cgroups."""

from __future__ import annotations

import re

_CONTAINER = re.compile(r"(?:^|[-:])([0-9a-f]{64})(?:\.scope)?$")
SHOWN_DIGITS = 12
"""How much of an id people are shown, and tell containers apart by."""


def container_in(path: str) -> str | None:
    """The container id in the path of a cgroup; None if it has none.

    Docker, containerd, CRI-O and Podman name a component by 64 hexadecimal digits, bare or behind
    their own name: `docker-ID.scope`, `cri-containerd-ID.scope`, `crio-ID`, `libpod-ID.scope`.
    The innermost one counts; `crio-conmon-ID.scope` is the monitor, outside of its container.
    """
    for component in reversed(path.split("/")):
        found = _CONTAINER.search(component)
        if found and "conmon" not in component:
            return found[1]
    return None


def container_of(cgroups: str) -> str | None:
    """The same out of a /proc/PID/cgroup text, which has one tree a line."""
    for line in cgroups.splitlines():
        found = container_in(line.split(":", 2)[-1])
        if found:
            return found
    return None
