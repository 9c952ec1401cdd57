"""Byte layouts of the DeepFlow Wasm ABI: what the host writes for a plugin and what it reads back.

Source: DeepFlow agent and its Go SDK. Integers are big-endian; `str` is a u16 length followed by
that many bytes. Result records have a module of their own, `engine.wasm.infos`.
"""

from __future__ import annotations

import struct
from dataclasses import dataclass
from enum import StrEnum

from engine.core.errors import WasmError

CLIENT_TO_SERVER = 0
SERVER_TO_CLIENT = 1

TCP = 6
UDP = 17

L7_UNKNOWN = 0
L7_HTTP1, L7_HTTP2, L7_GRPC, L7_TRIPLE = 20, 21, 41, 49
"""The agent's own numbers in HTTP hooks; payload protocols are numbered by the plugins."""
L7_WEBSPHERE_MQ = 108
"""The one number of the agent's own that `parse_payload` may be given."""

EBPF_SYSCALL, EBPF_TLS, EBPF_UNIX_SOCKET = 0, 1, 8
EBPF_NONE = 255
"""eBPF type of a packet capture."""

_COMM_SIZE = 15

_U16_MAX = 0xFFFF
_RESPONSE_HEAD = struct.Struct(">HB")


class DecodeError(WasmError):
    """Bytes of a plugin do not have the layout they should have."""

    def __init__(self, what: str, offset: int, reason: str) -> None:
        super().__init__(f"{what}: byte {offset}: {reason}")
        self.what = what
        self.offset = offset
        self.reason = reason


class Hook(StrEnum):
    """What a plugin can ask to be called for."""

    HTTP_REQUEST = "http_request"
    HTTP_RESPONSE = "http_response"
    CUSTOM_MESSAGE = "custom_message"
    PAYLOAD = "payload"


_HOOK_BITS = {
    Hook.HTTP_REQUEST: 127,
    Hook.HTTP_RESPONSE: 126,
    Hook.CUSTOM_MESSAGE: 125,
    Hook.PAYLOAD: 0,
}
HOOK_BITMAP_SIZE = 16
CUSTOM_FILTER_SIZE = 8


def decode_hooks(bitmap: bytes) -> tuple[Hook, ...]:
    """The hooks set in the u128 of `get_hook_bitmap`; bits without a meaning are ignored.

    Raises:
        DecodeError: if there are not exactly 16 bytes.
    """
    if len(bitmap) != HOOK_BITMAP_SIZE:
        raise DecodeError(
            "hook bitmap", len(bitmap), f"{HOOK_BITMAP_SIZE} bytes expected, {len(bitmap)} given"
        )
    value = int.from_bytes(bitmap, "big")
    return tuple(hook for hook, bit in _HOOK_BITS.items() if value >> bit & 1)


@dataclass(frozen=True, slots=True)
class CustomFilter:
    """Which custom messages a plugin wants (u64 of `get_custom_message_hook`)."""

    everything: bool
    hook_point: int
    """0 protocol parse, 1 session filter, 2 sampling; the agent emits only 0."""
    type_code: int
    """Number of the L7 protocol."""

    def matches(self, hook_point: int, type_code: int) -> bool:
        """Whether the agent would call the plugin; equality, as the agent compares.

        The SDK's "response" form sets bit 16 of the type code, which no message carries, so
        it never matches.
        """
        return self.everything or (hook_point, type_code) == (self.hook_point, self.type_code)


NO_FILTER = CustomFilter(everything=False, hook_point=0, type_code=0)
"""What the SDK returns for a plugin that wants no custom message; no protocol has number 0."""


def decode_custom_filter(filter_bytes: bytes) -> CustomFilter:
    """Read the u64 of `get_custom_message_hook`.

    Raises:
        DecodeError: if there are not exactly 8 bytes.
    """
    if len(filter_bytes) != CUSTOM_FILTER_SIZE:
        raise DecodeError(
            "custom message filter",
            len(filter_bytes),
            f"{CUSTOM_FILTER_SIZE} bytes expected, {len(filter_bytes)} given",
        )
    everything, hook_point, type_code = struct.unpack(">HHI", filter_bytes)
    return CustomFilter(everything != 0, hook_point, type_code)


@dataclass(frozen=True, slots=True)
class BaseContext:
    """VmCtxBase: the packet a hook is called for."""

    src: bytes
    """Sender of this packet, packed: 4 bytes for IPv4, 16 for IPv6; `dst` is as long."""
    dst: bytes
    src_port: int
    dst_port: int
    time_us: int
    """Microseconds since the epoch."""
    direction: int = CLIENT_TO_SERVER
    l4: int = TCP
    l7: int = L7_UNKNOWN
    ebpf_type: int = EBPF_NONE
    process: bytes = b""
    """Empty for packet captures; 15 NUL-padded bytes for eBPF sources. At most 255."""
    flow_id: int = 0
    buffer_size: int = 1024
    """How much payload the host keeps, in bytes; cut to 65535."""

    def encode(self) -> bytes:
        """The bytes `vm_read_ctx_base` writes: 36 + n for IPv4, 60 + n for IPv6."""
        return b"".join(
            (
                b"\x04" if len(self.src) == 4 else b"\x06",
                self.src,
                self.dst,
                struct.pack(
                    ">HHBBBQBB",
                    self.src_port,
                    self.dst_port,
                    self.l4,
                    self.l7,
                    self.ebpf_type,
                    self.time_us,
                    self.direction,
                    len(self.process),
                ),
                self.process,
                struct.pack(">QH", self.flow_id, min(self.buffer_size, _U16_MAX)),
            )
        )


