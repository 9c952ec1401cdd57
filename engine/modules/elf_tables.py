"""Dynamic symbols, relocations and version needs of an ELF file, read in bulk.

Format: System V gABI, chapters "Symbol Table", "Relocation" (with `DT_RELR`) and "Hash Table";
GNU's hash table and symbol versions as in the LSB. A plugin has ten thousand symbols and as many
relocations: unpacking a table at once takes a sixth of the time of an object per entry.
"""

from __future__ import annotations

import struct
from bisect import bisect_left, bisect_right
from functools import cached_property
from typing import TYPE_CHECKING, NamedTuple

from engine.core.errors import MalformedModule

if TYPE_CHECKING:  # they read each other's tables
    from engine.modules.elf import ElfFile

_MOST_SYMBOLS, _MOST_RELOCATIONS = 2_000_000, 4_000_000
_LONGEST_NAME = 16_384
_LONGEST_NAMES = 256 << 20
"""All names together, in bytes: names may overlap, so a small file could hold any amount."""
_MOST_VERSIONS = 1_000
_WINDOW = 1 << 20
"""Of a segment, what is looked at together; all of it may be more than is read at once."""
_RELATIVE = {"x86-64": 8, "arm64": 1027}
_ABSOLUTE = {"x86-64": 1, "arm64": 257}
_WEAK = 2
"""Binding of a symbol."""

OBJECT, FUNCTION = 1, 2
"""Kinds of symbols."""


class Symbol(NamedTuple):
    """An entry of the dynamic symbol table."""

    name: str
    value: int
    """Address; 0 if another file defines it."""
    size: int
    """Bytes."""
    kind: int
    """1 object, 2 function, ..."""
    section: int
    """0 if another file defines it."""
    weak: bool
    """Whether it may stay undefined."""

    @property
    def defined(self) -> bool:
        """Whether this file defines it."""
        return self.section != 0


class Relocation(NamedTuple):
    """What the loader writes to an address."""

    type: int
    """The processor's number for it."""
    symbol: int
    """Index into the symbol table; 0 for none."""
    addend: int
    relative: bool
    """The addend alone, moved to where the file is mapped."""
    absolute: bool
    """The symbol's address and the addend, in 64 bits (not an entry of the GOT)."""


class SymbolTable:
    """Symbols by index, as relocations name them, and by name."""

    def __init__(self, entries: tuple[Symbol, ...] = ()) -> None:
        self.entries = entries

    def __len__(self) -> int:
        return len(self.entries)

    def __getitem__(self, index: int) -> Symbol:
        """The symbol of that number.

        Raises:
            MalformedModule: if there is none.
        """
        if not 0 <= index < len(self.entries):
            raise MalformedModule(f"it refers to symbol {index} of {len(self.entries)}")
        return self.entries[index]

    @cached_property
    def defined(self) -> dict[str, Symbol]:
        """What this file defines, by name; the first of several."""
        return {each.name: each for each in reversed(self.entries) if each.section and each.name}

    def named(self, name: str) -> Symbol | None:
        """What this file defines under that name."""
        return self.defined.get(name)


def read_symbols(elf: ElfFile) -> SymbolTable:
    """The dynamic symbol table, found as the loader finds it.

    Raises:
        MalformedModule: if it is not where the file says.
    """
    table, names = elf.tag("DT_SYMTAB"), elf.tag("DT_STRTAB")
    if table is None or names is None:
        return SymbolTable()
    count = _symbol_count(elf, table)
    if count > _MOST_SYMBOLS:
        raise MalformedModule(f"it has {count} symbols; at most {_MOST_SYMBOLS} are read")
    size = 24 if elf.bits == 64 else 16
    raw = elf.read(table, count * size)
    strings = elf.read(names, elf.tag("DT_STRSZ") or 0)
    return SymbolTable(tuple(_symbols(elf, raw, strings)))


def _symbols(elf: ElfFile, raw: bytes, strings: bytes) -> list[Symbol]:
    find, found, total = strings.find, [], 0
    wide = elf.bits == 64
    for entry in struct.iter_unpack(f"{elf.order}{'IBBHQQ' if wide else 'IIIBBH'}", raw):
        if wide:
            name, info, _, section, value, size = entry
        else:
            name, value, size, info, _, section = entry
        end = find(b"\0", name, name + _LONGEST_NAME)
        if end < 0:
            raise MalformedModule("the name of a symbol has no end")
        total += end - name
        if total > _LONGEST_NAMES:
            raise MalformedModule(f"the names of its symbols exceed {_LONGEST_NAMES} bytes")
        text = strings[name:end].decode("utf-8", "surrogateescape")
        found.append(Symbol(text, value, size, info & 15, section, info >> 4 == _WEAK))
    return found


def _symbol_count(elf: ElfFile, table: int) -> int:
    """Nothing says how many there are but the hash tables, and a section if it agrees."""
    counts = [
        section.size // (24 if elf.bits == 64 else 16)
        for section in elf.sections
        if section.type == "SHT_DYNSYM" and section.address == table
    ]
    if counts:
        return counts[0]
    classic = elf.tag("DT_HASH")
    if classic is not None:
        (count,) = struct.unpack(f"{elf.order}I", elf.read(classic + 4, 4))
        return int(count)
    hashed = elf.tag("DT_GNU_HASH")
    return _gnu_hash_count(elf, hashed) if hashed is not None else 0


