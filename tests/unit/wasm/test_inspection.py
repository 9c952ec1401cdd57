"""`wasm inspect`: what is told of a plugin before any traffic."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import wasmtime

import fixtures
from engine.core.errors import WasmError
from engine.wasm.hostcalls import CallContext
from engine.wasm.infos import Info, RequestInfo, ResponseInfo, TraceInfo
from engine.wasm.inspection import Inspection, inspect
from engine.wasm.journal import Journal
from engine.wasm.plugin import Call
from engine.wasm.remarks import remarks
from engine.wasm.sections import read_module_file, with_stack_pointer
from tests.unit.wasm import wat
from tests.unit.wasm.calls import BASE
from tests.unit.wasm.golden import GOLDEN

PLUGINS = Path(fixtures.__file__).parent / "wasm"
WASI = "wasi_snapshot_preview1"


def inspected(folder: Path, **bodies: Any) -> Inspection:
    """Build a plugin and inspect it."""
    return inspect(wat.save(folder, wat.plugin(**bodies)), deadline_ms=50)


def texts(found: Inspection, level: str) -> list[str]:
    """What is found at a level."""
    return [finding.text for finding in found.findings if finding.level == level]


def custom_section(name: str, content: bytes) -> bytes:
    """A custom section; all lengths are below 128."""
    named = bytes([len(name)]) + name.encode() + content
    return bytes([0, len(named)]) + named


def test_the_demo_plugin_is_known_throughout() -> None:
    found = inspect(PLUGINS / "demo" / "demo.wasm")
    assert found.loads
    assert [str(hook) for hook in found.hooks] == ["http_request", "payload"]
    assert found.dialect == "g5 (SDK since 2025-03-24, protobuf), by what on_http_req sent"
    assert len(found.imports) == 6
    assert {"_start", "memory", "parse_payload"} <= set(found.exports)
    assert found.module.has_lines
    assert any("clang" in tool for tools in found.module.producers.values() for tool in tools)
    assert 0 < found.module.size_of("code") < found.size
    assert texts(found, "warning") == []
    shown = json.loads(json.dumps(found.as_json()))
    assert (shown["loads"], shown["memory"]) == (True, found.memory)
    assert len(shown["sha256"]) == 64


@pytest.mark.parametrize(
    ("bodies", "reason"),
    [
        ({"imports": f'(import "{WASI}" "random_get" (func (param i32 i32)))'}, "random_get"),
        ({"without": "on_http_resp"}, "does not export on_http_resp"),
        ({"without": "_start"}, "does not export _start"),
        ({"start": "(call $exit (i32.const 0))"}, "proc_exit(0)"),
        ({"start": "(loop $again (br $again))"}, "deadline of 50 ms"),
        ({"bitmap": "(i32.const -1)"}, "get_hook_bitmap returned"),
        ({"extra": '(func (export "on_custom_message"))'}, "wrong type"),
    ],
)
def test_what_an_agent_refuses_is_said(tmp_path: Path, bodies: dict[str, str], reason: str) -> None:
    found = inspected(tmp_path, **bodies)
    assert not found.loads
    assert any(reason in text for text in texts(found, "refused"))


def test_all_that_is_wrong_is_listed_at_once(tmp_path: Path) -> None:
    imports = f'(import "{WASI}" "random_get" (func (param i32 i32) (result i32)))'
    imports += '(import "env" "abort" (func))'
    found = inspected(tmp_path, imports=imports, without="check_payload")
    assert len(texts(found, "refused")) == 3
    verdicts = {each.name: (not each.refusal, each.lenient) for each in found.imports}
    assert verdicts[f"{WASI}.random_get"] == (False, True)
    assert verdicts["env.abort"] == (False, False)
    assert verdicts["deepflow.wasm_log"] == (True, True)


def test_a_feature_the_agents_runtime_lacks_is_named(tmp_path: Path) -> None:
    extra = "(func $f (return_call $f))"
    (refusal,) = texts(inspected(tmp_path, extra=extra), "refused")
    assert "tail call" in refusal


@pytest.mark.parametrize(
    ("bodies", "warning"),
    [
        ({"bitmap": "(i32.const 0)"}, "asks for no hook"),
        ({"hooks": wat.CUSTOM_MESSAGE}, "exports no on_custom_message"),
        ({"hooks": wat.CUSTOM_MESSAGE, "extra": wat.custom(0x10068)}, "response bit"),
        ({"hooks": wat.CUSTOM_MESSAGE, "extra": wat.custom(1 << 32 | 104)}, "hook point 1"),
        ({"request": wat.TRAP}, "on_http_req with a sample message: on_http_req trapped"),
        ({"response": "(i32.const 7)"}, "returned 7"),
    ],
)
def test_what_will_not_work_is_a_warning(
    tmp_path: Path, bodies: dict[str, Any], warning: str
) -> None:
    found = inspected(tmp_path, **bodies)
    assert found.loads
    assert any(warning in text for text in texts(found, "warning"))


def test_what_is_off_by_default_is_noted(tmp_path: Path) -> None:
    hooks = wat.PAYLOAD | wat.CUSTOM_MESSAGE
    notes = texts(inspected(tmp_path, hooks=hooks, extra=wat.custom(104)), "note")
    assert [text.split(":")[0] for text in notes[:2]] == ["payload hooks", "custom messages"]


@pytest.mark.parametrize(
    ("vector", "hook", "dialect"), [(0, "response", "g1"), (1, "request", "g1")]
)
def test_a_sample_message_tells_the_dialect(
    tmp_path: Path, vector: int, hook: str, dialect: str
) -> None:
    result = bytes.fromhex(GOLDEN["older_info_lists"][vector]["hex"])
    found = inspected(tmp_path, result=result, **{hook: wat.send_result(result) + wat.STOP})
    assert found.dialect.startswith(f"{dialect} (")
    assert any("no longer read" in text for text in texts(found, "warning"))


def test_without_a_result_imports_and_names_tell_the_dialect(tmp_path: Path) -> None:
    old = '(import "deepflow" "host_read_http_result" (func (param i32 i32) (result i32)))'
    assert inspected(tmp_path, imports=old).dialect.startswith("g0 ")
    sdk = "github.com/deepflowio/deepflow-wasm-go-sdk/sdk"
    vt = f"(*{sdk}/pb.AppInfo).MarshalToSizedBufferVT"
    assert inspected(tmp_path, extra=named(vt)).dialect.startswith("g5 ")
    assert inspected(tmp_path, extra=named(f"{sdk}.Warn")).dialect.startswith("g1 ")
    custom = named(f"{sdk}.Warn") + wat.custom(104)
    assert inspected(tmp_path, extra=custom).dialect.startswith("g3 or g4 ")
    assert inspected(tmp_path).dialect.startswith("unknown")


def named(name: str) -> str:
    """A function of any name."""
    return f'(func (@name "{name}"))'


def test_producers_are_read_and_tinygo_is_noted(tmp_path: Path) -> None:
    producers = b"\x01\x0cprocessed-by\x01\x06TinyGo\x060.32.0"
    wasm = wat.plugin() + custom_section("producers", producers)
    found = inspect(wat.save(tmp_path, wasm))
    assert found.module.producers == {"processed-by": ["TinyGo 0.32.0"]}
    assert "built with TinyGo 0.32.0" in texts(found, "note")


def test_standard_go_is_told_to_be_tinygo(tmp_path: Path) -> None:
    producers = b"\x01\x0cprocessed-by\x01\x0eGo cmd/compile\x061.27.3"
    found = inspect(wat.save(tmp_path, wat.plugin() + custom_section("producers", producers)))
    assert "built with standard Go (Go cmd/compile 1.27.3)" in texts(found, "warning")


@pytest.mark.parametrize("content", [b"", b"\x05", b"\x01\xff\xff\xff\xff\x7f", b"\x01\x7fabc"])
def test_a_broken_custom_section_is_passed_over(content: bytes) -> None:
    for name in ("producers", "name"):
        module = read_module_file(b"\0asm\x01\0\0\0" + custom_section(name, content))
        assert module.producers in ({}, {"": []})
        assert [section.name for section in module.sections] == [name]


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        (b"text", "not a WebAssembly module"),
        (b"\0asm\x01\0\0\0\x01", "broken section header at byte 8"),
        (b"\0asm\x01\0\0\0\x01\x05abc", "5 bytes, more than the file"),
    ],
)
def test_what_is_no_module_is_an_error(tmp_path: Path, content: bytes, reason: str) -> None:
    with pytest.raises(WasmError, match=reason):
        inspect(wat.save(tmp_path, content))


def test_the_stack_pointer_can_be_exported_without_changing_anything_else() -> None:
    plain = wat.plugin(extra="(global (mut i32) (i32.const 70000))")
    watched = with_stack_pointer(plain)
    assert watched is not None
    wasm, top = watched
    assert top == 70_000
    module = wasmtime.Module(wasmtime.Engine(), wasm)
    names = [entry.name for entry in module.exports]
    assert names[-1] == "boxscope_stack_pointer"
    assert names[:-1] == [entry.name for entry in wasmtime.Module(wasmtime.Engine(), plain).exports]


@pytest.mark.parametrize(
    "extra",
    [
        "",
        "(global i32 (i32.const 1))",
        "(global (mut i64) (i64.const 1))",
    ],
)
def test_a_module_without_a_stack_pointer_is_left_as_it_is(extra: str) -> None:
    assert with_stack_pointer(wat.plugin(extra=extra)) is None


def test_an_imported_global_is_not_taken_for_the_stack_pointer() -> None:
    text = (
        '(module (import "env" "g" (global (mut i32)))'
        ' (global (mut i32) (i32.const 9)) (memory (export "memory") 1))'
    )
    assert with_stack_pointer(bytes(wasmtime.wat2wasm(text))) is None


def call(export: str, *infos: Info, result: bytes = b"x", string: bytes = b"") -> Call:
    """A call that sent these infos."""
    journal = Journal(sent_result=bool(infos), result=result)
    return Call(export, CallContext(BASE, b""), 1, 1.0, journal, infos, string, 0)


PLAIN = Info(dialect="g5", response=ResponseInfo(0))


@pytest.mark.parametrize(
    ("made", "remark"),
    [
        (call("check_payload", string=b"x" * 17), "cuts it to 16"),
        (call("parse_payload", replace(PLAIN, is_end=False)), "panic"),
        (call("on_http_resp", replace(PLAIN, trace=TraceInfo(sent_empty=("span_id",)))), "wipes"),
        (call("on_http_req", replace(PLAIN, request=RequestInfo(type="CALL"))), "no HTTP method"),
        (call("on_http_resp", replace(PLAIN, response=None)), "status to unknown"),
        (call("on_http_req", PLAIN, PLAIN), "only the last"),
        (call("on_http_req", replace(PLAIN, trailing=3)), "3 bytes after"),
        (call("on_http_req", replace(PLAIN, dialect="g1")), "dialect g1"),
        (call("on_http_req", PLAIN, result=bytes(60_000)), "60000 of 65536"),
    ],
)
def test_remarks_on_results_an_agent_accepts(made: Call, remark: str) -> None:
    (only,) = remarks(made)
    assert remark in only


def test_an_ordinary_result_needs_no_remark() -> None:
    assert remarks(call("on_http_resp", PLAIN)) == []
    assert remarks(call("parse_payload", PLAIN, PLAIN)) == []


def test_a_sample_payload_tells_the_dialect_of_a_payload_plugin(tmp_path: Path) -> None:
    """It claims what it is shown, under too long a name, and asks for a protocol merge."""
    result, name = bytes.fromhex("00055042a80101"), b"\0\x11seventeen letters"
    found = inspected(
        tmp_path,
        hooks=wat.PAYLOAD,
        result=result,
        string=name,
        check=wat.send_string(name) + "(i32.const 9)",
        parse=wat.send_result(result) + wat.STOP,
    )
    assert found.dialect.endswith("by what parse_payload sent")
    merged, long_name = sorted(text.split(": ")[0] for text in texts(found, "warning"))[::-1]
    assert (merged, long_name) == ("parse_payload", "check_payload")


def test_a_custom_message_of_the_protocol_asked_for_is_shown(tmp_path: Path) -> None:
    """It returns the protocol number it is told, which is no answer."""
    read = f"(drop (call $custom (i32.const {wat.BUFFER_AT}) (i32.const 100)))"
    body = read + f"(i32.load8_u (i32.const {wat.BUFFER_AT + 5}))"
    for number in (40, 104, 106):
        found = inspected(tmp_path, hooks=wat.CUSTOM_MESSAGE, extra=wat.custom(number, body))
        assert f"returned {number}:" in texts(found, "warning")[0]


def test_a_filter_of_nothing_is_none(tmp_path: Path) -> None:
    found = inspected(tmp_path, extra=wat.custom(0))
    assert (found.custom_filter, texts(found, "warning")) == ("", [])
    found = inspected(tmp_path, hooks=wat.CUSTOM_MESSAGE, extra=wat.custom(0))
    assert texts(found, "warning") == ["it asks for custom messages and names no filter"]


def test_an_import_that_comes_twice_is_one_finding(tmp_path: Path) -> None:
    twice = f'(import "{WASI}" "random_get" (func (param i32 i32) (result i32)))' * 2
    assert len(texts(inspected(tmp_path, imports=twice), "refused")) == 1


def test_names_alone_warn_of_a_dialect_that_agents_no_longer_read(tmp_path: Path) -> None:
    found = inspected(tmp_path, extra=named("github.com/deepflowio/deepflow-wasm-go-sdk/sdk.Warn"))
    assert texts(found, "warning") == ["its results are of dialect g1, which agents no longer read"]


def test_the_form_of_process_names_is_noted(tmp_path: Path) -> None:
    assert any("padded with NUL" in text for text in texts(inspected(tmp_path), "note"))
