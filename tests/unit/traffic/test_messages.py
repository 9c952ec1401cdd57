"""Messages: pairing requests with responses, and what plugins add."""

from __future__ import annotations

from engine.traffic.messages import (
    BUILT_IN,
    Message,
    Pending,
    address,
)
from engine.wasm.abi import Status
from engine.wasm.infos import Info, RequestInfo, ResponseInfo, TraceInfo
from engine.wasm.merge import LogEntry, agent_trace, merge_http, payload_entry
from engine.wasm.outcome import Outcome
from tests.unit.traffic.talk import CLIENT, SERVER
from tests.values import json_of


def message(**values: object) -> Message:
    """A message of the built-in parser."""
    made = Message(1_000_000_000, "HTTP", CLIENT, SERVER, BUILT_IN)
    for name, value in values.items():
        setattr(made, name, value)
    return made


def test_addresses_of_both_families() -> None:
    assert address(CLIENT) == "127.0.0.1:40000"
    assert address((bytes(15) + b"\1", 80)) == "[::1]:80"


def test_a_message_as_a_record() -> None:
    made = message(method="GET", resource="/a", status="200")
    made.head("host", b"h\x1b")
    made.note("tenant", "acme")
    made.asked = True
    made.answer(1_002_500_000)
    shown = made.record("pcap:x").as_json()
    assert {name: shown[name] for name in ("protocol", "src", "dst", "request", "status")} == {
        "protocol": "HTTP",
        "src": "127.0.0.1:40000",
        "dst": "127.0.0.1:80",
        "request": "GET /a",
        "status": "200",
    }
    assert (shown["latency_ms"], shown["parsed_by"], shown["source"]) == (2.5, BUILT_IN, "pcap:x")
    assert shown["attributes"] == {"tenant": "acme", "host": "h␛"}


def test_what_a_plugin_says_comes_first_and_wins() -> None:
    made = message()
    made.head("host", b"original")
    made.note("host", "rewritten")
    assert made.record("").get("attributes") == {"host": "rewritten"}


def test_attributes_are_bounded_and_sanitised() -> None:
    made = message()
    for number in range(1_000):
        made.note(f"key{number}\n", "v\x1b" * 2_000)
    assert len(made.attributes.values) == 64
    assert made.record("").get("attributes_dropped") == 1_000 - 64
    assert made.attributes.values["key0␊"].startswith("v␛v␛")
    assert all(len(value) <= 1_024 for value in made.attributes.values.values())


REQUEST_LOG = LogEntry(
    protocol="HTTP",
    type="GET",
    domain="h",
    resource="/a",
    endpoint="/a",
    trace_ids=(agent_trace("t0"),),
    span_id="s0",
)
RESPONSE_LOG = LogEntry(protocol="HTTP", code=200, status=Status.OK)


def merged(made: Message, before: LogEntry, direction: int, info: Info, call: int = 7) -> Message:
    """A message with the info of an HTTP hook."""
    after = merge_http(before, info, direction)
    made.merge(Outcome("demo", (info,), call, before, (after,)), after)
    return made


def test_a_plugin_changes_request_and_response_as_in_the_agent() -> None:
    made = message(method="GET", resource="/a", status="200")
    asked = Info(
        "g5",
        request=RequestInfo(type="POST", resource="/b", endpoint="/e", domain="d"),
        trace=TraceInfo(("t1",), span_id="s1", x_request_id="x"),
        attributes=(("k", "v"),),
    )
    answered = Info(
        "g5",
        response=ResponseInfo(Status.SERVER_ERROR, code=599, result="r", exception="e"),
        attributes=(("more", "w"),),
    )
    merged(made, REQUEST_LOG, 0, asked, call=7)
    merged(made, RESPONSE_LOG, 1, answered, call=8)
    shown = made.record("")
    assert (shown.get("request"), shown.get("status")) == ("POST /b", "599")
    assert shown.get("parsed_by") == "built-in+demo"
    assert shown.get("attributes") == {
        "endpoint": "/e",
        "host": "d",
        "result": "r",
        "exception": "e",
        "span_id": "s1",
        "x_request_id": "x",
        "trace_id": "t1 t0",
        "apm_span_id": "s0",
        "k": "v",
        "more": "w",
    }


