"""Saved payloads and pasted text as inputs."""

from __future__ import annotations

from pathlib import Path
from typing import Literal

import pytest

from engine.core.clock import SystemClock
from engine.core.errors import CaptureError, UsageError
from engine.core.source import Logbook
from engine.traffic.inputs import SavedPayload, parse_endpoint, parse_hex, read_payload
from engine.traffic.packets import UDP
from engine.traffic.source import TrafficSource
from tests.unit.traffic.test_dns import QUERY

GET = b"GET /a HTTP/1.1\r\n\r\n"


@pytest.mark.parametrize("text", ["47 45:54", "0x47 0x45 0x54", "474554\n", "47,45, 54"])
def test_hex_is_read_however_it_was_pasted(text: str) -> None:
    assert parse_hex(text) == b"GET"


@pytest.mark.parametrize("text", ["", "4", "GET", "47 4"])
def test_what_is_no_hex_is_refused(text: str) -> None:
    with pytest.raises(UsageError, match="not hex"):
        parse_hex(text)


def test_a_saved_payload_is_bytes_or_hex(tmp_path: Path) -> None:
    binary, text = tmp_path / "payload.bin", tmp_path / "payload.hex"
    binary.write_bytes(GET)
    text.write_text(GET.hex(" "))
    assert read_payload(binary) == read_payload(text) == GET


def test_a_payload_that_is_missing_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(CaptureError, match="No such file"):
        read_payload(tmp_path / "none")


def test_addresses() -> None:
    assert parse_endpoint("127.0.0.1:80") == (b"\x7f\0\0\1", 80)
    assert parse_endpoint("[::1]:53") == (bytes(15) + b"\1", 53)


@pytest.mark.parametrize("text", ["", "localhost:80", "127.0.0.1", "127.0.0.1:x", "1.2.3.4:70000"])
def test_other_text_is_no_address(text: str) -> None:
    with pytest.raises(UsageError, match="no address"):
        parse_endpoint(text)


@pytest.mark.parametrize(("payload", "l4", "protocol"), [(GET, 6, "HTTP"), (QUERY, UDP, "DNS")])
def test_a_saved_payload_becomes_a_message(payload: bytes, l4: int, protocol: str) -> None:
    clock = SystemClock()
    ends = parse_endpoint("127.0.0.1:4000"), parse_endpoint("127.0.0.1:53")
    saved = SavedPayload(clock, payload, src=ends[0], dst=ends[1], l4=l4)
    source = TrafficSource(clock, Logbook(clock), inputs=[saved], wasm=None)
    source.run_once()
    (record,) = source.rings["l7_message"].since(0).records
    assert (record.get("protocol"), record.get("session")) == (protocol, "unanswered")


@pytest.mark.parametrize("l4", [6, UDP])
@pytest.mark.parametrize(("sender", "port"), [("client", 4_000), ("server", 9_999)])
def test_the_sender_of_a_saved_payload_is_who_it_is_said_to_be(
    l4: int, sender: Literal["client", "server"], port: int
) -> None:
    clock = SystemClock()
    ends = parse_endpoint("127.0.0.1:4000"), parse_endpoint("127.0.0.1:9999")
    saved = SavedPayload(clock, b"\0\1\2\3", src=ends[0], dst=ends[1], l4=l4, sender=sender)
    source = TrafficSource(clock, Logbook(clock), inputs=[saved], wasm=None)
    source.run_once()
    (record,) = source.rings["l7_message"].since(0).records
    assert record.get("src") == f"127.0.0.1:{port}"
    assert source.status().counters.seen == 1


def test_an_empty_payload_is_an_error(tmp_path: Path) -> None:
    (tmp_path / "empty").write_bytes(b"")
    with pytest.raises(CaptureError, match="empty"):
        read_payload(tmp_path / "empty")


def test_ends_of_two_ip_versions_are_refused() -> None:
    with pytest.raises(UsageError, match="different"):
        SavedPayload(
            SystemClock(), GET, src=parse_endpoint("127.0.0.1:1"), dst=parse_endpoint("[::1]:1")
        )
