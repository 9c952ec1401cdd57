"""A process as criteria see it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Literal

from engine.discovery.criteria import UNKNOWN

Netns = Literal["own", "other", "unreadable"]


@dataclass(frozen=True, slots=True)
class Candidate:
    """What conditions are tried on; texts are as the kernel gives them."""

    pid: int
    ppid: int = 0
    exe: str = UNKNOWN
    """Path of the executable, with ` (deleted)` if it was replaced."""
    argv: Sequence[str] = ()
    ports: tuple[int, ...] = ()
    """Local ports of listening TCP and unconnected UDP sockets."""
    connection_ports: tuple[int, ...] = ()
    """Local ports of its other sockets, as far as they were looked for."""
    language: str = UNKNOWN
    netns: Netns = "own"
    """Its network namespace, compared with the one this process sees the box from."""
    metadata: Mapping[str, str] = field(default_factory=dict)
    """By criterion key, what the container runtime tells: container_name, k8s_namespace, ..."""
    pod_labels: Mapping[str, str] = field(default_factory=dict)
    pod_annotations: Mapping[str, str] = field(default_factory=dict)
    hidden: frozenset[str] = frozenset()
    """What may not be read of it: `exe`, `ports`."""
    environ: Mapping[str, str] = field(default_factory=dict)
    """Its variables that name a service, as far as they were read."""

    def arguments(self, *, faithful: bool = False) -> str:
        """What `cmd_args` is tried on: everything behind the program, joined by blanks.

        Beyla cuts behind the first blank of the whole line, also of one within the program's name.
        """
        if faithful:
            return " ".join(self.argv).partition(" ")[2]
        return " ".join(self.argv[1:])
