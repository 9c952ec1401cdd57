"""Unchecked calls and memory views stay safe, whatever a plugin or another thread does."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

import fixtures
from engine.core.errors import WasmError
from engine.wasm.host import WasmHost
from tests.unit.wasm import wat
from tests.unit.wasm.calls import BASE, REQUEST, ask, load, records, row
from tests.unit.wasm.conftest import closing, new_host
from tests.values import json_of
from tests.waiting import wait_until

DEMO = Path(fixtures.__file__).parent / "wasm" / "demo" / "demo.wasm"
FUNCTIONS = ("base", "payload", "request", "response", "custom", "info", "string")
U32 = st.integers(0, 0xFFFF_FFFF)
EDGES = st.sampled_from([0, 1, 0x3FFFF, 0x40000, 0x40001, 0x7FFF_FFFF, 0x8000_0000, 0xFFFF_FFFF])


def calling_as_told() -> str:
    """Read a pointer and a length from the payload, and hand them to every host function."""
    at = wat.BUFFER_AT
    pair = f"(i32.load (i32.const {at})) (i32.load (i32.const {at + 4}))"
    reads = f"(drop (call $payload (i32.const {at}) (i32.const 8)))"
    calls = "".join(f"{reads}(drop (call ${name} {pair}))" for name in FUNCTIONS)
    log = f"{reads}(call $log {pair} (i32.const 0))"
    write = (
        f"{reads}(drop (call $write (i32.const 1) (i32.load (i32.const {at}))"
        f" (i32.const 1) (i32.load (i32.const {at + 4}))))"
    )
    return calls + log + write + wat.NEXT


@pytest.fixture(scope="module")
def told(tmp_path_factory: pytest.TempPathFactory) -> Iterator[WasmHost]:
    """A host whose plugin uses the pointers it is sent."""
    with closing(new_host(deadline_ms=5_000)) as host:
        load(host, tmp_path_factory.mktemp("told"), request=calling_as_told())
        yield host


@pytest.mark.fuzz("Wasm memory access")
@settings(max_examples=300, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(pointer=U32 | EDGES, length=U32 | EDGES)
def test_no_pointer_and_no_length_leads_out_of_the_memory(
    told: WasmHost, pointer: int, length: int
) -> None:
    payload = pointer.to_bytes(4, "little") + length.to_bytes(4, "little")
    ask(told, payload)
    log = told.rings["wasm_result"]
    (record,) = log.since(log.last_seq - 1).records
    assert record.get("action") in ("next", "error")
    size = 4 * 65_536
    for entry in json_of(record)["host_calls"]:
        name, _, rest = str(entry).partition("(")
        if not rest.startswith(f"{wat.BUFFER_AT:#x}, 8)") and pointer + length > size:
            assert rest.endswith(") = 0"), name


def test_plugins_can_be_reloaded_and_rerun_while_they_are_called(
    host_with: Callable[..., WasmHost],
) -> None:
    """The deadline is long, because three busy threads share one interpreter lock."""
    host = host_with(deadline_ms=10_000)
    host.load(DEMO)
    stop = threading.Event()
    failures: list[BaseException] = []

    def call() -> None:
        try:
            while not stop.is_set():
                host.on_http_req(BASE, REQUEST, b"GET /path HTTP/1.1\r\n\r\n")
                host.check_payload(BASE, b"BOX1 1 GET k\n")
        except BaseException as error:
            failures.append(error)

    def look() -> None:
        try:
            while not stop.is_set():
                host.tables()
                host.rings["wasm_result"].since(0, 50)
        except BaseException as error:
            failures.append(error)

    threads = [threading.Thread(target=each) for each in (call, look)]
    for thread in threads:
        thread.start()
    try:
        wait_until(lambda: host.rings["wasm_result"].last_seq > 0)
        for _ in range(15):
            host.reload("demo")
            host.rerun(host.rings["wasm_result"].last_seq, cuts=(1, 5, 100))
    finally:
        stop.set()
        for thread in threads:
            thread.join()
    assert failures == []
    counters = host.status().counters
    assert counters.balanced
    assert counters.dropped == {}


def test_an_endless_plugin_does_not_hold_up_those_who_look(host: WasmHost, tmp_path: Path) -> None:
    """Table and records are read in the middle of a call that only its deadline ends."""
    load(host, tmp_path, request=wat.FOREVER)
    calls = threading.Thread(target=lambda: [ask(host) for _ in range(5)])
    calls.start()
    looks = 0
    while calls.is_alive():
        host.tables()
        host.rings["wasm_result"].since(0)
        looks += 1
    calls.join()
    assert looks > 20
    assert len(records(host)) == 5


def test_a_hook_that_is_a_host_function_itself_does_no_harm(host: WasmHost, tmp_path: Path) -> None:
    """Called without a plugin around it, a WASI function finds no memory and traps."""
    imports = (
        '(import "wasi_snapshot_preview1" "sched_yield" (func $yield (result i32)))'
        '(export "on_http_req" (func $yield))'
    )
    load(host, tmp_path, without="on_http_req", imports=imports)
    assert ask(host) is None
    assert records(host)[0]["action"] == "trap"
    assert row(host)["state"] == "loaded"


def test_a_start_section_may_log_but_not_ask(host: WasmHost, tmp_path: Path) -> None:
    """It runs while the plugin is instantiated."""
    log = f"(call $log (i32.const {wat.STRING_AT}) (i32.const 2) (i32.const 0))"
    load(host, tmp_path, extra=f"(func $early {log}) (start $early)", string=b"hi")
    assert row(host)["state"] == "loaded"
    assert row(host)["start_logs"] == ["info: hi"]
    extra = (
        f"(func $early (drop (call $payload (i32.const {wat.BUFFER_AT}) (i32.const 8))))"
        "(start $early)"
    )
    with pytest.raises(WasmError, match="vm_read_payload: called where there is no message"):
        load(host, tmp_path, extra=extra)
