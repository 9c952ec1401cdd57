"""Wasmtime under a DeepFlow plugin: linking, limits, deadline, traps.

Calls go through Wasmtime's unchecked entry points with what they need prepared: 1 us for a call
into a plugin and as much for a call of a host function, against 10 us and 15 us through its
documented Python API.
"""

from __future__ import annotations

import ctypes
import re
import time
from collections.abc import Mapping
from typing import NamedTuple

import wasmtime
from wasmtime import _ffi as ffi

from engine.core.errors import WasmError
from engine.core.sanitise import clean
from engine.wasm.engines import Engines, Options, one_line
from engine.wasm.exports import check_exports, imports_of
from engine.wasm.hostcalls import HostFunctions
from engine.wasm.imports import HTTP_RESULT, Judged, check_imports
from engine.wasm.linking import HostLink
from engine.wasm.memory import LinearMemory
from engine.wasm.watchdog import TICKS, Watchdog

MEMORY_LIMIT = 256 << 20
"""Most linear memory a plugin may have, in bytes."""

_TABLE_LIMIT = 1 << 20
_U32 = 0xFFFF_FFFF
_MAX_FRAMES = 8
_FUEL = 1 << 62
_MOST_WAITING = 10
"""Deadlines that a call may last if all it does is wait for the interpreter."""


_FRAME_WITH_PLACE = re.compile(r"0x([0-9a-f]+) - [^\n]*\n\s+at (\S+)")


class WasmTrap(WasmError):
    """A plugin did not return.

    Attributes:
        code: `deadline`, `exit`, or the name of the trap as in Wasmtime, in lower case.
        frames: Innermost first: function and offset in the module.
    """

    def __init__(self, message: str, code: str, frames: tuple[str, ...] = ()) -> None:
        super().__init__(message)
        self.code = code
        self.frames = frames


class Runtime:
    """The engines with their watchdog; compiles modules and makes instances of them.

    Args:
        deadline_ms: Longest time of one call, in milliseconds.
        lenient: Link what agents refuse, with harmless stubs; includes `any_sdk`.
        any_sdk: Link what agents have dropped, and read the results of any SDK.
        measure: Count fuel; costs about as much time again.
        memory_limit: Most linear memory of an instance, in bytes.
        engines: Where to take engines and compiled modules from.
    """

    def __init__(
        self,
        deadline_ms: float,
        *,
        lenient: bool = False,
        any_sdk: bool = False,
        measure: bool = False,
        memory_limit: int = MEMORY_LIMIT,
        engines: Engines | None = None,
    ) -> None:
        self.deadline_ms = float(deadline_ms)
        self.lenient = lenient
        self.any_sdk = any_sdk or lenient
        self.measure = measure
        self.memory_limit = memory_limit
        self._options = Options(fuel=measure)
        self._engines = engines or Engines()
        self.watchdog = Watchdog(self._engines.advance, deadline_ms)

    def compile(self, wasm: bytes) -> Compiled:
        """Compile a module and check it as the agent would, or as leniently as asked.

        Raises:
            WasmError: if it is not a module, or not one that can be loaded.
        """
        module = self._engines.compile(wasm, self._options)
        tolerated = check_imports(imports_of(module), lenient=self.lenient, any_sdk=self.any_sdk)
        tolerated += check_exports(module, lenient=self.lenient)
        return Compiled(module, tuple(tolerated))

    def link(self, compiled: Compiled) -> Program:
        """Prepare instances of a module, with host functions of their own.

        Raises:
            WasmError: if an import has a type that nothing here has.
        """
        return Program(self, compiled.module)

    def linker(self) -> wasmtime.Linker:
        """A linker with WASI in it, and room to define the rest."""
        linker = wasmtime.Linker(self._engines.engine(self._options))
        linker.define_wasi()
        linker.allow_shadowing = True
        return linker

    def store(self) -> wasmtime.Store:
        """A store with the limits, an empty WASI context and an armed deadline."""
        store = wasmtime.Store(self._engines.engine(self._options))
        store.set_limits(memory_size=self.memory_limit, table_elements=_TABLE_LIMIT)
        store.set_wasi(wasmtime.WasiConfig())
        if self.measure:
            store.set_fuel(_FUEL)
        self.watchdog.arm()
        store.set_epoch_deadline(TICKS)
        return store

    def close(self) -> None:
        """End the watchdog."""
        self.watchdog.stop()


