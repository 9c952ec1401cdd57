"""What turns the payload of a flow into messages: HTTP/1, a Wasm plugin, or nothing."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, Protocol

from engine.core.sanitise import clean
from engine.traffic.flows import Direction, Flow
from engine.traffic.http1 import (
    HeadTooLong,
    MalformedHttp,
    RequestHead,
    RequestStream,
    ResponseHead,
    ResponseStream,
)
from engine.traffic.messages import (
    BUILT_IN,
    Message,
    Pending,
)
from engine.traffic.packets import Segment
from engine.traffic.reasons import Dropped
from engine.wasm.abi import (
    CLIENT_TO_SERVER,
    EBPF_NONE,
    BaseContext,
    HttpRequest,
    HttpResponse,
)

if TYPE_CHECKING:  # Wasmtime is not loaded for traffic without plugins
    from engine.wasm.host import Claim, Outcome, WasmHost
    from engine.wasm.infos import Info

PAYLOAD_LIMIT = 1_024
"""How much payload a plugin is given, in bytes, unless told otherwise; as in the DeepFlow agent."""

_EBPF_SYSCALL = 0
_COMM = 15
"""Length of a process name as plugins get it, filled with NUL."""

_TEXT = 1_024


class Parser(Protocol):
    """Reads the payload of one flow."""

    def feed(self, segment: Segment, direction: Direction, payload: bytes) -> Iterator[Message]:
        """The messages that are complete with this payload.

        Raises:
            Dropped: if the payload could not be used.
        """

    def finish(self) -> list[Message]:
        """Requests that were never answered."""

    def expired(self, before_ns: int) -> list[Message]:
        """Requests asked before then that have no answer yet."""

    @property
    def proven(self) -> bool:
        """Whether at least one message was recognised."""


def base_context(
    flow: Flow, segment: Segment, direction: Direction, limit: int = PAYLOAD_LIMIT
) -> BaseContext:
    """The segment as plugins see it."""
    owner = segment.owner
    comm = b"" if owner is None else owner.comm.encode()[:_COMM].ljust(_COMM, b"\0")
    return BaseContext(
        src=segment.src,
        dst=segment.dst,
        src_port=segment.src_port,
        dst_port=segment.dst_port,
        time_us=segment.ts_ns // 1_000,
        direction=direction,
        l4=segment.l4,
        flow_id=flow.number,
        buffer_size=limit,
        process=comm,
        ebpf_type=EBPF_NONE if owner is None else _EBPF_SYSCALL,
    )


class Opaque:
    """Takes payload without making anything of it: the flow's protocol stays unknown."""

    proven = True

    def feed(self, segment: Segment, direction: Direction, payload: bytes) -> Iterator[Message]:
        """Nothing comes of it."""
        return iter(())

    def finish(self) -> list[Message]:
        """Nothing waits."""
        return []

    def expired(self, before_ns: int) -> list[Message]:
        """Nothing waits."""
        return []