def ebpf_process(comm: bytes) -> bytes:
    """A process name as eBPF sources give it: always 15 bytes, padded with NUL.

    A plugin that compares it with a name must therefore trim it first.
    """
    return comm[:_COMM_SIZE].ljust(_COMM_SIZE, b"\0")


def encode_string(text: bytes) -> bytes:
    """A `str`; what does not fit a u16 length is cut off."""
    text = text[:_U16_MAX]
    return len(text).to_bytes(2, "big") + text


@dataclass(frozen=True, slots=True)
class HttpRequest:
    """VmHttpReqCtx; a header that is missing is empty."""

    path: bytes
    """With the query."""
    host: bytes = b""
    user_agent: bytes = b""
    referer: bytes = b""

    def encode(self) -> bytes:
        """The bytes `vm_read_http_req_info` writes."""
        strings = (self.path, self.host, self.user_agent, self.referer)
        return b"".join(encode_string(text) for text in strings)


class Status:
    """Response status of the ABI. 1 is not used."""

    OK = 0
    TIMEOUT = 2
    SERVER_ERROR = 3
    CLIENT_ERROR = 4
    UNKNOWN = 5


STATUS_NAMES = {
    Status.OK: "ok",
    Status.TIMEOUT: "timeout",
    Status.SERVER_ERROR: "server error",
    Status.CLIENT_ERROR: "client error",
    Status.UNKNOWN: "unknown",
}


def http_status(code: int) -> int:
    """The ABI's status for an HTTP status code."""
    match code // 100:
        case 4:
            return Status.CLIENT_ERROR
        case 5:
            return Status.SERVER_ERROR
    return Status.OK


@dataclass(frozen=True, slots=True)
class HttpResponse:
    """VmHttpRespCtx."""

    code: int
    endpoint: bytes = b""
    """Endpoint of the request this answers."""

    def encode(self, capacity: int) -> bytes:
        """The bytes `vm_read_http_resp_info` writes into `capacity` bytes.

        The endpoint is left out where it does not fit: plugins of older SDKs offer room for the
        code and the status alone, the oldest for the code alone. Empty where not even that fits.
        """
        if capacity < _RESPONSE_HEAD.size:
            return (self.code & _U16_MAX).to_bytes(2, "big") if capacity == 2 else b""
        head = _RESPONSE_HEAD.pack(self.code & _U16_MAX, http_status(self.code))
        tail = encode_string(self.endpoint)
        return head + tail if len(head) + len(tail) <= capacity else head


_CUSTOM_HEAD = struct.Struct(">HII")


@dataclass(frozen=True, slots=True)
class CustomMessage:
    """What `on_custom_message` is called for: a message that the agent has parsed itself."""

    type_code: int
    """The agent's number of the protocol, see `engine.wasm.custom`."""
    message: bytes = b""
    """Protobuf; empty for the protocols that have none."""
    hook_point: int = 0
    """0 protocol parse; the agent emits no other."""

    def encode(self) -> bytes:
        """The bytes `vm_read_custom_message_info` writes."""
        head = _CUSTOM_HEAD.pack(self.hook_point, self.type_code, len(self.message))
        return head + self.message


def decode_string(encoded: bytes) -> bytes:
    """The one `str` of `host_read_str_result`; bytes after it are ignored, as in the agent.

    Raises:
        DecodeError: if the length is missing or points past the end.
    """
    if len(encoded) < 2:
        raise DecodeError("string result", 0, f"2 bytes of length expected, {len(encoded)} given")
    length = int.from_bytes(encoded[:2], "big")
    if 2 + length > len(encoded):
        raise DecodeError("string result", 2, f"{length} bytes announced, {len(encoded) - 2} there")
    return encoded[2 : 2 + length]


@dataclass(frozen=True, slots=True)
class Verdict:
    """What `check_payload` claims."""

    number: int
    """Protocol number, 1-255, private to the plugins."""
    direction: int
    """Whether the payload is a request (0, client to server) or a response (1)."""


def decode_verdict(returned: int) -> Verdict | None:
    """The meaning of what `check_payload` returned; None = not mine.

    Raises:
        DecodeError: if the value has no meaning.
    """
    high, number = returned >> 8, returned & 0xFF
    if number == 0:
        return None
    match high:
        case 0 | 1:
            return Verdict(number, CLIENT_TO_SERVER)
        case 2:
            return Verdict(number, SERVER_TO_CLIENT)
    raise DecodeError(
        "check_payload", 0, f"returned {returned}: bits 8 and up must be 0, 1 (request) or 2"
    )
