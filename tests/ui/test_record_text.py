"""What is told of one record, whatever its kind: fields, reasons, times, bytes, what it belongs to.

None of it needs a screen.
"""

from __future__ import annotations

import json
import re

import pytest
from textual.content import Content

from engine.core.kinds import KINDS
from engine.core.records import record_from_json
from tests.hostile import LONG, hostile_record
from tests.ui.fake_engine import NOW_NS, FakeEngine, record
from tests.ui.wasm_calls import PAYLOAD, call, message, plugin, repetition
from tui.console.links import Link, links_of
from tui.console.reasons import SOURCES, Gap, gap_lines, why_lines
from tui.console.record_text import (
    bytes_in,
    distance,
    fields_content,
    json_text,
    line_text,
    times_lines,
)
from tui.console.scope import Process

HARMFUL = re.compile(
    "[\x00-\x09\x0b-\x1f\x7f-\x9f\u200b-\u200f\u202a-\u202e\u2066-\u2069\ud800-\udfff]"
)
EVENT = record(
    "kernel_event", 5, "curl", event="syscall_exit-connect", category="net", name="connect"
)
SWITCH = record(
    "subscription", event="syscall_exit-connect", category="net", on=True, rate=2.0, total=7
)


def plain(lines: list[Content]) -> str:
    return "\n".join(line.plain for line in lines)


@pytest.mark.parametrize("kind", KINDS)
def test_every_kind_tells_why_it_is_here_and_what_its_source_has_lost(kind: str) -> None:
    engine = FakeEngine()
    lines = plain(why_lines(record(kind, 1, "x"), engine.snapshot()))
    assert lines.strip()
    if kind in SOURCES:
        assert f"{SOURCES[kind]}: 10 seen = 9 kept + 1 dropped" in lines
        assert "✗ 1 ring_full: lost in the kernel" in lines


@pytest.mark.parametrize("kind", KINDS)
def test_every_kind_shows_each_field_with_its_help(kind: str) -> None:
    shown = fields_content(record(kind)).plain
    for field in KINDS[kind].all_fields():
        assert re.search(rf"^{field.name} +.*{re.escape(field.help)}$", shown, re.M), field.name


@pytest.mark.parametrize("kind", KINDS)
def test_nothing_that_is_told_of_any_kind_disturbs_a_terminal(kind: str) -> None:
    engine = FakeEngine()
    evil = hostile_record(kind, text=LONG, ts_ns=NOW_NS)
    engine.set_table("subscription", [hostile_record("subscription", text=LONG, ts_ns=NOW_NS)])
    engine.set_table("wasm_plugin", [hostile_record("wasm_plugin", text=LONG, ts_ns=NOW_NS)])
    engine.set_source("probe", "running")
    told = [
        fields_content(evil).plain,
        plain(why_lines(evil, engine.snapshot())),
        plain(times_lines(evil, NOW_NS)),
        line_text(evil),
        *(f"{link.what} {link.name}" for link in links_of(evil, engine)),
    ]
    for text in told:
        assert not HARMFUL.search(text)
        assert all(len(line) < 400_000 for line in text.split("\n"))
    assert "[/red][bold]" in fields_content(evil).plain, "markup is text"


def test_a_copy_as_json_is_the_line_that_json_prints() -> None:
    again = json.loads(json_text(EVENT))
    assert again == EVENT.as_json()
    assert record_from_json(again) == EVENT
    assert "\n" not in json_text(hostile_record("log", ts_ns=NOW_NS))


def test_a_copy_as_text_tells_what_is_known_and_leaves_out_the_rest() -> None:
    shown = line_text(EVENT)
    assert shown.startswith("2026-09-21T")
    assert "kernel_event  pid=5  comm=curl  category=net  name=connect" in shown
    assert "latency" not in shown


def test_a_kernel_event_tells_the_switch_that_let_it_through() -> None:
    engine = FakeEngine()
    engine.set_table("subscription", [SWITCH])
    shown = plain(why_lines(EVENT, engine.snapshot()))
    assert "syscall_exit-connect:net, on, 2/s, 7 so far" in shown
    off = record("subscription", event="syscall_exit-connect", category="net", on=False)
    engine.set_table("subscription", [off])
    assert "off by now" in plain(why_lines(EVENT, engine.snapshot()))


