"""Calls of hooks: the chain, what is recorded and counted, and hostile plugins."""

from __future__ import annotations

import threading
import time
from pathlib import Path

import pytest

from engine.core.counters import Counters
from engine.core.errors import WasmError
from engine.wasm.abi import SERVER_TO_CLIENT, HttpResponse
from engine.wasm.host import WasmHost
from engine.wasm.hostcalls import GuestMemory, HostFunctions
from engine.wasm.outcome import Claim, Outcome
from engine.wasm.runtime import Program
from tests.unit.wasm import wat
from tests.unit.wasm.calls import BASE, REQUEST, ask, load, one_info, records, row


def counted(host: WasmHost) -> Counters:
    """The host's counters, which must balance."""
    counters = host.status().counters
    assert counters.balanced
    return counters


def test_without_plugins_nothing_is_called(host: WasmHost) -> None:
    assert ask(host) is None
    assert host.check_payload(BASE, b"x") is None
    assert counted(host) == Counters()


def test_only_plugins_with_the_hook_are_called(host: WasmHost, tmp_path: Path) -> None:
    load(host, tmp_path, hooks=wat.PAYLOAD)
    ask(host)
    assert records(host) == []


def test_next_passes_the_message_on(host: WasmHost, tmp_path: Path) -> None:
    load(host, tmp_path, "first", request=wat.NEXT)
    load(host, tmp_path, "second", request=wat.STOP)
    load(host, tmp_path, "third", request=wat.STOP)
    assert ask(host) == Outcome("second", ())
    assert [(call["plugin"], call["action"]) for call in records(host)] == [
        ("first", "next"),
        ("second", "abort"),
    ]
    assert counted(host) == Counters(seen=2, kept=2)


def test_a_result_is_decoded_shown_and_returned(host: WasmHost, tmp_path: Path) -> None:
    result = one_info(
        req={"endpoint": "/e\x1b"}, attributes=[{"key": "k", "val": "v\u202e"}], biz_type=7
    )
    load(host, tmp_path, result=result, request=wat.send_result(result) + wat.STOP)
    outcome = ask(host)
    assert outcome is not None
    assert outcome.infos[0].attributes == (("k", "v\u202e"),)
    (call,) = records(host)
    assert (call["export"], call["action"], call["error"]) == ("on_http_req", "result", "")
    assert call["infos"] == [
        {
            "dialect": "g5",
            "request": {"endpoint": "/e␛"},
            "attributes": {"k": "v\\u202e"},
            "biz_type": 7,
        }
    ]
    assert call["elapsed_us"] > 0


def test_what_a_plugin_left_is_found_by_the_next_one(host: WasmHost, tmp_path: Path) -> None:
    result = one_info(request_id=5)
    load(host, tmp_path, "first", result=result, request=wat.send_result(result) + wat.NEXT)
    load(host, tmp_path, "second", request=wat.STOP)
    outcome = ask(host)
    assert outcome is not None
    assert (outcome.plugin, outcome.infos[0].request_id) == ("second", 5)
    first, second = records(host)
    assert (first["action"], second["action"]) == ("next", "result")
    assert first["infos"]
    assert second["infos"] == []


def test_a_refused_result_changes_nothing_and_is_counted(host: WasmHost, tmp_path: Path) -> None:
    result = b"\x00\x05PB"
    load(host, tmp_path, result=result, request=wat.send_result(result) + wat.STOP)
    assert ask(host) == Outcome("plugin", ())
    (call,) = records(host)
    assert call["action"] == "error"
    assert "record of 5 bytes" in call["error"]
    assert counted(host) == Counters(seen=1, kept=0, dropped={"rejected_result": 1})


def test_a_result_from_outside_the_memory_is_refused(host: WasmHost, tmp_path: Path) -> None:
    body = "(drop (call $info (i32.const -8) (i32.const 16)))" + wat.STOP
    load(host, tmp_path, request=body)
    assert ask(host) == Outcome("plugin", ())
    assert "leave the memory" in records(host)[0]["error"]
    assert counted(host).dropped == {"rejected_result": 1}


def test_a_return_value_without_meaning_is_an_error_and_passes_on(
    host: WasmHost, tmp_path: Path
) -> None:
    load(host, tmp_path, "odd", request="(i32.const 2)")
    load(host, tmp_path, "second", request=wat.STOP)
    assert ask(host) == Outcome("second", ())
    assert "returned 2" in records(host)[0]["error"]
    assert counted(host) == Counters(seen=2, kept=1, dropped={"bad_return": 1})


