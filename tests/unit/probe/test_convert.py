from __future__ import annotations

import json
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from engine.core.errors import ProbeError
from engine.core.fields import JsonValue
from engine.core.kinds import KERNEL_EVENT
from engine.probe.abi import EVENT, TUPLE, EventFlag, SectionKind
from engine.probe.calls import CALLS, Category
from engine.probe.catalogue import resolve
from engine.probe.convert import Converter, undecodable
from tests.unit.probe.raw_events import raw_event, section

GOLDEN = json.loads(Path(__file__).with_name("data").joinpath("events.json").read_text())
"""Raw events as a kernel wrote them, and the records they are."""
ADDED = ("core_dumped", "delivered_as")
"""Attributes that an event has only where there is something unusual to say."""


def converted(raw: bytes, *, wall_offset_ns: int = 0) -> dict[str, JsonValue]:
    before, after = b"before", b"after"
    data = memoryview(before + raw + after)
    return Converter().convert(data, len(before), len(raw), wall_offset_ns).as_json()


@pytest.mark.parametrize("golden", GOLDEN, ids=lambda golden: golden["record"]["event"])
def test_a_raw_event_is_the_record_it_was_known_to_be(golden: dict[str, object]) -> None:
    shown = converted(bytes.fromhex(str(golden["raw"])))
    del shown["kind"], shown["seq"]
    assert shown == golden["record"]


def test_the_golden_events_show_every_source_and_category_of_calls() -> None:
    shown = set()
    for golden in GOLDEN:
        way, _, name = golden["record"]["event"].partition("-")
        for call in CALLS:
            if call.name == name:
                attributes = call.enter if way == "syscall_enter" else call.exit
                shown |= {each.source for each in attributes}
    sources = {each.source for call in CALLS for each in (*call.enter, *call.exit)}
    assert sources == shown
    categories = {golden["record"]["category"] for golden in GOLDEN}
    assert categories >= {column.label for call in CALLS if (column := call.category)} - {
        "scheduler",
        "system",
    }


@pytest.mark.parametrize("golden", GOLDEN, ids=lambda golden: golden["record"]["event"])
def test_attributes_are_those_the_catalogue_announces(golden: dict[str, object]) -> None:
    record = golden["record"]
    assert isinstance(record, dict)
    announced = resolve(record["event"])[0].event.attributes
    assert set(record["attributes"]) <= {*announced, "missing", "unresolved", *ADDED}


def test_every_field_of_the_kind_is_filled_in_order() -> None:
    shown = converted(raw_event("syscall_exit-read", flags=EventFlag.LATENCY, latency=5))
    assert [field.name for field in KERNEL_EVENT.fields] == list(shown)[5:]
    assert (shown["cpu"], shown["tid"], shown["uid"], shown["gid"]) == (3, 8, 1, 2)
    assert shown["latency_ns"] == 5


def test_the_stamp_is_wall_time() -> None:
    raw = raw_event("syscall_exit-read")
    record = Converter().convert(memoryview(raw), 0, len(raw), 1_700_000_000_000_000_000)
    assert record.ts_ns == 1_700_000_000_000_001_000


def test_without_its_enter_a_call_has_no_latency() -> None:
    assert converted(raw_event("syscall_exit-read", latency=5))["latency_ns"] is None


@pytest.mark.parametrize(
    ("result", "error"),
    [
        (0, None),
        (17, None),
        (-2, "ENOENT"),
        (-512, "ERESTARTSYS"),
        (-4000, "4000"),
        (-4096, None),
    ],
)
def test_a_failure_has_the_name_of_its_error(result: int, error: str | None) -> None:
    shown = converted(raw_event("syscall_exit-read", result=result))
    assert (shown["result"], shown["errno"]) == (result, error)


def test_an_event_that_is_no_exit_has_no_result() -> None:
    shown = converted(raw_event("syscall_enter-read", result=-2))
    assert (shown["result"], shown["errno"]) == (None, None)


