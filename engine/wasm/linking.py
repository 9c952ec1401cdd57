"""How the host functions get into Wasmtime.

Functions are defined "unchecked": Wasmtime hands over the raw values instead of building a typed
value for each, which brings a call from about 8 us to less than 1 us. Errors are kept out of its
way: none may travel through a plugin.
"""

from __future__ import annotations

import ctypes
from collections.abc import Callable

import wasmtime
from wasmtime import _ffi as ffi

from engine.core.errors import WasmError
from engine.wasm.hostcalls import HostFunctions
from engine.wasm.imports import DEEPFLOW, DEEPFLOW_FUNCTIONS, DROPPED_FUNCTIONS, WASI
from engine.wasm.memory import LinearMemory
from engine.wasm.wasi import WasiFunctions

_STRIDE = 4
"""A raw value takes 16 bytes, which are four 32-bit words."""


_NO_FINALIZER = ctypes.CFUNCTYPE(None, ctypes.c_void_p)(0)
_Words = ctypes.POINTER(ctypes.c_uint32)
_Callback = ctypes.CFUNCTYPE(
    ctypes.c_size_t, ctypes.c_void_p, ctypes.c_void_p, _Words, ctypes.c_size_t
)
"""An unchecked callback: data, caller, arguments that become results, how many; 0 = no trap."""


class HostLink:
    """The host functions of one plugin, defined in a linker.

    Must live as long as anything the linker has linked: it owns the callbacks.
    """

    def __init__(
        self,
        linker: wasmtime.Linker,
        functions: HostFunctions,
        memory: LinearMemory,
        *,
        lenient: bool,
        any_sdk: bool,
    ) -> None:
        self._linker = linker
        self._functions = functions
        self._memory = memory
        self._kept: list[object] = []
        signatures = {**DEEPFLOW_FUNCTIONS, **(DROPPED_FUNCTIONS if any_sdk else {})}
        self._define(DEEPFLOW, "wasm_log", signatures["wasm_log"], self._log())
        for name, function in functions.table().items():
            if name in signatures:
                self._define(DEEPFLOW, name, signatures[name], self._deepflow(name, function))
        wasi = WasiFunctions(functions)
        self._define(WASI, "fd_write", (4, 1), self._wasi(wasi.fd_write, 4))
        if lenient:
            self._define(WASI, "random_get", (2, 1), self._wasi(wasi.random_get, 2))
            self._define(WASI, "poll_oneoff", (4, 1), self._wasi(wasi.poll_oneoff, 4))
            clock = self._wasi(wasi.clock_time_get, 3)
            self._define(WASI, "clock_time_get", (3, 1), clock, wide=1)

    def _define(
        self,
        module: str,
        name: str,
        signature: tuple[int, int],
        call: Callable[[object, int, ctypes.Array[ctypes.c_uint32], int], int],
        wide: int | None = None,
    ) -> None:
        """Define a function of i32 alone, but for the parameter `wide`, which is an i64."""
        # Types are made anew: a type belongs to the first engine it meets, and used with another
        # it aborts the process.
        params, results = signature
        i32 = wasmtime.ValType.i32()
        kinds = [i32] * params
        if wide is not None:
            kinds[wide] = wasmtime.ValType.i64()
        kind = wasmtime.FuncType(kinds, [i32] * results)
        callback = _Callback(call)
        self._kept.append(callback)
        module_name, function_name = module.encode(), name.encode()
        error = ffi.wasmtime_linker_define_func_unchecked(
            self._linker.ptr(),
            ctypes.create_string_buffer(module_name),
            len(module_name),
            ctypes.create_string_buffer(function_name),
            len(function_name),
            kind.ptr(),
            ctypes.cast(callback, ffi.wasmtime_func_unchecked_callback_t),
            None,
            _NO_FINALIZER,
        )
        if error:
            raise WasmError(
                f"cannot define {module}.{name}: {wasmtime.WasmtimeError._from_ptr(error)}"
            )

    def _deepflow(
        self, name: str, function: Callable[[LinearMemory, int, int], int]
    ) -> Callable[[object, int, ctypes.Array[ctypes.c_uint32], int], int]:
        functions, memory = self._functions, self._memory

        def call(_data: object, caller: int, words: ctypes.Array[ctypes.c_uint32], _: int) -> int:
            try:
                functions.excuse_waiting()
                memory.attach_early(caller)
                pointer, length = words[0], words[_STRIDE]
                result = function(memory, pointer, length)
                functions.journal.called(name, pointer, length, result)
                words[0] = result
            except BaseException as error:
                functions.broken = error
                words[0] = 0
            return 0

        return call

    def _log(self) -> Callable[[object, int, ctypes.Array[ctypes.c_uint32], int], int]:
        functions, memory = self._functions, self._memory

        def call(_data: object, caller: int, words: ctypes.Array[ctypes.c_uint32], _: int) -> int:
            try:
                functions.excuse_waiting()
                memory.attach_early(caller)
                functions.wasm_log(memory, words[0], words[_STRIDE], words[2 * _STRIDE])
            except BaseException as error:
                functions.broken = error
            return 0

        return call

    def _wasi(
        self, function: Callable[..., int], params: int
    ) -> Callable[[object, int, ctypes.Array[ctypes.c_uint32], int], int]:
        functions, memory = self._functions, self._memory

        def call(_data: object, caller: int, words: ctypes.Array[ctypes.c_uint32], _: int) -> int:
            try:
                functions.excuse_waiting()
                memory.attach_early(caller)
                words[0] = function(memory, *(words[at * _STRIDE] for at in range(params)))
            except BaseException as error:
                functions.broken = error
                words[0] = 0
            return 0

        return call
