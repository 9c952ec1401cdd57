"""Which imports are refused, and what the refusal advises."""

from __future__ import annotations

import pytest

from engine.core.errors import WasmError
from engine.wasm.imports import (
    DEEPFLOW,
    DEEPFLOW_FUNCTIONS,
    LENIENT_WASI,
    WASI,
    WASI_FUNCTIONS,
    Import,
    check_imports,
    judge_import,
)


def test_all_that_the_agent_offers_is_allowed() -> None:
    check_imports(Import(WASI, name, None) for name in WASI_FUNCTIONS)
    check_imports(Import(DEEPFLOW, name, kind) for name, kind in DEEPFLOW_FUNCTIONS.items())
    assert (len(WASI_FUNCTIONS), len(DEEPFLOW_FUNCTIONS)) == (18, 8)


@pytest.mark.parametrize(
    ("module", "name", "advice"),
    [
        (WASI, "random_get", "TinyGo 0.32"),
        (WASI, "poll_oneoff", "time.Sleep"),
        (WASI, "sock_accept", "no sockets"),
        (WASI, "path_unlink_file", "nothing else"),
        (DEEPFLOW, "host_read_http_result", "2023-08-30"),
        ("env", "abort", "nothing else"),
        ("wasi_unstable", "fd_write", "nothing else"),
    ],
)
def test_anything_else_is_named_with_advice(module: str, name: str, advice: str) -> None:
    with pytest.raises(WasmError, match=f"unknown import {module}.{name}") as raised:
        check_imports([Import(WASI, "fd_write", None), Import(module, name, (2, 1))])
    assert advice in raised.value.fix


@pytest.mark.parametrize(
    ("module", "name", "loads"),
    [
        (WASI, "random_get", True),
        (WASI, "poll_oneoff", True),
        (DEEPFLOW, "host_read_http_result", True),
        (WASI, "thread_spawn", False),
        (DEEPFLOW, "no_such_function", False),
        ("env", "abort", False),
    ],
)
def test_a_lenient_host_links_all_of_wasi_and_what_agents_dropped(
    module: str, name: str, loads: bool
) -> None:
    entry = Import(module, name, (2, 1))
    judged = judge_import(entry)
    assert judged.lenient is loads
    assert judged.refusal == f"unknown import {module}.{name}"
    if loads:
        assert check_imports([entry], lenient=True) == [judged]
    else:
        with pytest.raises(WasmError, match="unknown import"):
            check_imports([entry], lenient=True)


def test_what_agents_have_dropped_is_linked_for_plugins_of_any_sdk() -> None:
    dropped = Import(DEEPFLOW, "host_read_http_result", (2, 1))
    assert check_imports([dropped], any_sdk=True) == [judge_import(dropped)]
    with pytest.raises(WasmError, match="unknown import") as raised:
        check_imports([Import(WASI, "random_get", (2, 1))], any_sdk=True)
    assert "--lenient" in raised.value.fix


def test_all_of_wasi_has_46_functions() -> None:
    assert len(LENIENT_WASI) == 46
    assert LENIENT_WASI > WASI_FUNCTIONS


def test_a_deepflow_function_of_the_wrong_type_is_refused() -> None:
    with pytest.raises(WasmError, match="wrong type") as raised:
        check_imports([Import(DEEPFLOW, "wasm_log", (2, 0))])
    assert "3 i32" in raised.value.fix
