"""What the loader refuses a file for before it maps it, in its words.

Format: the ELF header, and the checks of glibc's elf/dl-load.c in their order. A file that the
loader cannot even begin with does no harm: nothing of it is executed.
"""

from __future__ import annotations

import os
import stat
import struct
from pathlib import Path
from typing import Literal, NamedTuple

from engine.modules.elf import ElfFile

_OS_ABIS = {0: 0, 3: 3}
"""Systems whose files the loader takes (none in particular, Linux): the highest ABI version."""
_BIG_ENDIAN = ("s390x",)
"""Of the processors for which Go makes plugins."""
_MACHINES = {"x86-64": 62, "arm64": 183}
_LOADED_KINDS = (2, 3)
"""ET_EXEC, ET_DYN."""
_SEGMENT_BYTES = 56
_MAGIC = b"\x7fELF"
_HEADER_BYTES = {32: 52, 64: 64}
_NO_FILE = "cannot open shared object file: No such file or directory"
_PIE, _NOT_FOR_DLOPEN = 0x08000000, 0x40
"""Of DT_FLAGS_1."""

Trouble = Literal["refused", "kills-host", "hangs", "unknown"]


class Fault(NamedTuple):
    """Why a file is not loaded, and what comes of the attempt."""

    outcome: Trouble
    text: str
    """The loader's words, or the last words of the process."""
    reason: str = ""
    """What is behind it, where the words do not say."""


def type_fault(path: Path) -> Fault | None:
    """What is wrong with opening something that is no regular file."""
    try:
        mode = path.stat().st_mode
    except OSError as error:
        return Fault("unknown", "", f"it cannot be looked at: {error.strerror}")
    if stat.S_ISREG(mode):
        return None
    if stat.S_ISDIR(mode):
        return Fault("refused", f"{path}: cannot read file data: Is a directory")
    if stat.S_ISFIFO(mode):
        return Fault("hangs", "", "it is a named pipe: the loader waits until somebody writes")
    return Fault("unknown", "", "it is no regular file: opening it may do anything")


def ident_fault(path: Path, bits: int, machine: str) -> Fault | None:
    """What is wrong with the first bytes of a file, for a host of that width and processor."""
    try:
        with path.open("rb", buffering=0) as file:
            ident = file.read(_HEADER_BYTES[bits])
    except OSError as error:
        return Fault("unknown", "", f"it cannot be read here: {error.strerror}")
    if len(ident) < _HEADER_BYTES[bits]:
        return Fault("refused", f"{path}: file too short")
    if ident[:4] != _MAGIC:
        reason = "it is an archive, not a plugin: only package main becomes one"
        return Fault(
            "refused",
            f"{path}: invalid ELF header",
            reason if ident.startswith(b"!<arch>") else "",
        )
    if ident[4] in (1, 2) and ident[4] != bits // 32:
        return Fault("refused", f"{path}: wrong ELF class: ELFCLASS{96 - bits}")
    if wrong := _ident_words(ident, machine):
        return Fault("refused", f"{path}: {wrong}")
    if bits == 64 and machine in _MACHINES and _segments_missing(ident, machine, path):
        reason = "it is cut short within the list of its segments"
        return Fault("refused", f"{path}: cannot read file data", reason)
    return None


def _segments_missing(ident: bytes, machine: str, path: Path) -> bool:
    """Whether the file ends before its program headers do; nothing else is read before them."""
    kind, number = struct.unpack_from("<HH", ident, 16)
    start, size, count = *struct.unpack_from("<Q", ident, 32), *struct.unpack_from("<HH", ident, 54)
    if kind not in _LOADED_KINDS or number != _MACHINES[machine] or size != _SEGMENT_BYTES:
        return False
    return bool(start + size * count > path.stat().st_size)


def _ident_words(ident: bytes, machine: str) -> str:
    """What the loader finds wrong with the identification and the version, in its order."""
    order: Literal["little", "big"] = "big" if machine in _BIG_ENDIAN else "little"
    if ident[5] != {"little": 1, "big": 2}[order]:
        return f"ELF file data encoding not {order}-endian"
    if ident[6] != 1:
        return "ELF file version ident does not match current one"
    if ident[7] not in _OS_ABIS:
        return "ELF file OS ABI invalid"
    if ident[8] > _OS_ABIS[ident[7]]:
        return "ELF file ABI version invalid"
    if any(ident[9:16]):
        return "nonzero padding in e_ident"
    if int.from_bytes(ident[20:24], order) != 1:
        return "ELF file version does not match current one"
    return ""


def header_fault(elf: ElfFile, path: Path, machine: str) -> Fault | None:
    """What is wrong with a file as a whole: another processor's, or a program."""
    if elf.machine != machine:
        reason = f"it is for {elf.machine}, the host for {machine}; the file itself is there"
        return Fault("refused", f"{path}: {_NO_FILE}", reason)
    if elf.kind not in ("ET_DYN", "ET_EXEC"):
        return Fault("refused", f"{path}: only ET_DYN and ET_EXEC can be loaded")
    if not elf.loads:
        return Fault("refused", f"{path}: object file has no loadable segments")
    if elf.kind == "ET_EXEC":
        return Fault("refused", f"{path}: cannot dynamically load executable")
    if truncation := _truncation(elf):
        return truncation
    if not elf.dynamic:
        return Fault("refused", f"{path}: object file has no dynamic section")
    flags = elf.tag("DT_FLAGS_1") or 0
    if flags & _PIE:
        return Fault("refused", f"{path}: cannot dynamically load position-independent executable")
    if flags & _NOT_FOR_DLOPEN:
        return Fault("refused", f"{path}: shared object cannot be dlopen()ed")
    return None


def _truncation(elf: ElfFile) -> Fault | None:
    """Mapped pages beyond the end of a file end the process that touches them."""
    if not elf.truncated:
        return None
    page = os.sysconf("SC_PAGE_SIZE")
    end = (elf.file_size + page - 1) // page * page
    last = max(elf.loads, key=lambda each: each.offset + each.file_size)
    needed = max(each.offset + each.file_size for each in elf.loads)
    reason = f"it is cut short: {needed} bytes of it are mapped, it has {elf.file_size}"
    if needed <= end:
        return Fault("unknown", "", f"{reason}; what is missing reads as zeros")
    if last.memory_size > last.file_size and (last.offset + last.file_size) % page:
        return Fault("kills-host", "SIGBUS: bus error", reason)
    return Fault("unknown", "", f"{reason}; the host dies when it touches what is missing")
