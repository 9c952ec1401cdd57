"""Which modules are loaded, which are refused, and why."""

from __future__ import annotations

import time
from pathlib import Path

import pytest
import wasmtime

from engine.core.errors import WasmError
from engine.core.fields import JsonValue
from engine.wasm.host import WasmHost
from tests.unit.wasm import wat
from tests.unit.wasm.calls import BASE


def row(host: WasmHost, name: str = "plugin") -> dict[str, JsonValue]:
    """The table row of a plugin."""
    rows = [record.as_json() for record in host.tables()["wasm_plugin"]]
    return next(shown for shown in rows if shown["plugin"] == name)


def refusal(host: WasmHost, path: Path) -> str:
    """Why a file is not loaded; it must stay in the table with that reason."""
    with pytest.raises(WasmError) as raised:
        host.load(path)
    shown = row(host, path.stem)
    assert shown["state"] == "failed"
    assert shown["error"]
    assert str(shown["error"]) in str(raised.value)
    assert host.status().state == "degraded"
    assert host.status().reason == raised.value.message
    return str(raised.value)


def test_a_good_plugin_is_loaded(host: WasmHost, tmp_path: Path) -> None:
    assert host.load(wat.save(tmp_path, wat.plugin())) == "plugin"
    shown = row(host)
    assert shown["state"] == "loaded"
    assert shown["hooks"] == ["http_request", "http_response", "payload"]
    assert shown["memory"] == 4 * 65_536
    assert (shown["calls"], shown["traps"], shown["p50_us"]) == (0, 0, None)
    assert host.status().state == "running"


def test_a_null_bitmap_means_no_hook_at_all(host: WasmHost, tmp_path: Path) -> None:
    host.load(wat.save(tmp_path, wat.plugin(bitmap="(i32.const 0)")))
    assert row(host)["hooks"] == []


@pytest.mark.parametrize("pointer", [-1, 4 * 65_536 - 15])
def test_a_bitmap_outside_the_memory_is_refused(
    host: WasmHost, tmp_path: Path, pointer: int
) -> None:
    path = wat.save(tmp_path, wat.plugin(bitmap=f"(i32.const {pointer})"))
    assert "get_hook_bitmap returned" in refusal(host, path)


@pytest.mark.parametrize(
    "name", ["memory", "_start", "get_hook_bitmap", "check_payload", "parse_payload", "on_http_req"]
)
def test_a_missing_export_is_named(host: WasmHost, tmp_path: Path, name: str) -> None:
    assert name in refusal(host, wat.save(tmp_path, wat.plugin(without=name)))


def test_an_export_of_the_wrong_type_is_named(host: WasmHost, tmp_path: Path) -> None:
    extra = '(func (export "on_http_resp") (param i32) (result i32) (i32.const 0))'
    path = wat.save(tmp_path, wat.plugin(without="on_http_resp", extra=extra))
    assert "on_http_resp has the wrong type" in refusal(host, path)


def test_an_import_outside_the_list_is_named_with_advice(host: WasmHost, tmp_path: Path) -> None:
    imports = f'(import "{wat_wasi}" "random_get" (func (param i32 i32) (result i32)))'
    said = refusal(host, wat.save(tmp_path, wat.plugin(imports=imports)))
    assert f"unknown import {wat_wasi}.random_get" in said
    assert "TinyGo" in said


wat_wasi = "wasi_snapshot_preview1"


def test_a_wasi_function_of_the_wrong_type_is_refused(host: WasmHost, tmp_path: Path) -> None:
    imports = f'(import "{wat_wasi}" "sched_yield" (func (param i64)))'
    said = refusal(host, wat.save(tmp_path, wat.plugin(imports=imports)))
    assert "sched_yield" in said


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        (b"\0asm", "does not compile"),
        (b"\0asm\x01\0\0\0\xff\xff", "does not compile"),
        (b"\0asm\x0d\0\x01\0", "does not compile"),
    ],
)
def test_a_broken_module_is_refused(
    host: WasmHost, tmp_path: Path, content: bytes, reason: str
) -> None:
    assert reason in refusal(host, wat.save(tmp_path, content))


def plain_refusal(host: WasmHost, path: Path) -> str:
    """Why a file is not loaded that never was a plugin; nothing stays of the attempt."""
    before = host.status().state, len(host.tables()["wasm_plugin"])
    with pytest.raises(WasmError) as raised:
        host.load(path)
    assert (host.status().state, len(host.tables()["wasm_plugin"])) == before
    return str(raised.value)


