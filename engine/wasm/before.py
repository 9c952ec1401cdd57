"""The log entry of a message before any plugin has seen it, read from what the host was given."""

from __future__ import annotations

from engine.wasm.abi import (
    L7_GRPC,
    L7_HTTP1,
    L7_HTTP2,
    L7_TRIPLE,
    http_status,
)
from engine.wasm.custom import PROTOCOL_NAMES
from engine.wasm.hostcalls import CallContext
from engine.wasm.infos import Info
from engine.wasm.merge import LogEntry, agent_trace, merge_custom, merge_http, payload_entry

_HTTP_NAMES = {L7_HTTP1: "HTTP", L7_HTTP2: "HTTP2", L7_GRPC: "gRPC", L7_TRIPLE: "Triple"}
_MAX_HEAD = 16_384


def entry_before(context: CallContext) -> LogEntry:
    """What an agent with its default settings has parsed itself."""
    if context.request is not None:
        return _http_request(context)
    if context.response is not None:
        headers = _headers(context.payload)
        return LogEntry(
            protocol=_HTTP_NAMES.get(context.base.l7, "HTTP"),
            endpoint=_text(context.response.endpoint),
            code=context.response.code,
            status=http_status(context.response.code),
            x_request_id_1=headers.get("x-request-id", ""),
        )
    if context.custom is not None:
        code = context.custom.type_code
        return LogEntry(protocol=PROTOCOL_NAMES.get(code, f"protocol {code}"))
    return LogEntry()


def entry_after(
    context: CallContext, infos: tuple[Info, ...], before: LogEntry | None = None
) -> LogEntry:
    """The same with the last of the infos merged; of `parse_payload` the log it becomes.

    Args:
        context: The message.
        infos: What was sent.
        before: Its `entry_before`, where that has been made already.
    """
    info, direction = infos[-1], context.base.direction
    if context.custom is not None:
        return merge_custom(
            before or entry_before(context), info, context.custom.type_code, direction
        )
    if context.request is not None or context.response is not None:
        return merge_http(before or entry_before(context), info, direction)
    return payload_entry(info, context.base.l7, context.name, direction)


def _http_request(context: CallContext) -> LogEntry:
    request = context.request
    if request is None:
        return LogEntry()
    first, _, _ = context.payload[:_MAX_HEAD].partition(b"\r\n")
    words = first.split(b" ")
    headers = _headers(context.payload)
    trace = headers.get("traceparent", "").split("-")
    is_trace = len(trace) >= 4 and len(trace[1]) == 32
    return LogEntry(
        protocol=_HTTP_NAMES.get(context.base.l7, "HTTP"),
        version=_text(words[2].removeprefix(b"HTTP/")) if len(words) == 3 else "",
        type=_text(words[0]) if len(words) == 3 else "",
        domain=_text(request.host),
        resource=_text(request.path),
        endpoint=_text(request.path.partition(b"?")[0]),
        trace_ids=(agent_trace(trace[1]),) if is_trace else (),
        span_id=trace[2] if is_trace else "",
        x_request_id_0=headers.get("x-request-id", ""),
        http_proxy_client=headers.get("x-forwarded-for", "").split(",")[0].strip(),
    )


def _headers(payload: bytes) -> dict[str, str]:
    """The headers of an HTTP/1 head; of several of one name the last."""
    head = payload[:_MAX_HEAD].partition(b"\r\n\r\n")[0]
    pairs = (line.partition(b":") for line in head.split(b"\r\n")[1:])
    return {_text(name).strip().lower(): _text(value).strip() for name, _, value in pairs}


def _text(content: bytes) -> str:
    return content.decode("utf-8", "backslashreplace")
