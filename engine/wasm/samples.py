"""Messages that a plugin is shown when it is inspected."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

from engine.wasm.abi import (
    SERVER_TO_CLIENT,
    UDP,
    BaseContext,
    CustomFilter,
    CustomMessage,
    Hook,
    HttpRequest,
    HttpResponse,
)
from engine.wasm.custom import NATS, ZMTP, nats_message, zmtp_message
from engine.wasm.hostcalls import CallContext
from engine.wasm.plugin import WasmPlugin


def hook_samples(plugin: WasmPlugin) -> Iterator[tuple[str, CallContext]]:
    """An export and a message for each HTTP or custom message hook of a plugin."""
    asked = BaseContext(b"\x7f\0\0\1", b"\x7f\0\0\1", 40_000, 80, 1_700_000_000_000_000, l7=20)
    answered = BaseContext(
        asked.dst, asked.src, 80, 40_000, asked.time_us + 1, direction=SERVER_TO_CLIENT, l7=20
    )
    if plugin.takes(Hook.HTTP_REQUEST):
        payload = b"GET /sample?id=1 HTTP/1.1\r\nHost: sample.test\r\nUser-Agent: curl/8\r\n\r\n"
        request = HttpRequest(b"/sample?id=1", b"sample.test", b"curl/8")
        yield "on_http_req", CallContext(asked, payload, request=request)
    if plugin.takes(Hook.HTTP_RESPONSE):
        payload = b'HTTP/1.1 200 OK\r\nContent-Type: application/json\r\n\r\n{"code":500}'
        yield (
            "on_http_resp",
            CallContext(answered, payload, response=HttpResponse(200, b"/sample")),
        )
    if plugin.takes(Hook.CUSTOM_MESSAGE):
        message = _custom_sample(plugin.custom_filter)
        yield "on_custom_message", CallContext(asked, b"", custom=message)


def _custom_sample(chosen: CustomFilter | None) -> CustomMessage:
    """A message of the protocol a plugin asks for."""
    if chosen is None or chosen.everything or chosen.type_code == NATS:
        return nats_message("a.b", "", b"{}")
    return zmtp_message("a", b"{}") if chosen.type_code == ZMTP else CustomMessage(chosen.type_code)


def payload_samples() -> Iterator[tuple[BaseContext, bytes]]:
    """First payloads of flows that a plugin may claim: HTTP over TCP, DNS over UDP."""
    asked = BaseContext(b"\x7f\0\0\1", b"\x7f\0\0\1", 40_000, 80, 1_700_000_000_000_000)
    yield asked, b"GET /sample HTTP/1.1\r\nHost: sample.test\r\n\r\n"
    query = bytes.fromhex("000101000001000000000000") + b"\6sample\4test\0\0\1\0\1"
    yield replace(asked, l4=UDP, dst_port=53), query
