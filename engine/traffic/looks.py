"""What a flow may speak: each protocol is tried in turn by a payload nobody has claimed yet."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, NamedTuple, TypeAlias

from engine.core.sanitise import clean
from engine.traffic import calls, dns, nats, zmtp
from engine.traffic.custom import CustomParser
from engine.traffic.flows import Flow, Side
from engine.traffic.http1 import is_response, judge
from engine.traffic.http_parser import HttpParser
from engine.traffic.messages import BUILT_IN, Message
from engine.traffic.options import TrafficOptions
from engine.traffic.packets import TCP, Segment
from engine.traffic.parsers import Opaque, Parser, WasmParser, base_context
from engine.traffic.recognise import recognise
from engine.wasm.abi import CLIENT_TO_SERVER, SERVER_TO_CLIENT

if TYPE_CHECKING:
    from engine.wasm.host import WasmHost

_MIN_PAYLOAD = 2
_STEPS = {
    "documented": ("http", "wasm", "dns", "custom", "name"),
    "agent": ("wasm", "http", "dns", "custom", "name"),
}
_CUSTOM: tuple[tuple[Callable[[bytes], bool | None], type[CustomParser]], ...] = (
    (nats.looks_like, nats.NatsParser),
    (calls.is_dubbo, calls.DubboParser),
    (calls.is_rocketmq, calls.RocketMqParser),
)
"""What tells whether the client speaks such a protocol, and what reads it."""

Found: TypeAlias = tuple[Parser, list[Message]]
Look: TypeAlias = Callable[[Flow, Segment, bytes], "Found | str"]
"""Tries a protocol: its parser and what is known at once, or why it is none."""


class Head(NamedTuple):
    """A short first payload that nobody has claimed yet."""

    side: Side
    payload: bytes
    ts_ns: int


class Looks:
    """Tries protocols in the order that is asked for.

    Args:
        wasm: The plugins to ask, if any.
        options: How to read.
        heads: Short first payloads by the number of their flow; they are read with what follows.
    """

    def __init__(
        self, wasm: WasmHost | None, options: TrafficOptions, heads: Mapping[int, Head]
    ) -> None:
        self._wasm = wasm
        self._truncation = options.truncation
        self._heads = heads
        looks: dict[str, Look] = {
            "http": self._http,
            "wasm": self._plugins,
            "dns": self._dns,
            "custom": self._custom,
            "name": self._name,
        }
        self.steps = {step: looks[step] for step in _STEPS[options.order]}
        """What tries a protocol, by its name, in that order."""

    def _http(self, flow: Flow, segment: Segment, payload: bytes) -> Found | str:
        if flow.l4 != TCP:
            return "not TCP"
        verdict = judge(payload)
        if verdict != "yes":
            return "too short to tell" if verdict == "maybe" else "no"
        return self.as_http(flow, segment, payload)

    def as_http(self, flow: Flow, segment: Segment, payload: bytes) -> Found:
        """Take a flow for HTTP: the sender for the server if it answers, else for the client."""
        if not flow.client_known:
            _face(flow, segment, from_client=not is_response(payload))
        return HttpParser(flow, self._wasm, self._truncation), []

    def _plugins(self, flow: Flow, segment: Segment, payload: bytes) -> Found | str:
        if self._wasm is None:
            return "no plugins"
        if len(payload) < _MIN_PAYLOAD:
            return "too short to be offered"
        limit = self._truncation
        context = base_context(flow, segment, flow.direction(segment), limit)
        claim = self._wasm.check_payload(context, payload[:limit])
        flow.calls += self._wasm.last_calls
        if claim is None:
            return "claimed by no plugin"
        flow.decided(f"claimed by {claim.plugin} as {claim.number} {claim.name}".rstrip())
        if claim.direction != flow.direction(segment):
            flow.flip()
        return WasmParser(flow, self._wasm, claim, limit), []

    def _dns(self, flow: Flow, segment: Segment, payload: bytes) -> Found | str:
        head = self._head(flow, segment)
        response = dns.looks_like(head + payload, flow.l4)
        if response is None:
            return "no"
        if not flow.client_known:
            _face(flow, segment, from_client=not response)
        return dns.DnsParser(flow, flow.direction(segment), head), []

    def _custom(self, flow: Flow, segment: Segment, payload: bytes) -> Found | str:
        if flow.l4 != TCP:
            return "no"
        if zmtp.looks_like(payload):
            return zmtp.ZmtpParser(flow, self._wasm, self._truncation), []
        for looks_like, parser in _CUSTOM:
            from_client = looks_like(payload)
            if from_client is not None:
                if not flow.client_known:
                    _face(flow, segment, from_client=from_client)
                return parser(flow, self._wasm, self._truncation), []
        return "no"

    def _name(self, flow: Flow, segment: Segment, payload: bytes) -> Found | str:
        if flow.l4 != TCP:
            return "no"
        found = recognise(self._head(flow, segment) + payload)
        if found is None:
            return "no"
        if not flow.client_known and found.from_client is not None:
            _face(flow, segment, from_client=found.from_client)
        message = Message(
            segment.ts_ns, found.protocol, flow.client, flow.server, BUILT_IN, flow=flow
        )
        message.resource = clean(found.says, 1_024)
        for name, value in found.facts.items():
            message.note(name, value)
        return Opaque(), [message]

    def _head(self, flow: Flow, segment: Segment) -> bytes:
        """What the sender of a segment said before it that was too short to tell."""
        head = self._heads.get(flow.number)
        return head.payload if head and head.side is flow.sides[flow.direction(segment)] else b""


def _face(flow: Flow, segment: Segment, *, from_client: bool) -> None:
    speaker = CLIENT_TO_SERVER if from_client else SERVER_TO_CLIENT
    if flow.direction(segment) != speaker:
        flow.flip()
