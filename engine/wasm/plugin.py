"""One loaded plugin: file, instance, hooks, and what is known of its calls."""

from __future__ import annotations

import stat
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from engine.core.clock import Clock
from engine.core.errors import WasmError
from engine.core.sanitise import clean
from engine.wasm.abi import (
    CUSTOM_FILTER_SIZE,
    HOOK_BITMAP_SIZE,
    CustomFilter,
    Hook,
    decode_custom_filter,
    decode_hooks,
)
from engine.wasm.engines import is_module
from engine.wasm.exports import REACTOR_START
from engine.wasm.figures import ExportStatistics
from engine.wasm.hostcalls import CallContext
from engine.wasm.imports import Judged
from engine.wasm.infos import Dialect, Info
from engine.wasm.journal import Journal
from engine.wasm.runtime import Compiled, Instance, Program, Runtime, WasmTrap
from engine.wasm.sections import STACK_POINTER, with_stack_pointer

_MAX_FILE = 64 << 20


@dataclass(frozen=True, slots=True)
class Call:
    """One call of one hook of one plugin."""

    export: str
    context: CallContext
    """The message it was called for; `infos` and `string` in it may have changed since."""
    returned: int | None
    """None = it did not return."""
    elapsed_us: float
    journal: Journal
    infos: tuple[Info, ...]
    """What it found or left in the result slot."""
    string: bytes
    """What it found or left in the name slot."""
    memory: int
    """Linear memory after the call, in bytes."""
    fuel: int | None = None
    """Fuel it took, where that is measured."""
    failure: WasmError | None = None
    """The trap, or what else kept it from returning."""