class Compiled(NamedTuple):
    """A module that may be linked."""

    module: wasmtime.Module
    tolerated: tuple[Judged, ...]
    """What an agent would refuse it for."""


class Program:
    """A linked module, ready to be instantiated again and again, one instance at a time."""

    def __init__(self, runtime: Runtime, module: wasmtime.Module) -> None:
        # Only plugins of before 2023-08-30 import it; those have room for a response's code alone.
        is_oldest = any(entry.name == HTTP_RESULT for entry in imports_of(module))
        self.functions = HostFunctions(any_sdk=runtime.any_sdk, short_response=is_oldest)
        self.memory = LinearMemory()
        self._runtime = runtime
        linker = runtime.linker()
        self._link = HostLink(
            linker, self.functions, self.memory, lenient=runtime.lenient, any_sdk=runtime.any_sdk
        )
        try:
            self._prepared = linker.instantiate_pre(module)
        except wasmtime.WasmtimeError as error:
            raise WasmError(f"does not link: {one_line(error)}") from error

    def instantiate(self) -> Instance:
        """Make a fresh instance; `_start` has not run yet.

        Raises:
            WasmError: if it needs more memory than allowed, or traps while it is set up.
        """
        store = self._runtime.store()
        self.memory.detach()
        try:
            instance = self._prepared.instantiate(store)
        except wasmtime.Trap as trap:
            self.memory.detach()  # a start function may have had it looked at
            raise _trapped("instantiation", trap, self._runtime.deadline_ms) from trap
        except wasmtime.WasmtimeError as error:
            self.memory.detach()
            raise WasmError(f"cannot be instantiated: {one_line(error)}") from error
        return Instance(self._runtime, store, instance, self)


