"""What is no record is shown with its bytes, and a flood of it is not shown whole."""

from __future__ import annotations

import pytest

from engine.agent.faults import SHOWN_PER_SECOND, FaultLimit, agent_reading, fault_record
from engine.agent.store import Origin
from engine.agent.wire import LOST_SYNC, OVER_LONG, TRUNCATED, ZERO_LENGTH, Fault
from tests.unit.agent.support import record_frame

SECOND = 1_000_000_000


def test_a_fault_is_shown_with_its_bytes() -> None:
    fault = Fault(ZERO_LENGTH, 0, bytes.fromhex("000000001a00000008021080e2cfaa06"))
    record = fault_record(Origin("web", 42, "web-main"), fault, 5)
    shown = record.as_json()
    assert (shown["plugin"], shown["pid"], shown["comm"]) == ("web", 42, "web-main")
    assert (shown["reason"], shown["length"]) == ("zero_length", 0)
    assert shown["bytes"] == "000000001a00000008021080e2cfaa06"
    assert shown["agent_reading"] == (
        "a real agent would have found no payload, eaten 5 bytes of the next frame, "
        "read 3800043522 as the next length, and crashed on sending its batch"
    )


@pytest.mark.parametrize(
    ("fault", "told"),
    [
        (Fault(ZERO_LENGTH, 0, bytes(4)), "read on in the next frame and lost the stream"),
        (
            Fault(OVER_LONG, 9 << 20, (9 << 20).to_bytes(4, "little") + record_frame({})[4:]),
            "a real agent, which takes any length, would have read this as data_type 7000",
        ),
        (
            Fault(OVER_LONG, 9 << 20, (9 << 20).to_bytes(4, "little") + b"\xff" * 60),
            "a number of more than 10 bytes",
        ),
        (Fault(LOST_SYNC, 0x20544547, b"GET /"), "waited for 542393671 bytes"),
        (Fault(TRUNCATED, None, b"\x1a"), "crashed on sending its batch, unless it saw the exit"),
        (Fault(TRUNCATED, 26, b"\x1a\x00\x00\x00\x08"), "sent it on with its end missing"),
    ],
)
def test_every_fault_has_a_consequence(fault: Fault, told: str) -> None:
    assert told in agent_reading(fault)


def test_only_some_faults_of_a_flood_are_shown() -> None:
    limit = FaultLimit()
    assert limit.take(8, SECOND) == 8
    assert limit.take(1_000, SECOND) == SHOWN_PER_SECOND - 8
    assert limit.take(1_000, SECOND) == 0
    assert limit.take(1, SECOND + SECOND // 2) == 1
    assert limit.take(1_000, 2 * SECOND) == SHOWN_PER_SECOND - 1
    assert limit.take(1_000, 100 * SECOND) == SHOWN_PER_SECOND
