"""ELF files made for tests: nothing but sections."""

from __future__ import annotations

import struct
from collections.abc import Mapping

ADDRESS = 0x400000
"""Where the first byte of the file would stand in memory."""


def elf(sections: Mapping[str, bytes], order: str = "<") -> bytes:
    """A 64-bit ELF file with these sections; each stands in memory at ADDRESS and its offset."""
    contents = {"": b"", **sections}
    contents[".shstrtab"] = b"\0".join(name.encode() for name in [*contents, ".shstrtab"]) + b"\0"
    body, entries = b"", b""
    for name, content in contents.items():
        at = contents[".shstrtab"].index(name.encode() + b"\0")
        offset = 64 + len(body)
        entries += struct.pack(f"{order}II8xQQQ24x", at, 1, ADDRESS + offset, offset, len(content))
        body += content
    header = b"\x7fELF\x02" + (b"\x01" if order == "<" else b"\x02") + b"\x01" + bytes(9)
    header += struct.pack(f"{order}HHIQQQIHHHHHH", 2, 62, 1, 0, 0, 64 + len(body), 0, 64, 0, 0, 64,
        len(contents), len(contents) - 1)  # fmt: skip
    return header + body + entries


def with_functions(*names: str, defined: bool = True) -> bytes:
    """An ELF file whose symbol table has these functions."""
    strings, symbols = b"\0", b""
    for name in names:
        value = 0x1000 if defined else 0
        symbols += struct.pack("<IBBHQQ", len(strings), 0x12, 0, 1, value, value)
        strings += name.encode() + b"\0"
    return elf({".symtab": symbols, ".strtab": strings})


def buildinfo(version: str) -> bytes:
    """Go's build information with the strings in it, as since Go 1.18."""
    return b"\xff Go buildinf:\x08\x02".ljust(32, b"\0") + _string(version) + _string("path x")


def old_buildinfo(version: str) -> dict[str, bytes]:
    """Sections of a Go program from before 1.18, whose build information is pointers."""
    text = version.encode()
    at_header = ADDRESS + 64
    at_text = at_header + 16
    blob = b"\xff Go buildinf:\x08\x00" + struct.pack("<QQ", at_header, 0)
    return {".data": struct.pack("<QQ", at_text, len(text)) + text, ".go.buildinfo": blob}


def _string(text: str) -> bytes:
    return bytes([len(text)]) + text.encode()