class HttpParser:
    """HTTP/1 of one connection; every request and response is offered to the plugins."""

    def __init__(self, flow: Flow, wasm: WasmHost | None, limit: int = PAYLOAD_LIMIT) -> None:
        self._flow = flow
        self._wasm = wasm
        self._limit = limit
        self._requests = RequestStream()
        self._responses = ResponseStream()
        self._pending = Pending()
        self._upgraded = False
        self.proven = False

    def feed(self, segment: Segment, direction: Direction, payload: bytes) -> Iterator[Message]:
        """The exchanges whose response head ends in this payload."""
        side = self._flow.sides[direction]
        if side.lost:
            self._resume(direction)
            if direction != CLIENT_TO_SERVER:
                # The answers of those that wait may have been in what is missing.
                yield from self._pending.drain()
        try:
            if self._upgraded:
                return
            if direction == CLIENT_TO_SERVER:
                yield from self._read_requests(segment, payload)
            else:
                yield from self._read_responses(segment, payload)
        except MalformedHttp as error:
            self._resume(direction)
            raise Dropped("gap" if side.lost else "malformed") from error
        except HeadTooLong as error:
            self._resume(direction)
            raise Dropped("buffer_full") from error
        side.lost = segment.missing > 0 and not self._step_over(segment.missing, direction)

    def finish(self) -> list[Message]:
        """Requests without an answer."""
        return self._pending.drain()

    def expired(self, before_ns: int) -> list[Message]:
        """Requests asked before then that have no answer yet."""
        return self._pending.expired(before_ns)

    def _step_over(self, count: int, direction: Direction) -> bool:
        """Pass over bytes of a body that were not captured; False if the body's end is unknown."""
        stream = self._requests if direction == CLIENT_TO_SERVER else self._responses
        try:
            return stream.skip(count)
        except MalformedHttp:
            return False

    def _resume(self, direction: Direction) -> None:
        """Expect a new message: where the last one stopped is unknown."""
        if direction == CLIENT_TO_SERVER:
            self._requests = RequestStream()
        else:
            self._responses = ResponseStream()

    def _read_requests(self, segment: Segment, payload: bytes) -> Iterator[Message]:
        for head in self._requests.feed(payload):
            self.proven = True
            message = self._request_message(segment, head)
            self._offer_request(segment, head, message)
            yield from self._pending.ask(message)

    def _read_responses(self, segment: Segment, payload: bytes) -> Iterator[Message]:
        for head in self._responses.feed(payload):
            self.proven = True
            if 100 <= head.status < 200 and head.status != 101:
                continue
            message = self._pending.answered()
            if message is None:
                message = self._message(segment)
            message.answer(segment.ts_ns)
            message.response_bytes = head.size
            if message.method == "HEAD":
                self._responses.skip_body()
                message.response_bytes = head.head_size
            message.status = str(head.status)
            self._offer_response(segment, head, message)
            connected = message.method == "CONNECT" and 200 <= head.status < 300
            self._upgraded = head.status == 101 or connected
            yield message
            if self._upgraded:
                return

    def _message(self, segment: Segment) -> Message:
        flow = self._flow
        return Message(segment.ts_ns, "HTTP", flow.client, flow.server, BUILT_IN, flow=flow)

    def _request_message(self, segment: Segment, head: RequestHead) -> Message:
        message = self._message(segment)
        message.asked = True
        message.request_bytes = head.size
        message.method = clean(head.method, 32)
        message.resource = clean(head.target, _TEXT)
        message.endpoint = clean(head.target.partition(b"?")[0], _TEXT)
        message.head("host", head.host)
        message.head("user_agent", head.user_agent)
        message.head("referer", head.referer)
        return message

    def _offer_request(self, segment: Segment, head: RequestHead, message: Message) -> None:
        if self._wasm is None:
            return
        outcome = self._wasm.on_http_req(
            base_context(self._flow, segment, 0, self._limit),
            HttpRequest(head.target, head.host, head.user_agent, head.referer),
            head.payload[: self._limit],
        )
        message.calls += self._wasm.last_calls
        if outcome is not None and outcome.after:
            message.merge(outcome, outcome.after[-1])

    def _offer_response(self, segment: Segment, head: ResponseHead, message: Message) -> None:
        if self._wasm is None:
            return
        outcome = self._wasm.on_http_resp(
            base_context(self._flow, segment, 1, self._limit),
            HttpResponse(head.status, message.endpoint.encode()),
            head.payload[: self._limit],
        )
        message.calls += self._wasm.last_calls
        if outcome is not None and outcome.after:
            message.merge(outcome, outcome.after[-1])


class WasmParser:
    """A protocol that a plugin claimed; every segment is one payload, as in the agent."""

    proven = True

    def __init__(
        self, flow: Flow, wasm: WasmHost, claim: Claim, limit: int = PAYLOAD_LIMIT
    ) -> None:
        self._flow = flow
        self._limit = limit
        self._wasm = wasm
        self.claim = claim
        """Whose protocol it is."""
        self._pending = Pending()

    def feed(self, segment: Segment, direction: Direction, payload: bytes) -> Iterator[Message]:
        """The messages that are complete with this payload."""
        outcome = self._wasm.parse_payload(
            base_context(self._flow, segment, direction, self._limit),
            payload[: self._limit],
            self.claim.number,
            self.claim.name,
        )
        if outcome is None:
            raise Dropped("not_parsed")
        calls = self._wasm.last_calls
        for info, log in zip(outcome.infos, outcome.after, strict=True):
            made = self._made(segment, direction, outcome, info)
            made.calls += calls
            made.merge(outcome, log)
            if direction == CLIENT_TO_SERVER and not info.is_async:
                yield from self._pending.ask(made, info.request_id)
            else:
                yield made

    def finish(self) -> list[Message]:
        """Requests without an answer."""
        return self._pending.drain()

    def expired(self, before_ns: int) -> list[Message]:
        """Requests asked before then that have no answer yet."""
        return self._pending.expired(before_ns)

    def _made(
        self, segment: Segment, direction: Direction, outcome: Outcome, info: Info
    ) -> Message:
        """The message an info is of: a new one, or the request it answers."""
        if direction == CLIENT_TO_SERVER:
            message = self._message(segment, outcome.plugin)
            message.request_bytes = info.req_len
            message.asked = not info.is_async
            return message
        asked = None if info.is_async else self._pending.answered(info.request_id)
        message = asked or self._message(segment, outcome.plugin)
        if not info.is_async:
            message.answer(segment.ts_ns)
        message.response_bytes = info.resp_len
        return message

    def _message(self, segment: Segment, plugin: str) -> Message:
        name = self.claim.name or f"protocol {self.claim.number}"
        flow = self._flow
        return Message(segment.ts_ns, name, flow.client, flow.server, plugin, flow=flow)
