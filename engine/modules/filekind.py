"""What kind of file a module is, from its headers and dynamic symbols."""

from __future__ import annotations

import re
from enum import StrEnum
from typing import NamedTuple

from engine.core.sanitise import clean
from engine.modules.buildinfo import read_build_info
from engine.modules.elf import LARGEST_READ, ElfFile
from engine.modules.elf_tables import knows_relocations
from engine.modules.packages import fingerprints, package_table


class Kind(StrEnum):
    """What a file is."""

    GO_PLUGIN = "go_plugin"
    GO_C_SHARED = "go_c_shared"
    PYTHON_EXTENSION = "python_extension"
    SHARED_OBJECT = "shared_object"
    PYTHON_MODULE = "python_module"
    PYTHON_BYTECODE = "python_bytecode"
    GO_HOST = "go_host"
    GO_PROGRAM = "go_program"
    EXECUTABLE = "executable"
    OBJECT = "object"
    ARCHIVE = "archive"
    TRUNCATED = "truncated"
    OTHER = "other"
    UNKNOWN = "unknown"


KIND_TEXTS = {
    Kind.GO_PLUGIN: "Go plugin",
    Kind.GO_C_SHARED: "Go library for C (-buildmode=c-shared)",
    Kind.PYTHON_EXTENSION: "Python extension module",
    Kind.SHARED_OBJECT: "C shared object",
    Kind.PYTHON_MODULE: "Python module",
    Kind.PYTHON_BYTECODE: "compiled Python",
    Kind.GO_HOST: "Go program that can open plugins",
    Kind.GO_PROGRAM: "Go program that cannot open plugins",
    Kind.EXECUTABLE: "executable",
    Kind.OBJECT: "object file that is not linked",
    Kind.ARCHIVE: "archive",
    Kind.TRUNCATED: "truncated ELF file",
    Kind.OTHER: "neither ELF nor Python",
    Kind.UNKNOWN: "ELF file that cannot be read",
}
"""In words for people."""

MODULES = frozenset(
    (
        Kind.GO_PLUGIN,
        Kind.GO_C_SHARED,
        Kind.PYTHON_EXTENSION,
        Kind.SHARED_OBJECT,
        Kind.PYTHON_MODULE,
    )
)
"""Kinds that somebody can load."""

_OPENS_PLUGINS = b"plugin.lastmoduleinit"
"""A function that is linked with a `plugin.Open` that works; its name outlives `strip`."""
NO_PLUGINS_TEXT = b"plugin: not implemented"
"""What a host built without cgo answers to every `Open`."""
_EXTENSION = re.compile(r"PyInit(U?)_(\w+)")
_WAITS_FOR_GO = "_cgo_wait_runtime_init_done"
_WRITABLE = 2


class Identified(NamedTuple):
    """A file's kind, and what told it."""

    kind: Kind
    reason: str


def identify(elf: ElfFile) -> Identified:
    """Tell what an ELF file is.

    Raises:
        MalformedModule: if its tables lead out of the file.
    """
    if elf.truncated:
        return Identified(
            Kind.TRUNCATED,
            f"a part that is to be mapped lies behind its end ({elf.file_size} bytes): touching it "
            f"ends the process with SIGBUS",
        )
    if elf.kind == "ET_EXEC" or (elf.interpreter and elf.tag("DT_SONAME") is None):
        return _program(elf)
    if elf.kind != "ET_DYN":
        return Identified(Kind.OBJECT, f"its ELF type is {elf.kind}")
    if fingerprints(elf) and (not knows_relocations(elf) or package_table(elf)):
        return Identified(
            Kind.GO_PLUGIN, "it has the fingerprints of its packages, and no interpreter"
        )
    if elf.symbols.named(_WAITS_FOR_GO) and any(note.owner == "Go" for note in elf.notes):
        return Identified(
            Kind.GO_C_SHARED, "it starts its own Go run time, and has no fingerprints"
        )
    for name in elf.symbols.defined:
        match = _EXTENSION.fullmatch(name)
        if match:
            return Identified(Kind.PYTHON_EXTENSION, f"it exports {clean(name, 200)}")
    return Identified(Kind.SHARED_OBJECT, "it is a shared object without Go in it")


def identify_bytes(beginning: bytes, suffix: str) -> Identified:
    """Tell what a file is that is no ELF file, by its first bytes and its name's suffix."""
    if beginning.startswith(b"!<arch>"):
        return Identified(
            Kind.ARCHIVE,
            "the loader says: invalid ELF header (was a package built that is not main?)",
        )
    if beginning[2:4] == b"\r\n" and suffix == ".pyc":
        return Identified(Kind.PYTHON_BYTECODE, "only its source tells what is in it")
    if suffix == ".py":
        return Identified(Kind.PYTHON_MODULE, "its name ends with .py")
    return Identified(Kind.OTHER, "it begins neither like an ELF file nor is it named .py")


def _program(elf: ElfFile) -> Identified:
    if fingerprints(elf):
        return Identified(Kind.GO_HOST, "an executable with the fingerprints of its packages")
    if read_build_info(elf) is None:
        return Identified(Kind.EXECUTABLE, "an executable; the loader refuses to load it")
    if contains(elf, NO_PLUGINS_TEXT):
        reason = (
            'it imports "plugin" and was built without cgo: every Open answers "not implemented"'
        )
    elif is_static_host(elf):
        reason = 'it imports "plugin" and is linked statically: what it opens ends it'
    else:
        reason = 'it does not import "plugin"'
    return Identified(Kind.GO_PROGRAM, reason)


def is_static_host(elf: ElfFile) -> bool:
    """Whether it is a program that is linked statically, with a `plugin.Open` in it."""
    return not elf.dynamic and contains(elf, _OPENS_PLUGINS)


def contains(elf: ElfFile, text: bytes) -> bool:
    """Whether the text occurs in what is mapped read-only."""
    return any(
        text in elf.read(segment.address, min(segment.file_size, LARGEST_READ))
        for segment in elf.loads
        if not segment.flags & _WRITABLE and segment.file_size
    )