class Instance:
    """One running copy of a plugin. Used by one thread at a time."""

    def __init__(
        self,
        runtime: Runtime,
        store: wasmtime.Store,
        instance: wasmtime.Instance,
        program: Program,
    ) -> None:
        exports = instance.exports(store)
        memory = exports["memory"]
        if not isinstance(memory, wasmtime.Memory):
            raise WasmError("export memory is not a memory")
        self._runtime = runtime
        self._store = store
        self._context = store._context()
        self._program = program
        self._functions = program.functions
        self._exports = {
            name: item._func for name, item in exports.items() if isinstance(item, wasmtime.Func)
        }
        self._globals = {
            name: item for name, item in exports.items() if isinstance(item, wasmtime.Global)
        }
        self._returned = (ctypes.c_int32 * 4)()
        self._slot = ctypes.cast(self._returned, ctypes.POINTER(ffi.wasmtime_val_raw_t))
        self._trap = ctypes.POINTER(ffi.wasm_trap_t)()
        self._trap_slot = ctypes.byref(self._trap)
        self.fuel: int | None = None
        """Fuel the last call took; None unless it is measured."""
        self._deadline_ns = int(runtime.deadline_ms * 1e6)
        self._look_again_ns = self._latest_ns = self._cpu_began_ns = 0
        program.memory.attach(store, memory)
        program.functions.excuse_waiting = self._excuse_waiting

    def has(self, export: str) -> bool:
        """Whether it exports a function of that name."""
        return export in self._exports

    def global_value(self, name: str) -> int | None:
        """The value of an exported global, or None if there is none of that name."""
        found = self._globals.get(name)
        value = None if found is None else found.value(self._store)
        return value if isinstance(value, int) else None

    @property
    def memory_size(self) -> int:
        """Size of the linear memory in bytes."""
        return self._program.memory.size

    def read(self, pointer: int, length: int) -> bytes | None:
        """A copy of a range of its memory, or None if the range leaves it."""
        memory = self._program.memory
        return memory.read(pointer, length) if memory.contains(pointer, length) else None

    def call(self, export: str) -> int:
        """Call an exported function within the deadline; 0 where it returns nothing.

        Raises:
            WasmTrap: if it trapped, exited or ran into the deadline.
            WasmError: if a host function failed on its own account.
        """
        function = self._exports[export]
        self._returned[0] = 0
        self._runtime.watchdog.arm()
        now = time.monotonic_ns()
        self._look_again_ns = now + self._deadline_ns // 2
        self._latest_ns = now + self._deadline_ns * _MOST_WAITING
        self._cpu_began_ns = time.thread_time_ns()
        ffi.wasmtime_context_set_epoch_deadline(self._context, TICKS)
        if self._runtime.measure:
            self._store.set_fuel(_FUEL)
        error = ffi.wasmtime_func_call_unchecked(
            self._context, ctypes.byref(function), self._slot, 1, self._trap_slot
        )
        if self._runtime.measure:
            self.fuel = _FUEL - self._store.get_fuel()
        if error or self._trap:
            raise self._failure(export, error)
        broken, self._functions.broken = self._functions.broken, None
        if broken is not None:
            raise WasmError(f"a host function failed in {export}: {broken!r}") from broken
        return self._returned[0]

    def close(self) -> None:
        """Release the store and the memory."""
        self._exports.clear()
        self._globals.clear()
        self._functions.excuse_waiting = lambda: None
        self._program.memory.detach()
        self._store.close()

    def _excuse_waiting(self) -> None:
        """Arm the deadline anew where a host function has had to wait for the interpreter.

        Told by the processor time of the thread, which does not pass in a wait; a plugin that
        computes or calls the host without end has used its own up and is not excused.
        """
        now = time.monotonic_ns()
        if now < self._look_again_ns:
            return
        self._look_again_ns = now + self._deadline_ns // 2
        computed = time.thread_time_ns() - self._cpu_began_ns
        if computed < self._deadline_ns // 2 and now < self._latest_ns:
            ffi.wasmtime_context_set_epoch_deadline(self._context, TICKS)

    def _failure(self, export: str, error: ctypes._Pointer[ffi.wasmtime_error_t]) -> WasmTrap:
        """What ended a call; takes over the trap or the error."""
        self._functions.broken = None
        if self._trap:
            trap = wasmtime.Trap._from_ptr(self._trap)
            self._trap = ctypes.POINTER(ffi.wasm_trap_t)()
            self._trap_slot = ctypes.byref(self._trap)
            return _trapped(export, trap, self._runtime.deadline_ms)
        ended = wasmtime.WasmtimeError._from_ptr(error)
        if isinstance(ended, wasmtime.ExitTrap):
            return WasmTrap(f"{export} called proc_exit({ended.code})", "exit")
        return WasmTrap(f"{export} failed: {one_line(ended)}", "error")


def _trapped(where: str, trap: wasmtime.Trap, deadline_ms: float) -> WasmTrap:
    code = trap.trap_code
    name = "trap" if code is None else code.name.lower()
    places = _places(trap.message)
    frames = tuple(_frame(frame, places) for frame in trap.frames[:_MAX_FRAMES])
    if code is wasmtime.TrapCode.INTERRUPT:
        text = f"{where} ran into its deadline of {deadline_ms:g} ms; an agent thread would hang"
        return WasmTrap(text, "deadline", frames)
    text = f"{where} trapped: {name.replace('_', ' ')}"
    return WasmTrap(f"{text}, in {frames[0]}" if frames else text, name, frames)


def _frame(frame: wasmtime.Frame, places: Mapping[int, str]) -> str:
    """Function, offset in the module, and the source line where there is debug information."""
    name = clean(frame.func_name or f"function {frame.func_index}", 100)
    if frame.module_offset > _U32:  # a function of the host has no offset
        return name
    place = places.get(frame.module_offset)
    return f"{name} at {frame.module_offset:#x}" + (f" ({place})" if place else "")


def _places(backtrace: str) -> dict[int, str]:
    """Source file and line by offset, from the text of a backtrace."""
    return {
        int(offset, 16): clean(place, 200) for offset, place in _FRAME_WITH_PLACE.findall(backtrace)
    }
