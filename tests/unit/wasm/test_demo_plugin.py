"""The demo plugin: what fixtures/wasm/README.md promises of it."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

import fixtures
from engine.wasm.abi import SERVER_TO_CLIENT, BaseContext, HttpRequest, Status
from engine.wasm.host import WasmHost
from engine.wasm.infos import RequestInfo, ResponseInfo
from engine.wasm.outcome import Claim, Outcome

DEMO = Path(fixtures.__file__).parent / "wasm" / "demo" / "demo.wasm"
ASKING = BaseContext(b"\x7f\0\0\1", b"\x7f\0\0\1", 40_000, 17_001, 1)
ANSWERING = replace(ASKING, direction=SERVER_TO_CLIENT)
TRACE = b"traceparent: 00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01\r\n"


@pytest.fixture
def demo(host: WasmHost) -> WasmHost:
    """A host with the demo plugin alone."""
    assert host.load(DEMO) == "demo"
    return host


def ask(demo: WasmHost, path: bytes, host: bytes = b"", headers: bytes = b"") -> Outcome | None:
    """Offer an HTTP request."""
    head = b"GET " + path + b" HTTP/1.1\r\n" + headers + b"\r\n"
    return demo.on_http_req(ASKING, HttpRequest(path, host), head)


def logs(demo: WasmHost) -> list[object]:
    """What the last call logged."""
    ring = demo.rings["wasm_result"]
    value = ring.since(ring.last_seq - 1).records[0].get("logs")
    assert isinstance(value, list)
    return value


def test_it_is_small_and_asks_for_two_hooks(demo: WasmHost) -> None:
    assert DEMO.stat().st_size < 24_000
    (row,) = demo.tables()["wasm_plugin"]
    assert row.get("hooks") == ["http_request", "payload"]


@pytest.mark.parametrize(
    ("path", "endpoint", "identity"),
    [
        (b"/api/users/42", "/api/users/{id}", "42"),
        (b"/api/users/42/orders/7?limit=5", "/api/users/{id}/orders/{id}", "42"),
        (b"/", "/", None),
        (b"/v2/x9", "/v2/x9", None),
        (b"/a//b/", "/a//b/", None),
    ],
)
def test_numbers_in_the_path_become_a_placeholder_and_an_attribute(
    demo: WasmHost, path: bytes, endpoint: str, identity: str | None
) -> None:
    outcome = ask(demo, path)
    assert outcome is not None
    (info,) = outcome.infos
    assert info.request == RequestInfo(endpoint=endpoint)
    assert dict(info.attributes).get("id") == identity


def test_the_tenant_comes_from_the_host(demo: WasmHost) -> None:
    outcome = ask(demo, b"/", b"acme.shop.test:8080")
    assert outcome is not None
    assert outcome.infos[0].attributes == (("tenant", "acme"),)


def test_the_trace_comes_from_the_header_in_the_payload(demo: WasmHost) -> None:
    outcome = ask(demo, b"/", headers=b"Host: x\r\n" + TRACE)
    assert outcome is not None
    trace = outcome.infos[0].trace
    assert trace is not None
    assert trace.trace_ids == ("0af7651916cd43dd8448eb211c80319c",)
    assert trace.span_id == "b7ad6b7169203331"
    assert logs(demo) == []


def test_a_request_without_trace_is_logged(demo: WasmHost) -> None:
    ask(demo, b"/", headers=b"Host: x\r\n")
    assert logs(demo) == ["warning: request without traceparent"]


def test_a_trace_header_in_the_body_is_not_one(demo: WasmHost) -> None:
    outcome = ask(demo, b"/", headers=b"\r\n" + TRACE)
    assert outcome is not None
    assert outcome.infos[0].trace is None


def test_health_checks_are_passed_on(demo: WasmHost) -> None:
    assert ask(demo, b"/health") is None


@pytest.mark.parametrize(
    ("payload", "direction"),
    [(b"BOX1 7 GET colour\n", 0), (b"BOX1 7 OK green\n", 1), (b"BOX1 7 ERR no\n", 1)],
)
def test_box1_is_recognised_either_way(demo: WasmHost, payload: bytes, direction: int) -> None:
    assert demo.check_payload(ASKING, payload) == Claim("demo", 101, "BOX1", direction)


@pytest.mark.parametrize(
    "payload", [b"", b"GET / HTTP/1.1\r\n\r\n", b"BOX1", b"BOX1 x GET k\n", b"BOX2 1 GET k\n"]
)
def test_anything_else_is_not(demo: WasmHost, payload: bytes) -> None:
    assert demo.check_payload(ASKING, payload) is None


def test_every_line_of_a_payload_becomes_an_info(demo: WasmHost) -> None:
    asked = demo.parse_payload(ASKING, b"BOX1 7 GET colour\nBOX1 8 SET size 4\n", 101)
    answered = demo.parse_payload(ANSWERING, b"BOX1 7 OK dark green\nBOX1 8 ERR full\n", 101)
    assert asked is not None
    assert answered is not None
    assert [(info.request_id, info.request) for info in asked.infos] == [
        (7, RequestInfo(type="GET", resource="colour", endpoint="colour")),
        (8, RequestInfo(type="SET", resource="size", endpoint="size")),
    ]
    assert [(info.request_id, info.response) for info in answered.infos] == [
        (7, ResponseInfo(status=Status.OK, result="dark green")),
        (8, ResponseInfo(status=Status.SERVER_ERROR, exception="full")),
    ]


def test_another_protocols_number_is_left_alone(demo: WasmHost) -> None:
    assert demo.parse_payload(ASKING, b"BOX1 7 GET colour\n", 100) is None


def test_more_than_fits_a_record_is_left_out_and_logged(demo: WasmHost) -> None:
    outcome = demo.parse_payload(ASKING, b"BOX1 1 GET " + b"k" * 5_000 + b"\nBOX1 2 GET k\n", 101)
    assert outcome is not None
    assert [info.request_id for info in outcome.infos] == [2]
    assert logs(demo) == ["error: a line did not fit the result"]
