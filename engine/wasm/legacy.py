"""The binary forms that result records had before protobuf, by generation of the SDK.

Source: DeepFlow agent and Go SDK. g4 is what agents of today still read; g3 lacks its protocol
string, g1 also the last byte (biz type), g0 also the merge byte. Which branch applies, request or
response, is told by the direction of the hook, not by the bytes.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from engine.wasm.abi import CLIENT_TO_SERVER, STATUS_NAMES, DecodeError
from engine.wasm.infos import Dialect, Info, RequestInfo, ResponseInfo, TraceInfo

OLDER: tuple[Dialect, ...] = ("g3", "g1", "g0")
"""The generations that agents no longer read, newest first."""

_PRESENT = 0x8000_0000
_WITH_BIZ: tuple[Dialect, ...] = ("g4", "g3")


def decode_g4(record: bytes, at: int, direction: int) -> Info:
    """Read a record as an agent does: bytes after its end are ignored, and counted in `trailing`.

    Raises:
        DecodeError: if it is not of this form; the offset counts from the start of the list,
            where the record stands at `at`.
    """
    return _decode(_Reader(record, at), direction, "g4")


def decode_exactly(
    record: bytes, at: int, direction: int, dialects: Sequence[Dialect]
) -> Info | None:
    """The record by the first of the dialects that reads it exactly to its end, or None."""
    for dialect in dialects:
        try:
            info = _decode(_Reader(record, at), direction, dialect)
        except DecodeError:
            continue
        if not info.trailing:
            return info
    return None


def decode_http_result(encoded: bytes) -> Info:
    """Read what SDKs of before 2023-08-30 sent from HTTP hooks: a trace and attributes.

    What is empty in the trace counted as not sent; it wiped nothing.

    Raises:
        DecodeError: with offset and reason.
    """
    reader = _Reader(encoded, 0, "HTTP result")
    trace = replace(_trace(reader), sent_empty=()) if reader.flag("has trace") else None
    attributes = reader.pairs()
    if reader.left:
        raise reader.fail("half a pair at the end")
    return Info(dialect="g0", trace=trace, attributes=attributes, only_adds=True)


def united(trace_ids: tuple[str, ...], trace_id: str) -> tuple[str, ...]:
    """The trace ids with the single one appended where it is not among them."""
    return trace_ids if not trace_id or trace_id in trace_ids else (*trace_ids, trace_id)


def _decode(reader: _Reader, direction: int, dialect: Dialect) -> Info:
    req_len = reader.optional_length("request length")
    resp_len = reader.optional_length("response length")
    request_id = reader.number(4, "request id") if reader.flag("has request id") else None
    request = _request(reader) if direction == CLIENT_TO_SERVER else None
    response = _response(reader) if direction != CLIENT_TO_SERVER else None
    protocol = reader.string("protocol") if dialect == "g4" else ""
    merge = 0 if dialect == "g0" else reader.number(1, "merge byte")
    trace = _trace(reader) if reader.flag("has trace") else None
    attributes = reader.pairs(spend=dialect in _WITH_BIZ) if reader.flag("has kv") else ()
    return Info(
        dialect=dialect,
        req_len=req_len,
        resp_len=resp_len,
        request_id=request_id,
        request=request,
        response=response,
        trace=trace,
        protocol=protocol,
        is_end=bool(merge & 1) if merge & 0x80 else None,
        attributes=attributes,
        biz_type=reader.number(1, "biz type") if dialect in _WITH_BIZ else None,
        trailing=reader.left,
    )


def _request(reader: _Reader) -> RequestInfo:
    kind, endpoint = reader.string("type"), reader.string("endpoint")
    domain, resource = reader.string("domain"), reader.string("resource")
    return RequestInfo(type=kind, domain=domain, resource=resource, endpoint=endpoint)


def _response(reader: _Reader) -> ResponseInfo:
    status = reader.number(1, "status")
    if status not in STATUS_NAMES:
        raise reader.fail(f"response status {status} does not exist")
    code = reader.number(4, "code", signed=True) if reader.flag("has code") else None
    result, exception = reader.string("result"), reader.string("exception")
    return ResponseInfo(status=status, code=code, result=result, exception=exception)


def _trace(reader: _Reader) -> TraceInfo:
    trace_id, span_id = reader.string("trace id"), reader.string("span id")
    parent_span_id = reader.string("parent span id")
    sent = {"span_id": span_id, "parent_span_id": parent_span_id}
    return TraceInfo(
        united((), trace_id),
        span_id,
        parent_span_id,
        sent_empty=tuple(name for name, value in sent.items() if not value),
    )


class _Reader:
    """Reads the fields of one legacy record in order; every access is bounds-checked."""

    def __init__(self, record: bytes, base: int, what: str = "legacy result") -> None:
        self._record = record
        self._base = base
        self._what = what
        self._at = 0

    def fail(self, reason: str) -> DecodeError:
        return DecodeError(self._what, self._base + self._at, reason)

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

    @property
    def left(self) -> int:
        return len(self._record) - self._at

    def optional_length(self, what: str) -> int | None:
        value = self.number(4, what)
        return value & ~_PRESENT if value & _PRESENT else None

    def pairs(self, *, spend: bool = False) -> tuple[tuple[str, str], ...]:
        """Pairs up to the first that no longer fits: the form carries no count.

        Args:
            spend: Go on after a key without a value, as an agent does; else before it.
        """
        found = []
        while True:
            start = self._at
            try:
                key = self.string("key")
                start = self._at if spend else start
                found.append((key, self.string("value")))
            except DecodeError:
                self._at = start
                return tuple(found)
