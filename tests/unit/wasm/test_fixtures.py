"""The fixture plugins in C: what fixtures/wasm/README.md promises of them."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

import fixtures
from engine.wasm.abi import SERVER_TO_CLIENT, HttpRequest, HttpResponse, Status
from engine.wasm.custom import nats_message, zmtp_message
from engine.wasm.host import WasmHost
from engine.wasm.outcome import Claim
from tests.unit.wasm.calls import BASE, REQUEST, records, row

PLUGINS = Path(fixtures.__file__).parent / "wasm"
ANSWERING = replace(BASE, direction=SERVER_TO_CLIENT)


def load(host: WasmHost, name: str) -> None:
    """Load a fixture plugin."""
    assert host.load(PLUGINS / name / f"{name}.wasm") == name


def frame(kind: int, number: int, text: bytes) -> bytes:
    """One frame of the KV protocol."""
    head = b"KV" + bytes([kind]) + number.to_bytes(4, "big")
    return head + len(text).to_bytes(2, "big") + text


@pytest.mark.parametrize(
    ("name", "hooks"),
    [
        ("http", ["http_request", "http_response"]),
        ("kv", ["payload"]),
        ("custom", ["custom_message"]),
        ("trap", ["http_request"]),
        ("user", ["http_request"]),
    ],
)
def test_each_asks_for_its_hooks(host: WasmHost, name: str, hooks: list[str]) -> None:
    load(host, name)
    assert row(host)["hooks"] == hooks


@pytest.mark.parametrize(
    ("headers", "named"),
    [
        (b"Host: h\r\nX-User: carol\r\n", [(None, {"user": "carol"})]),
        (b"x-user:dave  \r\nHost: h\r\n", [(None, {"user": "dave"})]),
        (b"Host: h\r\n\r\nX-User: body\r\n", []),
        (b"X-User:\r\n", []),
    ],
)
def test_the_user_is_whom_the_header_names(
    host: WasmHost, headers: bytes, named: list[object]
) -> None:
    load(host, "user")
    payload = b"GET / HTTP/1.1\r\n" + headers + b"\r\n"
    host.on_http_req(BASE, HttpRequest(b"/", b"h", b"", b""), payload)
    merged = [
        (each["before"], each["after"]) for one in records(host) for each in one["merged"] or ()
    ]
    assert merged == named


def test_http_requests_are_rewritten(host: WasmHost) -> None:
    load(host, "http")
    request = HttpRequest(b"/a?b=c", b"h.test", b"curl/8", b"")
    outcome = host.on_http_req(BASE, request, b"GET /a?b=c HTTP/1.1\r\nX-Request-Id: r\r\n\r\n")
    assert outcome is not None
    merged = {each["field"]: (each["before"], each["after"]) for each in records(host)[0]["merged"]}
    assert merged == {
        "domain": ("h.test", "rewritten.test"),
        "x_request_id_0": ("r", None),
        "trace_id": (None, "trace-of-plugin"),
        "trace_ids": (None, ["trace-of-plugin"]),
        "attributes": (None, {"client": "curl/8"}),
    }


@pytest.mark.parametrize(
    ("body", "code", "status"),
    [(b'{"code":599}', 599, "server error"), (b'{"a":1,"code":404,"b":2}', 404, "client error")],
)
def test_a_code_in_the_body_replaces_the_status(
    host: WasmHost, body: bytes, code: int, status: str
) -> None:
    load(host, "http")
    host.on_http_resp(ANSWERING, HttpResponse(200, b"/a"), b"HTTP/1.1 200 OK\r\n\r\n" + body)
    merged = {each["field"]: (each["before"], each["after"]) for each in records(host)[0]["merged"]}
    assert merged == {
        "code": (200, code),
        "status": ("ok", status),
        "exception": (None, "code in the body"),
    }


def test_a_response_without_a_code_is_passed_on(host: WasmHost) -> None:
    load(host, "http")
    assert host.on_http_resp(ANSWERING, HttpResponse(200), b"HTTP/1.1 200 OK\r\n\r\n{}") is None


def test_kv_frames_are_claimed_and_parsed(host: WasmHost) -> None:
    load(host, "kv")
    asked, answered = frame(1, 7, b"colour"), frame(2, 7, b"green") + frame(3, 8, b"no")
    assert host.check_payload(BASE, asked) == Claim("kv", 77, "KV", 0)
    assert host.check_payload(ANSWERING, answered) == Claim("kv", 77, "KV", 1)
    assert host.check_payload(BASE, b"KV\x09" + bytes(9)) is None
    outcome = host.parse_payload(ANSWERING, answered, 77, "KV")
    assert outcome is not None
    statuses = [(info.request_id, info.response and info.response.status) for info in outcome.infos]
    assert statuses == [(7, Status.OK), (8, Status.SERVER_ERROR)]


def test_a_kv_frame_that_is_cut_off_shows_at_which_length_it_is_whole(host: WasmHost) -> None:
    load(host, "kv")
    payload = frame(1, 1, b"a") + frame(1, 2, b"bb")
    host.parse_payload(BASE, payload, 77)
    host.rerun(1, cuts=(10, 20, 21))
    shown = [(len(call["infos"]), call["logs"]) for call in records(host)]
    cut_off = ["warning: a frame is cut off"]
    assert shown == [(2, []), (1, []), (1, cut_off), (2, [])]


def test_nats_messages_get_attributes(host: WasmHost) -> None:
    load(host, "custom")
    outcome = host.on_custom_message(BASE, nats_message("svc.Get", "_INBOX.1", b"x"), b"")
    assert outcome is not None
    assert outcome.infos[-1].attributes == (("subject", "svc.Get"), ("reply_to", "_INBOX.1"))
    assert host.on_custom_message(BASE, zmtp_message("p"), b"") is None


def test_a_backtrace_has_names_files_and_lines(host: WasmHost) -> None:
    load(host, "trap")
    host.on_http_req(BASE, REQUEST, b"")
    logs = records(host)[0]["logs"]
    assert logs[0] == "error: about to trap"
    frames = [line for line in logs if line.startswith("frame: ")]
    assert [line.split()[1] for line in frames] == ["give_up", "parse_header", "on_http_req"]
    assert all("trap.c:" in line for line in frames)
