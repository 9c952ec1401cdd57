"""What a result changes in the agent's log of a message, as before and after."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from engine.core.fields import JsonValue
from engine.wasm.abi import CLIENT_TO_SERVER, SERVER_TO_CLIENT, HttpRequest, HttpResponse, Status
from engine.wasm.before import entry_after, entry_before
from engine.wasm.custom import DUBBO, NATS, ROCKETMQ, SOFARPC, ZMTP
from engine.wasm.diff import Change, changes
from engine.wasm.hostcalls import CallContext
from engine.wasm.infos import Info, RequestInfo, ResponseInfo, TraceInfo
from engine.wasm.merge import LogEntry, merge_custom, merge_http, merge_session, payload_entry
from tests.unit.wasm.calls import BASE

HEAD = (
    b"POST /a/b?c=d HTTP/1.1\r\nHost: h\r\nX-Request-Id: rid\r\n"
    b"X-Forwarded-For: 9.9.9.9, 1.1.1.1\r\n"
    b"traceparent: 00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01\r\n"
    b"\r\nx-request-id: body"
)
ASKED = CallContext(BASE, HEAD, request=HttpRequest(b"/a/b?c=d", b"h"))


def info(**values: Any) -> Info:
    """An info of the newest dialect."""
    return Info(dialect="g5", **values)


def changed(before: LogEntry, after: LogEntry) -> dict[str, tuple[Any, Any]]:
    """The changes by field."""
    found = changes(before.as_json(), after.as_json())
    return {change.field: (change.before, change.after) for change in found}


def request_changes(**values: Any) -> dict[str, tuple[Any, Any]]:
    """What merging an info into the request above changes."""
    return changed(entry_before(ASKED), entry_after(ASKED, (info(**values),)))


def test_before_is_what_the_agent_parses_itself() -> None:
    assert entry_before(ASKED).as_json() == {
        "protocol": "HTTP",
        "version": "1.1",
        "type": "POST",
        "domain": "h",
        "resource": "/a/b?c=d",
        "endpoint": "/a/b",
        "span_id": "b7ad6b7169203331",
        "x_request_id_0": "rid",
        "http_proxy_client": "9.9.9.9",
        "trace_id": "0af7651916cd43dd8448eb211c80319c",
        "trace_ids": ["0af7651916cd43dd8448eb211c80319c"],
    }


def test_an_empty_info_changes_nothing_in_a_request() -> None:
    assert request_changes() == {}


def test_only_real_methods_and_versions_are_taken_over() -> None:
    assert request_changes(request=RequestInfo(type="CALL", version="9")) == {}
    assert request_changes(request=RequestInfo(type="PUT", version="2")) == {
        "type": ("POST", "PUT"),
        "version": ("1.1", "2"),
    }


def test_domain_resource_and_endpoint_are_taken_over_unless_empty() -> None:
    request = RequestInfo(domain="d", resource="/r", endpoint="")
    assert request_changes(request=request, request_id=7) == {
        "domain": ("h", "d"),
        "resource": ("/a/b?c=d", "/r"),
        "request_id": (None, 7),
    }


def test_a_trace_wipes_what_it_sends_empty() -> None:
    trace = TraceInfo(
        ("mine",), sent_empty=("span_id", "parent_span_id", "x_request_id", "http_proxy_client")
    )
    assert request_changes(trace=trace) == {
        "span_id": ("b7ad6b7169203331", None),
        "x_request_id_0": ("rid", None),
        "http_proxy_client": ("9.9.9.9", None),
        "trace_id": ("0af7651916cd43dd8448eb211c80319c", "mine"),
        "trace_ids[1]": (None, "mine"),
        "attributes": (None, {"apm_span_id": "b7ad6b7169203331"}),
    }


def test_an_http_log_has_no_place_for_a_parent_span() -> None:
    trace = TraceInfo(("mine",), span_id="s", parent_span_id="p")
    assert "parent_span_id" not in request_changes(trace=trace)


def test_a_trace_leaves_alone_what_it_does_not_send() -> None:
    assert set(request_changes(trace=TraceInfo(("mine",)))) == {"trace_id", "trace_ids[1]"}


def test_an_empty_biz_code_wipes_the_one_before() -> None:
    entry = LogEntry(biz_code="old", biz_type=3)
    sent = info(biz_code="", biz_type=0)
    assert changed(entry, merge_http(entry, sent, CLIENT_TO_SERVER)) == {"biz_code": ("old", None)}


RESPONSE = LogEntry(status=Status.OK, code=200)


@pytest.mark.parametrize(
    ("response", "expected"),
    [
        (None, {"status": ("ok", "unknown")}),
        (ResponseInfo(Status.OK, exception="hidden"), {}),
        (
            ResponseInfo(Status.SERVER_ERROR, code=0x10257, result="r", exception="e"),
            {
                "status": ("ok", "server error"),
                "code": (200, 0x257),
                "result": (None, "r"),
                "exception": (None, "e"),
            },
        ),
        (ResponseInfo(Status.OK, type="T", endpoint="E"), {}),
    ],
)
def test_a_response_always_sets_the_status(
    response: ResponseInfo | None, expected: dict[str, Any]
) -> None:
    after = merge_http(RESPONSE, info(response=response), SERVER_TO_CLIENT)
    assert changed(RESPONSE, after) == expected


def test_a_result_of_the_oldest_form_leaves_the_status_alone() -> None:
    sent = info(attributes=(("k", "v"),), only_adds=True)
    after = merge_http(RESPONSE, sent, SERVER_TO_CLIENT)
    assert changed(RESPONSE, after) == {"attributes": (None, {"k": "v"})}


def test_a_response_has_a_request_id_of_its_own() -> None:
    context = CallContext(
        replace(BASE, direction=SERVER_TO_CLIENT),
        b"HTTP/1.1 404 Not Found\r\nX-Request-Id: r1\r\n\r\n",
        response=HttpResponse(404, b"/e"),
    )
    before = entry_before(context)
    assert (before.code, before.status, before.x_request_id_1) == (404, Status.CLIENT_ERROR, "r1")
    after = entry_after(context, (info(trace=TraceInfo(x_request_id="r2")),))
    assert after.x_request_id_1 == "r2"


def test_a_payloads_log_has_the_name_of_the_check() -> None:
    sent = info(protocol="other", request=RequestInfo(type="GET", resource="k"), request_id=3)
    entry = payload_entry(sent, 9, "BOX1", CLIENT_TO_SERVER)
    assert (entry.protocol, entry.type, entry.resource, entry.request_id) == ("BOX1", "GET", "k", 3)
    assert payload_entry(sent, 9, "", CLIENT_TO_SERVER).protocol == "protocol 9"


FULL = info(
    protocol="p",
    request=RequestInfo("v", "t", "d", "r", "e"),
    response=ResponseInfo(Status.TIMEOUT, 5, "ex", "res"),
    trace=TraceInfo(("id",), "span", x_request_id="key"),
    attributes=(("k", "v"),),
    is_async=True,
    biz_code="b",
)


@pytest.mark.parametrize(
    ("protocol", "fields"),
    [
        (NATS, {"protocol", "attributes", "is_async"}),
        (ZMTP, {"protocol", "attributes", "is_async"}),
        (
            DUBBO,
            {
                *("domain", "type", "code", "status", "result", "exception"),
                *("trace_id", "trace_ids", "span_id", "attributes"),
            },
        ),
        (
            ROCKETMQ,
            {
                *("version", "type", "domain", "resource", "endpoint", "code", "status"),
                *("exception", "trace_id", "trace_ids", "span_id", "x_request_id_0"),
                *("attributes", "biz_code", "is_async"),
            },
        ),
        (SOFARPC, {"attributes"}),
        (1, set()),
    ],
)
def test_each_custom_protocol_takes_its_own_fields(protocol: int, fields: set[str]) -> None:
    after = merge_custom(LogEntry(), FULL, protocol, CLIENT_TO_SERVER)
    assert set(changed(LogEntry(), after)) == fields


def test_a_session_keeps_the_first_value_and_unites_lists() -> None:
    request = LogEntry(
        endpoint="/e", req_len=5, trace_ids=((32, "a"),), attributes=(("k", "1"),), biz_code="b"
    )
    response = LogEntry(
        endpoint="/f",
        status=Status.OK,
        code=200,
        req_len=9,
        trace_ids=((32, "a"), (32, "b")),
        attributes=(("k", "2"),),
        result="r",
    )
    session = merge_session(request, response)
    assert (session.endpoint, session.code, session.result) == ("/e", 200, "r")
    assert (session.req_len, session.status, session.biz_code) == (5, Status.OK, "b")
    assert [trace_id for _, trace_id in session.trace_ids] == ["a", "b"]
    assert session.attributes == (("k", "1"), ("k", "2"))


def test_differences_are_found_inside_maps_and_lists() -> None:
    before: JsonValue = {"a": [1, {"b": 2}], "same": "x", "gone": 1}
    after: JsonValue = {"a": [1, {"b": 3}, 4], "same": "x", "new": True}
    assert changes(before, after) == [
        Change("a[1].b", 2, 3),
        Change("a[2]", None, 4),
        Change("gone", 1, None),
        Change("new", None, True),
    ]
    assert len(changes(list(range(1_000)), [])) == 100
