"""The language a process is written in, told from its executable.

The names are Beyla's: go, java, dotnet, python, ruby, nodejs, rust, php, cpp, generic. The file
is looked at before its name, so a Go program called `node` is go. A stripped Rust program
without a `.comment` section and a C++ program without a shared C++ library are generic.
"""

from __future__ import annotations

import os
import re
import struct
from collections import OrderedDict

_BY_NAME = (
    (re.compile(r"(?:python|pypy)[\d.]*"), "python"),
    (re.compile(r"node(?:js)?|deno"), "nodejs"),
    (re.compile(r"ruby[\d.]*"), "ruby"),
    (re.compile(r"java"), "java"),
    (re.compile(r"dotnet"), "dotnet"),
    (re.compile(r".*php.*"), "php"),
)
_GO_SECTIONS = (b".go.buildinfo", b".gopclntab")
_CPP_LIBRARIES = (b"libstdc++.so", b"libc++.so")

_IDENT_64_BIT = b"\x7fELF\x02"
_ELF_HEADER_BYTES, _SECTION_HEADER_BYTES = 64, 64
_LARGEST_TABLE = 1 << 20
"""Longest section that is read, in bytes; a longer one is read in part."""
_CACHE_SIZE = 1000


class Languages:
    """Detection with a memory: a file, by device and inode, is looked at once."""

    def __init__(self) -> None:
        self._known: OrderedDict[tuple[int, int], str] = OrderedDict()

    def of(self, pid: int, exe: str) -> str | None:
        """The language of a running process.

        Args:
            pid: The process; its executable is reached through /proc/PID/exe, which works in
                other mount namespaces and for deleted files.
            exe: Path of the executable, for its name.

        Returns:
            A name from the list above; None if the executable cannot be reached.
        """
        path = f"/proc/{pid}/exe"
        try:
            found = os.stat(path)
            key = (found.st_dev, found.st_ino)
            if key not in self._known:
                self._known[key] = detect(path, exe)
                if len(self._known) > _CACHE_SIZE:
                    self._known.popitem(last=False)
            return self._known[key]
        except OSError:
            return None


def detect(path: str, exe: str) -> str:
    """The language of the executable at `path`, whose name is taken from `exe`.

    Raises:
        OSError: if the file cannot be read.
    """
    descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    try:
        sections = _sections(descriptor)
        if any(name in sections for name in _GO_SECTIONS):
            return "go"
        name = os.path.basename(exe.removesuffix(" (deleted)"))
        for pattern, language in _BY_NAME:
            if pattern.fullmatch(name):
                return language
        if b"rustc version" in _content(descriptor, sections.get(b".comment")):
            return "rust"
        libraries = _content(descriptor, sections.get(b".dynstr"))
        if any(library in libraries for library in _CPP_LIBRARIES):
            return "cpp"
        return "generic"
    finally:
        os.close(descriptor)


def _sections(descriptor: int) -> dict[bytes, tuple[int, int]]:
    """Offset and size of each section of a 64-bit ELF file, by name; empty for any other file."""
    header = os.pread(descriptor, _ELF_HEADER_BYTES, 0)
    if len(header) < _ELF_HEADER_BYTES or not header.startswith(_IDENT_64_BIT):
        return {}
    order = ">" if header[5] == 2 else "<"
    (table_offset,) = struct.unpack_from(f"{order}Q", header, 40)
    entry_size, count, names_index = struct.unpack_from(f"{order}HHH", header, 58)
    if entry_size != _SECTION_HEADER_BYTES or table_offset >= 1 << 63:
        return {}
    table = os.pread(descriptor, count * entry_size, table_offset)
    entries = [
        struct.unpack_from(f"{order}I20xQQ", table, start)
        for start in range(0, len(table) - entry_size + 1, entry_size)
    ]
    if names_index >= len(entries):
        return {}
    names = _content(descriptor, entries[names_index][1:])
    return {
        names[name : max(names.find(b"\0", name), name)]: (offset, size)
        for name, offset, size in entries
    }


def _content(descriptor: int, section: tuple[int, int] | None) -> bytes:
    """The bytes of a section, at most _LARGEST_TABLE."""
    if section is None or section[0] >= 1 << 63:
        return b""
    return os.pread(descriptor, min(section[1], _LARGEST_TABLE), section[0])