def test_names_and_paths_are_sanitised() -> None:
    shown = converted(
        raw_event(
            "syscall_exit-openat",
            comm=b"a\x1b[31m\0junk",
            payload=section(SectionKind.TEXT, b"/tmp/\x1b]0;x\x07\0", 1),
        )
    )
    attributes = shown["attributes"]
    assert isinstance(attributes, dict)
    assert shown["comm"] == "a␛[31m"
    assert attributes["name"] == "/tmp/␛]0;x␇"


def test_a_category_that_could_not_be_judged_is_marked() -> None:
    raw = raw_event("syscall_exit-close", category=Category.OTHER, flags=EventFlag.UNRESOLVED)
    shown = converted(raw)
    assert shown["category"] == "other"
    assert shown["attributes"] == {"res": 0, "fd": 0, "unresolved": True}


def test_an_event_without_an_owner_names_no_process_but_the_thread_that_was_there() -> None:
    payload = TUPLE.pack(
        2, 80, 4000, b"\x7f\0\0\1".ljust(16, b"\0"), b"\x7f\0\0\2".ljust(16, b"\0")
    )
    shown = converted(
        raw_event(
            "kprobe-tcp_set_state",
            category=Category.NET,
            args=(10, 3, 0, 0, 4711, 0),
            flags=EventFlag.NO_OWNER,
            payload=section(SectionKind.TUPLE, payload),
        )
    )
    assert not {"pid", "comm"} & shown.keys()
    assert (shown["tid"], shown["uid"], shown["gid"]) == (None, None, None)
    assert shown["attributes"] == {
        "sip": "127.0.0.1",
        "sport": 80,
        "dip": "127.0.0.2",
        "dport": 4000,
        "old_state": "LISTEN",
        "new_state": "SYN_RECV",
        "src": "127.0.0.1:80",
        "dst": "127.0.0.2:4000",
        "owner": None,
        "role": None,
        "ctx_tid": 4711,
    }


WHOLE = raw_event(
    "kprobe-tcp_set_state",
    category=Category.NET,
    payload=section(SectionKind.TUPLE, bytes(TUPLE.size)),
)


@pytest.mark.parametrize(
    "raw",
    [
        b"",
        WHOLE[: EVENT.size - 1],
        WHOLE[:-1],
        raw_event("kprobe-tcp_set_state", category=Category.NET, payload=b"short"),
        raw_event("syscall_exit-read", row=999),
        EVENT.pack(*[0] * 16, 7, 0, 15, 0, 0, b""),
    ],
)
def test_what_the_programs_never_write_is_refused(raw: bytes) -> None:
    with pytest.raises(ProbeError, match="not an event"):
        Converter().convert(memoryview(raw + bytes(300)), 0, len(raw), 0)


def test_what_is_refused_can_still_be_shown() -> None:
    raw = raw_event("syscall_exit-read", row=999, ts=2_000)
    record = undecodable(memoryview(raw), 1_000)
    assert record.ts_ns == 3_000
    assert (record.get("name"), record.get("direction")) == ("undecodable", "-")
    assert record.get("attributes") == {"length": len(raw), "bytes": raw[:64].hex()}
    assert undecodable(memoryview(b""), 0).get("attributes") == {"length": 0, "bytes": ""}


@pytest.mark.fuzz("kernel event decoder")
@settings(max_examples=150)
@given(
    st.sampled_from(GOLDEN).map(lambda golden: bytes.fromhex(golden["raw"])),
    st.lists(st.tuples(st.floats(0, 1), st.binary(min_size=1, max_size=8)), max_size=5),
    st.floats(0, 1),
)
def test_a_damaged_event_is_a_record_or_undecodable(
    raw: bytes, damage: list[tuple[float, bytes]], share: float
) -> None:
    data = bytearray(raw)
    for place, put in damage:
        at = int(place * (len(data) - len(put)))
        data[at : at + len(put)] = put
    view = memoryview(data)[: int(share * len(data)) if not damage else None]
    try:
        record = Converter().convert(view, 0, len(view), 0)
    except ProbeError:
        record = undecodable(view, 0)
    shown = json.dumps(record.as_json(), ensure_ascii=False)
    assert not [char for char in shown if ord(char) < 0x20 or ord(char) == 0x7F]
