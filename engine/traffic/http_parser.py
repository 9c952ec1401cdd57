"""HTTP/1 of one connection: requests and responses in pairs, also where bytes are missing."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

from engine.core.sanitise import clean
from engine.traffic.flows import Direction, Flow
from engine.traffic.http1 import RequestHead, RequestStream, ResponseHead, ResponseStream
from engine.traffic.http_heads import HeadTooLong, MalformedHttp, OutOfStep
from engine.traffic.messages import BUILT_IN, Message, Pending
from engine.traffic.packets import Segment
from engine.traffic.parsers import PAYLOAD_LIMIT, base_context
from engine.traffic.reasons import Dropped
from engine.wasm.abi import CLIENT_TO_SERVER, SERVER_TO_CLIENT, HttpRequest, HttpResponse

if TYPE_CHECKING:  # Wasmtime is not loaded for traffic without plugins
    from engine.wasm.host import WasmHost

_TEXT = 1_024


class HttpParser:
    """HTTP/1 of one connection; every request and response is offered to the plugins."""

    def __init__(self, flow: Flow, wasm: WasmHost | None, limit: int = PAYLOAD_LIMIT) -> None:
        self._flow = flow
        self._wasm = wasm
        self._limit = limit
        self._requests = RequestStream()
        self._responses = ResponseStream()
        self._pending = Pending(all_answered=True)
        self._upgraded = False
        self._client_spoke = False
        """Since the last response."""
        self._doubtful = False
        """The answer of the one that waits may have been lost, or be still to come."""
        self.proven = False

    def feed(self, segment: Segment, direction: Direction, payload: bytes) -> Iterator[Message]:
        """The exchanges whose response head ends in this payload."""
        side = self._flow.sides[direction]
        if side.lost:
            side.lost = False
            self._resume(direction, lost=True)
            yield from self._give_up(direction)
        if self._upgraded:
            return
        try:
            if direction == CLIENT_TO_SERVER:
                yield from self._read_requests(segment, payload)
            else:
                yield from self._read_responses(segment, payload)
        except OutOfStep as error:
            yield from self._give_up(direction)
            raise Dropped("gap") from error
        except MalformedHttp as error:
            self._resume(direction)
            yield from self._doubt(direction)
            raise Dropped("malformed") from error
        except HeadTooLong as error:
            self._resume(direction)
            yield from self._doubt(direction)
            raise Dropped("buffer_full") from error
        if segment.missing and not self._step_over(segment.missing, direction):
            yield from self._cut(segment, direction)
            if not payload:
                raise Dropped("truncated")

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

    def _cut(self, segment: Segment, direction: Direction) -> Iterator[Message]:
        """Make what there is to make of a head that was not captured whole."""
        if direction == CLIENT_TO_SERVER:
            asked = self._requests.cut(segment.missing)
            if asked is not None:
                yield from self._requested(segment, asked)
            return
        head = self._responses.cut(segment.missing)
        if head is not None:
            yield from self._responded(segment, head)
        if head is not None and head.interim and len(self._pending) == 1:
            self._doubtful = True
        elif not self._responses.in_body:
            yield from self._give_up(direction)

    def _give_up(self, direction: Direction) -> list[Message]:
        """What has no answer any more: it may have been in bytes of the server that were lost."""
        return [] if direction == CLIENT_TO_SERVER else self._pending.drain()

    def _doubt(self, direction: Direction) -> list[Message]:
        """What may have been answered in bytes of the server that could not be read.

        One alone is waited for until the client asks again.
        """
        if direction == SERVER_TO_CLIENT and len(self._pending) == 1:
            self._doubtful = True
            return []
        return self._give_up(direction)

    def _resume(self, direction: Direction, *, lost: bool = False) -> None:
        """Expect a new message: where the last one stopped is unknown."""
        if direction == CLIENT_TO_SERVER:
            self._requests = RequestStream(lost=lost)
        else:
            self._responses = ResponseStream(lost=lost)

    def _read_requests(self, segment: Segment, payload: bytes) -> Iterator[Message]:
        self._client_spoke = True
        for head in self._requests.feed(payload):
            yield from self._requested(segment, head)

    def _requested(self, segment: Segment, head: RequestHead) -> Iterator[Message]:
        self.proven = True
        message = self._request_message(segment, head)
        self._offer_request(segment, head, message)
        if self._doubtful:  # whoever asks again has had the answer
            self._doubtful = False
            yield from self._pending.drain()
        yield from self._pending.ask(message)

    def _read_responses(self, segment: Segment, payload: bytes) -> Iterator[Message]:
        if self._responses.lost and not self._awaits_response():
            if not self._responses.skip(len(payload)):
                raise OutOfStep("nothing was asked that this could answer")
            return
        for head in self._responses.feed(payload):
            yield from self._responded(segment, head)
            if self._upgraded:
                return

    def _awaits_response(self) -> bool:
        """Whether a response may come; if not, what looks like one is text of a body."""
        asked_unheard = self._flow.sides[CLIENT_TO_SERVER].lost
        return bool(self._pending) or self._client_spoke or asked_unheard

    def _responded(self, segment: Segment, head: ResponseHead) -> Iterator[Message]:
        self.proven = True
        if head.interim:
            return
        self._client_spoke = self._doubtful = False
        message = self._pending.answered()
        if message is None:
            message = self._message(segment)
        message.answer(segment.ts_ns)
        message.response_bytes = head.size
        if message.method == "HEAD":
            self._responses.skip_body()
            message.response_bytes = head.head_size
        message.status = str(head.status)
        _note_missing(message, "response_head", head.missing)
        self._offer_response(segment, head, message)
        connected = message.method == "CONNECT" and 200 <= head.status < 300
        self._upgraded = head.status == 101 or connected
        yield message

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
        _note_missing(message, "request_head", head.missing)
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


def _note_missing(message: Message, which: str, count: int) -> None:
    """Say of a message that a head of it is not whole."""
    if count:
        message.note(which, f"not captured whole: {count} bytes missing")
