"""The `deepflow` functions a plugin calls.

They speak of guest memory through `GuestMemory` alone, so they do not depend on how they are
linked to a Wasm runtime. Source: DeepFlow agent. Pointers and lengths are u32; a range that leaves
the memory is answered with 0 and noted, never followed.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Protocol

from engine.wasm import abi
from engine.wasm.infos import Info
from engine.wasm.journal import Journal
from engine.wasm.legacy import decode_http_result
from engine.wasm.results import decode_infos

_MAX_LOG_BYTES = 4_096
_MAX_RESULT = 1 << 20


class GuestMemory(Protocol):
    """The linear memory of the plugin that called."""

    def read(self, pointer: int, length: int) -> bytes:
        """A copy of a range that `contains` has confirmed."""

    def write(self, pointer: int, content: bytes) -> None:
        """Write to a range that `contains` has confirmed."""

    def contains(self, pointer: int, length: int) -> bool:
        """Whether the range lies in the memory."""


@dataclass(slots=True)
class CallContext:
    """One message offered to the plugins of a chain, and the slot they answer in.

    The slot belongs to the message, not to the plugin: what one plugin left there before it
    passed the message on is found by the next, as in the agent. It holds infos or a string: one
    takes the place of the other.
    """

    base: abi.BaseContext
    payload: bytes
    request: abi.HttpRequest | None = None
    response: abi.HttpResponse | None = None
    custom: abi.CustomMessage | None = None
    name: str = ""
    """In `parse_payload`: what the check called the protocol."""
    infos: tuple[Info, ...] = ()
    string: bytes = b""

    def put_infos(self, infos: tuple[Info, ...]) -> None:
        """Leave infos in the slot."""
        self.infos, self.string = infos, b""

    def put_string(self, string: bytes) -> None:
        """Leave a string in the slot."""
        self.infos, self.string = (), string


class HostFunctions:
    """The functions of one plugin instance; they act on the context of the running call.

    Every method takes unsigned 32-bit numbers and returns what the plugin gets.

    Args:
        any_sdk: Accept results of SDKs that agents no longer understand.
        short_response: Give an HTTP response also to a plugin that has room for its code alone,
            as agents did until 2023-08-30.
    """

    def __init__(self, *, any_sdk: bool = False, short_response: bool = False) -> None:
        self._any_sdk = any_sdk
        self._least_response = 2 if short_response else 3
        self.context: CallContext | None = None
        self.journal = Journal()
        self.broken: BaseException | None = None
        """An error of the host itself, to be raised once the plugin has returned."""
        self.excuse_waiting: Callable[[], None] = _nothing
        """Called as each function begins: the plugin is not to blame for the time it waited."""

    def table(self) -> dict[str, Callable[[GuestMemory, int, int], int]]:
        """The two-argument `deepflow` functions by name."""
        return {
            "vm_read_ctx_base": self.vm_read_ctx_base,
            "vm_read_payload": self.vm_read_payload,
            "vm_read_http_req_info": self.vm_read_http_req_info,
            "vm_read_http_resp_info": self.vm_read_http_resp_info,
            "vm_read_custom_message_info": self.vm_read_custom_message_info,
            "host_read_l7_protocol_info": self.host_read_l7_protocol_info,
            "host_read_str_result": self.host_read_str_result,
            "host_read_http_result": self.host_read_http_result,
        }

    def wasm_log(self, memory: GuestMemory, pointer: int, length: int, level: int) -> None:
        """Take one log line."""
        if not memory.contains(pointer, length):
            self.journal.fault(f"wasm_log: {_outside(pointer, length)}")
        else:
            self.journal.log(level, memory.read(pointer, min(length, _MAX_LOG_BYTES)))

    def vm_read_ctx_base(self, memory: GuestMemory, pointer: int, capacity: int) -> int:
        """Write the base context."""
        name = "vm_read_ctx_base"
        context = self._context(name)
        if context is None:
            return 0
        return self._give(name, memory, pointer, capacity, context.base.encode())

    def vm_read_payload(self, memory: GuestMemory, pointer: int, capacity: int) -> int:
        """Write the payload; -1 when the buffer is shorter, 0 when it leaves the memory."""
        context = self._context("vm_read_payload")
        if context is None:
            return 0
        if memory.contains(pointer, capacity) and capacity < len(context.payload):
            self.journal.fault(
                f"vm_read_payload: buffer of {capacity} bytes for {len(context.payload)}"
            )
            return -1
        return self._give("vm_read_payload", memory, pointer, capacity, context.payload)

    def vm_read_http_req_info(self, memory: GuestMemory, pointer: int, capacity: int) -> int:
        """Write the HTTP request; 0 in any other hook."""
        name = "vm_read_http_req_info"
        context = self._context(name)
        if context is None:
            return 0
        if context.request is None:
            return self._refuse(name, "not in an HTTP request hook")
        return self._give(name, memory, pointer, capacity, context.request.encode())

    def vm_read_http_resp_info(self, memory: GuestMemory, pointer: int, capacity: int) -> int:
        """Write the HTTP response; 0 in any other hook."""
        name = "vm_read_http_resp_info"
        context = self._context(name)
        if context is None:
            return 0
        if context.response is None:
            return self._refuse(name, "not in an HTTP response hook")
        least = self._least_response
        encoded = context.response.encode(capacity) if capacity >= least else b""
        if not encoded:
            return self._refuse(name, f"buffer of {capacity} bytes, {least} are needed")
        return self._give(name, memory, pointer, capacity, encoded)

    def vm_read_custom_message_info(self, memory: GuestMemory, pointer: int, capacity: int) -> int:
        """Write the custom message; 0 in any other hook."""
        name = "vm_read_custom_message_info"
        context = self._context(name)
        if context is None:
            return 0
        if context.custom is None:
            return self._refuse(name, "not in a custom message hook")
        return self._give(name, memory, pointer, capacity, context.custom.encode())

    def host_read_l7_protocol_info(self, memory: GuestMemory, pointer: int, length: int) -> int:
        """Take the info list; 1 replaces what the slot held, 0 leaves it."""
        return self._take_infos(
            "host_read_l7_protocol_info",
            memory,
            pointer,
            length,
            lambda encoded, direction: decode_infos(encoded, direction, any_sdk=self._any_sdk),
        )

    def host_read_http_result(self, memory: GuestMemory, pointer: int, length: int) -> int:
        """Take the result of an HTTP hook in the form of before 2023-08-30."""
        return self._take_infos(
            "host_read_http_result",
            memory,
            pointer,
            length,
            lambda encoded, _: (decode_http_result(encoded),),
        )

    def host_read_str_result(self, memory: GuestMemory, pointer: int, length: int) -> int:
        """Take the protocol name of `check_payload`."""
        name = "host_read_str_result"
        context, encoded = self._take(name, memory, pointer, length)
        if context is None or encoded is None:
            return 0
        try:
            string = abi.decode_string(encoded)
        except abi.DecodeError as error:
            self.journal.rejected = error.message
            return 0
        if context.infos:
            self.journal.note(f"{name}: the string takes the place of the result sent before it")
        context.put_string(string)
        return 1

    def _take_infos(
        self,
        name: str,
        memory: GuestMemory,
        pointer: int,
        length: int,
        decode: Callable[[bytes, int], tuple[Info, ...]],
    ) -> int:
        context, encoded = self._take(name, memory, pointer, length)
        if context is None or encoded is None:
            return 0
        self.journal.result = encoded
        try:
            infos = decode(encoded, context.base.direction)
        except abi.DecodeError as error:
            self.journal.rejected = error.message
            return 0
        if context.string:
            self.journal.note(f"{name}: the result takes the place of the string sent before it")
        context.put_infos(infos)
        self.journal.sent_result = True
        return 1

    def _context(self, name: str) -> CallContext | None:
        if self.context is None:
            self.journal.fault(f"{name}: called where there is no message")
        return self.context

    def _refuse(self, name: str, why: str) -> int:
        self.journal.fault(f"{name}: {why}")
        return 0

    def _give(
        self, name: str, memory: GuestMemory, pointer: int, capacity: int, encoded: bytes
    ) -> int:
        if not memory.contains(pointer, capacity):
            return self._refuse(name, _outside(pointer, capacity))
        if capacity < len(encoded):
            return self._refuse(name, f"buffer of {capacity} bytes for {len(encoded)}")
        memory.write(pointer, encoded)
        return len(encoded)

    def _take(
        self, name: str, memory: GuestMemory, pointer: int, length: int
    ) -> tuple[CallContext | None, bytes | None]:
        context = self._context(name)
        if length > _MAX_RESULT:
            self.journal.rejected = f"{name}: {length} bytes, more than {_MAX_RESULT}"
            return context, None
        if not memory.contains(pointer, length):
            self.journal.rejected = f"{name}: {_outside(pointer, length)}"
            return context, None
        return context, memory.read(pointer, length)


def _nothing() -> None:
    """There is nothing to excuse outside a call."""


def _outside(pointer: int, length: int) -> str:
    return f"{length} bytes at {pointer:#x} leave the memory"
