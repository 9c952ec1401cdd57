"""Where payloads come from: one face over captures, saved payloads and listened-to processes."""

from __future__ import annotations

import socket
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Literal, Protocol, TypeAlias

from engine.core.clock import Clock
from engine.core.counters import Counters
from engine.core.errors import CaptureError, UsageError
from engine.core.sanitise import clean
from engine.traffic.flows import Endpoint
from engine.traffic.packets import ACK, SYN, TCP, Segment, Unusable
from engine.traffic.pcap import read_segments

Mark: TypeAlias = Literal["idle", "lost", "echo", "over"]
"""idle: nothing came for a moment; lost: bytes of any flow may be missing from here on; echo: a
payload that is read at the other end of its connection; over: what is open ends here."""

Item: TypeAlias = Segment | Unusable | Mark

Wait: TypeAlias = Callable[[float], bool]
"""Waits so many seconds; returns early with True when the reader must end."""


class Input(Protocol):
    """Something segments are read from."""

    @property
    def label(self) -> str:
        """What the messages name as their source."""

    @property
    def endless(self) -> bool:
        """Whether it never ends by itself."""

    @property
    def in_order(self) -> bool:
        """Whether its streams need no reassembly."""

    def items(self, wait: Wait) -> Iterator[Item]:
        """Every segment in order, and what is to be known of those that are missing.

        Raises:
            CaptureError: if it cannot be read to its end; after all that came before.
        """

    def lost(self) -> Counters:
        """What was lost before it could become a segment."""


class CaptureInput:
    """A pcap or pcapng file.

    Args:
        clock: The engine's clock.
        path: The file.
        loop: Begin again at the end, for ever, with the times of now. Implies `paced`.
        paced: Take as long as the traffic took, instead of as fast as can be.
        over: Asked between two segments of a paced capture; True ends it.
    """

    in_order = False
    _BETWEEN_PASSES_S = 1.0

    def __init__(
        self,
        clock: Clock,
        path: Path,
        *,
        loop: bool = False,
        paced: bool = False,
        over: Callable[[], bool] | None = None,
    ) -> None:
        self.label = f"pcap:{clean(path.name, 200)}"
        self.endless = loop
        self._clock = clock
        self._path = path
        self._paced = paced or loop
        self._over = over

    def items(self, wait: Wait) -> Iterator[Item]:
        """The segments of the file, once or again and again."""
        if (over := self._over) is not None:
            yield from self._passes(lambda seconds: wait(seconds) or over())
        else:
            yield from self._passes(wait)

    def _passes(self, wait: Wait) -> Iterator[Item]:
        while True:
            empty = True
            for item in self._pass(wait):
                empty = False
                yield item
            if not self.endless or empty or wait(self._BETWEEN_PASSES_S):
                return

    def lost(self) -> Counters:
        """A file tells no losses."""
        return Counters()

    def _pass(self, wait: Wait) -> Iterator[Item]:
        pace: _Pace | None = None
        for segment in read_segments(self._path):
            if isinstance(segment, str):
                yield segment
                continue
            if pace is None:
                pace = _Pace(self._clock, segment.ts_ns)
            if self._paced and wait(pace.wait_s(segment.ts_ns)):
                return
            yield (segment._replace(ts_ns=pace.shifted(segment.ts_ns)) if self.endless else segment)
        if self.endless and pace is not None:
            yield "over"