@pytest.mark.parametrize(
    ("away_ns", "shown"),
    [
        (0, "0ns ago"),
        (3_200_000_000, "3.20s ago"),
        (-90_000_000_000, "in 1m30s"),
        (7_200_000_000_000, "2:00:00 ago"),
        (90_000_000_000_000, "1d 1:00:00 ago"),
    ],
)
def test_times_are_told_with_their_distance_to_now(away_ns: int, shown: str) -> None:
    assert distance(NOW_NS - away_ns, NOW_NS) == shown


def test_the_own_stamp_of_a_plugins_record_is_a_time_only_if_it_can_be_one() -> None:
    stamp = NOW_NS // 1_000_000_000 - 60
    shown = plain(times_lines(record("plugin_record", timestamp=stamp), NOW_NS))
    assert "1m00s ago" in shown
    for no_time in (None, 0, -5, 10**15, "x"):
        lines = times_lines(record("plugin_record", timestamp=no_time), NOW_NS)
        assert len(lines) == 1


def test_bytes_are_those_kept_whole_else_those_the_record_holds() -> None:
    one = call()
    assert [title for title, _bytes in bytes_in(one, None)] == ["Payload", "Result"]
    assert dict(bytes_in(one, b"whole"))["Payload"] == b"whole"
    assert dict(bytes_in(one, None))["Payload"] == PAYLOAD
    assert dict(bytes_in(record("plugin_record"), b"frame")) == {"Frame": b"frame"}
    assert dict(bytes_in(record("plugin_fault", bytes="00ff"), None)) == {
        "First bytes": b"\x00\xff"
    }
    assert not list(bytes_in(EVENT, None))


def test_a_gap_tells_which_records_are_missing_why_and_where_they_are() -> None:
    snapshot = FakeEngine().snapshot()
    shown = plain(gap_lines(Gap("kernel_event", 112, 12, 5, False), snapshot))
    assert "12 records, 101 to 112" in shown
    assert "5 had left the engine" in shown
    assert "7 came faster" in shown
    assert "probe: 10 seen = 9 kept + 1 dropped" in shown
    shown = plain(gap_lines(Gap("kernel_event", 112, 12, 12, True), snapshot))
    assert "came faster" not in shown


def found(links: list[Link]) -> dict[str, object]:
    return {link.what: link.target for link in links}


def test_a_message_belongs_to_both_processes_to_its_calls_and_their_plugin() -> None:
    engine = FakeEngine()
    engine.set_table("wasm_plugin", [plugin()])
    engine.emit(call())
    spoken = message(
        client_pid=3, client_comm="curl", server_pid=4, wasm_calls=[1, 99], parsed_by="mine"
    )
    links = found(links_of(spoken, engine))
    assert links["client"] == Process(3, "curl")
    assert links["server"] == Process(4, "")
    assert links["Wasm plugin"] == plugin()
    made = links["Wasm call"]
    assert made == engine.since("wasm_result", 0).records[0], "call 99 is not kept"


def test_a_call_belongs_to_its_plugin_its_message_and_the_call_it_repeats() -> None:
    engine = FakeEngine()
    engine.set_table("wasm_plugin", [plugin()])
    engine.emit(call(), repetition(1, messages=[1]))
    engine.emit(message())
    first, again = engine.since("wasm_result", 0).records
    links = found(links_of(again, engine))
    assert links["repeats call"] == first
    assert links["Wasm plugin"] == plugin()
    assert links["message"] == engine.since("l7_message", 0).records[0]
    assert "message" in found(links_of(first, engine)), "by its flow, where no number is told"


def test_an_event_belongs_to_its_process_its_switch_and_the_module_that_caused_it() -> None:
    engine = FakeEngine()
    module = record("plugin_state", plugin="doctor", plugin_kind="module")
    listed = record("process", 5, "curl", criterion="open port", start=1)
    engine.set_table("plugin_state", [module])
    engine.set_table("subscription", [SWITCH])
    engine.set_table("process", [listed])
    caused = record(
        "kernel_event", 5, "curl", event="syscall_exit-connect", category="net", module="doctor"
    )
    links = found(links_of(caused, engine))
    assert links == {
        "process": Process(5, "curl"),
        "plugin": module,
        "subscription": SWITCH,
        "listed as": listed,
    }


def test_the_capture_of_an_earlier_life_of_the_pid_is_not_its_own() -> None:
    engine = FakeEngine()
    engine.set_table("capture_state", [record("capture_state", 5, "web", state="ended", start=1)])
    assert "capture" in found(links_of(record("process", 5, "web", start=1), engine))
    assert "capture" not in found(links_of(record("process", 5, "web", start=2), engine))
