"""NATS, ZMTP, Dubbo and RocketMQ are read, and offered to plugins as custom messages."""

from __future__ import annotations

import json
import struct
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import fixtures
from engine.core.clock import SystemClock
from engine.core.source import Logbook
from engine.traffic.dissect import Dissector
from engine.wasm.custom import DUBBO, NATS, ROCKETMQ, ZMTP, zmtp_message
from engine.wasm.host import WasmHost
from tests.unit.traffic.talk import Talk
from tests.unit.traffic.test_dissect import brief, dissect
from tests.unit.wasm import wat
from tests.unit.wasm.calls import one_info

CUSTOM = Path(fixtures.__file__).parent / "wasm" / "custom" / "custom.wasm"

PUB = b"PUB svc.Get _INBOX.1 3\r\n\x0a\x01A\r\n"
HMSG = b"HMSG news 9 12 14\r\nNATS/1.0\r\n\r\nhi\r\n"
GREETING = b"\xff" + bytes(8) + b"\x7f\x03" + b"\x01NULL".ljust(53, b"\0")
READY = b"\x04\x06\x05READY"
SUBSCRIBE = b"\x04\x0e\x09SUBSCRIBEnews"
FRAMES = b"\x01\x05topic" + b"\x02" + struct.pack(">Q", 300) + b"x" * 300


def dubbo(number: int, *, status: int | None = None, body: bytes = b"body") -> bytes:
    """A Dubbo request, or a response with a status."""
    flags = 0xC2 if status is None else 0x02
    return struct.pack(">2sBBQI", b"\xda\xbb", flags, status or 0, number, len(body)) + body


def rocketmq(code: int, opaque: int, flag: int = 0) -> bytes:
    """A RocketMQ command with a JSON header."""
    header = json.dumps({"code": code, "flag": flag, "opaque": opaque}).encode()
    return struct.pack(">II", 4 + len(header) + 4, len(header)) + header + b"body"


@pytest.fixture
def host() -> Iterator[WasmHost]:
    """An empty plugin host."""
    clock = SystemClock()
    wasm = WasmHost(clock, Logbook(clock))
    yield wasm
    wasm.stop()


def load_catch_all(host: WasmHost, folder: Path, result: bytes = b"") -> None:
    """A plugin that wants every custom message and answers with a result, if there is one."""
    body = wat.send_result(result) + wat.STOP if result else wat.NEXT
    extra = wat.custom(0x00FF000000000000, body)
    host.load(
        wat.save(folder, wat.plugin(hooks=wat.CUSTOM_MESSAGE, result=result, extra=extra), "all")
    )


def offered(host: WasmHost) -> list[dict[str, Any]]:
    """The contexts of all calls, each with its payload."""
    found = []
    for record in host.rings["wasm_result"].since(0).records:
        shown: Any = record.as_json()
        assert shown["export"] == "on_custom_message"
        found.append({**shown["context"], "payload": bytes.fromhex(shown["payload"])})
    return found


def test_nats_messages_and_commands_are_read() -> None:
    talk = Talk()
    messages, drops = dissect(
        [
            talk.answers(b'INFO {"server_id":"a"}\r\n'),
            talk.asks(b'CONNECT {"verbose":false}\r\nSUB news 9\r\nPING\r\n' + PUB),
            talk.answers(b"PONG\r\n+OK\r\n" + HMSG + b"-ERR 'Slow Consumer'\r\n"),
        ]
    )
    assert brief(messages) == [
        ('INFO {"server_id":"a"}', ""),
        ('CONNECT {"verbose":false}', ""),
        ("SUB news 9", ""),
        ("PUB svc.Get", ""),
        ("HMSG news", ""),
        ("-ERR 'Slow Consumer'", "error"),
    ]
    assert {message.server[1] for message in messages} == {80}
    assert messages[3].attributes.values == {"reply_to": "_INBOX.1"}
    assert messages[3].request_bytes == 3
    assert drops == []


def test_the_custom_plugin_gets_nats_and_its_result_is_on_the_message(host: WasmHost) -> None:
    host.load(CUSTOM)
    messages, _ = dissect([Talk().asks(PUB + b"PI")], Dissector(host))
    (shown,) = [message.record("").as_json() for message in messages]
    assert (shown["protocol"], shown["parsed_by"]) == ("NATS", "built-in+custom")
    attributes: Any = shown["attributes"]
    assert attributes["subject"] == "svc.Get"
    assert attributes["reply_to"] == "_INBOX.1"
    assert shown["wasm_calls"] == (1,)
    (context,) = offered(host)
    # The golden vector of the ABI, and what follows the message for a payload.
    assert context["custom_message"] == "0a077376632e47657412085f494e424f582e311a030a0141"
    assert (context["type_code"], context["payload"]) == (NATS, b"PI")


