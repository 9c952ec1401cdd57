"""What a module has to export to be a DeepFlow plugin, and what it imports.

Source: DeepFlow agent.
"""

from __future__ import annotations

import wasmtime

from engine.core.errors import WasmError
from engine.wasm.imports import Import, Judged

REQUIRED = {
    "_start": 0,
    "get_hook_bitmap": 1,
    "check_payload": 1,
    "parse_payload": 1,
    "on_http_req": 1,
    "on_http_resp": 1,
}
"""Exports without parameters that a plugin must have, and how many i32 each returns."""

OPTIONAL = ("on_custom_message", "get_custom_message_hook")
"""Exports since 2024-03, each () -> i32."""

REACTOR_START = "_initialize"
"""What a module that is no command has in place of `_start`."""


def imports_of(module: wasmtime.Module) -> list[Import]:
    """What a module imports."""
    return [_import(entry) for entry in module.imports]


def _import(entry: wasmtime.ImportType) -> Import:
    signature = None
    if isinstance(entry.type, wasmtime.FuncType):
        params, results = entry.type.params, entry.type.results
        if all(str(value) == "i32" for value in (*params, *results)):
            signature = (len(params), len(results))
    return Import(entry.module, entry.name or "", signature)


def export_faults(module: wasmtime.Module) -> list[WasmError]:
    """What is wrong with a module's exports: missing, or of the wrong type."""
    types = {entry.name: entry.type for entry in module.exports}
    faults = []
    if not isinstance(types.get("memory"), wasmtime.MemoryType):
        fix = "export it under the name `memory`"
        faults.append(WasmError("does not export its memory", fix=fix))
    for name, results in REQUIRED.items():
        kind = types.get(name)
        if kind is None:
            advice = _missing_export_advice(name)
            faults.append(WasmError(_missing(name), fix=advice))
        elif not _is_function(kind, results):
            faults.append(_wrong_type(name, results))
    wrong = (name for name in OPTIONAL if name in types and not _is_function(types[name], 1))
    return [*faults, *(_wrong_type(name, 1) for name in wrong)]


def check_exports(module: wasmtime.Module, *, lenient: bool = False) -> list[Judged]:
    """Refuse a module whose exports an agent would not accept.

    Args:
        module: The module.
        lenient: Let through a reactor, which has `_initialize` in place of `_start`.

    Returns:
        What was let through although an agent refuses it.

    Raises:
        WasmError: the first fault.
    """
    kinds = {entry.name: entry.type for entry in module.exports}
    tolerated = []
    for fault in export_faults(module):
        reactor = "_start" not in kinds and _is_function(kinds.get(REACTOR_START), 0)
        if not (lenient and reactor and fault.message == _missing("_start")):
            raise fault
        tolerated.append(Judged("_start", fault.message, fault.fix, True))
    return tolerated


def _missing(name: str) -> str:
    return f"does not export {name}"


def _is_function(kind: object, results: int) -> bool:
    return (
        isinstance(kind, wasmtime.FuncType)
        and not kind.params
        and [str(value) for value in kind.results] == ["i32"] * results
    )


def _wrong_type(name: str, results: int) -> WasmError:
    expected = "() -> i32" if results else "() -> ()"
    return WasmError(f"export {name} has the wrong type", fix=f"make it {expected}")


def _missing_export_advice(name: str) -> str:
    if name == "_start":
        return "build it as a command, not as a reactor with only _initialize"
    return "every DeepFlow plugin exports it, used or not; the SDK does so"
