"""What dlopen would say of a file in a given process: libraries, versions, symbols.

Format: glibc's elf/dl-load.c, dl-version.c and dl-reloc.c, with RTLD_NOW | RTLD_GLOBAL as
`plugin.Open` calls it. A file that passes is mapped, and its constructors have run.
"""

from __future__ import annotations

import copy
import struct
from collections.abc import Iterator
from pathlib import Path

from engine.modules.elf import ElfFile
from engine.modules.elf_tables import Symbol
from engine.modules.libraries import Closure, Libraries, search_path
from engine.modules.refusals import Fault, header_fault

_RELOCATION = 24
_ADDRESS_SANITIZER = "libasan.so"
_NOT_FIRST = (
    "ASan runtime does not come first in initial library list; you should either link runtime to "
    "your application or manually preload it with LD_PRELOAD."
)
_OF_GO = "runtime.firstmoduledata"


class Loader:
    """The dynamic loader of one process; knows what is loaded already.

    Args:
        host: The program of the process.
        path: Where it is.
    """

    def __init__(self, host: ElfFile, path: Path) -> None:
        self._machine, self._bits = host.machine, host.bits
        self._search = search_path(host, path)
        self._libraries = Libraries(host.machine, host.bits)
        closure = self._libraries.closure(host.tag_texts("DT_NEEDED"), self._search)
        self._sanitized = any(each.startswith(_ADDRESS_SANITIZER) for each in closure.found)
        self._loaded = dict(closure.found)
        self._defined = set(host.symbols.defined)
        self._defined.update(*(each.defines for each in closure.found.values()))

    def copy(self) -> Loader:
        """One for another process of the same program, in the state that this one is in."""
        other = copy.copy(self)
        other._loaded, other._defined = dict(self._loaded), set(self._defined)
        return other

    def fault(self, elf: ElfFile, path: Path) -> Fault | None:
        """Why the file would not be loaded; None if it would.

        Raises:
            MalformedModule: if the file contradicts itself.
        """
        if fault := header_fault(elf, path, self._machine):
            return fault
        closure = self._closure(elf, path)
        return (
            self._library_fault(elf, path, closure)
            or self._sanitizer_fault(elf, closure)
            or self._symbol_fault(elf, path, closure)
        )

    def load(self, elf: ElfFile, path: Path) -> None:
        """Keep in mind that the file is loaded: what it defines is there for later ones."""
        closure = self._closure(elf, path)
        self._loaded.update(closure.found)
        self._defined.update(elf.symbols.defined)
        self._defined.update(*(each.defines for each in closure.found.values()))

    def _closure(self, elf: ElfFile, path: Path) -> Closure:
        return self._libraries.closure(
            elf.tag_texts("DT_NEEDED"), (*search_path(elf, path), *self._search)
        )

    def _library_fault(self, elf: ElfFile, path: Path, closure: Closure) -> Fault | None:
        if closure.missing and closure.missing not in self._loaded:
            text = f"{closure.missing}: cannot open shared object file: No such file or directory"
            return Fault("refused", text, "a library it needs is not where the loader looks")
        for name, versions in elf.version_needs.items():
            library = closure.found.get(name) or self._loaded.get(name)
            if library is None:
                continue
            for version in versions:
                if version not in library.defines:
                    text = f"{library.path}: version `{version}' not found (required by {path})"
                    return Fault("refused", text, "it was built on a newer system")
        return None

    def _sanitizer_fault(self, elf: ElfFile, closure: Closure) -> Fault | None:
        if not any(each.startswith(_ADDRESS_SANITIZER) for each in closure.found):
            return None
        if not self._sanitized:
            reason = "it is built with -asan or -fsanitize=address, and the host is not"
            return Fault("kills-host", _NOT_FIRST, reason)
        if elf.symbols.named(_OF_GO):
            reason = "both have Go's own variables in C, sanitised"
            return Fault("kills-host", "ERROR: AddressSanitizer: odr-violation", reason)
        return None

    def _symbol_fault(self, elf: ElfFile, path: Path, closure: Closure) -> Fault | None:
        brought = [each.defines for each in closure.found.values()]
        for symbol in _required(elf):
            name = symbol.name
            if name not in self._defined and not any(name in each for each in brought):
                return Fault("refused", f"{path}: undefined symbol: {name}")
        return None


def _required(elf: ElfFile) -> Iterator[Symbol]:
    """What the file takes from others and cannot do without, in the order of its relocations."""
    seen: set[int] = set()
    for index in _referred(elf):
        if index and index not in seen:
            seen.add(index)
            symbol = elf.symbols[index]
            if not symbol.defined and not symbol.weak and symbol.name:
                yield symbol


def _referred(elf: ElfFile) -> Iterator[int]:
    """Numbers of symbols: data first, then functions."""
    for relocation in elf.relocations.values():
        yield relocation.symbol
    start, size = elf.tag("DT_JMPREL"), elf.tag("DT_PLTRELSZ") or 0
    if elf.bits == 64 and start is not None:
        raw = elf.read(start, size - size % _RELOCATION)
        for _, info, _ in struct.iter_unpack(f"{elf.order}QQq", raw):
            yield info >> 32
