"""The version of Go a program was built with, from the build information the linker leaves.

Format: package debug/buildinfo of Go: a blob of 32 bytes that begins with `\\xff Go buildinf:`;
behind it the strings themselves (since Go 1.18), or in it pointers to their headers.
"""

from __future__ import annotations

import struct

from engine.core.sanitise import clean
from engine.discovery.elf import ElfFile

_MAGIC = b"\xff Go buildinf:"
_BLOB = 32
_POINTER_SIZE_AT, _FLAGS_AT, _POINTER_AT = 14, 15, 16
_BIG_ENDIAN, _INLINE = 1, 2
_LONGEST = 200


def go_version(elf: ElfFile) -> str | None:
    """The version, such as `go1.22.3`; None if the file does not tell.

    Raises:
        OSError: if the file cannot be read.
    """
    blob = elf.content(b".go.buildinfo", 4096)
    if len(blob) < _BLOB or not blob.startswith(_MAGIC):
        return None
    if blob[_FLAGS_AT] & _INLINE:
        length, start = _uvarint(blob, _BLOB)
        text = blob[start : start + length] if length <= _LONGEST else b""
    else:
        text = _behind_pointer(elf, blob)
    return clean(text, limit=_LONGEST) if text else None


def _behind_pointer(elf: ElfFile, blob: bytes) -> bytes:
    """The string whose header the blob points to."""
    size = blob[_POINTER_SIZE_AT]
    if size not in (4, 8):
        return b""
    order = ">" if blob[_FLAGS_AT] & _BIG_ENDIAN else "<"
    pointer = f"{order}{'Q' if size == 8 else 'I'}"
    (header,) = struct.unpack_from(pointer, blob, _POINTER_AT)
    words = elf.at_address(header, 2 * size)
    if len(words) < 2 * size:
        return b""
    (address,) = struct.unpack_from(pointer, words, 0)
    (length,) = struct.unpack_from(pointer, words, size)
    return elf.at_address(address, length) if length <= _LONGEST else b""


def _uvarint(data: bytes, position: int) -> tuple[int, int]:
    """A base-128 number, and the position behind it."""
    value = shift = 0
    while position < len(data):
        byte = data[position]
        position += 1
        value |= (byte & 0x7F) << shift
        if byte < 0x80 or shift > 56:
            break
        shift += 7
    return value, position
