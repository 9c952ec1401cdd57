"""What can be told of a plugin before any traffic: does an agent load it, and what will trouble it.

The plugin is compiled and started as an agent would do it; a few sample messages tell the dialect
of its results.
"""

from __future__ import annotations

import hashlib
import time
from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Literal, NamedTuple

import wasmtime

from engine.core.clock import SystemClock
from engine.core.errors import WasmError
from engine.core.fields import JsonValue
from engine.core.sanitise import clean
from engine.wasm.abi import (
    NO_FILTER,
    Hook,
    Verdict,
)
from engine.wasm.custom import PROTOCOL_NAMES
from engine.wasm.exports import OPTIONAL, export_faults, imports_of
from engine.wasm.hostcalls import CallContext
from engine.wasm.imports import DEEPFLOW, HTTP_RESULT, Judged, judge_import
from engine.wasm.infos import DIALECTS
from engine.wasm.judge import judge
from engine.wasm.plugin import WasmPlugin, read_file
from engine.wasm.records import shown_filter
from engine.wasm.remarks import remarks
from engine.wasm.runtime import Runtime
from engine.wasm.samples import hook_samples, payload_samples
from engine.wasm.sections import ModuleFile, read_module_file

Level = Literal["refused", "warning", "note"]

_SDK = "deepflow-wasm-go-sdk"
_RESPONSE_BIT = 0x10000
_OFF_BY_DEFAULT = "is not among an agent's default enabled_protocols"


class Finding(NamedTuple):
    """One thing an author should know."""

    level: Level
    """refused: an agent does not load it; warning: it will not do what it seems to; note."""
    text: str
    advice: str = ""


@dataclass(slots=True)
class Inspection:
    """All that is known of one file."""

    path: Path
    size: int = 0
    sha256: str = ""
    module: ModuleFile = field(default_factory=ModuleFile)
    imports: list[Judged] = field(default_factory=list)
    exports: list[str] = field(default_factory=list)
    hooks: tuple[Hook, ...] = ()
    custom_filter: str = ""
    dialect: str = ""
    """As far as it can be told, with how it is known."""
    memory: int = 0
    """Linear memory after `_start`, in bytes."""
    start_ms: float = 0.0
    compile_ms: float = 0.0
    start_logs: list[str] = field(default_factory=list)
    findings: list[Finding] = field(default_factory=list)

    @property
    def loads(self) -> bool:
        """Whether an agent loads it."""
        return not any(finding.level == "refused" for finding in self.findings)

    def as_json(self) -> dict[str, JsonValue]:
        """The inspection as one object."""
        module = self.module
        return {
            "path": clean(str(self.path), 400),
            "loads": self.loads,
            "size": self.size,
            "sha256": self.sha256,
            "sections": {section.name: section.size for section in module.sections},
            "functions": len(module.function_names),
            "source_lines": module.has_lines,
            "producers": {name: list(tools) for name, tools in module.producers.items()},
            "imports": [
                {
                    "name": each.name,
                    "agent": not each.refusal,
                    "lenient": each.lenient,
                    "old_sdk": each.old_sdk,
                    "advice": each.advice,
                }
                for each in self.imports
            ],
            "exports": list(self.exports),
            "hooks": [str(hook) for hook in self.hooks],
            "custom_filter": self.custom_filter,
            "dialect": self.dialect,
            "memory": self.memory,
            "compile_ms": round(self.compile_ms, 1),
            "start_ms": round(self.start_ms, 2),
            "start_logs": list(self.start_logs),
            "findings": [finding._asdict() for finding in self.findings],
        }


def inspect(path: Path, deadline_ms: float = 100) -> Inspection:
    """Look at a plugin file, start it, and show it a few messages.

    Raises:
        WasmError: if the file cannot be read or is no WebAssembly module.
    """
    wasm = read_file(path)
    found = Inspection(path, len(wasm), hashlib.sha256(wasm).hexdigest(), read_module_file(wasm))
    module = _compile_anything(wasm)
    if module is not None:
        found.imports = [judge_import(entry) for entry in imports_of(module)]
        found.exports = [clean(entry.name, 100) for entry in module.exports]
        found.findings += _interface(found.imports, module)
    runtime = Runtime(deadline_ms, lenient=True)
    plugin = WasmPlugin(path.stem, path, runtime, SystemClock())
    try:
        _run(found, plugin, runtime, wasm)
    finally:
        plugin.close()
        runtime.close()
    if not found.dialect:
        found.dialect = _dialect_by_looks(found)
        if found.dialect.startswith("g1 "):
            text = "its results are of dialect g1, which agents no longer read"
            found.findings.append(Finding("warning", text, _NEWER_SDK))
    if any(each.name == f"{DEEPFLOW}.vm_read_ctx_base" for each in found.imports):
        found.findings.append(Finding("note", _PROCESS, "trim the NULs before comparing"))
    found.findings += _of_toolchain(found.module)
    return found


def _compile_anything(wasm: bytes) -> wasmtime.Module | None:
    """The module by an engine without limits on features, to list what is in it."""
    try:
        return wasmtime.Module(wasmtime.Engine(), wasm)
    except wasmtime.WasmtimeError:
        return None


def _interface(imports: list[Judged], module: wasmtime.Module) -> Iterator[Finding]:
    for judged in dict.fromkeys(imports):
        if judged.refusal:
            yield Finding("refused", judged.refusal, judged.advice)
    for fault in export_faults(module):
        yield Finding("refused", fault.message, fault.fix)


