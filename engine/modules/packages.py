"""Which packages are linked into a Go plugin or its host, and their fingerprints.

Format: the Go linker's `go:link.pkghashbytes.*` symbols (`go.link.*` up to Go 1.19) and the table
`go:link.pkghashes` (cmd/link/internal/ld, runtime/plugin.go). The symbols survive any `strip`;
the table has no symbol of its own then, and is found by the relocations of its entries.
"""

from __future__ import annotations

import struct
from typing import NamedTuple

from engine.core.errors import MalformedModule
from engine.modules.elf import ElfFile
from engine.modules.elf_tables import knows_relocations

PREFIXES = ("go:", "go.")
"""How the linker's own symbols begin: since Go 1.20, and before."""
_BYTES = tuple(f"{prefix}link.pkghashbytes." for prefix in PREFIXES)
_HEADERS = tuple(f"{prefix}link.pkghash." for prefix in PREFIXES)
_RECORD = 40
"""Name, hash at link time (each pointer and length), pointer to the hash at run time."""
_LONGEST_FINGERPRINT = 64
_LONGEST_PATH = 4096
_MOST_PACKAGES = 100_000


class Package(NamedTuple):
    """A package as the run time compares it."""

    path: str
    """Import path."""
    linked: bytes
    """Fingerprint of its export data when the plugin was linked; opaque."""


class PackageTable(NamedTuple):
    """The table that `plugin.Open` goes through."""

    address: int
    packages: tuple[Package, ...]
    """In the order in which they are compared, dependencies first."""


def fingerprints(elf: ElfFile) -> dict[str, bytes]:
    """The fingerprint of every linked package, by import path; empty if nothing can be opened.

    Raises:
        MalformedModule: if one is not where its symbol says.
    """
    found = {}
    for name, symbol in elf.symbols.defined.items():
        path = name[len(_BYTES[0]) :] if name.startswith(_BYTES) else ""
        if path:
            found[path] = elf.read(symbol.value, min(symbol.size or 8, _LONGEST_FINGERPRINT))
    return found


def package_table(elf: ElfFile) -> PackageTable | None:
    """The table, found without symbols; None if there is none (a host, or no Go plugin).

    Raises:
        MalformedModule: if its entries are not where relocations say, or those are not known.
    """
    if not knows_relocations(elf):
        raise MalformedModule(f"relocations of {elf.machine} are not known here")
    headers = {
        index
        for index, symbol in enumerate(elf.symbols.entries)
        if symbol.name.startswith(_HEADERS)
    }
    places = sorted(
        offset
        for offset, relocation in elf.relocations.items()
        if relocation.absolute and relocation.symbol in headers
    )
    if not places:
        return None
    if len(places) > _MOST_PACKAGES:
        raise MalformedModule(f"it has {len(places)} packages; at most {_MOST_PACKAGES} are read")
    first = places[0]
    if places != list(range(first, first + _RECORD * len(places), _RECORD)):
        raise MalformedModule("the entries of its package table are not in a row")
    return PackageTable(first - 32, tuple(_package(elf, place - 32) for place in places))


def go_string(elf: ElfFile, address: int, limit: int = _LONGEST_PATH) -> bytes:
    """The text of a string header (pointer and length).

    Raises:
        MalformedModule: if it is longer than `limit`, or outside of the file.
    """
    length = elf.word(address + elf.bits // 8)
    if length > limit:
        raise MalformedModule(
            f"a text at {address:#x} has {length} bytes; at most {limit} are read"
        )
    return elf.read(elf.pointer(address), length) if length else b""


def slice_words(elf: ElfFile, address: int) -> tuple[int, int]:
    """Address and length of the slice whose header stands there."""
    return elf.pointer(address), elf.word(address + elf.bits // 8)


def first_module_size(elf: ElfFile) -> int | None:
    """Bytes of the run time's module description, which tells its layout; None if unknown."""
    symbol = elf.symbols.named("runtime.firstmoduledata")
    return symbol.size if symbol else None


def words_at(elf: ElfFile, address: int, count: int) -> tuple[int, ...]:
    """So many unrelocated 64-bit numbers."""
    return struct.unpack(f"{elf.order}{count}Q", elf.read(address, 8 * count))


def _package(elf: ElfFile, record: int) -> Package:
    path = go_string(elf, record).decode("utf-8", "surrogateescape")
    return Package(path, go_string(elf, record + 16, _LONGEST_FINGERPRINT))