def test_both_directions_are_offered_but_only_what_carries_data(
    host: WasmHost, tmp_path: Path
) -> None:
    load_catch_all(host, tmp_path)
    talk = Talk()
    dissect([talk.asks(b"SUB news 9\r\n" + PUB), talk.answers(HMSG)], Dissector(host))
    assert [context["direction"] for context in offered(host)] == ["request", "response"]


def test_each_zmtp_frame_is_a_message_and_a_call(host: WasmHost, tmp_path: Path) -> None:
    load_catch_all(host, tmp_path)
    talk = Talk()
    first = READY + SUBSCRIBE
    messages, drops = dissect(
        [
            talk.asks(GREETING[:10]),
            talk.answers(GREETING),
            talk.asks(GREETING[10:]),
            talk.asks(first),
            talk.answers(FRAMES),
        ],
        Dissector(host),
    )
    assert brief(messages) == [
        ("READY", ""),
        ("SUBSCRIBE news", ""),
        ("message, more", ""),
        ("message", ""),
    ]
    contexts = offered(host)
    assert {context["type_code"] for context in contexts} == {ZMTP}
    assert [context["payload"] for context in contexts] == [first, first, FRAMES, FRAMES]
    told = [context.get("custom_message", "") for context in contexts]
    assert told[0] == ""
    assert told[1] == zmtp_message("news").message.hex()
    assert told[2] == zmtp_message(None, b"topic").message.hex()
    assert drops == []


def test_dubbo_calls_find_their_answers(host: WasmHost, tmp_path: Path) -> None:
    result = one_info(req={"domain": "Shop", "type": "buy"})
    load_catch_all(host, tmp_path, result)
    talk = Talk()
    messages, drops = dissect(
        [talk.asks(dubbo(1) + dubbo(2)), talk.answers(dubbo(2, status=20)),
         talk.answers(dubbo(1, status=60))],
        Dissector(host),
    )  # fmt: skip
    shown = [message.record("").as_json() for message in messages]
    assert [each["session"] for each in shown] == ["answered", "answered"]
    assert [each["request"] for each in shown] == ["buy", "buy"]
    assert [each["parsed_by"] for each in shown] == ["built-in+all"] * 2
    assert {context["type_code"] for context in offered(host)} == {DUBBO}
    assert drops == []


def test_rocketmq_commands_find_their_answers(host: WasmHost, tmp_path: Path) -> None:
    load_catch_all(host, tmp_path)
    talk = Talk()
    asked = rocketmq(310, 7)
    messages, drops = dissect(
        [talk.asks(asked[:-2]), talk.asks(asked[-2:]), talk.answers(rocketmq(0, 7, 1)),
         talk.asks(rocketmq(35, 8, 2))],
        Dissector(host),
    )  # fmt: skip
    assert sorted(brief(messages)) == [("code 310", "0"), ("code 35", "")]
    assert {context["type_code"] for context in offered(host)} == {ROCKETMQ}
    assert drops == []


@pytest.mark.parametrize("whole", [PUB * 2, dubbo(1) * 2], ids=["nats", "dubbo"])
def test_a_message_that_is_cut_anywhere_is_put_together(whole: bytes) -> None:
    begin = len(whole) // 2
    for cut in range(begin + 1, len(whole)):
        talk = Talk()
        messages, drops = dissect([talk.asks(whole[:cut]), talk.asks(whole[cut:])])
        assert (len(messages), drops) == (2, []), cut


def test_what_is_no_nats_any_more_is_malformed_and_what_follows_is_read() -> None:
    talk = Talk()
    messages, drops = dissect([talk.asks(PUB), talk.asks(b"WHAT\r\n"), talk.asks(PUB)])
    assert (len(messages), drops) == (2, ["malformed"])


def test_after_a_loss_the_middle_of_a_message_is_a_gap() -> None:
    talk = Talk()
    messages, drops = dissect(
        [talk.asks(PUB), talk.asks(b"PUB a 5\r\nhe", missing=3), talk.asks(b"lo\r\n"),
         talk.asks(PUB)]
    )  # fmt: skip
    assert (len(messages), drops) == (2, ["gap"])


@pytest.mark.fuzz("conversations")
@settings(deadline=None)
@given(
    st.sampled_from([PUB, GREETING + FRAMES, dubbo(1), rocketmq(1, 1)]),
    st.lists(st.tuples(st.integers(0, 400), st.integers(0, 255)), max_size=4),
    st.binary(max_size=60),
)
def test_any_bytes_are_survived(begin: bytes, damage: list[tuple[int, int]], more: bytes) -> None:
    content = bytearray(begin + more)
    for at, value in damage:
        content[at % len(content)] = value
    talk = Talk()
    dissect([talk.asks(begin), talk.asks(bytes(content)), talk.answers(bytes(content))])
