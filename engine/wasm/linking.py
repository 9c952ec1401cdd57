"""How the host functions get into Wasmtime: types, memory access, errors kept out of its way."""

from __future__ import annotations

from collections.abc import Callable

import wasmtime

from engine.wasm.hostcalls import HostFunctions
from engine.wasm.imports import DEEPFLOW, DEEPFLOW_FUNCTIONS, WASI

_U32 = 0xFFFF_FFFF


def define_functions(linker: wasmtime.Linker, functions: HostFunctions) -> None:
    """Define the `deepflow` functions, and fd_write in place of WASI's own.

    Wasmtime's own output capture calls back on a thread of its own, which aborts the process when
    the interpreter is on its way out; ours runs in the call. Function types are made anew each
    time: a type belongs to the first engine it meets, and used with another it aborts the process.
    """
    _define(
        linker, functions, DEEPFLOW, "wasm_log", functions.wasm_log, DEEPFLOW_FUNCTIONS["wasm_log"]
    )
    for name, function in functions.table().items():
        _define(linker, functions, DEEPFLOW, name, function, DEEPFLOW_FUNCTIONS[name])
    _define(linker, functions, WASI, "fd_write", functions.fd_write, (4, 1))


def _define(
    linker: wasmtime.Linker,
    functions: HostFunctions,
    module: str,
    name: str,
    function: Callable[..., int | None],
    signature: tuple[int, int],
) -> None:
    """Define one function under its import name.

    An exception must not travel through the plugin: Wasmtime's Python API keeps it in one slot for
    all threads. It is left in `functions.broken` and raised when the call has come back.
    """
    params, results = signature

    def call(caller: wasmtime.Caller, *arguments: int) -> int | None:
        try:
            return function(_CallerMemory(caller), *(argument & _U32 for argument in arguments))
        except Exception as error:
            functions.broken = error
            return 0 if results else None

    i32 = wasmtime.ValType.i32()
    kind = wasmtime.FuncType([i32] * params, [i32] * results)
    linker.define_func(module, name, kind, call, access_caller=True)


class _CallerMemory:
    """Guest memory reached through the caller of a host function."""

    def __init__(self, caller: wasmtime.Caller) -> None:
        memory = caller["memory"]
        if not isinstance(memory, wasmtime.Memory):
            raise TypeError("the plugin's export `memory` is not a memory")
        self._caller = caller
        self._memory = memory

    def contains(self, pointer: int, length: int) -> bool:
        return pointer + length <= self._memory.data_len(self._caller)

    def read(self, pointer: int, length: int) -> bytes:
        return bytes(self._memory.read(self._caller, pointer, pointer + length))

    def write(self, pointer: int, content: bytes) -> None:
        if content:
            self._memory.write(self._caller, content, pointer)
