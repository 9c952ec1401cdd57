"""A module's inspection as one JSON object."""

from __future__ import annotations

from engine.core.fields import JsonValue
from engine.core.sanitise import clean
from engine.modules.buildinfo import BuildInfo, Module
from engine.modules.cexports import CExport
from engine.modules.conformance import Conformance
from engine.modules.exports import Export
from engine.modules.filekind import KIND_TEXTS
from engine.modules.gofacts import GoFacts
from engine.modules.inspection import ElfFacts, Inspection
from engine.modules.python_exports import PythonExport
from engine.modules.python_source import PythonFacts
from engine.modules.signature import Interface

Shown = dict[str, JsonValue]


def inspection_as_json(found: Inspection) -> Shown:
    """Everything that was found; parts that the file does not have are absent."""
    shown: Shown = {
        "file": clean(str(found.path), 4096),
        "file_kind": str(found.kind),
        "what": KIND_TEXTS[found.kind],
        "reason": found.reason,
        "loadable": found.loadable,
        "obstacles": list(found.obstacles),
        "size": found.size,
        "sha256": found.sha256,
        "owner": found.owner,
        "mode": f"{found.mode:04o}",
        "modified": found.modified,
        "unusual": list(found.unusual),
        "faults": list(found.faults),
    }
    if found.elf:
        shown["elf"] = _elf(found.elf)
    if found.go:
        shown["go"] = _go(found.go)
    if found.c:
        shown["c"] = [_c_export(each) for each in found.c]
    if found.python:
        shown["python"] = _python(found.python)
    return shown


def conformance_as_json(interface: Interface, symbols: tuple[Conformance, ...]) -> Shown:
    """What becomes of an assertion, symbol by symbol."""
    return {
        "text": str(interface),
        "satisfied_by": [each.symbol for each in symbols if each.conforms],
        "symbols": [
            {
                "symbol": each.symbol,
                "looked_up": each.looked_up,
                "conforms": each.conforms,
                "lacks": [str(lack) for lack in each.lacks],
                "assertion": each.assertion,
                "mistake": each.mistake,
                "hint": each.hint,
                "untold": each.untold,
            }
            for each in symbols
        ],
    }


def _elf(facts: ElfFacts) -> Shown:
    return {
        "arch": facts.machine,
        "bits": facts.bits,
        "needed": list(facts.needed),
        "glibc_floor": facts.glibc_floor,
        "constructors": facts.constructors,
        "imports": list(facts.imports),
    }


def _go(facts: GoFacts) -> Shown:
    made_by = facts.toolchain
    return {
        "version": made_by.version,
        "release": made_by.release,
        "version_known_by": made_by.known_by,
        "compiler_flags": made_by.flags,
        "trimpath": made_by.trimmed,
        "instrumented": list(made_by.instrumented),
        "plugin_path": facts.path,
        "module_size": facts.module_size,
        **(_build(facts.build) if facts.build else {}),
        "exports": [_export(each) for each in facts.exports],
        "functions": [{"name": each.name, "size": each.size} for each in facts.functions],
        "init": [{"package": each.package, "functions": each.functions} for each in facts.init],
        "linked": list(facts.linked),
        "c_functions": list(facts.c_functions),
        "texts": [each._asdict() for each in facts.literals],
        "packages": list(facts.packages),
        "fingerprints": {
            clean(path, 400): value.hex() for path, value in facts.fingerprints.items()
        },
    }


def _build(build: BuildInfo) -> Shown:
    return {
        "path": build.path,
        "main": _module(build.main) if build.main else None,
        "dependencies": [_module(each) for each in build.dependencies],
        "settings": dict(build.settings),
    }


def _module(module: Module) -> Shown:
    shown: Shown = {"path": module.path, "version": module.version}
    if module.replacement:
        shown["replaced_by"] = _module(module.replacement)
    return shown


def _export(export: Export) -> Shown:
    return {
        "name": export.name,
        "kind": export.kind,
        "type": export.type,
        "looked_up": export.looked_up,
        "methods": [{"name": each.name, "type": each.type} for each in export.methods],
        "present": export.present,
    }


def _c_export(export: CExport) -> Shown:
    return {
        "name": export.name,
        "signature": str(export.signature) if export.signature else "",
        "source": export.source,
        "obstacle": export.obstacle,
    }


def _python(facts: PythonFacts) -> Shown:
    return {
        "exports": [_python_export(each) for each in facts.exports],
        "imports": list(facts.imports),
        "reaches": list(facts.reaches),
        "runs_at_import": list(facts.runs_at_import),
        "texts": list(facts.texts),
    }


def _python_export(export: PythonExport) -> Shown:
    return {
        "name": export.name,
        "kind": export.kind,
        "class": export.detail,
        "methods": [
            {"name": each.name, "least": each.least, "most": each.most, "flaw": each.flaw}
            for each in export.methods
        ],
    }