@pytest.mark.parametrize("content", [b"", b"(module)", b"\x7fELF"])
def test_what_is_no_module_is_refused_and_forgotten(
    host: WasmHost, tmp_path: Path, content: bytes
) -> None:
    host.load(wat.save(tmp_path, wat.plugin(), "good"))
    said = plain_refusal(host, wat.save(tmp_path, content))
    assert "not a WebAssembly module" in said
    assert str(tmp_path) in said
    host.load(wat.save(tmp_path, wat.plugin()))
    assert row(host)["state"] == "loaded"


def test_what_is_no_module_any_more_stays_as_failed(host: WasmHost, tmp_path: Path) -> None:
    path = wat.save(tmp_path, wat.plugin())
    host.load(path)
    assert "not a WebAssembly module" in refusal(host, wat.save(tmp_path, b"(module)"))


def test_a_feature_the_agents_runtime_lacks_is_refused(host: WasmHost, tmp_path: Path) -> None:
    shared = wasmtime.wat2wasm('(module (memory (export "memory") 1 1 shared))')
    assert "threads" in refusal(host, wat.save(tmp_path, bytes(shared)))


def test_a_file_that_cannot_be_read_is_refused(host: WasmHost, tmp_path: Path) -> None:
    assert "No such file" in plain_refusal(host, tmp_path / "absent.wasm")
    assert "is not a file" in plain_refusal(host, tmp_path)


@pytest.mark.parametrize(
    ("start", "reason"),
    [
        ("(call $exit (i32.const 0))", r"proc_exit(0)"),
        ("unreachable", "unreachable"),
        ("(loop $again (br $again))", "deadline of 50 ms"),
        ("(drop (call $payload (i32.const 0) (i32.const 1)))", "no message"),
        ("(drop (call $info (i32.const 0) (i32.const 1)))", "no message"),
        ("(drop (i32.load (i32.const -4)))", "memory out of bounds"),
    ],
)
def test_a_start_that_does_not_simply_return_is_refused(
    host: WasmHost, tmp_path: Path, start: str, reason: str
) -> None:
    assert reason in refusal(host, wat.save(tmp_path, wat.plugin(start=start)))


def test_logging_is_allowed_in_start(host: WasmHost, tmp_path: Path) -> None:
    start = f"(call $log (i32.const {wat.STRING_AT}) (i32.const 2) (i32.const 0))"
    assert host.load(wat.save(tmp_path, wat.plugin(start=start, string=b"hi"))) == "plugin"


def test_a_plugin_that_asks_for_too_much_memory_is_refused(host: WasmHost, tmp_path: Path) -> None:
    assert "memory" in refusal(host, wat.save(tmp_path, wat.plugin(pages=8_192)))


def test_a_refused_plugin_leaves_the_others_alone(host: WasmHost, tmp_path: Path) -> None:
    host.load(wat.save(tmp_path, wat.plugin(), "good"))
    refusal(host, wat.save(tmp_path, b"\0asm", "bad"))
    assert row(host, "good")["state"] == "loaded"


def test_a_repaired_file_takes_the_place_of_the_refused_one(host: WasmHost, tmp_path: Path) -> None:
    path = wat.save(tmp_path, b"\0asm")
    refusal(host, path)
    wat.save(tmp_path, wat.plugin())
    assert host.load(path) == "plugin"
    assert [record.get("state") for record in host.tables()["wasm_plugin"]] == ["loaded"]
    assert host.status().state == "running"


def test_two_files_of_one_name_get_two_names(host: WasmHost, tmp_path: Path) -> None:
    (tmp_path / "other").mkdir()
    assert host.load(wat.save(tmp_path, wat.plugin())) == "plugin"
    assert host.load(wat.save(tmp_path / "other", wat.plugin())) == "plugin-2"


def test_a_hostile_file_name_is_made_visible(host: WasmHost, tmp_path: Path) -> None:
    assert host.load(wat.save(tmp_path, wat.plugin(), "\x1b[31mred")) == "␛[31mred"


def test_an_endless_start_ends_within_its_deadline(host: WasmHost, tmp_path: Path) -> None:
    path = wat.save(tmp_path, wat.plugin(start="(loop $again (br $again))"))
    began = time.monotonic()
    refusal(host, path)
    assert 0.04 < time.monotonic() - began < 5


def test_a_stopped_host_asks_no_plugin_shows_last_figures_and_can_load_again(
    host: WasmHost, tmp_path: Path
) -> None:
    path = wat.save(tmp_path, wat.plugin())
    host.load(path)
    host.check_payload(BASE, b"xx")
    host.stop()
    host.stop()
    host.check_payload(BASE, b"xx")
    (row,) = host.tables()["wasm_plugin"]
    assert row.get("calls") == 1
    assert host.load(path) == "plugin"
