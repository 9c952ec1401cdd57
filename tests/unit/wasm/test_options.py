"""How plugins can be run: leniently, faithfully, measured, within other limits."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest

from engine.core.errors import WasmError
from engine.wasm.abi import HttpResponse
from engine.wasm.host import WasmHost
from engine.wasm.outcome import Outcome
from tests.unit.wasm import wat
from tests.unit.wasm.calls import BASE, REQUEST, ask, load, logged, records, row
from tests.unit.wasm.golden import GOLDEN

MakeHost = Callable[..., WasmHost]

RANDOM = '(import "wasi_snapshot_preview1" "random_get" (func $rnd (param i32 i32) (result i32)))'
POLL = (
    '(import "wasi_snapshot_preview1" "poll_oneoff"'
    " (func $poll (param i32 i32 i32 i32) (result i32)))"
)


def test_a_lenient_host_loads_what_an_agent_refuses_and_says_so(
    host_with: MakeHost, tmp_path: Path
) -> None:
    host = host_with(lenient=True)
    draw = f"(drop (call $rnd (i32.const {wat.BUFFER_AT}) (i32.const 8)))" + wat.NEXT
    load(host, tmp_path, imports=RANDOM, request=draw)
    ask(host)
    assert records(host)[0]["action"] == "next"
    (refusal,) = row(host)["refusals"]
    assert "unknown import wasi_snapshot_preview1.random_get" in refusal
    assert any("an agent would refuse it" in text for text in logged(host))


def test_a_sleeping_plugin_does_not_hold_the_host_up(host_with: MakeHost, tmp_path: Path) -> None:
    """An hour's sleep of a relative clock: id 1 (monotonic), 3.6e12 ns."""
    subscription = bytearray(48)
    subscription[16] = 1
    subscription[24:32] = int(3.6e12).to_bytes(8, "little")
    sleep = (
        f"(drop (call $poll (i32.const {wat.STRING_AT}) (i32.const {wat.BUFFER_AT})"
        f" (i32.const 1) (i32.const {wat.BUFFER_AT + 64})))"
    )
    host = host_with(lenient=True)
    string = bytes(subscription)
    load(host, tmp_path, imports=POLL, string=string, start=sleep, request=sleep + wat.STOP)
    assert ask(host) == Outcome("plugin", ())
    assert "note: poll_oneoff: nothing sleeps here" in records(host)[0]["logs"][0]


def test_a_lenient_host_starts_a_reactor(host_with: MakeHost, tmp_path: Path) -> None:
    """It has `_initialize` in place of `_start`; the global shows that it ran."""
    extra = (
        "(global $ready (mut i32) (i32.const 0))"
        '(func (export "_initialize") (global.set $ready (i32.const 1)))'
    )
    reactor = {"without": "_start", "extra": extra, "request": "(global.get $ready)"}
    host = host_with(lenient=True)
    load(host, tmp_path, **reactor)
    assert ask(host) == Outcome("plugin", ())
    assert row(host)["refusals"][0].startswith("does not export _start")
    with pytest.raises(WasmError, match="does not export _start"):
        load(host_with(), tmp_path, **reactor)
    with pytest.raises(WasmError, match="does not export on_http_resp"):
        load(host, tmp_path, "worse", **(reactor | {"without": "on_http_resp"}))


CLOCK = (
    '(import "wasi_snapshot_preview1" "clock_time_get"'
    " (func $clock (param i32 i64 i32) (result i32)))"
)


def test_a_lenient_host_gives_the_time_of_the_message(host_with: MakeHost, tmp_path: Path) -> None:
    """The plugin returns the microseconds below a million of the time it is given."""
    ask_time = (
        f"(drop (call $clock (i32.const 0) (i64.const 1) (i32.const {wat.BUFFER_AT})))"
        "(i32.wrap_i64 (i64.rem_u (i64.div_u"
        f" (i64.load (i32.const {wat.BUFFER_AT})) (i64.const 1000)) (i64.const 1000000)))"
    )
    host = host_with(lenient=True)
    load(host, tmp_path, imports=CLOCK, request=ask_time)
    host.on_http_req(replace(BASE, time_us=5_123_456), REQUEST, b"")
    host.rerun(1)
    assert [call["returned"] for call in records(host)] == [123_457, 123_457]


@pytest.mark.parametrize(
    ("options", "reads"),
    [({}, True), ({"lenient": True, "faithful": True}, True), ({"faithful": True}, False)],
)
def test_a_result_of_an_old_sdk_is_read_unless_faithful(
    host_with: MakeHost, tmp_path: Path, options: dict[str, bool], reads: bool
) -> None:
    result = bytes.fromhex(GOLDEN["older_info_lists"][1]["hex"])
    host = host_with(**options)
    load(host, tmp_path, result=result, request=wat.send_result(result) + wat.STOP)
    outcome = ask(host)
    assert outcome is not None
    assert len(outcome.infos) == (2 if reads else 0)
    (call,) = records(host)
    assert call["result_bytes"] == result.hex()
    assert call["dialect"] == ("g1" if reads else "")
    assert ("a record of g1" in call["error"]) is not reads
    assert any("dialect g1" in remark for remark in call["remarks"]) is reads
    assert row(host)["dialect"] == ("g1" if reads else "")


OLDEST = '(import "deepflow" "host_read_http_result" (func $http (param i32 i32) (result i32)))'


