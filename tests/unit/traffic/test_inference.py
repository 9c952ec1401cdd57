"""How plugins and the built-in parser share the flows between them."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from engine.core.clock import SystemClock
from engine.core.source import Logbook
from engine.traffic.dissect import Dissector
from engine.traffic.options import TrafficOptions
from engine.traffic.parsers import PAYLOAD_LIMIT
from engine.wasm.host import WasmHost
from tests.unit.traffic.talk import Talk
from tests.unit.traffic.test_dissect import GET, OK, brief, dissect
from tests.unit.traffic.test_source import DEMO
from tests.unit.wasm import wat


@pytest.fixture
def host() -> Iterator[WasmHost]:
    """An empty plugin host."""
    clock = SystemClock()
    wasm = WasmHost(clock, Logbook(clock))
    yield wasm
    wasm.stop()


def as_agent(host: WasmHost) -> Dissector:
    """A dissector that asks plugins first."""
    return Dissector(host, TrafficOptions(order="agent"))


def calls(host: WasmHost) -> list[tuple[object, object]]:
    """Export and action of every call."""
    records = host.rings["wasm_result"].since(0).records
    return [(record.get("export"), record.get("action")) for record in records]


def test_as_documented_plugins_see_what_is_not_http(host: WasmHost, tmp_path: Path) -> None:
    host.load(wat.save(tmp_path, wat.plugin()))
    talk, other = Talk(), Talk(41_000)
    messages, _ = dissect(
        [talk.asks(GET), talk.answers(OK), other.asks(b"\0\1\2\3")], Dissector(host)
    )
    assert [export for export, _ in calls(host)] == ["on_http_req", "on_http_resp", "check_payload"]
    assert [message.record("").get("decision") for message in messages] == [
        ("28 bytes client → server: http: yes",),
        (
            "4 bytes client → server: http: no; wasm: claimed by no plugin; dns: no; "
            "custom: no; name: no",
        ),
    ]


def test_as_in_the_agent_plugins_see_the_first_payload_of_every_flow(
    host: WasmHost, tmp_path: Path
) -> None:
    host.load(wat.save(tmp_path, wat.plugin()))
    talk = Talk()
    messages, _ = dissect([talk.asks(GET), talk.answers(OK), talk.asks(GET)], as_agent(host))
    assert len(messages) == 2
    assert [export for export, _ in calls(host)] == [
        "check_payload",
        "on_http_req",
        "on_http_resp",
        "on_http_req",
    ]


def test_a_flow_a_plugin_claims_never_reaches_the_http_hooks(
    host: WasmHost, tmp_path: Path
) -> None:
    host.load(wat.save(tmp_path, wat.plugin(check="(i32.const 9)", parse=wat.STOP)))
    talk = Talk()
    messages, drops = dissect([talk.asks(GET), talk.answers(OK)], as_agent(host))
    assert messages == []
    assert drops == []
    assert [export for export, _ in calls(host)] == [
        "check_payload",
        "parse_payload",
        "parse_payload",
    ]


def test_a_verdict_of_response_makes_the_sender_the_server(host: WasmHost) -> None:
    host.load(DEMO)
    talk = Talk()
    messages, drops = dissect(
        [
            talk.answers(b"BOX1 1 OK v\n"),
            talk.asks(b"BOX1 2 GET k\n"),
            talk.answers(b"BOX1 2 OK\n"),
        ],
        Dissector(host),
    )
    assert brief(messages) == [("", "ok"), ("GET k", "ok")]
    assert {message.server[1] for message in messages} == {80}
    assert drops == []


def test_answers_find_their_request_by_its_number(host: WasmHost) -> None:
    host.load(DEMO)
    talk = Talk()
    messages, _ = dissect(
        [talk.asks(b"BOX1 1 GET a\nBOX1 2 GET b\n"), talk.answers(b"BOX1 2 OK\nBOX1 1 ERR no\n")],
        Dissector(host),
    )
    assert brief(messages) == [("GET b", "ok"), ("GET a", "server error")]


def test_datagrams_can_be_claimed(host: WasmHost) -> None:
    host.load(DEMO)
    talk = Talk(l4=17)
    messages, _ = dissect(
        [talk.asks(b"BOX1 1 GET a\n"), talk.answers(b"BOX1 1 OK\n")], Dissector(host)
    )
    assert brief(messages) == [("GET a", "ok")]


def test_a_plugin_is_given_no_more_payload_than_its_buffer(host: WasmHost, tmp_path: Path) -> None:
    read = f"(drop (call $payload (i32.const {wat.BUFFER_AT}) (i32.const {PAYLOAD_LIMIT})))"
    body = read + wat.NEXT
    host.load(wat.save(tmp_path, wat.plugin(check=body, request=body, response=body)))
    talk = Talk()
    filler = b"X: " + b"a" * 3_000 + b"\r\n\r\n"
    dissect([talk.asks(GET[:-2] + filler), talk.answers(OK + b"x" * 3_000)], as_agent(host))
    assert [record.get("logs") for record in host.rings["wasm_result"].since(0).records] == [[]] * 3


def test_a_single_byte_is_not_offered(host: WasmHost, tmp_path: Path) -> None:
    host.load(wat.save(tmp_path, wat.plugin()))
    dissect([Talk().asks(b"\x00")], Dissector(host))
    assert calls(host) == []
