"""Modules shaped like what TinyGo builds: its WASI imports, its exports, its start."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from engine.wasm.host import WasmHost
from engine.wasm.imports import WASI, WASI_FUNCTIONS
from engine.wasm.outcome import Outcome
from tests.unit.wasm import wat
from tests.unit.wasm.calls import ask, load, logged, records, row

I32, I64 = "i32", "i64"
TYPES = {
    "args_get": [I32, I32],
    "args_sizes_get": [I32, I32],
    "clock_time_get": [I32, I64, I32],
    "environ_get": [I32, I32],
    "environ_sizes_get": [I32, I32],
    "fd_close": [I32],
    "fd_fdstat_get": [I32, I32],
    "fd_filestat_get": [I32, I32],
    "fd_pread": [I32, I32, I32, I64, I32],
    "fd_prestat_dir_name": [I32, I32, I32],
    "fd_prestat_get": [I32, I32],
    "fd_read": [I32, I32, I32, I32],
    "fd_seek": [I32, I64, I32, I32],
    "path_open": [I32, I32, I32, I32, I32, I64, I64, I32, I32],
    "path_readlink": [I32, I32, I32, I32, I32, I32],
    "sched_yield": [],
}
"""Parameters of the functions an agent links, but for fd_write and proc_exit; all return errno."""

ANSWER_AT = wat.BUFFER_AT
ALLOCATOR = "".join(
    f'(func (export "{name}") {kind} unreachable)'
    for name, kind in {
        "malloc": "(param i32) (result i32)",
        "calloc": "(param i32 i32) (result i32)",
        "realloc": "(param i32 i32) (result i32)",
        "free": "(param i32)",
        "asyncify_start_unwind": "(param i32)",
        "asyncify_stop_unwind": "",
        "asyncify_get_state": "(result i32)",
    }.items()
)
"""What TinyGo exports besides the hooks; a host that called any of them would trap."""


def wasi_imports() -> str:
    """The 16 functions, `$name` each."""
    return "".join(
        f'(import "{WASI}" "{name}" (func ${name} (param {" ".join(params)}) (result i32)))'
        if params
        else f'(import "{WASI}" "{name}" (func ${name} (result i32)))'
        for name, params in TYPES.items()
    )


def called(name: str, *arguments: int) -> str:
    """A call with constants; the errno stays on the stack."""
    given = zip(TYPES[name], arguments, strict=True)
    return f"(call ${name} {' '.join(f'({kind}.const {value})' for kind, value in given)})"


def asked(folder: Path, host: WasmHost, body: str) -> int:
    """What a request hook of this body returns."""
    load(host, folder, imports=wasi_imports(), extra=ALLOCATOR, request=body)
    ask(host)
    returned = records(host)[-1]["returned"]
    assert isinstance(returned, int)
    return returned


def test_every_wasi_function_of_the_agent_is_there() -> None:
    assert set(TYPES) | {"fd_write", "proc_exit"} == WASI_FUNCTIONS


@pytest.mark.parametrize("name", ["args_sizes_get", "environ_sizes_get"])
def test_there_are_no_arguments_and_no_environment(
    host: WasmHost, tmp_path: Path, name: str
) -> None:
    """Count and size, both asked for over 0xffffffff, add up to 0 with the errno."""
    counted = f"(i32.load (i32.const {ANSWER_AT}))", f"(i32.load (i32.const {ANSWER_AT + 4}))"
    body = (
        f"(i64.store (i32.const {ANSWER_AT}) (i64.const -1))"
        f"(i32.or {called(name, ANSWER_AT, ANSWER_AT + 4)} (i32.or {counted[0]} {counted[1]}))"
    )
    assert asked(tmp_path, host, body) == 0


@pytest.mark.parametrize(
    ("name", "arguments", "errno"),
    [
        ("fd_read", (9, 0, 0, ANSWER_AT), 8),
        ("fd_close", (9,), 8),
        ("fd_prestat_get", (3, ANSWER_AT), 8),
        ("fd_seek", (9, 0, 0, ANSWER_AT), 8),
        ("path_open", (3, 0, 0, 1, 0, 0, 0, 0, ANSWER_AT), 8),
        ("sched_yield", (), 0),
        ("clock_time_get", (0, 1, ANSWER_AT), 0),
        ("args_get", (ANSWER_AT, ANSWER_AT), 0),
    ],
)
def test_wasi_answers_as_with_nothing_open(
    host: WasmHost, tmp_path: Path, name: str, arguments: tuple[int, ...], errno: int
) -> None:
    assert asked(tmp_path, host, called(name, *arguments)) == errno


def test_bulk_memory_sign_extension_and_saturation_are_part_of_the_agents_wasm(
    host: WasmHost, tmp_path: Path
) -> None:
    """TinyGo uses memory.copy and memory.fill since 0.27."""
    body = (
        f"(memory.fill (i32.const {ANSWER_AT}) (i32.const 129) (i32.const 4))"
        f"(memory.copy (i32.const {ANSWER_AT + 8}) (i32.const {ANSWER_AT}) (i32.const 4))"
        f"(i32.add (i32.extend8_s (i32.load8_u (i32.const {ANSWER_AT + 9})))"
        " (i32.trunc_sat_f64_s (f64.const 1e300)))"
    )
    assert asked(tmp_path, host, body) == -127 + 2**31 - 1


def test_start_may_allocate_and_write_before_it_registers(host: WasmHost, tmp_path: Path) -> None:
    """The heap is grown in `_start`; the hook finds it as it was left, and output is captured."""
    grown = 4 * 65_536
    start = (
        "(drop (memory.grow (i32.const 1)))"
        f"(i32.store (i32.const {grown}) (i32.const 1))"
        f"(i32.store (i32.const {ANSWER_AT}) (i32.const {wat.STRING_AT}))"
        f"(i32.store (i32.const {ANSWER_AT + 4}) (i32.const 5))"
        f"(drop (call $write (i32.const 1) (i32.const {ANSWER_AT}) (i32.const 1)"
        f" (i32.const {ANSWER_AT + 8})))"
    )
    body = f"(i32.load (i32.const {grown}))"
    load(host, tmp_path, start=start, string=b"hello", request=body, extra=ALLOCATOR)
    assert ask(host) == Outcome("plugin", ())
    assert row(host)["memory"] == 5 * 65_536
    assert row(host)["start_logs"] == ["stdout: hello"]


def test_newer_tinygo_seeds_its_hashes_and_runs_leniently_with_a_warning(
    host_with: Callable[..., WasmHost], tmp_path: Path
) -> None:
    """`random_get` in `_start`, as TinyGo does since 0.33."""
    imports = f'(import "{WASI}" "random_get" (func $rnd (param i32 i32) (result i32)))'
    start = f"(if (call $rnd (i32.const {ANSWER_AT}) (i32.const 8)) (then unreachable))"
    host = host_with(lenient=True)
    load(host, tmp_path, imports=imports, start=start, request=wat.STOP)
    assert ask(host) == Outcome("plugin", ())
    assert any("agent would refuse it: unknown import" in text for text in logged(host))
