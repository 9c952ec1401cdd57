"""Wasmtime engines, one per set of options, and the modules compiled for them.

A compiled module is kept by the hash of its bytes: in memory, and in a folder of our own, so that
the same plugin is not compiled twice. Compiled code is run as it is, so nothing is read back
that somebody else could have written.
"""

from __future__ import annotations

import hashlib
import importlib.metadata
import os
import stat
import threading
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

import wasmtime

from engine.core.errors import WasmError
from engine.core.sanitise import clean

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

_VERSION = importlib.metadata.version("wasmtime")
_KEPT_IN_MEMORY = 8
_MAX_CACHED = 256 << 20
_OWNER_ONLY = 0o700
_DETAILS = "WASMTIME_BACKTRACE_DETAILS"


class Options(NamedTuple):
    """What code is compiled with."""

    deadline: bool = True
    """Code looks at the epoch, so that a call can be ended."""
    fuel: bool = False
    """Code counts its instructions."""


def is_module(wasm: bytes) -> bool:
    """Whether bytes begin as a WebAssembly module does."""
    return wasm.startswith(b"\0asm")


class Engines:
    """The engines of one runtime.

    Args:
        cache: Folder for compiled modules; None keeps none.
    """

    def __init__(self, cache: Path | None = None) -> None:
        self._cache = cache
        self._engines: dict[Options, wasmtime.Engine] = {}
        self._modules: dict[tuple[str, Options], wasmtime.Module] = {}
        self._lock = threading.Lock()

    def engine(self, options: Options) -> wasmtime.Engine:
        """The engine of these options, made at the first call."""
        with self._lock:
            if options not in self._engines:
                self._engines[options] = _new_engine(options)
            return self._engines[options]

    def advance(self) -> None:
        """Let one epoch pass."""
        for options, engine in list(self._engines.items()):
            if options.deadline:
                engine.increment_epoch()

    def compile(self, wasm: bytes, options: Options) -> wasmtime.Module:
        """A module of these bytes, compiled only if no such module is kept.

        Raises:
            WasmError: if it is no module, or needs a feature that agents do not have.
        """
        if not is_module(wasm):
            raise WasmError("not a WebAssembly module", fix="give the built .wasm, not its source")
        digest = hashlib.sha256(wasm).hexdigest()
        key = (digest, options)
        module = self._modules.get(key)
        if module is not None:
            return module
        engine = self.engine(options)
        module = self._cached(engine, digest, options)
        if module is None:
            try:
                module = wasmtime.Module(engine, wasm)
            except wasmtime.WasmtimeError as error:
                raise WasmError(f"does not compile: {one_line(error)}") from error
            self._keep(module, digest, options)
        while len(self._modules) >= _KEPT_IN_MEMORY:
            self._modules.pop(next(iter(self._modules)))
        self._modules[key] = module
        return module

    def _path(self, digest: str, options: Options) -> Path | None:
        if self._cache is None:
            return None
        flags = "".join(str(int(flag)) for flag in options)
        return self._cache / f"{digest}-{_VERSION}-{flags}.cwasm"

    def _cached(
        self, engine: wasmtime.Engine, digest: str, options: Options
    ) -> wasmtime.Module | None:
        path = self._path(digest, options)
        if path is None:
            return None
        try:
            return wasmtime.Module.deserialize(engine, _read_ours(path))
        except (OSError, wasmtime.WasmtimeError):
            return None

    def _keep(self, module: wasmtime.Module, digest: str, options: Options) -> None:
        """Write a compiled module to the cache; without one it is merely compiled again."""
        path = self._path(digest, options)
        if path is None:
            return
        partial = path.with_suffix(f".{os.getpid()}.partial")
        try:
            path.parent.mkdir(_OWNER_ONLY, parents=True, exist_ok=True)
            if not _is_ours(path.parent.lstat()):
                return
            partial.touch(0o600)
            partial.write_bytes(module.serialize())
            partial.replace(path)
            _shrink(path.parent)
        except OSError:
            return


def one_line(error: Exception) -> str:
    """The text of an error of Wasmtime's on one line, sanitised."""
    return clean(" ".join(str(error).split()), 400)


def _new_engine(options: Options) -> wasmtime.Engine:
    config = _config_with_details()
    switches: dict[str, bool] = dict.fromkeys(_FEATURES_OFF, False)
    switches |= {"epoch_interruption": options.deadline, "consume_fuel": options.fuel}
    # What the views of guest memory rely on.
    switches["memory_may_move"] = False
    for name, value in switches.items():
        setattr(config, name, value)
    return wasmtime.Engine(config)


def _config_with_details() -> wasmtime.Config:
    """A configuration whose backtraces have files and lines, where there is debug information.

    Only a variable of the environment can ask for that; it is read when the configuration is
    made, and is not left for child processes to find.
    """
    before = os.environ.get(_DETAILS)
    os.environ[_DETAILS] = "1"
    try:
        return wasmtime.Config()
    finally:
        if before is None:
            del os.environ[_DETAILS]
        else:
            os.environ[_DETAILS] = before


def _is_ours(status: os.stat_result) -> bool:
    """Whether only we could have written it."""
    shared = status.st_mode & (stat.S_IWGRP | stat.S_IWOTH)
    return status.st_uid == os.geteuid() and not shared


def _read_ours(path: Path) -> bytes:
    """The bytes of a file only we could have written, in a folder of which the same is true.

    The file is looked at once it is open, so that it cannot be exchanged in between.

    Raises:
        OSError: if it is not there, or somebody else's.
    """
    with open(os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_CLOEXEC), "rb") as file:
        if not (_is_ours(os.fstat(file.fileno())) and _is_ours(path.parent.lstat())):
            raise PermissionError(path)
        return file.read()


def _shrink(folder: Path) -> None:
    """Remove the oldest compiled modules until what is left is small enough."""
    age: Callable[[Path], float] = lambda path: path.stat().st_mtime  # noqa: E731
    files = sorted(folder.glob("*.cwasm"), key=age, reverse=True)
    total = 0
    for path in files:
        total += path.stat().st_size
        if total > _MAX_CACHED:
            path.unlink(missing_ok=True)
