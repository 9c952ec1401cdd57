"""The module description of a Go plugin, found without symbols.

Format: `runtime.moduledata` (runtime/symtab.go), which changes from version to version. The slice
header of the package table is found by the relocation to the table; around it the fields that are
needed here have kept their distances from Go 1.19 to 1.27, but for `types`, which is told by
whether the exports' names can be read with it.
"""

from __future__ import annotations

import struct
from typing import NamedTuple

from engine.core.errors import MalformedModule
from engine.modules.elf import ElfFile
from engine.modules.gotypes import TypeReader
from engine.modules.packages import PackageTable, go_string, slice_words, words_at

_EXPORTS, _PATH, _INITS = -40, -16, 24
"""Distances from the package slice: export table, plugin path, init tasks (since Go 1.21)."""
_TYPES = (104, 112, 88)
"""Distances from `types` to the export table: Go 1.19 to 1.25, 1.26, 1.27."""
_MOST_EXPORTS = 100_000


class RawExport(NamedTuple):
    """An entry of the export table: offsets from `types`."""

    name: int
    type: int


class ModuleData(NamedTuple):
    """What a plugin says of itself to the run time."""

    address: int
    """Of the package table's slice header in it."""
    path: str
    """Plugin path: import path of the main package."""
    exports: tuple[RawExport, ...]
    """In stored order."""
    types: int | None
    """Address that type and name offsets count from; None if there are no exports."""


def module_data(elf: ElfFile, table: PackageTable) -> ModuleData:
    """The module description that the table belongs to.

    Raises:
        MalformedModule: if there is none, or its fields lead nowhere.
    """
    place = _slice_header(elf, table)
    path = go_string(elf, place + _PATH).decode("utf-8", "surrogateescape")
    exports = _exports(elf, place + _EXPORTS)
    types = _types(elf, place + _EXPORTS, exports) if exports else None
    return ModuleData(place, path, exports, types)


def init_slice(elf: ElfFile, data: ModuleData) -> tuple[int, int]:
    """Address and length of the list of init tasks; meaningful since Go 1.21."""
    return slice_words(elf, data.address + _INITS)


def _slice_header(elf: ElfFile, table: PackageTable) -> int:
    count = len(table.packages)
    for offset, relocation in elf.relocations.items():
        if relocation.relative and relocation.addend == table.address:
            try:
                if words_at(elf, offset + 8, 2) == (count, count):
                    return offset
            except MalformedModule:
                continue
    raise MalformedModule("its module description is not found")


def _exports(elf: ElfFile, place: int) -> tuple[RawExport, ...]:
    address, count = slice_words(elf, place)
    if count > _MOST_EXPORTS:
        raise MalformedModule(f"it has {count} exports; at most {_MOST_EXPORTS} are read")
    raw = elf.read(address, 8 * count) if count else b""
    return tuple(RawExport(*each) for each in struct.iter_unpack(f"{elf.order}ii", raw))


def _types(elf: ElfFile, place: int, exports: tuple[RawExport, ...]) -> int:
    for distance in _TYPES:
        try:
            reader = TypeReader(elf, elf.pointer(place - distance))
            if all(_is_export(reader, each) for each in exports):
                return reader.base
        except MalformedModule:
            continue
    raise MalformedModule("the types of its exports are not found")


def _is_export(reader: TypeReader, export: RawExport) -> bool:
    name = reader.name(export.name)
    return name.exported and name.text.isidentifier() and reader.kind_of(export.type) is not None
