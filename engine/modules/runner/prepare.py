"""From a file to a run: what it is, what is known of its functions, and what runner it takes."""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path
from typing import NamedTuple

from engine.core.errors import MalformedModule, ModuleLoadError, RequirementError, UsageError
from engine.core.progress import Tasks
from engine.core.sanitise import clean
from engine.modules.buildinfo import read_build_info
from engine.modules.cexports import c_exports
from engine.modules.elf import ElfFile, open_elf, open_regular
from engine.modules.filekind import KIND_TEXTS, Identified, Kind, identify, identify_bytes
from engine.modules.opening import open_in_turn
from engine.modules.runner.child import runner_command
from engine.modules.runner.go_build import GoBuild, build_of, host_for
from engine.modules.runner.protocol import ModuleKind, RunSpec, Signature, Wanted
from engine.modules.runner.prototypes import parse_prototype
from engine.modules.signature import Interface, parameter_count, parse_interface

SETTLE_S = 0.2
"""How long a Go library's own initialisation is waited for, which nothing announces."""
_KINDS: Mapping[Kind, ModuleKind] = {
    Kind.PYTHON_MODULE: "python",
    Kind.PYTHON_BYTECODE: "python",
    Kind.PYTHON_EXTENSION: "python",
    Kind.SHARED_OBJECT: "c-abi",
    Kind.GO_C_SHARED: "c-abi",
    Kind.GO_PLUGIN: "go",
}
_DEADLY = ("kills-host", "hangs")


class _Nature(NamedTuple):
    """What a file is, as far as it has to be known to run it."""

    kind: ModuleKind
    settle_s: float = 0.0
    signatures: Mapping[str, Signature] = {}
    build: GoBuild | None = None
    plugin_path: str = ""


def prepare(name: str, wanted: Wanted, cache: Path, tasks: Tasks) -> RunSpec:
    """Everything a supervisor has to know; builds a Go host if that is what it takes.

    Executes nothing of the module's.

    Args:
        name: What the module is called.
        wanted: What is to be run.
        cache: Where Go hosts are kept.
        tasks: Told while a host is built.

    Raises:
        ModuleLoadError: the file cannot be a module, or would end its runner.
        UsageError: the interface or a prototype is none.
        RequirementError: it takes a toolchain that is not there.
    """
    file = Path(os.path.abspath(wanted.file.expanduser()))
    interface = parse_interface(wanted.interface) if wanted.interface.strip() else Interface(())
    typed = dict(map(parse_prototype, wanted.prototypes))
    if wanted.call and not wanted.symbol:
        raise UsageError("there is no symbol to call anything of", fix="give --symbol NAME")
    nature = look_at(file)
    if nature.build is not None:
        host = host_for(nature.build, interface, cache, tasks)
        _check_opens(host, file, wanted)
        runner: tuple[str, ...] = (str(host),)
    else:
        signatures = {**nature.signatures, **typed}
        runner = runner_command(nature.kind, name, signatures, nature.settle_s)
    return RunSpec(
        name=name,
        file=str(file),
        kind=nature.kind,
        runner=runner,
        symbol=wanted.symbol,
        interface=str(interface) if interface.methods else "",
        methods=tuple((each.name, parameter_count(each)) for each in interface.methods),
        call=wanted.call,
        args=wanted.args,
        plugin_path=nature.plugin_path,
        limits=wanted.limits,
    )


def look_at(file: Path) -> _Nature:
    """What a file is.

    Raises:
        ModuleLoadError: it is not to be had, or none of the kinds that can be run.
    """
    shown = clean(str(file))
    descriptor = open_regular(file)
    try:
        beginning = os.pread(descriptor, 16, 0)
    finally:
        os.close(descriptor)
    if beginning[:4] != b"\x7fELF":
        return _Nature(_kind(identify_bytes(beginning, file.suffix), shown))
    try:
        with open_elf(file) as elf:
            return _look_into(file, elf, shown)
    except MalformedModule as malformed:
        raise ModuleLoadError(
            f"{shown} is no module: {clean(malformed.message)}", fix="build or copy it again"
        ) from malformed


def _kind(found: Identified, shown: str) -> ModuleKind:
    if found.kind not in _KINDS:
        raise ModuleLoadError(
            f"{shown} is no module but {KIND_TEXTS[found.kind]}: {found.reason}",
            fix="give a Python file (.py), a shared object or a Go plugin",
        )
    return _KINDS[found.kind]


def _look_into(file: Path, elf: ElfFile, shown: str) -> _Nature:
    """What an ELF file is."""
    found = identify(elf)
    kind = _kind(found, shown)
    if kind == "c-abi":
        return _shared_object(file, elf, go=found.kind == Kind.GO_C_SHARED)
    if kind == "python":
        return _Nature(kind)
    info = read_build_info(elf)
    if info is None:
        raise RequirementError(
            f"{shown} does not say which Go built it, so no host can be built for it; "
            "what `boxscope modules check` tells of it stands",
            fix="build it with Go 1.21 or newer",
        )
    build = build_of(info.version, info.settings)
    return _Nature(kind, build=build, plugin_path=info.path)


def _shared_object(file: Path, elf: ElfFile, *, go: bool) -> _Nature:
    descriptor = open_regular(file)
    try:
        exports = c_exports(elf, descriptor, file, go=go)
    finally:
        os.close(descriptor)
    signatures = {}
    for each in exports:
        if each.signature is not None:
            result = each.signature.result
            if result == "char*" and not go and each.source.endswith(".h"):
                result = "const char*"  # what is read of headers has no const: it is not freed
            types = tuple(parameter.type for parameter in each.signature.parameters)
            signatures[each.name] = Signature(result, types)
    return _Nature("c-abi", SETTLE_S if go else 0.0, signatures)


def _check_opens(host: Path, file: Path, wanted: Wanted) -> None:
    """Refuse a file that would end its host by being opened."""
    (verdict,) = open_in_turn(host, [str(file)])
    if verdict.outcome in _DEADLY and not wanted.anyway:
        doing = "end its runner" if verdict.outcome == "kills-host" else "hang for ever"
        raise ModuleLoadError(
            f"opening {clean(str(file))} would {doing}: {clean(verdict.text or verdict.reason)}",
            fix="--anyway opens it all the same, in a runner that can be spared",
        )
