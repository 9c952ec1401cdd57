"""Messages: pairing requests with responses, and what plugins add."""

from __future__ import annotations

from engine.traffic.messages import (
    BUILT_IN,
    Message,
    Pending,
    address,
    enrich_http,
    from_request,
    from_response,
)
from engine.wasm.abi import Status
from engine.wasm.infos import Info, RequestInfo, ResponseInfo, TraceInfo
from tests.unit.traffic.talk import CLIENT, SERVER


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
    assert len(made.attributes) == 64
    assert made.attributes["key0␊"].startswith("v␛v␛")
    assert all(len(value) <= 1_024 for value in made.attributes.values())


def test_http_is_enriched_as_the_agent_does() -> None:
    made = message(method="GET", resource="/a", status="200")
    info = Info(
        "protobuf",
        request=RequestInfo(type="POST", resource="/b", endpoint="/e", domain="d"),
        trace=TraceInfo(("t1", "t2"), span_id="s", x_request_id="x"),
        attributes=(("k", "v"),),
    )
    enrich_http(made, "demo", info)
    enrich_http(made, "demo", Info("protobuf", response=ResponseInfo(Status.OK, code=599)))
    assert (made.method, made.resource, made.status) == ("POST", "/b", "599")
    assert made.parsed_by == "built-in+demo"
    assert made.attributes == {
        "endpoint": "/e",
        "host": "d",
        "trace_id": "t1 t2",
        "span_id": "s",
        "x_request_id": "x",
        "k": "v",
    }


def test_a_type_that_is_no_http_method_is_ignored_and_empty_values_change_nothing() -> None:
    made = message(method="GET", resource="/a", status="200")
    enrich_http(made, "demo", Info("protobuf", request=RequestInfo(type="BREW")))
    enrich_http(made, "demo", Info("protobuf", response=ResponseInfo(Status.SERVER_ERROR)))
    assert (made.method, made.resource, made.status) == ("GET", "/a", "200")


def test_a_plugins_own_protocol() -> None:
    made = message()
    from_request(made, Info("protobuf", request=RequestInfo(type="GET", endpoint="/e")))
    from_response(made, Info("protobuf", response=ResponseInfo(Status.CLIENT_ERROR, result="r")))
    assert made.record("").get("request") == "GET /e"
    assert made.status == "client error"
    from_response(made, Info("protobuf", response=ResponseInfo(Status.OK, code=-5)))
    assert made.status == "-5"


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
