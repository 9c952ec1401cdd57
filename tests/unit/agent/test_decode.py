"""Records are read as tolerantly as their bytes allow, and compared with a real agent's reading."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from engine.agent import decode
from engine.agent.decode import decode_record
from engine.agent.messages import ENCODED_RECORD
from engine.agent.positional import read_by_position
from tests.unit.agent.support import VECTORS, record_frame


def body(vector: dict[str, Any]) -> bytes:
    return bytes.fromhex(vector["hex"])[4:]


@pytest.mark.parametrize("vector", VECTORS["records_good"], ids=lambda vector: vector["id"])
def test_reads_what_official_plugins_write(vector: dict[str, Any]) -> None:
    decoded = decode_record(body(vector))
    assert (decoded.data_type, decoded.timestamp) == (vector["data_type"], vector["timestamp"])
    assert {key.decode(): value.decode() for key, value in decoded.fields.items()} == vector[
        "fields"
    ]
    assert (decoded.faults, decoded.agent_reading) == ((), None)


def test_reads_a_record_whose_lengths_take_two_bytes() -> None:
    vector = VECTORS["record_generated"]
    frame = bytes.fromhex(vector["head_hex"] + vector["repeat_byte"] * vector["repeat"])
    assert len(frame) - 4 == int.from_bytes(frame[:4], "little")
    decoded = decode_record(frame[4:])
    assert (decoded.data_type, decoded.timestamp) == (vector["data_type"], vector["timestamp"])
    assert decoded.fields == {b"big": b"x" * vector["repeat"]}
    assert (decoded.faults, decoded.agent_reading) == ((), None)


def test_reads_strings_that_are_not_utf_8_and_says_so() -> None:
    vector = VECTORS["record_bad_utf8"]
    decoded = decode_record(body(vector))
    assert decoded.fields == {
        name.encode(): bytes.fromhex(text) for name, text in vector["fields_bytes"].items()
    }
    assert (decoded.faults, decoded.agent_reading) == ((decode.INVALID_UTF8,), None)


@pytest.mark.parametrize("vector", VECTORS["records_hazardous"], ids=lambda vector: vector["id"])
def test_names_what_a_real_agent_would_trip_over(vector: dict[str, Any]) -> None:
    decoded = decode_record(body(vector))
    assert [decoded.data_type, decoded.timestamp] == vector["protobuf"]
    assert list(decoded.faults) == vector["faults"]
    told = decoded.agent_reading or ""
    if vector["agent"] is None:
        assert "found no payload, eaten 1 byte of the next frame" in told
        assert "crashed" in told
    else:
        data_type, timestamp, _ = vector["agent"]
        assert f"read this as data_type {data_type}, timestamp {timestamp}, payload" in told


@pytest.mark.parametrize(
    ("hex_body", "faults", "told"),
    [
        # Both numbers missing, and no payload: everything at once.
        ("", "data_type_zero timestamp_zero no_payload", "read on in the next frame"),
        # A zero that is written out reads the same by position.
        ("080010051a00", "data_type_zero", None),
        ("080510001a00", "timestamp_zero", None),
        # A payload that is no map does not concern the agent.
        ("080210031a01ff", "bad_payload", None),
        # A field before the others moves them, one behind them ends up in the payload.
        ("2001080210031a00", "extra_field", "data_type 1, timestamp 2, payload with 2 more"),
        ("080210031a002001", "extra_field", "payload with 2 more bytes"),
        # Two payloads: protobuf joins them, the agent takes the rest.
        ("080210031a001a00", "extra_field", "timestamp 3, payload with 2 more bytes"),
        ("1a0008021003", "field_order", "data_type 0, timestamp 2, payload as sent"),
        # A tag of two bytes is one too many.
        ("88000210031a00", "odd_encoding", "data_type 0, timestamp 16, payload"),
        ("ffff", "not_protobuf", "read on in the next frame and lost the stream"),
        ("08" + "ff" * 11, "not_protobuf", "a number of more than 10 bytes, stopped within it"),
        (
            "0802100320ffff01",
            "no_payload extra_field",
            "data_type 2, timestamp 3, a payload of 0 bytes",
        ),
        ("080210031a", "not_protobuf", "found no payload, and crashed on sending its batch"),
    ],
)
def test_every_fault_has_a_name_and_a_consequence(
    hex_body: str, faults: str, told: str | None
) -> None:
    decoded = decode_record(bytes.fromhex(hex_body))
    assert " ".join(decoded.faults) == faults
    if told is None:
        assert decoded.agent_reading is None
    else:
        assert told in (decoded.agent_reading or "")


def test_a_payload_that_is_no_map_leaves_the_numbers_readable() -> None:
    decoded = decode_record(b"\x08\x02\x10\x03\x1a\x01\xff")
    assert (decoded.data_type, decoded.timestamp, decoded.fields) == (2, 3, {})
    assert decoded.faults == (decode.BAD_PAYLOAD,)


def test_text_cut_within_a_character_is_not_mended_by_the_next_one() -> None:
    entry = b"\x0a\x01\xc3\x12\x01\xa9"
    payload = b"\x0a" + bytes((len(entry),)) + entry
    decoded = decode_record(b"\x08\x02\x10\x03\x1a" + bytes((len(payload),)) + payload)
    assert decoded.fields == {b"\xc3": b"\xa9"}
    assert decoded.faults == (decode.INVALID_UTF8,)


@pytest.mark.fuzz("plugin record decoder")
@given(st.binary(max_size=80), st.binary(max_size=40))
def test_any_bytes_are_read_without_an_error(garbage: bytes, following: bytes) -> None:
    decoded = decode_record(garbage, following)
    if decoded.data_type is None:
        assert decoded.faults == (decode.NOT_PROTOBUF,)
        assert decoded.agent_reading is not None


fields_of_a_record = st.lists(
    st.one_of(
        st.integers(0, 2**64 - 1).map(lambda number: b"\x08" + varint(number)),
        st.integers(0, 2**64 - 1).map(lambda number: b"\x10" + varint(number)),
        st.binary(max_size=20).map(lambda data: b"\x1a" + varint(len(data)) + data),
        st.integers(0, 2**64 - 1).map(lambda number: b"\x20" + varint(number)),
    ),
    max_size=5,
)


def varint(number: int) -> bytes:
    encoded = bytearray()
    while number > 0x7F:
        encoded.append(number & 0x7F | 0x80)
        number >>= 7
    return bytes((*encoded, number))


@given(fields_of_a_record)
def test_a_reading_is_told_exactly_if_the_agents_is_another(fields: list[bytes]) -> None:
    """Whole fields in any order and number, compared with the two plain readings."""
    whole = b"".join(fields)
    record = ENCODED_RECORD.FromString(whole)
    agent = read_by_position(whole)
    same = (
        agent.outcome == "record"
        and record.HasField("data")
        and (agent.data_type, agent.timestamp, agent.payload)
        == (record.data_type, record.timestamp, record.data)
    )
    decoded = decode_record(whole)
    assert (decoded.agent_reading is None) == same
    if not same:
        assert set(decoded.faults) - {decode.BAD_PAYLOAD, decode.INVALID_UTF8}


@given(
    st.dictionaries(st.text(max_size=5), st.text(max_size=200), max_size=4),
    st.integers(-(2**31), 2**31 - 1).filter(bool),
    st.integers(-(2**63), 2**63 - 1).filter(bool),
)
def test_a_proper_record_reads_the_same_both_ways(
    fields: dict[str, str], data_type: int, timestamp: int
) -> None:
    decoded = decode_record(record_frame(fields, data_type, timestamp)[4:])
    assert (decoded.data_type, decoded.timestamp) == (data_type, timestamp)
    assert decoded.fields == {key.encode(): value.encode() for key, value in fields.items()}
    assert (decoded.faults, decoded.agent_reading) == ((), None)
