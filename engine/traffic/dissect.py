"""From segments to messages: finds the flow, finds its protocol, feeds its parser.

The order in which a protocol is looked for is the DeepFlow agent's: plugins with the payload hook
see the first payload of every flow, HTTP included; what none of them claims is tried as HTTP.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

from engine.traffic.flows import Flow, FlowTable
from engine.traffic.messages import Message
from engine.traffic.packets import TCP, Segment
from engine.traffic.parsers import (
    PAYLOAD_LIMIT,
    Dropped,
    DropReason,
    HttpParser,
    Opaque,
    Parser,
    WasmParser,
    base_context,
)
from engine.wasm.abi import CLIENT_TO_SERVER, SERVER_TO_CLIENT

if TYPE_CHECKING:
    from engine.wasm.host import Claim, WasmHost

NOBODY = "nobody"
UNKNOWN = "unknown"

_MIN_PAYLOAD = 2
_MAX_TRIES = 16
"""Payloads of a flow that are looked at before it is taken for unknown for good."""

_HTTP2_PREFACE = b"PRI * HTTP/2"
_RESPONSE_START = b"HTTP/1."


class Dissector:
    """Makes messages of segments.

    Args:
        wasm: The plugins to ask, if any.
        flow_capacity: Most flows that are followed at once.
    """

    def __init__(self, wasm: WasmHost | None, flow_capacity: int = 10_000) -> None:
        self._wasm = wasm
        self._flows = FlowTable(flow_capacity)
        self._parsers: dict[int, Parser] = {}
        self._tries: dict[int, int] = {}

    def take(self, segment: Segment) -> tuple[list[Message], DropReason | None]:
        """The messages that are complete with a segment, and why it was dropped (None: kept)."""
        flow, gone = self._flows.find(segment)
        messages = [message for old in gone for message in self._end(old)]
        if flow is None:
            return messages, None
        reason: DropReason | None = None
        try:
            for message in self._read(flow, segment):
                messages.append(message)  # noqa: PERF402  # those before a fault are kept
        except Dropped as dropped:
            reason = dropped.reason
        if flow.close(segment):
            self._flows.remove(segment)
            messages += self._end(flow)
        return messages, reason

    def finish(self) -> list[Message]:
        """End all flows; returns the requests that were never answered."""
        return [message for flow in self._flows.drain() for message in self._end(flow)]

    def _end(self, flow: Flow) -> list[Message]:
        self._tries.pop(flow.number, None)
        parser = self._parsers.pop(flow.number, None)
        return [] if parser is None else parser.finish()

    def _read(self, flow: Flow, segment: Segment) -> Iterator[Message]:
        payload = flow.fresh(segment)
        if payload:
            yield from self._feed(flow, segment, payload)
        elif segment.payload:
            raise Dropped("retransmission")
        elif segment.missing:
            flow.sides[flow.direction(segment)].lost = True
            raise Dropped("truncated")

    def _feed(self, flow: Flow, segment: Segment, payload: bytes) -> Iterator[Message]:
        parser = self._parsers.get(flow.number)
        if parser is None:
            yield from self._infer(flow, segment, payload)
            return
        try:
            yield from parser.feed(segment, flow.direction(segment), payload)
        except Dropped as dropped:
            if parser.proven or dropped.reason == "buffer_full":
                raise
            yield from self._unknown(flow, segment, payload)

    def _infer(self, flow: Flow, segment: Segment, payload: bytes) -> Iterator[Message]:
        """Find out what a flow speaks by a payload nobody has claimed yet."""
        claim = self._claim(flow, segment, payload)
        if claim is not None and self._wasm is not None:
            if claim.direction != flow.direction(segment):
                flow.flip()
            parser: Parser = WasmParser(flow, self._wasm, claim)
        elif flow.l4 == TCP and not payload.startswith(_HTTP2_PREFACE):
            if not flow.client_known:
                _orient(flow, segment, payload)
            parser = HttpParser(flow, self._wasm)
        else:
            yield from self._unknown(flow, segment, payload)
            return
        self._parsers[flow.number] = parser
        yield from self._feed(flow, segment, payload)

    def _claim(self, flow: Flow, segment: Segment, payload: bytes) -> Claim | None:
        if self._wasm is None or len(payload) < _MIN_PAYLOAD:
            return None
        context = base_context(flow, segment, flow.direction(segment))
        return self._wasm.check_payload(context, payload[:PAYLOAD_LIMIT])

    def _unknown(self, flow: Flow, segment: Segment, payload: bytes) -> Iterator[Message]:
        """Show a flow nobody understands, once; look at some more of its payloads."""
        tries = self._tries.get(flow.number, 0) + 1
        self._tries[flow.number] = tries
        if tries >= _MAX_TRIES:
            self._parsers[flow.number] = Opaque()
        else:
            self._parsers.pop(flow.number, None)
        flow.sides[flow.direction(segment)].lost = False
        if tries == 1:
            message = Message(segment.ts_ns, UNKNOWN, flow.client, flow.server, parsed_by=NOBODY)
            message.head("first_bytes", payload[:64])
            yield message


def _orient(flow: Flow, segment: Segment, payload: bytes) -> None:
    """Take the sender for the server if it answers in HTTP, otherwise for the client."""
    speaker = SERVER_TO_CLIENT if payload.startswith(_RESPONSE_START) else CLIENT_TO_SERVER
    if flow.direction(segment) != speaker:
        flow.flip()
