"""What is heard of the sockets of processes, and whoever hears it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Literal, Protocol, TypeAlias

from engine.core.counters import Counters

Address: TypeAlias = tuple[str, int]


class Heard(Protocol):
    """One message of a socket, or the begin or end of its connection."""

    @property
    def kind(self) -> Literal["data", "accept", "connect", "close"]: ...
    @property
    def direction(self) -> Literal["in", "out"]: ...
    @property
    def ts_ns(self) -> int: ...
    @property
    def entered_ns(self) -> int | None: ...
    @property
    def tgid(self) -> int: ...
    @property
    def comm(self) -> str: ...
    @property
    def inode(self) -> int: ...
    @property
    def family(self) -> Literal["ipv4", "ipv6", "unix", ""]: ...
    @property
    def protocol(self) -> str: ...
    @property
    def local(self) -> Address | None: ...
    @property
    def remote(self) -> Address | None: ...
    @property
    def length(self) -> int: ...
    @property
    def data(self) -> bytes: ...
    @property
    def missing(self) -> bool: ...


class PayloadFeed(Protocol):
    """Whoever listens to the sockets of processes."""

    def choose(self, tgids: frozenset[int], *, cap: int = ...) -> None:
        """Listen to exactly these processes."""

    def drain(self, limit: int = ...) -> Sequence[Heard]:
        """What nobody has had yet, oldest first; never waits."""

    def counters(self) -> Counters:
        """What was read and what was lost."""

    def losses(self) -> Mapping[int, int]:
        """Messages lost of each process that is listened to."""
