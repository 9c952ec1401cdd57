"""From segments to messages: finds the flow, finds its protocol, feeds its parser."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

from engine.traffic.endpoints import Endpoints, Remembered
from engine.traffic.flows import Flow, FlowTable, distance
from engine.traffic.http1 import judge
from engine.traffic.http_parser import HttpParser
from engine.traffic.looks import Found, Head, Looks
from engine.traffic.messages import Message
from engine.traffic.options import TrafficOptions
from engine.traffic.packets import TCP, Segment
from engine.traffic.parsers import Opaque, Parser, WasmParser
from engine.traffic.reasons import Dropped, DropReason

if TYPE_CHECKING:
    from engine.wasm.host import WasmHost

NOBODY = "nobody"
UNKNOWN = "unknown"

_MAX_TRIES = 16
"""Payloads of a flow that are looked at before it is taken for unknown for good."""
_SHORT = 8
"""First payloads no longer than this may be the head of a record that is read in parts, as TLS
libraries, Kafka and servers of DNS read theirs; what follows it tells its protocol."""
_EXPIRE_EVERY_NS = 1_000_000_000


class Dissector:
    """Makes messages of segments.

    Args:
        wasm: The plugins to ask, if any.
        options: How to read.
    """

    def __init__(self, wasm: WasmHost | None, options: TrafficOptions | None = None) -> None:
        self._wasm = wasm
        self._options = options or TrafficOptions()
        self._flows = FlowTable(self._options.flow_capacity)
        self._parsers: dict[int, Parser] = {}
        self._tries: dict[int, int] = {}
        self._heads: dict[int, Head] = {}
        """Short first payloads that nobody has claimed yet."""
        self._expired_ns = 0
        self._looks = Looks(wasm, self._options, self._heads)
        self._servers = Endpoints() if self._options.cache else None

    @property
    def flows(self) -> int:
        """How many are open."""
        return len(self._flows)

    def take(self, segment: Segment) -> tuple[list[Message], DropReason | None]:
        """The messages that are complete with a segment, and why it was dropped (None: kept)."""
        flow, gone = self._flows.find(segment)
        messages = [message for old in gone for message in self._end(old)]
        messages += self.expire(segment.ts_ns)
        if flow is None:
            return messages, None
        flow.own(segment)
        reason: DropReason | None = None
        try:
            for message in self._read(flow, segment):
                messages.append(message)  # those before a fault are kept
        except Dropped as dropped:
            reason = dropped.reason
        if flow.close(segment):
            self._flows.remove(segment)
            messages += self._end(flow)
        return messages, reason

    def expire(self, now_ns: int) -> list[Message]:
        """Give up requests that have waited too long, and who has said nothing for as long.

        Looks at most once a second.

        Args:
            now_ns: The time of the traffic.
        """
        if abs(now_ns - self._expired_ns) < _EXPIRE_EVERY_NS:
            return []
        self._expired_ns = now_ns
        before_ns = now_ns - int(self._options.session_s * 1e9)
        expired = [
            message for parser in self._parsers.values() for message in parser.expired(before_ns)
        ]
        for flow in self._flows.forget_idle(before_ns):
            expired += self._end(flow)
        return expired

    def mark_lost(self) -> None:
        """Bytes of any flow may be missing from here on."""
        for flow in self._flows:
            for side in flow.sides:
                side.lost = True

    def finish(self) -> list[Message]:
        """End all flows; returns the requests that were never answered."""
        return [message for flow in self._flows.drain() for message in self._end(flow)]

    def _end(self, flow: Flow) -> list[Message]:
        self._tries.pop(flow.number, None)
        parser = self._parsers.pop(flow.number, None)
        messages = [] if parser is None else parser.finish()
        head = self._heads.pop(flow.number, None)
        return messages if head is None else [*messages, _nobodys(flow, head.ts_ns, head.payload)]

    def _read(self, flow: Flow, segment: Segment) -> Iterator[Message]:
        side = flow.sides[flow.direction(segment)]
        known = side.next_seq
        payload = flow.fresh(segment)
        if payload:
            yield from self._feed(flow, segment, payload)
        elif segment.missing:
            yield from self._miss(flow, segment, known)
        elif segment.payload:
            raise Dropped("retransmission")

    def _miss(self, flow: Flow, segment: Segment, known: int | None) -> Iterator[Message]:
        """Go on behind a segment of which nothing new was captured.

        Args:
            known: The sequence number that was expected.
        """
        side = flow.sides[flow.direction(segment)]
        count = segment.missing
        if known is not None and side.next_seq is not None and segment.l4 == TCP:
            count = min(count, distance(known, side.next_seq))
        if count <= 0:
            raise Dropped("retransmission")
        parser = self._parsers.get(flow.number)
        if isinstance(parser, HttpParser):
            yield from parser.feed(
                segment._replace(missing=count), flow.direction(segment), payload=b""
            )
        else:
            side.lost = True
            raise Dropped("truncated")

    def _feed(self, flow: Flow, segment: Segment, payload: bytes) -> Iterator[Message]:
        known = self._remembered(flow, segment)
        if known is not None and known.left_alone:
            flow.decided("left alone: its server could not be read too often")
            raise Dropped("left_alone")
        parser = self._parsers.get(flow.number)
        if parser is None:
            yield from self._infer(flow, segment, payload, known)
            return
        try:
            yield from parser.feed(segment, flow.direction(segment), payload)
        except Dropped as dropped:
            if parser.proven or dropped.reason == "buffer_full":
                self._failed(flow, segment)
                raise
            flow.decided("what began like HTTP is none")
            self._parsers.pop(flow.number)
            yield from self._infer(flow, segment, payload, known)

    def _infer(
        self, flow: Flow, segment: Segment, payload: bytes, known: Remembered | None
    ) -> Iterator[Message]:
        """Find out what a flow speaks by a payload nobody has claimed yet."""
        if known is not None and known.step:
            found, said = self._recall(flow, segment, payload, known)
        else:
            found, said = self._search(flow, segment, payload)
        way = ("client → server", "server → client")[flow.direction(segment)]
        flow.decided(f"{len(payload)} bytes {way}: {'; '.join(said)}")
        if found is None:
            self._failed(flow, segment)
            yield from self._unknown(flow, segment, payload)
            return
        parser, messages = found
        self._parsers[flow.number] = parser
        self._heads.pop(flow.number, None)
        yield from messages
        try:
            yield from parser.feed(segment, flow.direction(segment), payload)
        except Dropped as dropped:
            self._failed(flow, segment)
            if parser.proven or dropped.reason == "buffer_full":
                raise
            self._parsers.pop(flow.number)
            flow.decided("its parser refused it")
            yield from self._unknown(flow, segment, payload)

    def _search(
        self, flow: Flow, segment: Segment, payload: bytes
    ) -> tuple[Found | None, list[str]]:
        """Look for each protocol in turn; what was found, and what was said on the way."""
        said: list[str] = []
        for step, look in self._looks.steps.items():
            outcome = look(flow, segment, payload)
            if not isinstance(outcome, str):
                said.append(f"{step}: yes")
                self._found(flow, segment, step, outcome[0])
                return outcome, said
            said.append(f"{step}: {outcome}")
        if flow.l4 == TCP and judge(payload) == "maybe":
            said.append("taken for HTTP until it is told apart")
            return self._looks.as_http(flow, segment, payload), said
        return None, said

    def _recall(
        self, flow: Flow, segment: Segment, payload: bytes, known: Remembered
    ) -> tuple[Found | None, list[str]]:
        """Take a flow for what its server has spoken before, without asking plugins again."""
        claim = known.claim
        if claim is not None and self._wasm is not None:
            said = f"remembered of its server: claimed by {claim.plugin} as {claim.number}"
            parser = WasmParser(flow, self._wasm, claim, self._options.truncation)
            return (parser, []), [f"{said} {claim.name}".rstrip()]
        outcome = self._looks.steps[known.step](flow, segment, payload)
        if isinstance(outcome, str):
            return None, [f"remembered of its server: {known.step}: {outcome}"]
        return outcome, [f"remembered of its server: {known.step}"]

    def _remembered(self, flow: Flow, segment: Segment) -> Remembered | None:
        if self._servers is None:
            return None
        generation = 0 if self._wasm is None else self._wasm.generation
        return self._servers.known(flow, segment.ts_ns, generation)

    def _found(self, flow: Flow, segment: Segment, step: str, parser: Parser) -> None:
        if self._servers is not None:
            claim = parser.claim if isinstance(parser, WasmParser) else None
            self._servers.found(flow, segment.ts_ns, step, claim)

    def _failed(self, flow: Flow, segment: Segment) -> None:
        if self._servers is not None:
            self._servers.failed(flow, segment.ts_ns)

    def _unknown(self, flow: Flow, segment: Segment, payload: bytes) -> Iterator[Message]:
        """Show a flow nobody understands, once; look at some more of its payloads."""
        tries = self._tries.get(flow.number, 0) + 1
        self._tries[flow.number] = tries
        if tries >= _MAX_TRIES:
            self._parsers[flow.number] = Opaque()
        side = flow.sides[flow.direction(segment)]
        side.lost = False
        head = self._heads.pop(flow.number, None)
        if tries == 1 and flow.l4 == TCP and len(payload) <= _SHORT:
            self._heads[flow.number] = Head(side, payload, segment.ts_ns)
            return
        if head and head.side is side and len(head.payload) + len(payload) <= _SHORT:
            self._heads[flow.number] = head._replace(payload=head.payload + payload)
            return
        if head is not None:
            yield _nobodys(flow, head.ts_ns, head.payload)
        elif tries == 1:
            yield _nobodys(flow, segment.ts_ns, payload)


def _nobodys(flow: Flow, ts_ns: int, payload: bytes) -> Message:
    """A message nobody understands."""
    message = Message(ts_ns, UNKNOWN, flow.client, flow.server, NOBODY, flow=flow)
    message.head("first_bytes", payload[:64])
    return message
