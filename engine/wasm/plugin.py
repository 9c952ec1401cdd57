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
from engine.wasm.hostcalls import CallContext, Journal
from engine.wasm.runtime import Instance, Program, Runtime, WasmTrap

_MAX_FILE = 64 << 20
_KEPT_TIMES = 1_024


@dataclass(frozen=True, slots=True)
class Call:
    """One call of one hook of one plugin."""

    export: str
    returned: int | None
    """None = it did not return."""
    elapsed_us: float
    journal: Journal
    failure: WasmError | None = None
    """The trap, or what else kept it from returning."""


class WasmPlugin:
    """A plugin from its file to its running instance. Used by one thread at a time.

    Args:
        name: What it is called here.
        path: Its .wasm file.
        runtime: Engine and watchdog.
        clock: For the time of calls.
    """

    def __init__(self, name: str, path: Path, runtime: Runtime, clock: Clock) -> None:
        self.name = name
        self.path = path
        self.state: Literal["loaded", "failed"] = "failed"
        self.error = ""
        self.hooks: tuple[Hook, ...] = ()
        self.custom_filter: CustomFilter | None = None
        self.calls = 0
        self.traps = 0
        self.memory_size = 0
        self._times_us: list[float] = []
        self._runtime = runtime
        self._clock = clock
        self._program: Program | None = None
        self._instance: Instance | None = None

    def load(self) -> None:
        """Read, compile, check, instantiate, start, and ask for the hooks.

        Raises:
            WasmError: if an agent would not load it either, with the reason.
        """
        try:
            self._program = self._runtime.compile(_read(self.path))
            self._ask_for_hooks(self._start())
        except WasmError as error:
            self.fail(error)
            raise
        self.state = "loaded"

    def call(self, export: str, context: CallContext) -> Call:
        """Call a hook for a message; after a trap the instance is replaced by a fresh one."""
        if self._program is None or self._instance is None:
            raise WasmError(f"{self.name} is not loaded")
        functions = self._program.functions
        functions.context, functions.journal = context, Journal()
        returned, failure = None, None
        began = self._clock.monotonic_ns()
        try:
            returned = self._instance.call(export)
        except WasmError as error:
            failure = error
        elapsed_us = (self._clock.monotonic_ns() - began) / 1_000
        functions.context = None
        self._note(elapsed_us)
        if failure is not None:
            self.traps += 1
            self._replace_instance()
        return Call(export, returned, elapsed_us, functions.journal, failure)

    def percentile_us(self, share: float) -> float | None:
        """Time of a call that `share` of the last ones stayed within; None before the first."""
        times = sorted(self._times_us)
        return times[min(len(times) - 1, int(share * len(times)))] if times else None

    def fail(self, error: WasmError) -> None:
        """Take it out of service, with the reason."""
        self.state, self.error = "failed", str(error)
        self.close()

    def close(self) -> None:
        """Release the instance."""
        instance, self._instance = self._instance, None
        if instance is not None:
            instance.close()

    def _start(self) -> Instance:
        """Make a fresh instance and run its `_start`."""
        if self._program is None:
            raise WasmError(f"{self.name} is not compiled")
        functions = self._program.functions
        functions.context, functions.journal = None, Journal()
        instance = self._program.instantiate()
        self._instance = instance
        try:
            instance.call("_start")
        except WasmTrap as trap:
            fix = "a plugin's main must return; standard Go exits there, TinyGo does not"
            raise WasmError(trap.message, fix=fix if trap.code == "exit" else "") from trap
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
        if instance.has("get_custom_message_hook"):
            chosen = _pointed(instance, "get_custom_message_hook", CUSTOM_FILTER_SIZE)
            self.custom_filter = decode_custom_filter(chosen) if chosen else None

    def _note(self, elapsed_us: float) -> None:
        if len(self._times_us) < _KEPT_TIMES:
            self._times_us.append(elapsed_us)
        else:
            self._times_us[self.calls % _KEPT_TIMES] = elapsed_us
        self.calls += 1
        if self._instance is not None:
            self.memory_size = self._instance.memory_size

    def _replace_instance(self) -> None:
        """After a trap: a trapped instance may hold a broken stack and fail ever after."""
        self.close()
        try:
            self._start()
        except WasmError as error:
            self.fail(WasmError(f"could not be restarted after a trap: {error.message}"))


def _pointed(instance: Instance, export: str, size: int) -> bytes:
    """What the pointer that an export returns points at; empty for a pointer of 0."""
    pointer = instance.call(export) & 0xFFFF_FFFF
    if pointer == 0:
        return b""
    content = instance.read(pointer, size)
    if content is None:
        raise WasmError(f"{export} returned {pointer:#x}: {size} bytes there leave the memory")
    return content


def _read(path: Path) -> bytes:
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
