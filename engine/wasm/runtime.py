"""Wasmtime under a DeepFlow plugin: engine, linking, deadline, traps.

The documented Python API is used throughout. Measured costs of its parts are about 10 us for a
call into a plugin and 15 us for a call of a host function with its memory access; all of both goes
through `Instance.call` and `engine.wasm.linking`, which is where a cheaper path would go.
"""

from __future__ import annotations

import wasmtime

from engine.core.errors import WasmError
from engine.core.sanitise import clean
from engine.wasm.hostcalls import HostFunctions
from engine.wasm.imports import Import, check_imports
from engine.wasm.linking import define_functions
from engine.wasm.watchdog import TICKS, Watchdog

_FEATURES_OFF = (
    "wasm_threads",
    "wasm_tail_call",
    "wasm_multi_memory",
    "wasm_memory64",
    "wasm_relaxed_simd",
    "wasm_gc",
    "wasm_function_references",
    "wasm_exceptions",
    "wasm_custom_page_sizes",
    "wasm_wide_arithmetic",
    "wasm_stack_switching",
)
"""What the agent's Wasmtime 12 does not accept by default."""

_MEMORY_LIMIT = 256 << 20
_TABLE_LIMIT = 1 << 20
_U32 = 0xFFFF_FFFF
_MAX_FRAMES = 8

_REQUIRED = {
    "_start": 0,
    "get_hook_bitmap": 1,
    "check_payload": 1,
    "parse_payload": 1,
    "on_http_req": 1,
    "on_http_resp": 1,
}
"""Exports without parameters that a plugin must have, and how many i32 each returns."""


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
    """One Wasmtime engine with its watchdog; compiles modules and makes instances of them."""

    def __init__(self, deadline_ms: float) -> None:
        config = wasmtime.Config()
        for feature in _FEATURES_OFF:
            setattr(config, feature, False)
        config.epoch_interruption = True
        self.deadline_ms = deadline_ms
        self._engine = wasmtime.Engine(config)
        self.watchdog = Watchdog(self._engine.increment_epoch, deadline_ms)

    def compile(self, wasm: bytes) -> Program:
        """Compile a module, check it as the agent would, and link it.

        Raises:
            WasmError: if it is not a module, or not one an agent would load.
        """
        if not wasm.startswith(b"\0asm"):
            raise WasmError("not a WebAssembly module", fix="give the built .wasm, not its source")
        try:
            module = wasmtime.Module(self._engine, wasm)
        except wasmtime.WasmtimeError as error:
            raise WasmError(f"does not compile: {_one_line(error)}") from error
        check_imports(_import(entry) for entry in module.imports)
        _check_exports(module)
        return Program(self, module)

    def linker(self) -> wasmtime.Linker:
        """A linker with WASI in it, and room to define the rest."""
        linker = wasmtime.Linker(self._engine)
        linker.define_wasi()
        linker.allow_shadowing = True
        return linker

    def store(self) -> wasmtime.Store:
        """A store with the limits, an empty WASI context and an armed deadline."""
        store = wasmtime.Store(self._engine)
        store.set_limits(memory_size=_MEMORY_LIMIT, table_elements=_TABLE_LIMIT)
        store.set_wasi(wasmtime.WasiConfig())
        self.arm(store)
        return store

    def arm(self, store: wasmtime.Store) -> None:
        """Give a store its deadline, from now on; a store without one traps at once."""
        self.watchdog.arm()
        store.set_epoch_deadline(TICKS)

    def close(self) -> None:
        """End the watchdog."""
        self.watchdog.stop()


class Program:
    """A compiled and linked module, ready to be instantiated again and again."""

    def __init__(self, runtime: Runtime, module: wasmtime.Module) -> None:
        self.functions = HostFunctions()
        self._runtime = runtime
        linker = runtime.linker()
        define_functions(linker, self.functions)
        try:
            self._prepared = linker.instantiate_pre(module)
        except wasmtime.WasmtimeError as error:
            raise WasmError(f"does not link: {_one_line(error)}") from error

    def instantiate(self) -> Instance:
        """Make a fresh instance; `_start` has not run yet.

        Raises:
            WasmError: if it needs more memory than allowed, or traps while it is set up.
        """
        store = self._runtime.store()
        try:
            return Instance(self._runtime, store, self._prepared.instantiate(store), self.functions)
        except wasmtime.Trap as trap:
            raise _trapped("instantiation", trap, self._runtime.deadline_ms) from trap
        except wasmtime.WasmtimeError as error:
            raise WasmError(f"cannot be instantiated: {_one_line(error)}") from error