def _gnu_hash_count(elf: ElfFile, start: int) -> int:
    """Symbols come bucket by bucket: the last one ends the chain of the highest bucket."""
    buckets, first, bloom, _ = struct.unpack(f"{elf.order}IIII", elf.read(start, 16))
    if buckets > _MOST_SYMBOLS or bloom > _MOST_SYMBOLS:
        raise MalformedModule(f"its hash table has {buckets} buckets and {bloom} words")
    at = start + 16 + bloom * elf.bits // 8
    highest = max(struct.unpack(f"{elf.order}{buckets}I", elf.read(at, 4 * buckets)), default=0)
    if highest < first:
        return int(first)
    at += 4 * buckets
    while highest - first < _MOST_SYMBOLS:
        (chained,) = struct.unpack(f"{elf.order}I", elf.read(at + 4 * (highest - first), 4))
        highest += 1
        if chained & 1:
            break
    return int(highest)


def knows_relocations(elf: ElfFile) -> bool:
    """Whether relocations of this processor are told apart here."""
    return elf.bits == 64 and elf.machine in _ABSOLUTE


def read_relocations(elf: ElfFile) -> dict[int, Relocation]:
    """What the loader writes where, by address.

    Raises:
        MalformedModule: if a table is not where the file says.
    """
    if elf.bits != 64:
        return {}
    packed = _packed_relocations(elf)
    start, size = elf.tag("DT_RELA"), elf.tag("DT_RELASZ") or 0
    if start is None:
        return packed
    if size // 24 > _MOST_RELOCATIONS:
        raise MalformedModule(f"it has {size // 24} relocations")
    raw = elf.read(start, size - size % 24)
    relative, absolute = _RELATIVE.get(elf.machine), _ABSOLUTE.get(elf.machine)
    return packed | {
        offset: Relocation(
            info & 0xFFFFFFFF,
            info >> 32,
            addend,
            info & 0xFFFFFFFF == relative,
            info & 0xFFFFFFFF == absolute,
        )
        for offset, info, addend in struct.iter_unpack(f"{elf.order}QQq", raw)
    }


def _packed_relocations(elf: ElfFile) -> dict[int, Relocation]:
    """Relative relocations as `-z pack-relative-relocs` stores them; the addends are in place."""
    start, size = elf.tag("DT_RELR"), elf.tag("DT_RELRSZ") or 0
    if start is None:
        return {}
    entries = struct.unpack(f"{elf.order}{size // 8}Q", elf.read(start, size - size % 8))
    places = sorted(_packed_places(entries))
    addends = dict.fromkeys(places, 0)
    for segment in elf.loads:
        end = segment.address + segment.file_size
        inside = places[bisect_left(places, segment.address) : bisect_right(places, end - 8)]
        content, begin = b"", 0
        for place in inside:
            if place + 8 > begin + len(content):
                content, begin = elf.read(place, min(_WINDOW, end - place)), place
            (addends[place],) = struct.unpack_from(f"{elf.order}q", content, place - begin)
    type_ = _RELATIVE.get(elf.machine, 0)
    return {place: Relocation(type_, 0, addend, True, False) for place, addend in addends.items()}


def _packed_places(entries: tuple[int, ...]) -> list[int]:
    """An even entry is a place, an odd one says which of the 63 words that follow are more."""
    places: list[int] = []
    following = 0
    for entry in entries:
        if len(places) > _MOST_RELOCATIONS:
            raise MalformedModule(f"it has more than {_MOST_RELOCATIONS} relocations")
        if not entry & 1:
            places.append(entry)
            following = entry + 8
            continue
        bits = bin(entry >> 1)[:1:-1]
        places += [following + 8 * index for index, bit in enumerate(bits) if bit == "1"]
        following += 8 * 63
    return places


def read_version_needs(elf: ElfFile) -> dict[str, tuple[str, ...]]:
    """Symbol versions that other libraries must have, by library.

    Raises:
        MalformedModule: if the table is not where the file says.
    """
    at, count, names = (elf.tag(name) for name in ("DT_VERNEED", "DT_VERNEEDNUM", "DT_STRTAB"))
    if at is None or names is None:
        return {}
    needs: dict[str, tuple[str, ...]] = {}
    for _ in range(min(count or 0, _MOST_VERSIONS)):
        layout = f"{elf.order}HHIII"
        _, versions, file, auxiliary, following = struct.unpack(layout, elf.read(at, 16))
        library = elf.text(names + file)
        needs[library] = needs.get(library, ()) + _versions(elf, at + auxiliary, versions, names)
        if not following:
            break
        at += following
    return needs


def _versions(elf: ElfFile, at: int, count: int, names: int) -> tuple[str, ...]:
    found = []
    for _ in range(min(count, _MOST_VERSIONS)):
        _, _, _, name, following = struct.unpack(f"{elf.order}IHHII", elf.read(at, 16))
        found.append(elf.text(names + name))
        if not following:
            break
        at += following
    return tuple(found)
