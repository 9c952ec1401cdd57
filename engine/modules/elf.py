"""An ELF file as the loader sees it: headers, segments, sections, bytes by address.

Format: the ELF object file format (System V gABI), both classes and both byte orders. pyelftools
declares the structures; every offset is checked here before anything is read, and nothing that a
header announces is believed: a file is read in pieces of bounded size, and never mapped, because a
mapped file that somebody shortens ends the reader with SIGBUS.

    with open_elf(path) as elf:
        elf.machine, elf.bits, elf.kind      # "x86-64", 64, "ET_DYN"
        elf.symbols.named("runtime.firstmoduledata")
        elf.relocations[address]             # see engine.modules.elf_tables
        elf.read(address, 24)                # what would stand there in memory
        elf.pointer(address)                 # the word there after relocation
        elf.section(".go.buildinfo")
"""

from __future__ import annotations

import io
import os
import stat
from collections.abc import Iterator
from contextlib import contextmanager
from functools import cached_property
from pathlib import Path

from elftools.common.exceptions import ELFParseError
from elftools.common.utils import struct_parse
from elftools.construct import Struct
from elftools.construct.lib.container import Container
from elftools.elf.structs import ELFStructs

from engine.core.errors import MalformedModule, ModuleLoadError
from engine.core.sanitise import clean
from engine.modules.elf_headers import (
    LONGEST_TEXT,
    MACHINES,
    Note,
    Section,
    Segment,
    read_notes,
    read_sections,
    read_segments,
)
from engine.modules.elf_tables import (
    Relocation,
    SymbolTable,
    read_relocations,
    read_symbols,
    read_version_needs,
)

LARGEST_READ = 64 << 20
"""Longest piece of a file that is read at once, in bytes."""
_MOST_TAGS, _MOST_NOTES = 1024, 64
_IDENT_BYTES = 16


@contextmanager
def open_elf(path: Path) -> Iterator[ElfFile]:
    """Open a file for reading, without waiting for anything and without executing anything.

    Raises:
        ModuleLoadError: if it cannot be read or is no regular file.
        MalformedModule: if it is no ELF file or its headers contradict each other.
    """
    descriptor = open_regular(path)
    try:
        yield ElfFile(descriptor)
    finally:
        os.close(descriptor)


def open_regular(path: Path) -> int:
    """A descriptor of a regular file.

    Raises:
        ModuleLoadError: if it cannot be read or is no regular file.
    """
    shown = clean(str(path), 400)
    try:
        descriptor = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)
    except (OSError, ValueError) as error:
        reason = getattr(error, "strerror", None) or str(error)
        raise ModuleLoadError(f"cannot read {shown}: {reason}") from None
    if not stat.S_ISREG(os.fstat(descriptor).st_mode):
        os.close(descriptor)
        raise ModuleLoadError(f"{shown} is not a regular file", fix="give the module's own file")
    return descriptor


