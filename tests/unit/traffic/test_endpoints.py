"""What a server speaks is remembered, as in the agent, and shown in the decision path."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from engine.core.clock import SystemClock
from engine.core.source import Logbook
from engine.traffic.dissect import Dissector
from engine.traffic.endpoints import KEPT_NS, MAX_FAILURES
from engine.traffic.options import TrafficOptions
from engine.wasm.host import WasmHost
from tests.unit.traffic.talk import Talk
from tests.unit.traffic.test_dissect import GET, OK, brief, dissect
from tests.unit.traffic.test_inference import calls
from tests.unit.traffic.test_source import DEMO
from tests.unit.wasm import wat

ASKED, ANSWERED = b"BOX1 1 GET a\n", b"BOX1 1 OK\n"
STRANGE = b"\0\1\2\3"
CLAIM = "(i32.const 9)"


@pytest.fixture
def host() -> Iterator[WasmHost]:
    """An empty plugin host."""
    clock = SystemClock()
    wasm = WasmHost(clock, Logbook(clock))
    yield wasm
    wasm.stop()


def caching(host: WasmHost | None = None) -> Dissector:
    """A dissector in the agent's order, with its memory."""
    return Dissector(host, TrafficOptions(order="agent", cache=True))


def talk(port: int, after_ns: int = 0) -> Talk:
    """A connection from another port, some time later."""
    one = Talk(port)
    one.now_ns += after_ns
    return one


def test_a_later_connection_goes_straight_to_parse_payload(host: WasmHost) -> None:
    host.load(DEMO)
    first, second = talk(40_000), talk(40_001)
    messages, drops = dissect(
        [first.asks(ASKED), first.answers(ANSWERED), second.asks(ASKED), second.answers(ANSWERED)],
        caching(host),
    )
    assert brief(messages) == [("GET a", "ok")] * 2
    assert drops == []
    assert [export for export, _ in calls(host)] == ["check_payload"] + ["parse_payload"] * 4
    assert [message.record("").get("decision") for message in messages] == [
        ("claimed by demo as 101 BOX1", "13 bytes client → server: wasm: yes"),
        ("13 bytes client → server: remembered of its server: claimed by demo as 101 BOX1",),
    ]


def test_without_the_option_every_connection_is_asked_about(host: WasmHost) -> None:
    host.load(DEMO)
    dissect([talk(40_000).asks(ASKED), talk(40_001).asks(ASKED)], Dissector(host))
    assert [export for export, _ in calls(host)].count("check_payload") == 2


def test_http_is_remembered_too_and_plugins_are_not_asked_again(
    host: WasmHost, tmp_path: Path
) -> None:
    host.load(wat.save(tmp_path, wat.plugin()))
    messages, _ = dissect([talk(40_000).asks(GET), talk(40_001).asks(GET)], caching(host))
    assert [export for export, _ in calls(host)].count("check_payload") == 1
    assert messages[1].record("").get("decision") == (
        "28 bytes client → server: remembered of its server: http",
    )


def test_a_wrong_guess_spoils_the_server_until_a_minute_has_passed(host: WasmHost) -> None:
    host.load(DEMO)
    first, second, third = talk(40_000), talk(40_001), talk(40_002, KEPT_NS)
    messages, drops = dissect(
        [first.asks(ASKED), second.asks(GET), third.asks(GET), third.answers(OK)], caching(host)
    )
    assert drops == ["not_parsed"]
    assert sorted(brief(messages)) == [("GET /a", "200"), ("GET a", "")]


def test_loading_a_plugin_again_forgets_everything(host: WasmHost) -> None:
    name = host.load(DEMO)
    dissector = caching(host)
    dissect([talk(40_000).asks(ASKED)], dissector)
    host.reload(name)
    dissect([talk(40_001).asks(ASKED)], dissector)
    records = host.rings["wasm_result"].since(0).records
    asked = [record for record in records if record.get("rerun_of") is None]
    assert [record.get("export") for record in asked].count("check_payload") == 2


def test_a_server_that_fails_too_often_is_left_alone_for_the_rest_of_the_minute() -> None:
    dissector = caching()
    strange = [talk(20_000 + number).asks(STRANGE) for number in range(MAX_FAILURES)]
    messages, drops = dissect(strange, dissector)
    assert (len(messages), drops) == (MAX_FAILURES, [])
    assert dissect([talk(50_000).asks(GET)], dissector) == ([], ["left_alone"])
    later = talk(50_001, KEPT_NS)
    messages, drops = dissect([later.asks(GET), later.answers(OK)], dissector)
    assert (brief(messages), drops) == ([("GET /a", "200")], [])


def test_servers_are_told_apart_by_address_and_port(host: WasmHost) -> None:
    host.load(DEMO)
    other = talk(40_001)
    other.ends[1] = (b"\x7f\0\0\2", 80)
    dissect([talk(40_000).asks(ASKED), other.asks(ASKED)], caching(host))
    assert [export for export, _ in calls(host)].count("check_payload") == 2
