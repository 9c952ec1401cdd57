"""Which Go built a file, with which flags, and how that is known.

Since Go 1.21 the build information says it. Older plugins have none: their debugging information
names the compiler, and where that is stripped only the layout of the run time's tables is left.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass

from engine.core.errors import MalformedModule
from engine.core.sanitise import clean
from engine.modules.buildinfo import BuildInfo
from engine.modules.dwarf import go_producer
from engine.modules.elf import LARGEST_READ, ElfFile
from engine.modules.packages import first_module_size

_PRODUCER = re.compile(r"Go cmd/compile ([^;]+)(?:;\s*(.*))?")
_VERSION = re.compile(r"go\d+(?:\.\d+)*(?:(?:rc|beta)\d+)?")
_OLD_LAYOUT = 552
_PCLNTAB = re.compile(rb"([\xf0\xf1])\xff\xff\xff\0\0[\x01\x02\x04]\x08")
_SOURCE = b"runtime/proc.go"
_INSTRUMENTED = {
    "runtime/race": "race",
    "runtime/asan": "asan",
    "runtime/msan": "msan",
    "runtime/coverage": "coverage",
}


@dataclass(frozen=True)
class Toolchain:
    """How a Go file was built, as far as can be told."""

    version: str
    """`go1.26.6`; a range in words where only that is known; empty if nothing is."""
    known_by: str
    """What tells the version."""
    flags: str = ""
    """Flags of the compiler, where only the debugging information has them."""
    trimmed: bool | None = None
    """Whether it was built with -trimpath; None if it cannot be told."""
    instrumented: tuple[str, ...] = ()
    """race, asan, msan, coverage."""

    @property
    def release(self) -> str:
        """The version without experiments and vendor's suffixes; empty if it is not exact."""
        match = _VERSION.match(self.version)
        return match[0] if match and " or " not in self.version else ""


def toolchain(
    elf: ElfFile, descriptor: int, info: BuildInfo | None, packages: Iterable[str]
) -> Toolchain:
    """Tell the toolchain of a Go file.

    Args:
        elf: The file.
        descriptor: The same file, for its debugging information.
        info: Its build information, if it has some.
        packages: Import paths of what is linked in, where known.

    Raises:
        MalformedModule: if it leads out of the file.
    """
    linked = set(packages)
    instrumented = tuple(name for path, name in _INSTRUMENTED.items() if path in linked)
    if info is not None:
        trimmed = info.settings.get("-trimpath") == "true"
        return Toolchain(info.version, "build information", "", trimmed, instrumented)
    version, known_by, flags = _without_build_info(elf, descriptor)
    return Toolchain(version, known_by, flags, _is_trimmed(elf), instrumented)


def _without_build_info(elf: ElfFile, descriptor: int) -> tuple[str, str, str]:
    try:
        producer = _PRODUCER.match(go_producer(descriptor))
    except MalformedModule:  # it is optional, and the rest still tells something
        producer = None
    if producer:
        flags = clean(producer[2] or "", 400)
        return clean(producer[1], 100), "debugging information", flags
    if first_module_size(elf) == _OLD_LAYOUT:
        return "go1.19", "size of the run time's module description", ""
    for content in _contents(elf):
        match = _PCLNTAB.search(content)
        if match and match[1] == b"\xf0":
            return "go1.18 or go1.19", "function table", ""
        if match:
            return "go1.20 or newer", "function table", ""
    return "", "nothing in it tells", ""


def _is_trimmed(elf: ElfFile) -> bool | None:
    """By how the run time's own source file is called."""
    for content in _contents(elf):
        if b"/src/" + _SOURCE in content:
            return False
        if _SOURCE in content:
            return True
    return None


def _contents(elf: ElfFile) -> Iterable[bytes]:
    """What is mapped: the function table is among what is relocated in older plugins."""
    for segment in elf.loads:
        yield elf.read(segment.address, min(segment.file_size, LARGEST_READ))
