"""Which processes are listed: conditions on their ports and their executable."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from engine.core.sanitise import clean
from engine.discovery.glob import Glob
from engine.discovery.ports import PortEnum

_DELETED = " (deleted)"
"""What the kernel appends to the path of an executable that was replaced on disk."""


@dataclass(frozen=True, slots=True)
class Criterion:
    """Conditions that must all hold; one that is not set demands nothing."""

    open_ports: PortEnum
    exe: Glob | None

    @classmethod
    def parse(cls, open_port: str, exe: str) -> Criterion:
        """Make a criterion from a port enumeration and a glob, either of which may be empty.

        Raises:
            UsageError: if one of them is malformed.
        """
        return cls(PortEnum.parse(open_port), Glob.parse(exe) if exe else None)

    def wants_port(self, port: int) -> bool:
        """Whether the port condition holds for this port."""
        return not self.open_ports.is_set or self.open_ports.matches(port)

    def selects(self, ports: Iterable[int], exe: str | None) -> bool:
        """Whether a process with these ports and this executable is listed.

        The executable is tried as the kernel names it and without ` (deleted)`.
        """
        if self.exe and not (
            exe and (self.exe.matches(exe) or self.exe.matches(exe.removesuffix(_DELETED)))
        ):
            return False
        return any(map(self.wants_port, ports))

    def __str__(self) -> str:
        conditions = []
        if self.open_ports.is_set:
            conditions.append(f"open_port {self.open_ports}")
        if self.exe:
            conditions.append(f"exe {clean(self.exe.text)}")
        return " and ".join(conditions) or "any open port"