class SavedPayload:
    """One payload from a file or from pasted hex, as if it had just been captured.

    Args:
        clock: Gives it its time.
        payload: The bytes.
        src: Its sender.
        dst: Its receiver.
        l4: 6 TCP, 17 UDP.
        sender: Whether the sender is the client or the server; None = as the payload tells.
    """

    label = "payload"
    endless = False
    in_order = True

    def __init__(
        self,
        clock: Clock,
        payload: bytes,
        *,
        src: Endpoint,
        dst: Endpoint,
        l4: int = TCP,
        sender: Literal["client", "server"] | None = None,
    ) -> None:
        if len(src[0]) != len(dst[0]):
            raise UsageError("source and destination are of different IP versions")
        self._sender = sender
        self._segment = Segment(
            clock.wall_ns(), src[0], dst[0], src[1], dst[1], l4, ACK if l4 == TCP else 0, 0,
            payload, 0,
        )  # fmt: skip

    def items(self, wait: Wait) -> Iterator[Item]:
        """The payload, after the opening of its connection where the sender's side is known."""
        if self._sender is not None:
            flags = SYN if self._sender == "client" else SYN | ACK
            opening = self._segment._replace(flags=flags, payload=b"", seq=_BEFORE_FIRST)
            yield opening
        yield self._segment

    def lost(self) -> Counters:
        """Nothing."""
        return Counters()


def read_payload(path: Path) -> bytes:
    """The bytes of a saved payload: hex text where the file is nothing else, otherwise as it is.

    Raises:
        CaptureError: if the file cannot be read or is larger than 16 MiB.
    """
    try:
        with path.open("rb") as file:
            content = file.read(_LARGEST + 1)
    except OSError as error:
        raise CaptureError(
            f"payload {clean(str(path), 200)} cannot be read: {error.strerror}",
            fix="check the path and the permissions",
        ) from error
    if len(content) > _LARGEST:
        raise CaptureError(f"payload {clean(str(path), 200)} has more than {_LARGEST} bytes")
    return payload_of(content, clean(str(path), 200))


def payload_of(content: bytes, name: str) -> bytes:
    """The bytes meant: those of hex text where there is nothing else, otherwise all as they are.

    Raises:
        CaptureError: if there are none.
    """
    if not content:
        raise CaptureError(f"payload {name} is empty", fix="give at least one byte")
    try:
        return parse_hex(content.decode("ascii"))
    except (UnicodeDecodeError, UsageError):
        return content


def parse_hex(text: str) -> bytes:
    """Pasted hex: digits with any spaces, colons or line ends between bytes, `0x` allowed.

    Raises:
        UsageError: if it is something else, or empty.
    """
    digits = text.replace(":", " ").replace("0x", " ").replace(",", " ")
    try:
        payload = bytes.fromhex(digits)
    except ValueError:
        payload = b""
    if not payload:
        raise UsageError("that is not hex", fix="paste pairs of hex digits, such as 47 45 54 20")
    return payload


def parse_endpoint(text: str) -> Endpoint:
    """`IP:PORT`, with brackets around IPv6, as a packed address and a port.

    Raises:
        UsageError: if it is something else.
    """
    host, colon, port = text.rpartition(":")
    host = host[1:-1] if host.startswith("[") and host.endswith("]") else host
    try:
        packed = socket.inet_pton(socket.AF_INET6 if ":" in host else socket.AF_INET, host)
    except OSError:
        packed = b""
    if not packed or not colon or not port.isdecimal() or int(port) > _HIGHEST_PORT:
        raise UsageError(
            f"{clean(text, 100)} is no address", fix="write 192.0.2.1:80 or [2001:db8::1]:80"
        )
    return packed, int(port)


_BEFORE_FIRST = (1 << 32) - 1
"""Sequence number of a SYN before byte 0."""
_LARGEST = 16 << 20
_HIGHEST_PORT = 65_535


class _Pace:
    """When each segment of one pass is due."""

    def __init__(self, clock: Clock, first_ts_ns: int) -> None:
        self._clock = clock
        self._first_ts_ns = first_ts_ns
        self._began_monotonic_ns = clock.monotonic_ns()
        self._began_wall_ns = clock.wall_ns()

    def wait_s(self, ts_ns: int) -> float:
        """Seconds until a segment is due; 0 if it is late."""
        due_ns = self._began_monotonic_ns + ts_ns - self._first_ts_ns
        return max(0, due_ns - self._clock.monotonic_ns()) / 1e9

    def shifted(self, ts_ns: int) -> int:
        """The time a segment has in this pass."""
        return self._began_wall_ns + ts_ns - self._first_ts_ns
