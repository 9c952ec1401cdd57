"""Reading the result records of a plugin: strictly as an agent does, or any SDK's.

Source: DeepFlow agent. The list is one or more records, each a u16 length (big-endian) and that
many bytes. A record that begins with `PB` carries a protobuf AppInfo, any other has an older
form, see `engine.wasm.legacy`.
"""

from __future__ import annotations

from collections.abc import Iterator

from engine.wasm.abi import STATUS_NAMES, DecodeError
from engine.wasm.infos import DIALECTS, Info, RequestInfo, ResponseInfo, TraceInfo
from engine.wasm.legacy import OLDER, decode_exactly, decode_g4, united
from engine.wasm.protobuf import Fields, decode_app_info

PB_MAGIC = b"PB"
_TRACE_TEXTS = ("span_id", "parent_span_id", "x_request_id", "http_proxy_client")


def decode_infos(encoded: bytes, direction: int, *, any_sdk: bool = False) -> tuple[Info, ...]:
    """Read the whole list of `host_read_l7_protocol_info`.

    Args:
        encoded: The list, framing included.
        direction: Direction of the packet the hook was called for, `abi.CLIENT_TO_SERVER` or
            `abi.SERVER_TO_CLIENT`.
        any_sdk: Also read what SDKs of before 2024-04-11 sent. Each of their records is read
            exactly to its end by one decoder only, and so tells its dialect.

    Raises:
        DecodeError: if any record, or the framing, is wrong; as in the agent the whole list is
            refused then. Its offset counts from the start of the list.
    """
    return tuple(_decode_record(record, at, direction, any_sdk) for record, at in _split(encoded))


def _split(encoded: bytes) -> Iterator[tuple[bytes, int]]:
    """The records with their places; the framing of all is checked before the first is read."""
    if not encoded:
        raise DecodeError("result list", 0, "it is empty")
    records = []
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
        records.append((encoded[at : at + length], at))
        at += length
    return iter(records)


def _decode_record(record: bytes, at: int, direction: int, any_sdk: bool) -> Info:
    if record.startswith(PB_MAGIC):
        return _from_protobuf(record[len(PB_MAGIC) :], at + len(PB_MAGIC))
    try:
        info = decode_g4(record, at, direction)
        older = decode_exactly(record, at, direction, OLDER) if info.trailing else None
    except DecodeError as error:
        older = decode_exactly(record, at, direction, OLDER)
        if older is None:
            raise
        if not any_sdk:
            known = f"{older.dialect}, {DIALECTS[older.dialect]}"
            reason = f"{error.reason}; it is a record of {known}, which agents no longer read"
            raise DecodeError(error.what, error.offset, reason) from error
        return older
    return older if any_sdk and older is not None else info


def _from_protobuf(message: bytes, at: int) -> Info:
    app = decode_app_info(message, at)
    return Info(
        dialect="g5",
        req_len=app.number("req_len"),
        resp_len=app.number("resp_len"),
        request_id=app.number("request_id"),
        request=_request(app.message("req")),
        response=_response(app.message("resp"), at),
        trace=_trace(app.message("trace")),
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


def _request(found: Fields | None) -> RequestInfo | None:
    if found is None:
        return None
    return RequestInfo(
        version=found.text("version"),
        type=found.text("type"),
        domain=found.text("domain"),
        resource=found.text("resource"),
        endpoint=found.text("endpoint"),
    )


def _response(found: Fields | None, at: int) -> ResponseInfo | None:
    if found is None:
        return None
    return ResponseInfo(
        status=_checked_status(found.number("status"), at),
        code=found.number("code"),
        exception=found.text("exception"),
        result=found.text("result"),
        type=found.text("type"),
        endpoint=found.text("endpoint"),
    )


def _trace(found: Fields | None) -> TraceInfo | None:
    if found is None:
        return None
    return TraceInfo(
        trace_ids=united(found.texts("trace_ids"), found.text("trace_id")),
        span_id=found.text("span_id"),
        parent_span_id=found.text("parent_span_id"),
        x_request_id=found.text("x_request_id"),
        http_proxy_client=found.text("http_proxy_client"),
        sent_empty=tuple(name for name in _TRACE_TEXTS if found.optional_text(name) == ""),
    )


def _checked_status(status: int | None, at: int) -> int:
    if status is None:
        raise DecodeError("protobuf result", at, "a response without status")
    if status not in STATUS_NAMES:
        raise DecodeError("protobuf result", at, f"response status {status} does not exist")
    return status