@pytest.mark.parametrize(
    ("body", "reason"),
    [
        ("unreachable", "unreachable"),
        ("(i32.load (i32.const -4))", "memory out of bounds"),
        ("(i32.div_s (i32.const 1) (i32.const 0))", "integer division by zero"),
        ("(call $exit (i32.const 3)) (i32.const 0)", "proc_exit(3)"),
        ("(call $forever)", "stack overflow"),
    ],
)
def test_a_trap_is_recorded_and_the_plugin_goes_on_fresh(
    host: WasmHost, tmp_path: Path, body: str, reason: str
) -> None:
    """The first call sets a global and traps; a kept instance would see it in the second."""
    body = (
        "(if (i32.eqz (global.get $calls)) (then (global.set $calls (i32.const 1)))"
        f" (else (global.set $calls (i32.const 0)))) {body}"
    )
    extra = "(global $calls (mut i32) (i32.const 0)) (func $forever (result i32) (call $forever))"
    load(host, tmp_path, "trapping", request=body, extra=extra)
    load(host, tmp_path, "second", request=wat.STOP)
    for _ in range(2):
        assert ask(host) == Outcome("second", ())
    first, _, third, _ = records(host)
    assert first["action"] == third["action"] == "trap"
    assert reason in first["error"]
    assert first["error"] == third["error"]
    assert counted(host) == Counters(seen=4, kept=2, dropped={"trap": 2})
    assert [record.get("traps") for record in host.tables()["wasm_plugin"]] == [2, 0]


def test_a_trap_has_its_frames(host: WasmHost, tmp_path: Path) -> None:
    extra = "(func $inner unreachable)"
    load(host, tmp_path, request="(call $inner) (i32.const 0)", extra=extra)
    ask(host)
    frames = [line for line in records(host)[0]["logs"] if line.startswith("frame: ")]
    assert frames[0].startswith("frame: inner at 0x")
    assert len(frames) == 2


def test_an_endless_plugin_is_ended_and_its_instance_replaced(
    host: WasmHost, tmp_path: Path
) -> None:
    load(host, tmp_path, request=wat.FOREVER, parse=wat.STOP)
    began = time.monotonic()
    assert ask(host) is None
    assert 0.04 < time.monotonic() - began < 5
    assert "deadline of 50 ms" in records(host)[0]["error"]
    assert host.parse_payload(BASE, b"x", 1) == Outcome("plugin", ())
    assert counted(host) == Counters(seen=2, kept=1, dropped={"deadline": 1})
    assert row(host)["traps"] == 1


def test_a_plugin_that_calls_the_host_without_end_is_ended(host: WasmHost, tmp_path: Path) -> None:
    body = (
        "(loop $again (drop (call $base (i32.const 65536) (i32.const 100))) (br $again))"
        "(i32.const 0)"
    )
    load(host, tmp_path, request=body)
    assert ask(host) is None
    assert counted(host).dropped == {"deadline": 1}


def waiting_host(monkeypatch: pytest.MonkeyPatch) -> None:
    """Have a host function wait for 120 ms, as for the interpreter, without computing."""
    read = HostFunctions.vm_read_ctx_base

    def waiting(functions: HostFunctions, memory: GuestMemory, pointer: int, capacity: int) -> int:
        threading.Event().wait(0.12)
        functions.excuse_waiting()
        return read(functions, memory, pointer, capacity)

    monkeypatch.setattr(HostFunctions, "vm_read_ctx_base", waiting)