def test_a_plugin_of_the_oldest_sdk_runs_unless_faithful(
    host_with: MakeHost, tmp_path: Path
) -> None:
    """It asks for a response with room for the code alone, and sends it as the result."""
    pair = b"\0\0\4code\0\2"
    read = f"(drop (call $response (i32.const {wat.RESULT_AT + len(pair)}) (i32.const 2)))"
    send = f"(drop (call $http (i32.const {wat.RESULT_AT}) (i32.const {len(pair) + 2})))"
    plugin = wat.plugin(imports=OLDEST, result=pair, response=read + send + wat.STOP)
    path = wat.save(tmp_path, plugin)
    host = host_with()
    host.load(path)
    outcome = host.on_http_resp(replace(BASE, direction=1), HttpResponse(0x4142, b"/e"), b"")
    assert outcome is not None
    assert outcome.infos[0].attributes == (("code", "AB"),)
    (refusal,) = row(host)["refusals"]
    assert "unknown import deepflow.host_read_http_result" in refusal
    with pytest.raises(WasmError, match=r"unknown import deepflow\.host_read_http_result"):
        host_with(faithful=True).load(path)


LEAK = "(global.set $__stack_pointer (i32.sub (global.get $__stack_pointer) (i32.const 1024)))"
STACK = "(global $__stack_pointer (mut i32) (i32.const 16384))"
TRAP_LEAKING = f"{LEAK} (i32.store (global.get $__stack_pointer) (i32.const 1)) unreachable"


def test_a_faithful_host_keeps_a_trapped_instance_and_counts_down(
    host_with: MakeHost, tmp_path: Path
) -> None:
    """Each trap leaks 1 KiB of a stack of 16; the 17th is out of bounds, as in TinyGo."""
    host = host_with(faithful=True)
    load(host, tmp_path, request=TRAP_LEAKING, extra=STACK)
    assert row(host)["traps_left"] is None
    left = []
    for _ in range(17):
        ask(host)
        left.append(row(host)["traps_left"])
    assert left[:3] == [15, 14, 13]
    assert left[15:] == [0, 0]
    errors = [call["error"] for call in records(host)]
    assert all("unreachable" in error for error in errors[:16])
    assert "out of bounds" in errors[16]
    assert (row(host)["poisoned"], row(host)["traps"]) == (17, 17)


def test_otherwise_a_trapped_instance_is_replaced(host: WasmHost, tmp_path: Path) -> None:
    load(host, tmp_path, request=TRAP_LEAKING, extra=STACK)
    for _ in range(17):
        ask(host)
    assert {call["error"] for call in records(host)} == {records(host)[0]["error"]}
    assert (row(host)["poisoned"], row(host)["traps_left"]) == (0, None)
    assert row(host)["renewed"] == 17


def test_the_limits_a_plugin_runs_under_are_shown(host_with: MakeHost, tmp_path: Path) -> None:
    host = host_with(deadline_ms=250, memory_limit=1 << 20)
    load(host, tmp_path)
    assert (row(host)["deadline_ms"], row(host)["memory_limit"]) == (250, 1 << 20)


def test_fuel_is_the_same_in_every_run_and_only_there_when_measured(
    host_with: MakeHost, tmp_path: Path
) -> None:
    loop = (
        "(local $n i32) (local.set $n (i32.const 1000)) (loop $again"
        " (local.set $n (i32.sub (local.get $n) (i32.const 1)))"
        " (br_if $again (local.get $n))) (i32.const 0)"
    )
    counted = []
    for _ in range(2):
        host = host_with(measure=True)
        load(host, tmp_path, request=loop)
        ask(host)
        counted.append(records(host)[0]["fuel"])
        assert row(host)["exports"][0]["fuel"] == counted[-1]
    assert counted[0] == counted[1] > 4_000
    plain = host_with()
    load(plain, tmp_path, request=loop)
    ask(plain)
    assert records(plain)[0]["fuel"] is None


def test_the_deadline_holds_in_measuring_mode(host_with: MakeHost, tmp_path: Path) -> None:
    host = host_with(measure=True)
    load(host, tmp_path, request=wat.FOREVER)
    ask(host)
    assert "deadline" in records(host)[0]["error"]


def test_the_memory_limit_can_be_set(host_with: MakeHost, tmp_path: Path) -> None:
    host = host_with(memory_limit=5 * 65_536)
    load(host, tmp_path, request="(memory.grow (i32.const 1))")
    ask(host)
    ask(host)
    first, second = records(host)
    assert first["returned"] == 4
    assert (second["returned"], second["memory"]) == (-1, 5 * 65_536)
    with pytest.raises(WasmError, match="memory"):
        load(host, tmp_path, "large", pages=6)


def test_memory_is_read_where_it_is_after_it_has_grown(host: WasmHost, tmp_path: Path) -> None:
    """The plugin grows by a page and has the payload written into the new one."""
    request = (
        "(local $at i32)"
        "(local.set $at (i32.mul (memory.grow (i32.const 1)) (i32.const 65536)))"
        "(call $log (local.get $at)"
        " (call $payload (local.get $at) (i32.const 65536)) (i32.const 0)) (i32.const 0)"
    )
    load(host, tmp_path, request=request)
    for _ in range(3):
        ask(host, b"hello")
    assert [call["logs"] for call in records(host)] == [["info: hello"]] * 3
    assert records(host)[2]["memory"] == 7 * 65_536


def test_logs_of_start_are_kept(host: WasmHost, tmp_path: Path) -> None:
    start = f"(call $log (i32.const {wat.STRING_AT}) (i32.const 2) (i32.const 0))"
    load(host, tmp_path, start=start, string=b"hi")
    assert row(host)["start_logs"] == ["info: hi"]
