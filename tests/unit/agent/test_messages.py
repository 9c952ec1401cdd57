"""Records are read as tolerantly as their bytes allow; tasks are written as an agent does."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from engine.agent import messages
from engine.agent.messages import decode_record, encode_task
from engine.agent.wire import frame
from tests.unit.agent.support import VECTORS


def body(vector: dict[str, Any]) -> bytes:
    return bytes.fromhex(vector["hex"])[4:]


@pytest.mark.parametrize("vector", VECTORS["records_good"], ids=lambda vector: vector["id"])
def test_reads_what_official_plugins_write(vector: dict[str, Any]) -> None:
    decoded = decode_record(body(vector))
    assert (decoded.data_type, decoded.timestamp) == (vector["data_type"], vector["timestamp"])
    assert {key.decode(): value.decode() for key, value in decoded.fields.items()} == vector[
        "fields"
    ]
    assert decoded.faults == ()


def test_reads_strings_that_are_not_utf_8() -> None:
    vector = VECTORS["record_bad_utf8"]
    decoded = decode_record(body(vector))
    assert decoded.fields == {
        name.encode(): bytes.fromhex(text) for name, text in vector["fields_bytes"].items()
    }
    assert decoded.faults == ()


FAULTS = {
    "X1": (messages.FAULT_NO_PAYLOAD,),
    "X2": (messages.FAULT_DATA_TYPE_0,),
    "X3": (messages.FAULT_TIMESTAMP_0,),
    "X4": (),
    "X5": (),
}


@pytest.mark.parametrize("vector", VECTORS["records_hazardous"], ids=lambda vector: vector["id"])
def test_names_what_a_real_agent_would_trip_over(vector: dict[str, Any]) -> None:
    decoded = decode_record(body(vector))
    assert [decoded.data_type, decoded.timestamp] == vector["protobuf"]
    assert decoded.faults == FAULTS[vector["id"]]


def test_a_payload_that_is_no_map_leaves_the_numbers_readable() -> None:
    decoded = decode_record(b"\x08\x02\x10\x03\x1a\x01\xff")
    assert (decoded.data_type, decoded.timestamp, decoded.fields) == (2, 3, {})
    assert decoded.faults == (messages.FAULT_PAYLOAD,)


@given(st.binary(max_size=80))
def test_any_bytes_are_read_without_an_error(garbage: bytes) -> None:
    decoded = decode_record(garbage)
    if decoded.data_type is None:
        assert decoded.faults == (messages.FAULT_RECORD,)


@pytest.mark.parametrize("vector", VECTORS["tasks"], ids=lambda vector: vector["id"])
def test_writes_the_tasks_an_agent_writes(vector: dict[str, Any]) -> None:
    encoded = encode_task(
        vector["data_type"], vector["object_name"], vector["data"], vector["token"]
    )
    assert frame(encoded).hex() == vector["hex"]


@pytest.mark.parametrize(("data_type", "data"), [(2**31, ""), (1, "\ud800")])
def test_refuses_a_task_that_cannot_be_one(data_type: int, data: str) -> None:
    with pytest.raises(ValueError):  # noqa: PT011 - protobuf's own words
        encode_task(data_type, "me", data, "t")
