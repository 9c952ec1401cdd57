"""As much of the ELF format as telling a language needs: sections, functions, addresses.

Format: the ELF-64 object file format, System V ABI. Other files, 32-bit ones too, have no
sections here. What is read of a file is bounded, whatever its headers say.
"""

from __future__ import annotations

import os
import struct
from collections.abc import Iterator
from typing import NamedTuple

_IDENT_64_BIT = b"\x7fELF\x02"
_HEADER_BYTES, _SECTION_HEADER_BYTES, _SYMBOL_BYTES = 64, 64, 24
_LARGEST_SECTION = 64 << 20
"""Longest section that is read, in bytes; a longer one is read in part."""
_LARGEST_OFFSET = 1 << 62
_FUNCTION = 2


class Section(NamedTuple):
    """Where a section is in the file, and in memory."""

    offset: int
    size: int
    address: int


class ElfFile:
    """An open executable; reads what it is asked for and keeps no position.

    Raises:
        OSError: if the file cannot be read, here and in every method.
    """

    def __init__(self, descriptor: int) -> None:
        self._descriptor = descriptor
        header = os.pread(descriptor, _HEADER_BYTES, 0)
        self.order = ">" if header[5:6] == b"\x02" else "<"
        """Byte order, as `struct` writes it."""
        valid = len(header) == _HEADER_BYTES and header.startswith(_IDENT_64_BIT)
        self.sections = self._read_sections(header) if valid else {}
        """By name; empty if it is no 64-bit ELF file."""

    def content(self, name: bytes, limit: int = _LARGEST_SECTION) -> bytes:
        """The beginning of a section; empty if there is none of that name."""
        section = self.sections.get(name)
        return self._pread(section.offset, min(section.size, limit)) if section else b""

    def at_address(self, address: int, size: int) -> bytes:
        """What would stand at an address in memory; empty if no section covers it."""
        for section in self.sections.values():
            if section.address and section.address <= address < section.address + section.size:
                left = section.address + section.size - address
                return self._pread(section.offset + address - section.address, min(size, left))
        return b""

    def functions(self, *containing: bytes) -> Iterator[bytes]:
        """Names of defined functions, in table order; none if no name holds one of these texts."""
        for table, strings in ((b".symtab", b".strtab"), (b".dynsym", b".dynstr")):
            names = self.content(strings)
            if not any(text in names for text in containing):
                continue
            symbols = self.content(table)
            whole = len(symbols) - len(symbols) % _SYMBOL_BYTES
            for name, info, _, _, value, size in struct.iter_unpack(
                f"{self.order}IBBHQQ", symbols[:whole]
            ):
                if info & 0xF == _FUNCTION and value and size:
                    yield names[name : max(names.find(b"\0", name), name)]

    def _pread(self, offset: int, size: int) -> bytes:
        if offset >= _LARGEST_OFFSET:
            return b""
        return os.pread(self._descriptor, min(size, _LARGEST_SECTION), offset)

    def _read_sections(self, header: bytes) -> dict[bytes, Section]:
        (table_offset,) = struct.unpack_from(f"{self.order}Q", header, 40)
        entry_size, count, names_index = struct.unpack_from(f"{self.order}HHH", header, 58)
        if entry_size != _SECTION_HEADER_BYTES:
            return {}
        table = self._pread(table_offset, count * entry_size)
        entries = [
            struct.unpack_from(f"{self.order}I12xQQQ", table, start)
            for start in range(0, len(table) - entry_size + 1, entry_size)
        ]
        if names_index >= len(entries):
            return {}
        _, _, names_offset, names_size = entries[names_index]
        names = self._pread(names_offset, names_size)
        return {
            names[name : max(names.find(b"\0", name), name)]: Section(offset, size, address)
            for name, address, offset, size in entries
        }
