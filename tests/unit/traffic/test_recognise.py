"""Protocols that are named and not read."""

from __future__ import annotations

import ssl

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from engine.core.sanitise import clean
from engine.traffic.recognise import recognise
from tests.unit.traffic.talk import Talk
from tests.unit.traffic.test_dissect import dissect


def client_hello() -> bytes:
    """What a real client sends first."""
    context = ssl.create_default_context()
    context.set_alpn_protocols(["h2", "http/1.1"])
    out = ssl.MemoryBIO()
    session = context.wrap_bio(ssl.MemoryBIO(), out, server_hostname="shop.test")
    with pytest.raises(ssl.SSLWantReadError):
        session.do_handshake()
    return out.read()


POSTGRES = b"user\0me\0database\0shop\0\0"
GREETING = b"\x0a8.0.36\0" + bytes(60)
SAMPLES = {
    "HTTP2": b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n",
    "Redis": b"*2\r\n$3\r\nGET\r\n$1\r\nk\r\n",
    "MySQL": len(GREETING).to_bytes(3, "little") + b"\0" + GREETING,
    "PostgreSQL": (8 + len(POSTGRES)).to_bytes(4) + b"\0\3\0\0" + POSTGRES,
    "Kafka": bytes.fromhex("0000000c0012000300000001000261b1")[:14] + b"ab",
}


@pytest.mark.parametrize("protocol", SAMPLES)
def test_a_first_payload_gives_the_protocol_away(protocol: str) -> None:
    found = recognise(SAMPLES[protocol])
    assert found is not None
    assert (found.protocol, found.from_client) == (protocol, protocol != "MySQL")


def test_what_they_say_is_shown() -> None:
    said = {name: recognise(sample) for name, sample in SAMPLES.items()}
    assert [one.says for one in said.values() if one] == [
        "connection preface", "GET", "greeting 8.0.36", "startup", "ApiVersions v3",
    ]  # fmt: skip


def test_a_hello_read_in_two_parts_is_one_hello() -> None:
    talk, hello = Talk(), client_hello()
    segments = [*talk.open(), talk.asks(hello[:5]), talk.asks(hello[5:]), talk.answers(b"\x16\3\3")]
    (message,), drops = dissect(segments)
    assert (message.protocol, message.resource) == ("TLS", "ClientHello shop.test")
    assert drops == []


@pytest.mark.parametrize("rest", [[], ["asks"], ["answers"], ["asks", "answers", "asks"]])
def test_a_short_beginning_that_tells_nothing_is_shown_once(rest: list[str]) -> None:
    talk = Talk()
    more = [getattr(talk, way)(b"\0\1\2") for way in rest]
    (message,), _drops = dissect([*talk.open(), talk.asks(b"\0\0\0\5"), *more])
    assert message.protocol == "unknown"
    assert message.headers == {"first_bytes": clean(b"\0\0\0\5")}


def test_tls_is_named_with_its_server_and_said_to_be_unreadable() -> None:
    talk = Talk()
    (message,), drops = dissect([*talk.open(), talk.asks(client_hello()), talk.asks(b"\x17\3\3\0")])
    assert (message.protocol, message.resource) == ("TLS", "ClientHello shop.test")
    assert message.attributes.values["alpn"] == "h2 http/1.1"
    assert "cannot be read" in message.attributes.values["note"]
    assert drops == []


def test_tls_in_the_middle_of_a_connection_is_known_too() -> None:
    (message,), _ = dissect([Talk().asks(b"\x17\x03\x03\x00\x20" + bytes(32))])
    assert (message.protocol, message.resource) == ("TLS", "application data")


@pytest.mark.fuzz("conversations")
@settings(deadline=None)
@given(st.binary(max_size=200) | st.sampled_from([*SAMPLES.values()]).map(lambda one: one[:-1]))
def test_any_bytes_are_survived(payload: bytes) -> None:
    recognise(payload)


@settings(deadline=None)
@given(st.integers(0, 300))
def test_a_cut_hello_is_still_tls(length: int) -> None:
    hello = client_hello()[: 6 + length]
    found = recognise(hello)
    assert found is not None
    assert found.protocol == "TLS"
