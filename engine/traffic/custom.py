"""Protocols whose messages plugins get as custom messages: what their parsers have in common.

Source: DeepFlow agent, custom messages. NATS messages that carry data and ZMTP frames come with a
message of their own, those of Dubbo and RocketMQ with the payload alone. Both directions are
offered.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterator
from typing import TYPE_CHECKING, ClassVar, NamedTuple

from engine.traffic.flows import Direction, Flow
from engine.traffic.messages import BUILT_IN, Message, Pending
from engine.traffic.packets import Segment
from engine.traffic.parsers import PAYLOAD_LIMIT, base_context
from engine.traffic.reasons import Dropped
from engine.wasm.abi import CustomMessage

if TYPE_CHECKING:  # Wasmtime is not loaded for traffic without plugins
    from engine.wasm.host import WasmHost

_MOST_HELD = 1 << 20
"""Longest message that is put together, in bytes."""


class Piece(NamedTuple):
    """One whole message in a stream."""

    end: int
    """Where it ends."""
    message: Message | None = None
    """None for what only keeps the connection going."""
    custom: CustomMessage | None = None
    """What plugins are given for it; None = they are not asked."""
    request_id: int | None = None
    """Under which its answer will come, where there will be one."""


class CustomParser(ABC):
    """Reads the streams of one connection, and offers its messages to the plugins."""

    protocol: ClassVar[str]
    proven = True

    def __init__(self, flow: Flow, wasm: WasmHost | None, limit: int = PAYLOAD_LIMIT) -> None:
        self.flow = flow
        self.pending = Pending()
        self._wasm = wasm
        self._limit = limit
        self._rest = [b"", b""]

    def feed(self, segment: Segment, direction: Direction, payload: bytes) -> Iterator[Message]:
        """The messages that are complete with this payload."""
        side = self.flow.sides[direction]
        after_loss, side.lost = side.lost, segment.missing > 0
        data = payload if after_loss else self._rest[direction] + payload
        pieces: list[Piece] = []
        fault: Dropped | None = None
        try:
            for piece in self.read(segment, direction, data):
                pieces.append(piece)  # noqa: PERF402  # those before a fault are kept
        except Dropped as dropped:
            fault = Dropped("gap") if after_loss else dropped
        used = pieces[-1].end if pieces else 0
        rest = b"" if fault else data[used:]
        if len(rest) > _MOST_HELD:
            rest, fault, side.lost = b"", Dropped("buffer_full"), True
        self._rest[direction] = rest
        for piece in pieces:
            if piece.message is not None:
                self._offer(segment, direction, piece, self.beside(payload, rest))
                yield from self._given(piece, piece.message)
        if fault is not None:
            side.lost = True
            raise fault

    @abstractmethod
    def read(self, segment: Segment, direction: Direction, data: bytes) -> Iterator[Piece]:
        """Every whole message in a stretch of the stream.

        Raises:
            Dropped: if the bytes are no such thing.
        """

    def beside(self, payload: bytes, rest: bytes) -> bytes:
        """What plugins read as the payload of a message: the whole segment."""
        return payload

    def message(self, segment: Segment) -> Message:
        """A new message of this connection."""
        flow = self.flow
        return Message(segment.ts_ns, self.protocol, flow.client, flow.server, BUILT_IN, flow=flow)

    def finish(self) -> list[Message]:
        """Requests without an answer."""
        return self.pending.drain()

    def expired(self, before_ns: int) -> list[Message]:
        """Requests asked before then that have no answer yet."""
        return self.pending.expired(before_ns)

    def _given(self, piece: Piece, message: Message) -> Iterator[Message]:
        if piece.request_id is None:
            yield message
        else:
            message.asked = True
            yield from self.pending.ask(message, piece.request_id)

    def _offer(self, segment: Segment, direction: Direction, piece: Piece, payload: bytes) -> None:
        if self._wasm is None or piece.custom is None or piece.message is None:
            return
        context = base_context(self.flow, segment, direction, self._limit)
        outcome = self._wasm.on_custom_message(context, piece.custom, payload[: self._limit])
        piece.message.calls += self._wasm.last_calls
        if outcome is not None and outcome.after:
            piece.message.merge(outcome, outcome.after[-1])
