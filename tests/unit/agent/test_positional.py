"""The agent's walk by position, byte for byte."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from engine.agent.positional import describe, is_in_order, read_by_position
from tests.unit.agent.support import VECTORS, record_frame

CASES: list[dict[str, Any]] = json.loads(
    (Path(__file__).parent / "positional_vectors.json").read_text(encoding="utf-8")
)
"""Followed by hand through the agent's walk."""


def body(vector: dict[str, Any]) -> bytes:
    return bytes.fromhex(vector["hex"])[4:]


@pytest.mark.parametrize("case", CASES, ids=lambda case: str(case["id"]).replace(" ", "-"))
def test_walks_as_the_agent_does(case: dict[str, Any]) -> None:
    reading = read_by_position(bytes.fromhex(case["body"]), bytes.fromhex(case["following"]))
    wanted = {
        **{key: case[key] for key in ("outcome", "data_type", "timestamp", "end")},
        "payload": bytes.fromhex(case["payload"]),
    }
    assert reading._asdict() == wanted


@pytest.mark.parametrize("vector", VECTORS["records_hazardous"], ids=lambda vector: vector["id"])
def test_reads_what_the_unmodified_agent_read(vector: dict[str, Any]) -> None:
    reading = read_by_position(body(vector))
    assert max(0, reading.end - len(body(vector))) == vector["agent_overrun"]
    if vector["agent"] is None:
        assert reading.outcome == "nil"
        return
    assert reading.outcome == "record"
    assert [reading.data_type, reading.timestamp, reading.payload.hex()] == vector["agent"]


@pytest.mark.parametrize("vector", VECTORS["records_good"], ids=lambda vector: vector["id"])
def test_reads_proper_records_as_they_are(vector: dict[str, Any]) -> None:
    reading = read_by_position(body(vector))
    assert (reading.outcome, reading.end) == ("record", len(body(vector)))
    assert (reading.data_type, reading.timestamp) == (vector["data_type"], vector["timestamp"])
    if "payload_hex" in vector:
        assert reading.payload.hex() == vector["payload_hex"]
    assert is_in_order(body(vector))


@pytest.mark.parametrize("vector", VECTORS["records_hazardous"], ids=lambda vector: vector["id"])
def test_knows_records_that_are_out_of_order(vector: dict[str, Any]) -> None:
    assert not is_in_order(body(vector))


@pytest.mark.fuzz("plugin record decoder")
@given(st.binary(max_size=60), st.binary(max_size=60))
def test_goes_through_any_bytes(garbage: bytes, following: bytes) -> None:
    reading = read_by_position(garbage, following)
    assert describe(reading, garbage, following).startswith("a real agent would have")
    if reading.outcome == "record":
        assert reading.end == len(garbage)
        assert garbage.endswith(reading.payload)
    if reading.outcome == "nil":
        assert reading.end >= len(garbage)


@given(st.binary(max_size=40))
def test_what_is_in_order_reads_the_same_by_position(payload: bytes) -> None:
    whole = b"\x08\x02\x10\x03\x1a" + bytes((len(payload),)) + payload
    assert is_in_order(whole)
    assert read_by_position(whole).payload == payload
    assert not is_in_order(whole + b"\x00")
    assert not is_in_order(whole[:-1])


def test_tells_what_becomes_of_the_stream() -> None:
    nil = body(VECTORS["records_hazardous"][0])
    following = record_frame({"n": "1"})
    assert describe(read_by_position(nil, following), nil, following) == (
        "a real agent would have found no payload, eaten 1 byte of the next frame, "
        "read 134217728 as the next length, and crashed on sending its batch"
    )
    negative = bytes.fromhex("080210031aff")
    assert describe(read_by_position(negative, b"\x19"), negative, b"\x19") == (
        "a real agent would have crashed: it takes the payload's length for a negative one"
    )
    swapped = body(VECTORS["records_hazardous"][3])
    assert describe(read_by_position(swapped), swapped, b"", b"other") == (
        "a real agent would have read this as data_type 1700000000, timestamp 2, "
        "payload mangled (16 bytes: 0a0e0a0365786512072f62696e2f6c73)"
    )
