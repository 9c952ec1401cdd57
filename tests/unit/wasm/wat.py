"""Plugins for tests, written as WebAssembly text: exports of a good one, each replaceable."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import wasmtime

NOTHING = "(i32.const 0)"
NEXT, STOP = "(i32.const 0)", "(i32.const 1)"
FOREVER = "(loop $again (br $again)) (i32.const 0)"
TRAP = "unreachable"

HTTP_REQUEST, HTTP_RESPONSE, CUSTOM_MESSAGE, PAYLOAD = 1 << 127, 1 << 126, 1 << 125, 1
ALL_HOOKS = HTTP_REQUEST | HTTP_RESPONSE | PAYLOAD

BITMAP_AT, FILTER_AT, RESULT_AT, STRING_AT, BUFFER_AT = 16, 48, 1_024, 32_768, 65_536
"""Where the bitmap, a result list and a string lie, and where buffers may be read into."""

_IMPORTS = """
(import "deepflow" "wasm_log" (func $log (param i32 i32 i32)))
(import "deepflow" "vm_read_ctx_base" (func $base (param i32 i32) (result i32)))
(import "deepflow" "vm_read_payload" (func $payload (param i32 i32) (result i32)))
(import "deepflow" "vm_read_http_req_info" (func $request (param i32 i32) (result i32)))
(import "deepflow" "vm_read_http_resp_info" (func $response (param i32 i32) (result i32)))
(import "deepflow" "vm_read_custom_message_info" (func $custom (param i32 i32) (result i32)))
(import "deepflow" "host_read_l7_protocol_info" (func $info (param i32 i32) (result i32)))
(import "deepflow" "host_read_str_result" (func $string (param i32 i32) (result i32)))
(import "wasi_snapshot_preview1" "fd_write" (func $write (param i32 i32 i32 i32) (result i32)))
(import "wasi_snapshot_preview1" "proc_exit" (func $exit (param i32)))
"""


def plugin(
    *,
    hooks: int = ALL_HOOKS,
    start: str = "",
    check: str = NOTHING,
    parse: str = NEXT,
    request: str = NEXT,
    response: str = NEXT,
    bitmap: str = f"(i32.const {BITMAP_AT})",
    result: bytes = b"",
    string: bytes = b"",
    imports: str = "",
    extra: str = "",
    without: str = "",
    pages: int = 4,
) -> bytes:
    """Build a plugin; the functions' bodies are WebAssembly text.

    Args:
        result: Bytes at RESULT_AT; `send_result` sends them as the info list.
        string: Bytes at STRING_AT; `send_string` sends them as the string result.
        without: Name of an export to leave out.
    """
    bodies = {
        "_start": ("", start),
        "get_hook_bitmap": ("(result i32)", bitmap),
        "check_payload": ("(result i32)", check),
        "parse_payload": ("(result i32)", parse),
        "on_http_req": ("(result i32)", request),
        "on_http_resp": ("(result i32)", response),
    }
    functions = "\n".join(
        f'(func (export "{name}") {returns} {body})'
        for name, (returns, body) in bodies.items()
        if name != without
    )
    memory = "" if without == "memory" else f'(memory (export "memory") {pages})'
    if without == "memory":
        memory = f"(memory {pages})"
    data = {BITMAP_AT: hooks.to_bytes(16, "big"), RESULT_AT: result, STRING_AT: string}
    return bytes(
        wasmtime.wat2wasm(
            f"(module {_IMPORTS} {imports} {memory} {_segments(data)} {functions} {extra})"
        )
    )


def custom(wanted: int, body: str = NEXT) -> str:
    """Exports for custom messages: the filter and the hook; goes into `extra`."""
    return (
        f'(data (i32.const {FILTER_AT}) "{_escaped(wanted.to_bytes(8, "big"))}")'
        f'(func (export "get_custom_message_hook") (result i32) (i32.const {FILTER_AT}))'
        f'(func (export "on_custom_message") (result i32) {body})'
    )


def send_result(result: bytes) -> str:
    """Send what lies at RESULT_AT."""
    return f"(drop (call $info (i32.const {RESULT_AT}) (i32.const {len(result)})))"


def send_string(string: bytes) -> str:
    """Send what lies at STRING_AT."""
    return f"(drop (call $string (i32.const {STRING_AT}) (i32.const {len(string)})))"


def log_payload(level: int = 0) -> str:
    """Read the payload and log it."""
    return (
        f"(call $log (i32.const {BUFFER_AT})"
        f" (call $payload (i32.const {BUFFER_AT}) (i32.const 65536)) (i32.const {level}))"
    )


def save(folder: Path, wasm: bytes, name: str = "plugin") -> Path:
    """Write a plugin to a file."""
    path = folder / f"{name}.wasm"
    path.write_bytes(wasm)
    return path


def _segments(data: Mapping[int, bytes]) -> str:
    return " ".join(
        f'(data (i32.const {at}) "{_escaped(content)}")' for at, content in data.items() if content
    )


def _escaped(content: bytes) -> str:
    return "".join(f"\\{byte:02x}" for byte in content)
