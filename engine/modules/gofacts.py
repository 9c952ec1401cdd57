"""What is known of a Go file, each part read by itself."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from typing import TypeVar

from engine.core.errors import MalformedModule
from engine.core.sanitise import clean
from engine.modules.buildinfo import BuildInfo, read_build_info
from engine.modules.elf import ElfFile
from engine.modules.exports import Export, Function, own_functions, read_exports
from engine.modules.filekind import contains
from engine.modules.initialisers import InitTask, init_tasks
from engine.modules.literals import Literal, literals
from engine.modules.moduledata import ModuleData, module_data
from engine.modules.packages import fingerprints, first_module_size, package_table
from engine.modules.toolchain import Toolchain, toolchain

T = TypeVar("T")

INTERESTING = (
    "os/exec", "net", "net/http", "net/rpc", "os/signal", "os/user", "plugin", "crypto/tls",
    "debug/elf", "archive/tar", "database/sql",
)  # fmt: skip
"""Packages that lead out of the process; what every plugin has (syscall, runtime/cgo) is not."""
_SURELY = {"os/signal": "os/signal.Notify", "plugin": "plugin.Open"}
"""What tells that a package is linked, where a method does not."""
_C_FUNCTION = re.compile(r"_(?:cgo_[0-9a-f]+_)?Cfunc_(.+?)(?:\.abi0)?")


class Parts:
    """Reads one part after the other; one that contradicts itself is noted and left out.

    Args:
        faults: Where to note it.
    """

    def __init__(self, faults: list[str]) -> None:
        self._faults = faults

    def __call__(self, what: str, read: Callable[[], T]) -> T | None:
        """What `read` returns; None if it fails."""
        try:
            return read()
        except MalformedModule as error:
            self._faults.append(f"{what}: {clean(error.message, 400)}")
            return None


@dataclass(frozen=True)
class GoFacts:
    """What is known of a Go file."""

    toolchain: Toolchain
    build: BuildInfo | None
    linked: tuple[str, ...]
    """Packages of interest that are linked in; the list is transitive."""
    path: str = ""
    """Plugin path."""
    packages: tuple[str, ...] = ()
    """All linked packages in the order in which they are compared."""
    fingerprints: dict[str, bytes] = field(default_factory=dict)
    module_size: int | None = None
    """Bytes of the run time's module description, which differs by Go version."""
    exports: tuple[Export, ...] = ()
    functions: tuple[Function, ...] = ()
    init: tuple[InitTask, ...] = ()
    c_functions: tuple[str, ...] = ()
    literals: tuple[Literal, ...] = ()


def plugin_facts(elf: ElfFile, descriptor: int, part: Parts) -> GoFacts:
    """Everything about a Go plugin.

    Args:
        elf: The file.
        descriptor: The same file, for its debugging information.
        part: Notes what cannot be read.
    """
    table = part("package table", lambda: package_table(elf))
    paths = tuple(clean(each.path, 400) for each in table.packages) if table else ()
    prints = part("fingerprints", lambda: fingerprints(elf)) or {}
    made_by, build, linked = _general(elf, descriptor, part, paths or tuple(prints))
    facts = GoFacts(
        made_by,
        build,
        linked,
        packages=paths,
        fingerprints=prints,
        module_size=part("module size", lambda: first_module_size(elf)),
    )
    data = part("module description", lambda: module_data(elf, table)) if table else None
    return _with_module_data(facts, elf, data, part) if data else facts


def program_facts(elf: ElfFile, descriptor: int, part: Parts) -> GoFacts:
    """Everything about a Go host, another Go program, or a Go library for C; see `plugin_facts`."""
    prints = part("fingerprints", lambda: fingerprints(elf)) or {}
    made_by, build, linked = _general(elf, descriptor, part, tuple(prints))
    size = part("module size", lambda: first_module_size(elf))
    return GoFacts(made_by, build, linked, fingerprints=prints, module_size=size)


def _with_module_data(facts: GoFacts, elf: ElfFile, data: ModuleData, part: Parts) -> GoFacts:
    own = part("functions", lambda: own_functions(elf, data.path)) or ()
    return replace(
        facts,
        path=clean(data.path, 400),
        exports=part("exports", lambda: read_exports(elf, data)) or (),
        functions=tuple(replace(each, name=clean(each.name, 400)) for each in own),
        init=part("initialisers", lambda: init_tasks(elf, data)) or (),
        c_functions=part("C functions", lambda: _c_functions(elf, data.path)) or (),
        literals=part("texts", lambda: literals(elf, own)) or (),
    )


def _general(
    elf: ElfFile, descriptor: int, part: Parts, packages: tuple[str, ...]
) -> tuple[Toolchain, BuildInfo | None, tuple[str, ...]]:
    """What holds for every Go file: toolchain, build information, packages of interest."""
    build = part("build information", lambda: read_build_info(elf))
    unknown = Toolchain("", "nothing in it tells")
    made_by = part("toolchain", lambda: toolchain(elf, descriptor, build, packages)) or unknown
    linked = tuple(name for name in INTERESTING if name in packages)
    if not packages:  # the names of functions are there without symbols, one after the other
        linked = part("packages", lambda: _named_in_functions(elf)) or ()
    return made_by, build, linked


def _named_in_functions(elf: ElfFile) -> tuple[str, ...]:
    """Packages of which there are methods; the run time itself has functions in others' names."""
    marks = ((name, f"\0{_SURELY.get(name, f'{name}.(*')}") for name in INTERESTING)
    return tuple(name for name, mark in marks if contains(elf, mark.encode()))


def _c_functions(elf: ElfFile, path: str) -> tuple[str, ...]:
    begin = f"{path}."
    matches = (
        _C_FUNCTION.fullmatch(name.removeprefix(begin))
        for name in elf.symbols.defined
        if name.startswith(begin)
    )
    return tuple(sorted({clean(match[1], 400) for match in matches if match}))