class ElfFile:
    """An open ELF file; reads what it is asked for and keeps no position.

    Every method raises MalformedModule where the file contradicts itself.

    Args:
        descriptor: A regular file, which stays the caller's.

    Raises:
        MalformedModule: if it is no ELF file or its headers contradict each other.
    """

    def __init__(self, descriptor: int) -> None:
        self._descriptor = descriptor
        self.file_size = os.fstat(descriptor).st_size
        """Bytes."""
        ident = self.at_offset(0, min(_IDENT_BYTES, self.file_size))
        if ident[:4] != b"\x7fELF":
            raise MalformedModule("it is not an ELF file")
        if len(ident) < _IDENT_BYTES or ident[4] not in (1, 2) or ident[5] not in (1, 2):
            raise MalformedModule("its ELF identification is cut short or invalid")
        self.bits = 64 if ident[4] == 2 else 32
        self.order = "<" if ident[5] == 1 else ">"
        """Byte order, as `struct` writes it."""
        self.structs = ELFStructs(self.order == "<", self.bits)
        self.structs.create_basic_structs()
        self.structs.create_advanced_structs()
        self._header = self.parse(self.structs.Elf_Ehdr, 0)
        self.kind = str(self._header["e_type"])
        """`ET_DYN`, `ET_EXEC`, ..."""
        machine = str(self._header["e_machine"])
        self.machine = MACHINES.get(machine, machine.removeprefix("EM_").lower())
        """Processor, such as `x86-64` or `arm64`."""
        self.segments = tuple(read_segments(self, self._header))
        self.sections_fault = ""
        """Why the section headers are not used; empty if they are, or if there are none."""
        self.sections = self._sections_or_none()
        """In file order."""

    # Bytes

    def at_offset(self, offset: int, size: int) -> bytes:
        """Exactly `size` bytes of the file."""
        if offset < 0 or size < 0 or offset + size > self.file_size:
            raise MalformedModule(
                f"it refers to {size} bytes at offset {offset}, the file has {self.file_size}"
            )
        if size > LARGEST_READ:
            raise MalformedModule(f"a part of it has {size} bytes; at most {LARGEST_READ} are read")
        try:
            content = os.pread(self._descriptor, size, offset)
        except OSError as error:
            raise MalformedModule(f"it cannot be read: {error.strerror}") from None
        if len(content) != size:
            raise MalformedModule("the file became shorter while it was read")
        return content

    def read(self, address: int, size: int) -> bytes:
        """Exactly `size` bytes as they would stand in memory, before relocation."""
        for segment in self.loads:
            inside = address - segment.address
            if inside >= 0 and inside + size <= segment.memory_size:
                stored = max(0, min(size, segment.file_size - inside))
                if size > LARGEST_READ:
                    raise MalformedModule(
                        f"a part of it has {size} bytes; at most {LARGEST_READ} are read"
                    )
                return self.at_offset(segment.offset + inside, stored).ljust(size, b"\0")
        raise MalformedModule(f"it refers to {size} bytes at address {address:#x}, outside of it")

    def word(self, address: int) -> int:
        """The pointer-sized number there, before relocation."""
        raw = self.read(address, self.bits // 8)
        return int.from_bytes(raw, "little" if self.order == "<" else "big")

    def pointer(self, address: int) -> int:
        """The address that stands there after relocation; 0 for one in another file."""
        relocation = self.relocations.get(address)
        if relocation is None:
            return self.word(address)
        if relocation.relative:
            return relocation.addend
        symbol = self.symbols[relocation.symbol]
        return symbol.value + relocation.addend if symbol.defined else 0

    def text(self, address: int, limit: int = LONGEST_TEXT) -> str:
        """The text there up to its NUL byte, or the first `limit` bytes."""
        for segment in self.loads:
            left = segment.address + segment.file_size - address
            if address >= segment.address and left > 0:
                raw = self.read(address, min(limit, left))
                return raw.split(b"\0", 1)[0].decode("utf-8", "surrogateescape")
        raise MalformedModule(f"it refers to a text at address {address:#x}, outside of it")

    # Headers

    def parse(self, declared: Struct, offset: int) -> Container:
        """One structure of the file, as pyelftools declares it in `structs`."""
        raw = self.at_offset(offset, declared.sizeof())
        try:
            parsed: Container = struct_parse(declared, io.BytesIO(raw))
        except ELFParseError as error:
            raise MalformedModule(f"it cannot be parsed at offset {offset}: {error}") from None
        return parsed

    @cached_property
    def loads(self) -> tuple[Segment, ...]:
        """The segments that are mapped."""
        return tuple(segment for segment in self.segments if segment.type == "PT_LOAD")

    @property
    def truncated(self) -> bool:
        """Whether a mapped segment reaches past the end of the file: using it is SIGBUS."""
        return any(each.offset + each.file_size > self.file_size for each in self.loads)

    @cached_property
    def interpreter(self) -> str:
        """Program interpreter; empty for a shared object."""
        for segment in self.segments:
            if segment.type == "PT_INTERP":
                raw = self.at_offset(segment.offset, min(segment.file_size, LONGEST_TEXT))
                return raw.split(b"\0", 1)[0].decode("utf-8", "surrogateescape") or "?"
        return ""

    def section(self, name: str) -> Section | None:
        """The first section of that name; None where headers are missing."""
        return next((each for each in self.sections if each.name == name), None)

    def content(self, section: Section) -> bytes:
        """All of a section, as it is stored."""
        if section.type == "SHT_NOBITS":
            return b""
        return self.at_offset(section.offset, section.size)

    @cached_property
    def dynamic(self) -> tuple[tuple[str, int], ...]:
        """Tags of PT_DYNAMIC and their values, such as `("DT_NEEDED", 12)`."""
        tags = []
        for segment in self.segments:
            if segment.type != "PT_DYNAMIC":
                continue
            size = self.structs.Elf_Dyn.sizeof()
            for index in range(min(segment.file_size // size, _MOST_TAGS)):
                entry = self.parse(self.structs.Elf_Dyn, segment.offset + index * size)
                if entry["d_tag"] == "DT_NULL":
                    break
                tags.append((str(entry["d_tag"]), int(entry["d_val"])))
        return tuple(tags)

    def tag(self, name: str) -> int | None:
        """Value of the first dynamic tag of that name."""
        return next((value for tag, value in self.dynamic if tag == name), None)

    def tag_texts(self, name: str) -> tuple[str, ...]:
        """The texts that the dynamic tags of that name point to, e.g. of `DT_NEEDED`."""
        strings = self.tag("DT_STRTAB")
        if strings is None:
            return ()
        return tuple(self.text(strings + value) for tag, value in self.dynamic if tag == name)

    @cached_property
    def notes(self) -> tuple[Note, ...]:
        """Notes of all PT_NOTE segments."""
        found: list[Note] = []
        for segment in self.segments:
            if segment.type == "PT_NOTE":
                found += read_notes(self, segment)
        return tuple(found[:_MOST_NOTES])

    # Tables, read in bulk when first asked for

    @cached_property
    def symbols(self) -> SymbolTable:
        """Dynamic symbols, which no `strip` removes."""
        return read_symbols(self)

    @cached_property
    def relocations(self) -> dict[int, Relocation]:
        """By address; empty for 32-bit files."""
        return read_relocations(self)

    @cached_property
    def version_needs(self) -> dict[str, tuple[str, ...]]:
        """Symbol versions it needs, by library, such as `libc.so.6: GLIBC_2.34`."""
        return read_version_needs(self)

    # Inside

    def _sections_or_none(self) -> tuple[Section, ...]:
        """The loader does without section headers; so does this reader if they are broken."""
        try:
            return tuple(read_sections(self, self._header))
        except MalformedModule as error:
            self.sections_fault = error.message
            return ()