class WasmPlugin:
    """A plugin from its file to its running instance. Used by one thread at a time.

    Args:
        name: What it is called here.
        path: Its .wasm file.
        runtime: Engine and watchdog.
        clock: For the time of calls.
        faithful: Keep an instance that has trapped, as an agent does.
    """

    def __init__(
        self, name: str, path: Path, runtime: Runtime, clock: Clock, *, faithful: bool = False
    ) -> None:
        self.name = name
        self.path = path
        self.state: Literal["loaded", "failed"] = "failed"
        self.error = ""
        self.is_module = False
        """Whether its file, when it was read, looked like WebAssembly at all."""
        self.hooks: tuple[Hook, ...] = ()
        self.custom_filter: CustomFilter | None = None
        self.has_custom_hook = False
        self.refusals: tuple[Judged, ...] = ()
        """What an agent would refuse it for, where it was loaded all the same."""
        self.dialect: Dialect | None = None
        """Of the last result it sent."""
        self.start_lines: list[str] = []
        """What it logged and wrote in `_start`."""
        self.memory_size = 0
        self.statistics: dict[str, ExportStatistics] = {}
        self.traps_of_instance = 0
        """Traps that the instance of now has survived; always 0 unless faithful."""
        self.renewed = 0
        """Times a fresh instance took the place of a trapped one."""
        self.stack_left: int | None = None
        """Bytes of the shadow stack a faithful instance has left; each trap leaks some of it."""
        self._runtime = runtime
        self._clock = clock
        self._faithful = faithful
        self._compiled: Compiled | None = None
        self._stack_top = 0
        self._program: Program | None = None
        self._instance: Instance | None = None

    def load(self) -> None:
        """Read, compile, check, instantiate, start, and ask for the hooks.

        Raises:
            WasmError: if it is refused, with the reason.
        """
        try:
            wasm = read_file(self.path)
            self.is_module = is_module(wasm)
            self._compiled = self._compile(wasm)
            self.refusals = self._compiled.tolerated
            self._program = self._runtime.link(self._compiled)
            self._ask_for_hooks(self._start())
        except WasmError as error:
            self.fail(error)
            raise
        self.state = "loaded"

    def trial(self) -> WasmPlugin:
        """A second, fresh instance of the same module, with statistics of its own.

        Raises:
            WasmError: if it cannot be started.
        """
        if self._compiled is None:
            raise WasmError(f"{self.name} is not loaded: {self.error}", fix="mend it and reload")
        other = WasmPlugin(self.name, self.path, self._runtime, self._clock)
        other._compiled = self._compiled
        other._program = self._runtime.link(self._compiled)
        other._start()
        other.state = "loaded"
        return other

    def call(self, export: str, context: CallContext) -> Call:
        """Call a hook for a message.

        After a trap the instance is replaced by a fresh one, unless faithful.
        """
        if self._program is None or self._instance is None:
            raise WasmError(f"{self.name} is not loaded")
        functions, instance = self._program.functions, self._instance
        functions.context, functions.journal = context, Journal()
        returned, failure = None, None
        began = self._clock.monotonic_ns()
        try:
            returned = instance.call(export)
        except WasmError as error:
            # It is kept for long; what it was raised from would keep the trap and the stack.
            failure = error.with_traceback(None)
            failure.__cause__ = failure.__context__ = None
        elapsed_us = (self._clock.monotonic_ns() - began) / 1_000
        functions.context = None
        self.memory_size = instance.memory_size
        call = Call(
            export,
            context,
            returned,
            elapsed_us,
            functions.journal,
            context.infos,
            context.string,
            self.memory_size,
            instance.fuel,
            failure,
        )
        self._note(call)
        return call

    def takes(self, hook: Hook) -> bool:
        """Whether it is called for a hook."""
        if hook not in self.hooks or self.state != "loaded":
            return False
        return hook is not Hook.CUSTOM_MESSAGE or self.has_custom_hook

    def _all_statistics(self) -> tuple[ExportStatistics, ...]:
        """Those of the exports called so far; who looks must not mind new ones that come."""
        return tuple(self.statistics.values())

    @property
    def deadline_ms(self) -> float:
        """Longest time of one call."""
        return self._runtime.deadline_ms

    @property
    def memory_limit(self) -> int:
        """Most linear memory it may have, in bytes."""
        return self._runtime.memory_limit

    @property
    def calls(self) -> int:
        """Calls of all exports."""
        return sum(statistics.calls for statistics in self._all_statistics())

    @property
    def traps(self) -> int:
        """Calls of all exports that did not return."""
        return sum(statistics.traps for statistics in self._all_statistics())

    @property
    def rejected(self) -> int:
        """Calls of all exports whose result was refused."""
        return sum(statistics.rejected for statistics in self._all_statistics())

    @property
    def traps_left(self) -> int | None:
        """How many more traps like those so far its stack will bear; None before the first."""
        left = self.stack_left
        if left is None or not self.traps_of_instance or left >= self._stack_top:
            return None
        return max(0, left * self.traps_of_instance // (self._stack_top - left))

    def percentile_us(self, share: float) -> float | None:
        """Time that `share` of the last calls of all exports stayed within."""
        return ExportStatistics.joined_percentile(self._all_statistics(), share)

    def fail(self, error: WasmError) -> None:
        """Take it out of service, with the reason."""
        self.state, self.error = "failed", str(error)
        self.close()

    def close(self) -> None:
        """Release the instance."""
        instance, self._instance = self._instance, None
        if instance is not None:
            instance.close()

    def _compile(self, wasm: bytes) -> Compiled:
        """Compile; a faithful plugin lets its stack pointer be looked at."""
        compiled = self._runtime.compile(wasm)
        if self._faithful:
            watched = with_stack_pointer(wasm)
            if watched is not None:
                compiled = self._runtime.compile(watched[0])
                self._stack_top = watched[1]
        return compiled

    def _start(self) -> Instance:
        """Make a fresh instance and run its `_start`."""
        if self._program is None:
            raise WasmError(f"{self.name} is not compiled")
        functions = self._program.functions
        functions.context, functions.journal = None, Journal()
        self.traps_of_instance, self.stack_left = 0, None
        instance = self._program.instantiate()
        self._instance = instance
        try:
            instance.call("_start" if instance.has("_start") else REACTOR_START)
        except WasmTrap as trap:
            fix = "a plugin's main must return; standard Go exits there, TinyGo does not"
            raise WasmError(trap.message, fix=fix if trap.code == "exit" else "") from trap
        finally:
            self.start_lines = functions.journal.lines()
        if functions.journal.faults:
            raise WasmError(
                f"_start: {functions.journal.faults[0]}",
                fix="only wasm_log may be called there; a real agent panics",
            )
        self.memory_size = instance.memory_size
        return instance

    def _ask_for_hooks(self, instance: Instance) -> None:
        """Read the bitmap and the filter; a pointer of 0 means none."""
        bitmap = _pointed(instance, "get_hook_bitmap", HOOK_BITMAP_SIZE)
        self.hooks = decode_hooks(bitmap) if bitmap else ()
        self.has_custom_hook = instance.has("on_custom_message")
        if instance.has("get_custom_message_hook"):
            chosen = _pointed(instance, "get_custom_message_hook", CUSTOM_FILTER_SIZE)
            self.custom_filter = decode_custom_filter(chosen) if chosen else None

    def _note(self, call: Call) -> None:
        """Count a call, and see to the instance if it trapped."""
        statistics = self.statistics.get(call.export)
        if statistics is None:
            statistics = self.statistics[call.export] = ExportStatistics()
        trapped = call.failure is not None
        statistics.note(
            call.elapsed_us, call.fuel, trapped=trapped, rejected=bool(call.journal.rejected)
        )
        if call.journal.sent_result and call.infos:
            self.dialect = call.infos[-1].dialect
        if not trapped:
            return
        if self._faithful:
            self.traps_of_instance += 1
            if self._stack_top and self._instance is not None:
                self.stack_left = self._instance.global_value(STACK_POINTER)
        else:
            self._replace_instance()

    def _replace_instance(self) -> None:
        """After a trap: a trapped instance may hold a broken stack and fail ever after."""
        self.close()
        try:
            self._start()
            self.renewed += 1
        except WasmError as error:
            self.fail(WasmError(f"could not be restarted after a trap: {error.message}"))


def read_file(path: Path) -> bytes:
    """The bytes of a .wasm file.

    Raises:
        WasmError: if it cannot be read, is no file, or is larger than 64 MiB.
    """
    shown = clean(str(path), 200)
    try:
        status = path.stat()
        if not stat.S_ISREG(status.st_mode):
            raise WasmError(f"{shown} is not a file", fix="give the built .wasm")
        if status.st_size > _MAX_FILE:
            raise WasmError(f"{shown} is larger than {_MAX_FILE >> 20} MiB")
        return path.read_bytes()
    except OSError as error:
        raise WasmError(
            f"{shown} cannot be read: {error.strerror}", fix="check the path and the permissions"
        ) from error


def _pointed(instance: Instance, export: str, size: int) -> bytes:
    """What the pointer that an export returns points at; empty for a pointer of 0."""
    pointer = instance.call(export) & 0xFFFF_FFFF
    if pointer == 0:
        return b""
    content = instance.read(pointer, size)
    if content is None:
        raise WasmError(f"{export} returned {pointer:#x}: {size} bytes there leave the memory")
    return content