def test_a_message_tells_every_change_with_who_made_it_in_which_call() -> None:
    made = message(method="GET", resource="/a", status="200")
    merged(made, REQUEST_LOG, 0, Info("g5", request=RequestInfo(resource="/b")), call=7)
    merged(made, RESPONSE_LOG, 1, Info("g5", response=ResponseInfo(Status.OK, code=201)), call=9)
    assert made.record("").get("merged") == (
        {"field": "resource", "before": "/a", "after": "/b", "plugin": "demo", "call": 7},
        {"field": "code", "before": 200, "after": 201, "plugin": "demo", "call": 9},
    )


def test_what_a_plugin_wipes_is_a_change_to_nothing() -> None:
    made = message(method="GET", resource="/a")
    wiping = Info("g5", trace=TraceInfo(("t1",), sent_empty=("span_id",)))
    merged(made, REQUEST_LOG, 0, wiping)
    changes = made.record("").get("merged")
    assert isinstance(changes, tuple)
    assert {"field": "span_id", "before": "s0", "after": None, "plugin": "demo", "call": 7} in (
        changes
    )


def test_a_type_that_is_no_http_method_is_ignored_and_an_exception_needs_a_failure() -> None:
    made = message(method="GET", resource="/a", status="200")
    merged(made, REQUEST_LOG, 0, Info("g5", request=RequestInfo(type="BREW")))
    merged(made, RESPONSE_LOG, 1, Info("g5", response=ResponseInfo(Status.OK, exception="e")))
    shown = made.record("")
    assert (shown.get("request"), shown.get("status")) == ("GET /a", "200")
    assert "exception" not in json_of(shown)["attributes"]
    assert shown.get("merged") == ()


def test_an_attribute_that_is_given_again_is_counted() -> None:
    made = message(method="GET", resource="/a")
    merged(made, REQUEST_LOG, 0, Info("g5", attributes=(("k", "v"), ("k", "w"))))
    shown = json_of(made.record(""))
    assert shown["attributes"]["k"] == "w"
    assert shown["attributes_dropped"] == 1


def own(made: Message, direction: int, info: Info) -> Message:
    """A message with an info of a plugin's own protocol."""
    after = payload_entry(info, 77, "KV", direction)
    made.merge(Outcome("kv", (info,), 1, LogEntry(), (after,)), after)
    return made


def test_a_plugins_own_protocol() -> None:
    made = message()
    own(made, 0, Info("g5", request=RequestInfo(type="GET", endpoint="/e")))
    own(made, 1, Info("g5", response=ResponseInfo(Status.CLIENT_ERROR, result="r")))
    shown = made.record("")
    assert (shown.get("request"), shown.get("status")) == ("GET /e", "client error")
    assert shown.get("attributes") == {"endpoint": "/e", "result": "r"}
    coded = own(message(), 1, Info("g5", response=ResponseInfo(Status.OK, code=-5)))
    assert coded.record("").get("status") == "-5"


def test_responses_come_in_the_order_of_the_requests_or_by_number() -> None:
    pending = Pending()
    one, two, three = message(), message(), message()
    assert pending.ask(one) == pending.ask(two) == []
    assert pending.ask(three, 7) == []
    assert pending.answered(7) is three
    assert pending.answered(7) is None
    assert pending.answered() is one
    assert pending.answered() is two
    assert pending.answered() is None


def test_a_number_used_again_and_too_many_requests_give_the_oldest_up() -> None:
    pending = Pending()
    first = message()
    pending.ask(first, 1)
    assert pending.ask(message(), 1) == [first]
    given_up = [gone for _ in range(1_000) for gone in pending.ask(message())]
    assert len(given_up) == 1_001 - 256
    assert len(pending.drain()) == 256
    assert pending.drain() == []