class Instance:
    """One running copy of a plugin. Used by one thread at a time."""

    def __init__(
        self,
        runtime: Runtime,
        store: wasmtime.Store,
        instance: wasmtime.Instance,
        functions: HostFunctions,
    ) -> None:
        exports = instance.exports(store)
        memory = exports["memory"]
        if not isinstance(memory, wasmtime.Memory):
            raise WasmError("export memory is not a memory")
        self._runtime = runtime
        self._store = store
        self._memory = memory
        self._functions = functions
        self._exports = {
            name: item for name, item in exports.items() if isinstance(item, wasmtime.Func)
        }

    def has(self, export: str) -> bool:
        """Whether it exports a function of that name."""
        return export in self._exports

    @property
    def memory_size(self) -> int:
        """Size of the linear memory in bytes."""
        return self._memory.data_len(self._store)

    def read(self, pointer: int, length: int) -> bytes | None:
        """A copy of a range of its memory, or None if the range leaves it."""
        if pointer + length > self.memory_size:
            return None
        return bytes(self._memory.read(self._store, pointer, pointer + length))

    def call(self, export: str) -> int:
        """Call an exported function within the deadline; 0 where it returns nothing.

        Raises:
            WasmTrap: if it trapped, exited or ran into the deadline.
            WasmError: if a host function failed on its own account.
        """
        function = self._exports[export]
        self._runtime.arm(self._store)
        try:
            returned = function(self._store)
        except wasmtime.Trap as trap:
            raise _trapped(export, trap, self._runtime.deadline_ms) from trap
        except wasmtime.ExitTrap as ended:
            raise WasmTrap(f"{export} called proc_exit({ended.code})", "exit") from ended
        except wasmtime.WasmtimeError as error:
            raise WasmTrap(f"{export} failed: {_one_line(error)}", "error") from error
        broken, self._functions.broken = self._functions.broken, None
        if broken is not None:
            raise WasmError(f"a host function failed in {export}: {broken!r}") from broken
        return returned if isinstance(returned, int) else 0

    def close(self) -> None:
        """Release the store and the memory."""
        self._exports.clear()
        self._store.close()


def _import(entry: wasmtime.ImportType) -> Import:
    signature = None
    if isinstance(entry.type, wasmtime.FuncType):
        params, results = entry.type.params, entry.type.results
        if all(str(value) == "i32" for value in (*params, *results)):
            signature = (len(params), len(results))
    return Import(entry.module, entry.name or "", signature)


def _check_exports(module: wasmtime.Module) -> None:
    types = {entry.name: entry.type for entry in module.exports}
    if not isinstance(types.get("memory"), wasmtime.MemoryType):
        raise WasmError("does not export its memory", fix="export it under the name `memory`")
    for name, results in _REQUIRED.items():
        kind = types.get(name)
        if kind is None:
            raise WasmError(f"does not export {name}", fix=_missing_export_advice(name))
        if (
            not isinstance(kind, wasmtime.FuncType)
            or kind.params
            or [str(value) for value in kind.results] != ["i32"] * results
        ):
            expected = "() -> i32" if results else "() -> ()"
            raise WasmError(f"export {name} has the wrong type", fix=f"make it {expected}")


def _missing_export_advice(name: str) -> str:
    if name == "_start":
        return "build it as a command, not as a reactor with only _initialize"
    return "every DeepFlow plugin exports it, used or not; the SDK does so"


def _trapped(where: str, trap: wasmtime.Trap, deadline_ms: float) -> WasmTrap:
    code = trap.trap_code
    name = "trap" if code is None else code.name.lower()
    frames = tuple(_frame(frame) for frame in trap.frames[:_MAX_FRAMES])
    if code is wasmtime.TrapCode.INTERRUPT:
        text = f"{where} ran into its deadline of {deadline_ms:g} ms; an agent thread would hang"
        return WasmTrap(text, "deadline", frames)
    text = f"{where} trapped: {name.replace('_', ' ')}"
    return WasmTrap(f"{text}, in {frames[0]}" if frames else text, name, frames)


def _frame(frame: wasmtime.Frame) -> str:
    """Function and offset in the module; a function of the host has no offset."""
    name = clean(frame.func_name or f"function {frame.func_index}", 100)
    return f"{name} at {frame.module_offset:#x}" if frame.module_offset <= _U32 else name


def _one_line(error: Exception) -> str:
    return clean(" ".join(str(error).split()), 400)