def test_a_plugin_is_not_blamed_for_the_time_the_host_waits(
    host: WasmHost, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    waiting_host(monkeypatch)
    body = f"(drop (call $base (i32.const {wat.BUFFER_AT}) (i32.const 100)))"
    loop = "(local $n i32) (loop $l (br_if $l (i32.lt_u (local.tee $n"
    loop += " (i32.add (local.get $n) (i32.const 1))) (i32.const 10)))) (i32.const 1)"
    load(host, tmp_path, request=loop.replace("(loop", body + "(loop", 1))
    assert ask(host) == Outcome("plugin", ())
    assert records(host)[0]["elapsed_us"] > 100_000


def test_waiting_is_not_excused_for_ever(
    host: WasmHost, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    waiting_host(monkeypatch)
    body = (
        f"(loop $again (drop (call $base (i32.const {wat.BUFFER_AT}) (i32.const 100)))"
        "(br $again)) (i32.const 0)"
    )
    load(host, tmp_path, request=body)
    assert ask(host) is None
    assert counted(host).dropped == {"deadline": 1}
    assert records(host)[0]["elapsed_us"] < 5e6


def test_a_plugin_that_cannot_start_again_is_taken_out(
    host: WasmHost, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    load(host, tmp_path, request=wat.TRAP)

    def no_instance(_: Program) -> None:
        raise WasmError("no room")

    monkeypatch.setattr(Program, "instantiate", no_instance)
    ask(host)
    ask(host)
    assert (row(host)["state"], row(host)["calls"]) == ("failed", 1)
    assert "no room" in row(host)["error"]
    assert host.status().state == "degraded"
    assert counted(host) == Counters(seen=1, kept=0, dropped={"trap": 1})


def test_a_fault_of_the_host_itself_does_not_travel_through_the_plugin(
    host: WasmHost, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def broken(*_: object) -> int:
        raise ZeroDivisionError("host")

    monkeypatch.setattr(HostFunctions, "vm_read_ctx_base", broken)
    load(host, tmp_path, request="(call $base (i32.const 0) (i32.const 64))")
    ask(host)
    assert "host function failed" in records(host)[0]["error"]
    assert counted(host).dropped == {"trap": 1}


def test_the_payload_and_logs_pass_through(host: WasmHost, tmp_path: Path) -> None:
    load(host, tmp_path, request=wat.log_payload(level=2) + wat.NEXT)
    ask(host, b"hello \x07")
    assert records(host)[0]["logs"] == ["error: hello ␇"]


def test_stdout_is_shown_with_the_call_that_wrote_it(host: WasmHost, tmp_path: Path) -> None:
    vector = (wat.STRING_AT + 8).to_bytes(4, "little") + (3).to_bytes(4, "little")
    body = (
        f"(drop (call $write (i32.const 1) (i32.const {wat.STRING_AT})"
        f" (i32.const 1) (i32.const {wat.BUFFER_AT})))"
    )
    load(host, tmp_path, string=vector + b"out", request=body + wat.NEXT)
    ask(host)
    assert records(host)[0]["logs"] == ["stdout: out"]


def test_each_hook_sees_its_own_message(host: WasmHost, tmp_path: Path) -> None:
    """The size of what is read is logged as that many bytes of text."""

    def log_size(function: str) -> str:
        size = f"(call ${function} (i32.const {wat.BUFFER_AT}) (i32.const 1000))"
        return f"(call $log (i32.const {wat.STRING_AT}) {size} (i32.const 0))"

    both = log_size("request") + log_size("response") + wat.NEXT
    load(host, tmp_path, string=b"x" * 64, request=both, response=both)
    ask(host)
    host.on_http_resp(BASE, HttpResponse(200, b"/e"), b"")
    asked, answered = (call["logs"] for call in records(host))
    assert asked[:2] == ["info: " + "x" * len(REQUEST.encode()), "info: "]
    assert answered[:2] == ["info: ", "info: " + "x" * 7]


@pytest.mark.parametrize(
    ("returned", "direction"), [(101, 0), (0x165, 0), (0x265, SERVER_TO_CLIENT)]
)
def test_check_payload_claims_a_protocol(
    host: WasmHost, tmp_path: Path, returned: int, direction: int
) -> None:
    name = b"\x00\x04TOY\x1b"
    check = f"{wat.send_string(name)} (i32.const {returned})"
    load(host, tmp_path, string=name, check=check)
    claim = host.check_payload(BASE, b"toy")
    assert claim == Claim("plugin", 101, "TOY␛", direction)
    (call,) = records(host)
    assert (call["export"], call["action"]) == ("check_payload", "result")
    assert call["infos"][0]["protocol"] == "TOY␛"
    assert counted(host) == Counters(seen=1, kept=1)


def test_check_payload_goes_on_until_a_plugin_claims(host: WasmHost, tmp_path: Path) -> None:
    load(host, tmp_path, "passes", check=wat.NOTHING)
    load(host, tmp_path, "odd", check="(i32.const -1)")
    load(host, tmp_path, "traps", check=wat.TRAP)
    load(host, tmp_path, "claims", check="(i32.const 9)")
    assert host.check_payload(BASE, b"x") == Claim("claims", 9, "", 0)
    assert [call["action"] for call in records(host)] == ["next", "error", "trap", "result"]
    assert counted(host) == Counters(seen=4, kept=2, dropped={"bad_return": 1, "trap": 1})


def test_parse_payload_gives_every_info(host: WasmHost, tmp_path: Path) -> None:
    result = one_info(request_id=1) + one_info(request_id=2)
    load(host, tmp_path, result=result, parse=wat.send_result(result) + wat.STOP)
    outcome = host.parse_payload(BASE, b"x", 9)
    assert outcome is not None
    assert [info.request_id for info in outcome.infos] == [1, 2]


def test_parse_payload_tells_plugins_the_number(host: WasmHost, tmp_path: Path) -> None:
    """The plugin stops only if the L7 byte of the context is 9."""
    parse = (
        f"(drop (call $base (i32.const {wat.BUFFER_AT}) (i32.const 1024)))"
        f"(i32.eq (i32.load8_u (i32.const {wat.BUFFER_AT + 14})) (i32.const 9))"
    )
    load(host, tmp_path, parse=parse)
    assert host.parse_payload(BASE, b"x", 8) is None
    assert host.parse_payload(BASE, b"x", 9) == Outcome("plugin", ())


def test_the_row_shows_calls_and_times(host: WasmHost, tmp_path: Path) -> None:
    load(host, tmp_path)
    for _ in range(10):
        ask(host)
    shown = row(host)
    assert shown["calls"] == 10
    assert 0 < shown["p50_us"] <= shown["p99_us"]


def test_growing_memory_shows_and_ends_at_the_limit(host: WasmHost, tmp_path: Path) -> None:
    load(host, tmp_path, request="(drop (memory.grow (i32.const 1024)))" + wat.NEXT)
    for _ in range(10):
        ask(host)
    assert 128 << 20 < row(host)["memory"] <= 256 << 20
