"""What the watcher tells the stages behind it: processes with their sockets, and what changed."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Generic, Literal, NamedTuple, Protocol, TypeVar

from engine.discovery.diag_messages import BoundSocket
from engine.discovery.facts import ProcessFacts

Change = Literal["created", "changed", "deleted"]


class Port(NamedTuple):
    """One local port of a process; sorts as it is shown."""

    port: int
    proto: str
    address: str
    netns: int = 0
    """The network namespace, where it is another one than that of the process."""


class Scope(NamedTuple):
    """What has to be watched so that all criteria can be decided."""

    connections: bool = False
    """Sockets that are no listeners too: Beyla takes the local port of a client for an open one."""
    portless: bool = False
    """Processes without any port too."""


RECEIVERS = Scope()
"""What can be reached from outside, and nothing else."""


class Identity(NamedTuple):
    """One life of one process in one network namespace."""

    pid: int | None
    """None for sockets that no visible process holds."""
    start_ticks: int | None
    netns: int


class Keyed(Protocol):
    """What flows through the stages."""

    @property
    def key(self) -> int:
        """What it replaces if it comes again."""

    @property
    def identity(self) -> Identity:
        """Of another one with the same key, it is another thing altogether."""


@dataclass(frozen=True, slots=True)
class Observed:
    """A process with its sockets, or the sockets of a namespace that no visible process holds."""

    facts: ProcessFacts | None
    """None where there is no process."""
    netns: int
    sockets: tuple[BoundSocket, ...]
    """In the order of their inode numbers."""
    ports: tuple[Port, ...]
    """Where it can be reached: TCP listeners and UDP sockets without a peer."""
    client_ports: tuple[Port, ...] = ()
    """The local ports of its other sockets, if connections are watched."""

    @property
    def pid(self) -> int | None:
        """None where there is no process."""
        return self.facts.identity.pid if self.facts else None

    @property
    def key(self) -> int:
        """The pid, or minus the number of the namespace."""
        return self.facts.identity.pid if self.facts else -self.netns

    @property
    def identity(self) -> Identity:
        """Its pid, start and namespace."""
        if self.facts is None:
            return Identity(None, None, self.netns)
        return Identity(*self.facts.identity, self.netns)


def observed(facts: ProcessFacts | None, netns: int, sockets: Sequence[BoundSocket]) -> Observed:
    """Sort out the ports of a process; two sockets on one address are one port."""
    ports, client_ports = set[Port](), set[Port]()
    for each in sockets:
        elsewhere = each.netns if each.netns != netns else 0
        kind = ports if each.receives else client_ports
        kind.add(Port(each.port, each.proto, each.address, elsewhere))
    return Observed(
        facts, netns, tuple(sockets), tuple(sorted(ports)), tuple(sorted(client_ports - ports))
    )


T = TypeVar("T", bound=Keyed, covariant=True)


@dataclass(frozen=True, slots=True)
class Event(Generic[T]):
    """One thing came, changed or went."""

    change: Change
    item: T
    """As it is now; what went, as it was last."""
