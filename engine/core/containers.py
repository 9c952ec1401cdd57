"""Container ids, as container runtimes write them into the names of cgroups."""

from __future__ import annotations

import re

_CONTAINER = re.compile(r"(?:^|[-:])([0-9a-f]{64})(?:\.scope)?$")
_SHOWN = 12


def container_in(path: str) -> str | None:
    """First 12 digits of the container id in the path of a cgroup; None if it has none.

    Docker, containerd, CRI-O and Podman name a component by 64 hexadecimal digits, bare or behind
    their own name: `docker-ID.scope`, `cri-containerd-ID.scope`, `crio-ID`, `libpod-ID.scope`.
    The innermost one counts; `crio-conmon-ID.scope` is the monitor, outside of its container.
    """
    for component in reversed(path.split("/")):
        found = _CONTAINER.search(component)
        if found and "conmon" not in component:
            return found[1][:_SHOWN]
    return None


def container_of(cgroups: str) -> str | None:
    """The same out of a /proc/PID/cgroup text, which has one tree a line."""
    for line in cgroups.splitlines():
        found = container_in(line.split(":", 2)[-1])
        if found:
            return found
    return None
