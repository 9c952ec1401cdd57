"""Result records of a plugin: a list of infos, each protobuf or of the older binary form.

Source: DeepFlow agent. The list is one or more records, each a u16 length (big-endian) and that
many bytes. A record that begins with `PB` carries a protobuf AppInfo (SDK since 2025-03), any
other has the form of SDK 2024-04 to 2025-03; which branch of that form applies is told by the
direction of the hook, not by the bytes.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from engine.wasm.abi import CLIENT_TO_SERVER, STATUS_NAMES, DecodeError
from engine.wasm.protobuf import decode_app_info

PB_MAGIC = b"PB"
_PRESENT = 0x8000_0000


@dataclass(frozen=True, slots=True)
class RequestInfo:
    """What a plugin says about a request."""

    version: str = ""
    type: str = ""
    domain: str = ""
    resource: str = ""
    endpoint: str = ""


@dataclass(frozen=True, slots=True)
class ResponseInfo:
    """What a plugin says about a response."""

    status: int
    """A value of `abi.Status`."""
    code: int | None = None
    exception: str = ""
    result: str = ""
    type: str = ""
    endpoint: str = ""


@dataclass(frozen=True, slots=True)
class TraceInfo:
    """Where a message belongs in a distributed trace."""

    trace_ids: tuple[str, ...] = ()
    span_id: str = ""
    parent_span_id: str = ""
    x_request_id: str = ""
    http_proxy_client: str = ""


@dataclass(frozen=True, slots=True)
class Info:
    """One decoded result record."""

    form: Literal["protobuf", "legacy"]
    req_len: int | None = None
    resp_len: int | None = None
    request_id: int | None = None
    request: RequestInfo | None = None
    response: ResponseInfo | None = None
    trace: TraceInfo | None = None
    protocol: str = ""
    is_end: bool | None = None
    """None = no protocol merge."""
    is_async: bool | None = None
    is_reversed: bool | None = None
    attributes: tuple[tuple[str, str], ...] = ()
    biz_type: int | None = None
    biz_code: str | None = None
    biz_scenario: str | None = None
    biz_response_code: str | None = None


def decode_infos(encoded: bytes, direction: int) -> tuple[Info, ...]:
    """Read the whole list of `host_read_l7_protocol_info`.

    Args:
        encoded: The list, framing included.
        direction: Direction of the packet the hook was called for, `abi.CLIENT_TO_SERVER` or
            `abi.SERVER_TO_CLIENT`.

    Raises:
        DecodeError: if any record, or the framing, is wrong; as in the agent the whole list is
            refused then. Its offset counts from the start of the list.
    """
    if not encoded:
        raise DecodeError("result list", 0, "it is empty")
    infos = []
    at = 0
    while at < len(encoded):
        if at + 2 > len(encoded):
            raise DecodeError("result list", at, "half a record length at the end")
        length = int.from_bytes(encoded[at : at + 2], "big")
        at += 2
        if at + length > len(encoded):
            raise DecodeError(
                "result list", at, f"record of {length} bytes, only {len(encoded) - at} are left"
            )
        infos.append(_decode_record(encoded[at : at + length], at, direction))
        at += length
    return tuple(infos)


def _decode_record(record: bytes, at: int, direction: int) -> Info:
    if record.startswith(PB_MAGIC):
        return _from_protobuf(record[len(PB_MAGIC) :], at + len(PB_MAGIC))
    return _from_legacy(_Reader(record, at), direction)


def _from_protobuf(message: bytes, at: int) -> Info:
    app = decode_app_info(message, at)
    request = app.message("req")
    response = app.message("resp")
    trace = app.message("trace")
    return Info(
        form="protobuf",
        req_len=app.number("req_len"),
        resp_len=app.number("resp_len"),
        request_id=app.number("request_id"),
        request=None
        if request is None
        else RequestInfo(
            version=request.text("version"),
            type=request.text("type"),
            domain=request.text("domain"),
            resource=request.text("resource"),
            endpoint=request.text("endpoint"),
        ),
        response=None
        if response is None
        else ResponseInfo(
            status=_checked_status(response.number("status"), at),
            code=response.number("code"),
            exception=response.text("exception"),
            result=response.text("result"),
            type=response.text("type"),
            endpoint=response.text("endpoint"),
        ),
        trace=None
        if trace is None
        else TraceInfo(
            trace_ids=_united(trace.texts("trace_ids"), trace.text("trace_id")),
            span_id=trace.text("span_id"),
            parent_span_id=trace.text("parent_span_id"),
            x_request_id=trace.text("x_request_id"),
            http_proxy_client=trace.text("http_proxy_client"),
        ),
        protocol=app.text("protocol_str"),
        is_end=app.flag("is_end"),
        is_async=app.flag("is_async"),
        is_reversed=app.flag("is_reversed"),
        attributes=tuple(
            (pair.text("key"), pair.text("val")) for pair in app.messages("attributes")
        ),
        biz_type=None if (biz := app.number("biz_type")) is None else biz & 0xFF,
        biz_code=app.optional_text("biz_code"),
        biz_scenario=app.optional_text("biz_scenario"),
        biz_response_code=app.optional_text("biz_response_code"),
    )


def _united(trace_ids: tuple[str, ...], trace_id: str) -> tuple[str, ...]:
    """The trace ids with the single one appended where it is not among them."""
    return trace_ids if not trace_id or trace_id in trace_ids else (*trace_ids, trace_id)


def _checked_status(status: int | None, at: int) -> int:
    if status is None:
        raise DecodeError("protobuf result", at, "a response without status")
    if status not in STATUS_NAMES:
        raise DecodeError("protobuf result", at, f"response status {status} does not exist")
    return status


class _Reader:
    """Reads the fields of one legacy record in order; every access is bounds-checked."""

    def __init__(self, record: bytes, base: int) -> None:
        self._record = record
        self._base = base
        self._at = 0

    def fail(self, reason: str) -> DecodeError:
        return DecodeError("legacy result", self._base + self._at, reason)

    def number(self, size: int, what: str, *, signed: bool = False) -> int:
        end = self._at + size
        if end > len(self._record):
            raise self.fail(f"{what}: {size} bytes needed, {len(self._record) - self._at} left")
        value = int.from_bytes(self._record[self._at : end], "big", signed=signed)
        self._at = end
        return value

    def flag(self, what: str) -> bool:
        value = self.number(1, what)
        if value > 1:
            self._at -= 1
            raise self.fail(f"{what} is {value}, not 0 or 1")
        return value == 1

    def string(self, what: str) -> str:
        start = self._at
        length = self.number(2, f"length of {what}")
        end = self._at + length
        if end > len(self._record):
            left = len(self._record) - self._at
            self._at = start
            raise self.fail(f"{what}: {length} bytes announced, {left} left")
        text = self._record[self._at : end].decode("utf-8", "replace")
        self._at = end
        return text

    def optional_length(self, what: str) -> int | None:
        value = self.number(4, what)
        return value & ~_PRESENT if value & _PRESENT else None

    def pairs(self) -> tuple[tuple[str, str], ...]:
        """Pairs up to the first that no longer fits: the form carries no count."""
        found = []
        while True:
            start = self._at
            try:
                found.append((self.string("key"), self.string("value")))
            except DecodeError:
                self._at = start
                return tuple(found)


def _from_legacy(reader: _Reader, direction: int) -> Info:
    req_len = reader.optional_length("request length")
    resp_len = reader.optional_length("response length")
    request_id = reader.number(4, "request id") if reader.flag("has request id") else None
    request = _legacy_request(reader) if direction == CLIENT_TO_SERVER else None
    response = _legacy_response(reader) if direction != CLIENT_TO_SERVER else None
    protocol = reader.string("protocol")
    merge = reader.number(1, "merge byte")
    trace = _legacy_trace(reader) if reader.flag("has trace") else None
    attributes = reader.pairs() if reader.flag("has kv") else ()
    return Info(
        form="legacy",
        req_len=req_len,
        resp_len=resp_len,
        request_id=request_id,
        request=request,
        response=response,
        trace=trace,
        protocol=protocol,
        is_end=bool(merge & 1) if merge & 0x80 else None,
        attributes=attributes,
        biz_type=reader.number(1, "biz type"),
    )


def _legacy_request(reader: _Reader) -> RequestInfo:
    kind, endpoint = reader.string("type"), reader.string("endpoint")
    domain, resource = reader.string("domain"), reader.string("resource")
    return RequestInfo(type=kind, domain=domain, resource=resource, endpoint=endpoint)


def _legacy_response(reader: _Reader) -> ResponseInfo:
    status = reader.number(1, "status")
    if status not in STATUS_NAMES:
        raise reader.fail(f"response status {status} does not exist")
    code = reader.number(4, "code", signed=True) if reader.flag("has code") else None
    result, exception = reader.string("result"), reader.string("exception")
    return ResponseInfo(status=status, code=code, result=result, exception=exception)


def _legacy_trace(reader: _Reader) -> TraceInfo:
    trace_id, span_id = reader.string("trace id"), reader.string("span id")
    return TraceInfo(_united((), trace_id), span_id, reader.string("parent span id"))
