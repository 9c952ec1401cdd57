"""Hostile plugins: the host survives each, and says what happened and after how long."""

from __future__ import annotations

import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import replace
from pathlib import Path

import pytest
import wasmtime

import fixtures
from engine.core.errors import WasmError
from engine.wasm.abi import SERVER_TO_CLIENT, CustomMessage, HttpResponse
from engine.wasm.host import WasmHost
from tests.unit.wasm import wat
from tests.unit.wasm.calls import BASE, ask, load, records, row

HOSTILE = Path(fixtures.__file__).parent / "wasm" / "hostile"
SOURCES = sorted(HOSTILE.glob("*.wat"))

Ask = Callable[[WasmHost], object]
ASKING: dict[str, Ask] = {
    "check_payload": lambda host: host.check_payload(BASE, b"payload"),
    "parse_payload": lambda host: host.parse_payload(BASE, b"payload", 1),
    "on_http_req": ask,
    "on_http_resp": lambda host: host.on_http_resp(
        replace(BASE, direction=SERVER_TO_CLIENT), HttpResponse(200), b"payload"
    ),
    "on_custom_message": lambda host: host.on_custom_message(BASE, CustomMessage(1), b"payload"),
}
"""How each export gets called."""


def refusal(host: WasmHost, name: str) -> str:
    """Why a hostile plugin is not loaded."""
    with pytest.raises(WasmError) as raised:
        host.load(HOSTILE / f"{name}.wasm")
    assert row(host)["state"] == "failed"
    return str(raised.value)


@pytest.mark.parametrize("source", SOURCES, ids=lambda path: path.stem)
def test_what_is_built_is_what_the_source_says(source: Path) -> None:
    built = source.with_suffix(".wasm").read_bytes()
    assert built == wasmtime.wat2wasm(source.read_text(encoding="utf-8"))


@pytest.mark.parametrize("name", ["loop_start", "loop_bitmap", "loop_filter"])
def test_a_plugin_that_never_gets_ready_is_refused_within_its_deadline(
    host: WasmHost, name: str
) -> None:
    began = time.monotonic()
    assert "deadline of 50 ms" in refusal(host, name)
    assert time.monotonic() - began < 2


@pytest.mark.parametrize(
    ("name", "reason"),
    [
        ("exit_start", "proc_exit(0)"),
        ("unknown_import", "sock_accept"),
        ("bad_bitmap", "get_hook_bitmap returned 0xffffffff"),
    ],
)
def test_what_an_agent_refuses_is_refused_with_the_reason(
    host: WasmHost, name: str, reason: str
) -> None:
    assert reason in refusal(host, name)


@pytest.mark.parametrize(
    ("name", "export", "reason", "counted"),
    [
        ("loop_check", "check_payload", "deadline of 50 ms", "deadline"),
        ("loop_parse", "parse_payload", "deadline of 50 ms", "deadline"),
        ("loop_request", "on_http_req", "deadline of 50 ms", "deadline"),
        ("loop_response", "on_http_resp", "deadline of 50 ms", "deadline"),
        ("loop_custom", "on_custom_message", "deadline of 50 ms", "deadline"),
        ("loop_host", "on_http_req", "deadline of 50 ms", "deadline"),
        *(("trap", export, "unreachable", "trap") for export in ASKING),
        ("exit", "on_http_req", "proc_exit(3)", "trap"),
        ("stack_overflow", "on_http_req", "stack overflow", "trap"),
        ("out_of_bounds", "on_http_req", "memory out of bounds", "trap"),
        ("bad_returns", "check_payload", "returned -1", "bad_return"),
        ("bad_returns", "parse_payload", "returned 2", "bad_return"),
        ("bad_returns", "on_http_req", "returned -1", "bad_return"),
        ("bad_returns", "on_http_resp", "returned 256", "bad_return"),
        ("bad_returns", "on_custom_message", "returned 2147483647", "bad_return"),
        (
            "bad_records",
            "on_http_req",
            "request length: 4 bytes needed",
            "rejected_result",
        ),
        ("bad_records", "parse_payload", "not a DeepFlow AppInfo", "rejected_result"),
        ("bad_records", "on_http_resp", "status 1 does not exist", "rejected_result"),
        ("oversized", "on_http_req", "2097152 bytes, more than 1048576", "rejected_result"),
        ("invalid_utf8", "on_http_req", "protocol_str is not UTF-8", "rejected_result"),
    ],
)
def test_the_row_says_what_happened_and_after_how_long(
    host: WasmHost, name: str, export: str, reason: str, counted: str
) -> None:
    host.load(HOSTILE / f"{name}.wasm")
    began = time.monotonic()
    ASKING[export](host)
    elapsed_us = (time.monotonic() - began) * 1e6
    call = records(host)[-1]
    assert call["export"] == export
    assert reason in call["error"]
    assert host.status().counters.dropped == {counted: 1}
    assert 0 < call["elapsed_us"] < elapsed_us < 2e6
    if counted == "deadline":
        assert call["elapsed_us"] > 40_000
    assert host.status().counters.balanced


@pytest.mark.parametrize("source", SOURCES, ids=lambda path: path.stem)
def test_the_host_and_the_other_plugins_go_on(host: WasmHost, tmp_path: Path, source: Path) -> None:
    with suppress(WasmError):
        host.load(source.with_suffix(".wasm"))
    load(host, tmp_path, "good", request=wat.STOP)
    for asking in ASKING.values():
        asking(host)
    host.rings["wasm_result"].since(0)
    rows = {record.get("plugin"): record for record in host.tables()["wasm_plugin"]}
    assert rows["good"].get("state") == "loaded"
    assert host.status().counters.balanced


def test_faults_of_host_calls_are_listed(host: WasmHost) -> None:
    host.load(HOSTILE / "out_of_bounds.wasm")
    ask(host)
    (call,) = records(host)
    faults = [line for line in call["logs"] if line.startswith("fault: ")]
    assert len(faults) == 4
    assert all("leave the memory" in fault for fault in faults)
    assert call["host_calls"][0] == "vm_read_ctx_base(0xfffffff0, 64) = 0"


def test_a_name_of_64_kib_is_cut(host: WasmHost) -> None:
    host.load(HOSTILE / "oversized.wasm")
    claim = host.check_payload(BASE, b"xx")
    assert claim is not None
    assert len(claim.name) == 64


def test_a_flood_of_logs_is_cut(host: WasmHost) -> None:
    host.load(HOSTILE / "oversized.wasm")
    ask(host)
    assert len(records(host)[0]["logs"]) <= 100


def test_text_that_is_not_utf8_is_shown_harmlessly(host: WasmHost) -> None:
    host.load(HOSTILE / "invalid_utf8.wasm")
    ask(host)
    claim = host.check_payload(BASE, b"xx")
    assert claim is not None
    assert claim.name == r"\xff␛[m"
    assert records(host)[0]["logs"] == [
        r"warning: \xff\xfe␛[",
        "note: wasm_log: not UTF-8; an agent logs an error in place of the text",
    ]


def test_growing_memory_ends_at_the_limit(host_with: Callable[..., WasmHost]) -> None:
    host = host_with(deadline_ms=5_000)
    host.load(HOSTILE / "memory_growth.wasm")
    for _ in range(17):
        ask(host)
    sizes = [call["memory"] for call in records(host)]
    assert sizes[0] == 65_536 + (16 << 20)
    assert sizes[15] == sizes[14] <= 256 << 20
    assert [call["action"] for call in records(host)][-2:] == ["trap", "next"]
    assert row(host)["memory"] == sizes[0]
