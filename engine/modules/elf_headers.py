"""Program headers, section headers and notes of an ELF file.

Format: System V gABI, chapters "Program Header", "Sections" and "Note Section"; pyelftools declares
the structures.
"""

from __future__ import annotations

import struct
from collections.abc import Iterator
from typing import TYPE_CHECKING, NamedTuple

from elftools.construct.lib.container import Container

from engine.core.errors import MalformedModule

if TYPE_CHECKING:  # it reads its headers with what is here
    from engine.modules.elf import ElfFile

LONGEST_TEXT = 4096
_MOST_SEGMENTS, _MOST_SECTIONS = 128, 4096
_LARGEST_NOTES = 1 << 16
MACHINES = {
    "EM_X86_64": "x86-64",
    "EM_386": "x86",
    "EM_AARCH64": "arm64",
    "EM_ARM": "arm",
    "EM_RISCV": "riscv",
    "EM_PPC64": "ppc64",
    "EM_S390": "s390x",
    "EM_LOONGARCH": "loong64",
    "EM_MIPS": "mips",
}
"""Names of processors, as they are shown."""


class Segment(NamedTuple):
    """A program header: what the loader maps or looks at."""

    type: str
    """As the specification names it: `PT_LOAD`, `PT_DYNAMIC`, ...; a number if it has no name."""
    flags: int
    """1 executable, 2 writable, 4 readable."""
    offset: int
    address: int
    file_size: int
    memory_size: int


class Section(NamedTuple):
    """Where a section is in the file, and in memory."""

    name: str
    type: str
    address: int
    offset: int
    size: int


class Note(NamedTuple):
    """A note the linker left, such as a build id."""

    owner: str
    type: int | str
    content: bytes


def read_segments(elf: ElfFile, header: Container) -> Iterator[Segment]:
    """Program headers, in file order.

    Raises:
        MalformedModule: if they are not where the header says.
    """
    count, size = header["e_phnum"], header["e_phentsize"]
    if count > _MOST_SEGMENTS:
        raise MalformedModule(f"it has {count} segments; at most {_MOST_SEGMENTS} are read")
    if count and size != elf.structs.Elf_Phdr.sizeof():
        raise MalformedModule(f"its program headers have {size} bytes each")
    for index in range(count):
        entry = elf.parse(elf.structs.Elf_Phdr, header["e_phoff"] + index * size)
        yield Segment(
            str(entry["p_type"]),
            entry["p_flags"],
            entry["p_offset"],
            entry["p_vaddr"],
            entry["p_filesz"],
            entry["p_memsz"],
        )


def read_sections(elf: ElfFile, header: Container) -> Iterator[Section]:
    """Section headers, in file order; none if there are none.

    Raises:
        MalformedModule: if they are not where the header says.
    """
    start, count, size = (header[name] for name in ("e_shoff", "e_shnum", "e_shentsize"))
    if not count:
        return
    if count > _MOST_SECTIONS or size != elf.structs.Elf_Shdr.sizeof():
        raise MalformedModule(f"its section headers are {count} of {size} bytes each")
    entries = [elf.parse(elf.structs.Elf_Shdr, start + index * size) for index in range(count)]
    if header["e_shstrndx"] >= count:
        raise MalformedModule("its section headers have no names")
    strings = entries[header["e_shstrndx"]]
    names = elf.at_offset(strings["sh_offset"], strings["sh_size"])
    for entry in entries:
        begin = entry["sh_name"]
        raw = names[begin : begin + LONGEST_TEXT].split(b"\0", 1)[0]
        yield Section(
            raw.decode("utf-8", "surrogateescape"),
            str(entry["sh_type"]),
            entry["sh_addr"],
            entry["sh_offset"],
            entry["sh_size"],
        )


def read_notes(elf: ElfFile, segment: Segment) -> Iterator[Note]:
    """Notes of a PT_NOTE segment, until one reaches past its end.

    Raises:
        MalformedModule: if the segment is not in the file.
    """
    raw = elf.at_offset(segment.offset, min(segment.file_size, _LARGEST_NOTES))
    position = 0
    while position + 12 <= len(raw):
        name_size, size, kind = struct.unpack_from(f"{elf.order}III", raw, position)
        name = position + 12
        content = name + (name_size + 3 & ~3)
        position = content + (size + 3 & ~3)
        if position > len(raw) + 3:
            return
        owner = raw[name : name + name_size].rstrip(b"\0").decode("utf-8", "surrogateescape")
        yield Note(owner, kind, raw[content : content + size])
