"""What reads the payload of a flow: the face of all readers, a Wasm plugin, and nothing."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, Protocol

from engine.traffic.flows import Direction, Flow
from engine.traffic.messages import (
    Message,
    Pending,
)
from engine.traffic.packets import Segment
from engine.traffic.reasons import Dropped
from engine.wasm.abi import (
    CLIENT_TO_SERVER,
    EBPF_NONE,
    BaseContext,
)

if TYPE_CHECKING:  # Wasmtime is not loaded for traffic without plugins
    from engine.wasm.host import WasmHost
    from engine.wasm.infos import Info
    from engine.wasm.outcome import Claim, Outcome

PAYLOAD_LIMIT = 1_024
"""How much payload a plugin is given, in bytes, unless told otherwise; as in the DeepFlow agent."""

_EBPF_SYSCALL = 0
_COMM = 15
"""Length of a process name as plugins get it, filled with NUL."""


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
