"""What becomes of a request: name, kind, time, ids, attributes and status of its span."""

from __future__ import annotations

import pytest
from hypothesis import HealthCheck, given, settings
from opentelemetry.exporter.otlp.proto.common.trace_encoder import encode_spans
from opentelemetry.proto.trace.v1.trace_pb2 import ResourceSpans, Span, Status

from engine.core.fields import JsonValue
from engine.core.kinds import L7_MESSAGE
from engine.core.records import Record, new_record
from engine.core.snapshot import HostFacts
from engine.otlp.origin import Origin
from engine.otlp.spans import SpanMaker
from engine.recording.redaction import HIDDEN, redaction
from tests.unit.otlp.receiver import attributes
from tests.unit.recording.test_recorder import RECORDS

MAKE = SpanMaker(Origin(HostFacts("box", "6.18", "root")))

HTTP: dict[str, JsonValue] = {
    "protocol": "HTTP",
    "src": "10.0.0.1:4000",
    "dst": "[::1]:80",
    "request": "GET /a?b=1",
    "status": "200",
    "latency_ms": 1.5,
    "session": "answered",
    "attributes": {"host": "shop", "user_agent": "curl"},
}


def sent(record: Record) -> ResourceSpans:
    """The span with its resource as it goes over the wire."""
    request = encode_spans([MAKE(record)])
    return type(request).FromString(request.SerializeToString()).resource_spans[0]


def message(**values: JsonValue) -> Record:
    return new_record(L7_MESSAGE, {**HTTP, **values}, ts_ns=1_000, pid=7, comm="nginx")


def span(**values: JsonValue) -> Span:
    return sent(message(**values)).scope_spans[0].spans[0]


def test_a_request_over_http() -> None:
    made = span(server_pid=7)
    assert (made.name, made.kind) == ("GET", Span.SPAN_KIND_SERVER)
    assert made.end_time_unix_nano - made.start_time_unix_nano == 1_500_000
    assert (len(made.trace_id), len(made.span_id), made.parent_span_id) == (16, 8, b"")
    assert made.status.code == Status.STATUS_CODE_UNSET
    assert attributes(made).items() >= {
        "http.request.method": "GET",
        "url.path": "/a",
        "url.query": "b=1",
        "http.response.status_code": 200,
        "client.address": "10.0.0.1",
        "client.port": 4000,
        "server.address": "::1",
        "server.port": 80,
        "network.protocol.name": "http",
        "user_agent.original": "curl",
        "boxscope.attributes.host": "shop",
        "boxscope.session": "answered",
    }.items()  # fmt: skip


def test_the_process_it_was_for_is_the_service() -> None:
    told = attributes(sent(message(server_pid=7)).resource)
    assert (told["service.name"], told["process.pid"], told["host.name"]) == ("nginx", 7, "box")
    unknown = new_record(L7_MESSAGE, HTTP, ts_ns=1)
    assert attributes(sent(unknown).resource)["service.name"] == "boxscope"


def test_a_question_over_dns() -> None:
    made = span(
        protocol="DNS", request="A db.test", status="NOERROR", attributes={"answers": "1.2.3.4 ::1"}
    )
    assert made.name == "DNS A"
    told = attributes(made)
    assert told["dns.question.name"] == "db.test"
    assert [each.string_value for each in told["dns.answers"].values] == ["1.2.3.4", "::1"]


def test_ids_that_a_plugin_found_are_the_spans() -> None:
    trace_id, span_id, parent = "4bf92f3577b34da6a3ce929d0e0e4736", "00f067aa0ba902b7", "b7" * 8
    told = {"trace_id": f"{trace_id} other", "span_id": span_id, "parent_span_id": parent}
    made = span(attributes=told)
    assert made.trace_id.hex() == trace_id
    assert (made.span_id.hex(), made.parent_span_id.hex()) == (span_id, parent)
    assert span(attributes={"trace_id": "a3ce929d0e0e4736"}).trace_id.hex() == "0" * 16 + (
        "a3ce929d0e0e4736"
    )


@pytest.mark.parametrize("told", ["0" * 32, "not hex", "4bf9", HIDDEN, "", "4" * 33])
def test_ids_of_another_form_are_not(told: str) -> None:
    made = span(attributes={"trace_id": told, "span_id": told})
    assert any(made.trace_id)
    assert any(made.span_id)
    assert told != made.trace_id.hex()


@pytest.mark.parametrize(
    ("values", "failed"),
    [
        ({"status": "404", "server_pid": 7}, False),
        ({"status": "503", "server_pid": 7}, True),
        ({"status": "404", "client_pid": 7}, True),
        ({"status": "404", "client_pid": 7, "server_pid": 8}, False),
        ({"status": "", "session": "unanswered"}, True),
        ({"protocol": "DNS", "status": "NXDOMAIN"}, False),
        ({"protocol": "DNS", "status": "SERVFAIL"}, True),
        ({"protocol": "BOX1", "status": "server error"}, True),
    ],
)
def test_whether_it_failed(values: dict[str, JsonValue], failed: bool) -> None:
    made = span(**values)
    assert (made.status.code == Status.STATUS_CODE_ERROR) == failed
    assert ("error.type" in attributes(made)) == failed


def test_a_request_is_the_clients_where_only_the_client_is_here() -> None:
    assert span(client_pid=7).kind == Span.SPAN_KIND_CLIENT
    assert span(client_pid=7, server_pid=8).kind == Span.SPAN_KIND_SERVER


def test_a_name_is_shared_by_many_requests() -> None:
    assert span(attributes={"endpoint": "/users/{id}"}).name == "GET /users/{id}"
    assert span(request="BREW /pot").name == "HTTP"
    assert attributes(span(request="BREW /pot"))["http.request.method_original"] == "BREW"
    assert span(protocol="BOX1", request="GET colour").name == "BOX1 GET"
    assert span(protocol="BOX1", request="").name == "BOX1"


def test_what_is_left_out_is_not_guessed_from() -> None:
    made = sent(redaction(["payloads"])(message())).scope_spans[0].spans[0]
    assert made.name == "HTTP"
    told = attributes(made)
    assert told["boxscope.request"] == told["boxscope.attributes.user_agent"] == HIDDEN
    assert "http.request.method" not in told


@settings(max_examples=100, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(RECORDS["l7_message"])
def test_every_message_can_be_sent(record: Record) -> None:
    assert attributes(sent(record).scope_spans[0].spans[0])["boxscope.seq"] == record.seq