def _run(found: Inspection, plugin: WasmPlugin, runtime: Runtime, wasm: bytes) -> None:
    """Compile, start and try the plugin; what goes wrong is a finding."""
    try:
        began = time.perf_counter()
        runtime.compile(wasm)
        found.compile_ms = (time.perf_counter() - began) * 1_000
        began = time.perf_counter()
        plugin.load()
        found.start_ms = (time.perf_counter() - began) * 1_000
    except WasmError as error:
        if error.message not in {finding.text for finding in found.findings}:
            found.findings.append(Finding("refused", error.message, error.fix))
        return
    found.hooks = plugin.hooks
    found.custom_filter = shown_filter(plugin.custom_filter)
    found.memory = plugin.memory_size
    found.start_logs = list(plugin.start_lines)
    found.findings += _of_hooks(plugin)
    found.findings += _of_samples(found, plugin)


def _of_hooks(plugin: WasmPlugin) -> Iterator[Finding]:
    chosen = plugin.custom_filter
    if not plugin.hooks:
        yield Finding("warning", "it asks for no hook and is never called", _BITMAP_ADVICE)
    if Hook.PAYLOAD in plugin.hooks:
        advice = "add Custom there and restart the agent"
        yield Finding("note", f"payload hooks: Custom {_OFF_BY_DEFAULT}", advice)
    if Hook.CUSTOM_MESSAGE not in plugin.hooks:
        return
    if not plugin.has_custom_hook:
        yield Finding("warning", "it asks for custom messages and exports no on_custom_message")
    elif chosen is None or chosen == NO_FILTER:
        yield Finding("warning", "it asks for custom messages and names no filter")
    elif not chosen.everything and chosen.type_code & _RESPONSE_BIT:
        advice = "filter by the bare protocol number and look at the direction in the context"
        yield Finding("warning", "its filter has the response bit, which never matches", advice)
    elif not chosen.everything and chosen.hook_point:
        yield Finding("warning", f"no agent calls hook point {chosen.hook_point}")
    elif not chosen.everything:
        name = PROTOCOL_NAMES.get(chosen.type_code, f"protocol {chosen.type_code}")
        yield Finding("note", f"custom messages: {name} {_OFF_BY_DEFAULT}", "enable it there")


_NEWER_SDK = "build with a DeepFlow Go SDK of after 2024-04-11"
_PROCESS = "eBPF sources give process names as 15 bytes, padded with NUL"
_BITMAP_ADVICE = "the bitmap is 0, or get_hook_bitmap returns a null pointer: keep it elsewhere"


def _of_samples(found: Inspection, plugin: WasmPlugin) -> list[Finding]:
    """Offer a message to every hook it has; only what comes of it is looked at."""
    findings: list[Finding] = []
    for export, context in hook_samples(plugin):
        _offer(found, plugin, export, context, findings)
    for base, payload in payload_samples() if plugin.takes(Hook.PAYLOAD) else ():
        context = CallContext(base, payload)
        verdict = _offer(found, plugin, "check_payload", context, findings)
        if verdict is not None:
            numbered = CallContext(replace(base, l7=verdict.number), payload)
            _offer(found, plugin, "parse_payload", numbered, findings)
    return list(dict.fromkeys(findings))


def _offer(
    found: Inspection,
    plugin: WasmPlugin,
    export: str,
    context: CallContext,
    findings: list[Finding],
) -> Verdict | None:
    """Call one hook and add what comes of it to the findings; returns what it claims."""
    if plugin.state != "loaded":
        return None
    call = plugin.call(export, context)
    judgement = judge(call)
    if judgement.error:
        text = f"{export} with a sample message: {clean(judgement.error, 300)}"
        findings.append(Finding("warning", text))
    if call.journal.sent_result and call.infos:
        dialect = call.infos[-1].dialect
        found.dialect = f"{dialect} ({DIALECTS[dialect]}), by what {export} sent"
    findings += [Finding("warning", f"{export}: {text}") for text in remarks(call)]
    return judgement.verdict


def _dialect_by_looks(found: Inspection) -> str:
    """The generation by imports, exports and names, where no result has told it."""
    imports = {each.name for each in found.imports}
    names = found.module.function_names
    if f"{DEEPFLOW}.{HTTP_RESULT}" in imports:
        return f"g0 ({DIALECTS['g0']}) or until 2023-08-29, by its imports"
    if any("AppInfo" in name and name.endswith("VT") for name in names):
        return f"g5 ({DIALECTS['g5']}), by its function names"
    if not any(_SDK in name for name in names):
        return "unknown: not built with the Go SDK, or without names"
    if not set(OPTIONAL) & set(found.exports):
        return f"g1 ({DIALECTS['g1']}), by its exports"
    return f"g3 or g4 ({DIALECTS['g3']}, {DIALECTS['g4']}), by its exports and names"


def _of_toolchain(module: ModuleFile) -> Iterator[Finding]:
    tools = [tool for tools in module.producers.values() for tool in tools]
    for tool in tools:
        if tool.startswith("TinyGo"):
            yield Finding("note", f"built with {tool}")
        elif tool.startswith("Go cmd/compile"):
            advice = "build it with TinyGo 0.32 or older, -target=wasi -scheduler=none"
            yield Finding("warning", f"built with standard Go ({tool})", advice)
    if not module.function_names:
        yield Finding("note", "it has no names: backtraces will show numbers", "build with names")
