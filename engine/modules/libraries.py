"""Shared libraries as the loader would find them, and what they define.

Format: the search of ld.so(8): DT_RPATH and DT_RUNPATH, the directories of /etc/ld.so.conf, the
default ones. What the environment of a host that does not run may add is not known.
"""

from __future__ import annotations

import glob
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

from engine.core.errors import ModuleLoadError
from engine.modules.elf import ElfFile, open_elf

_CONFIGURATION = Path("/etc/ld.so.conf")
_DEFAULT = ("/lib64", "/usr/lib64", "/lib", "/usr/lib")
_MOST_DIRECTORIES, _MOST_FILES, _DEEPEST = 200, 500, 8


@dataclass(frozen=True, slots=True)
class Library:
    """A library that was found."""

    path: Path
    defines: frozenset[str]
    """Symbols, and the versions of symbols (`GLIBC_2.34`)."""
    needs: tuple[str, ...]
    """Names of the libraries that it needs itself."""
    search: tuple[Path, ...]
    """Directories that it names for them."""


@dataclass(frozen=True, slots=True)
class Closure:
    """What comes with a file: libraries by name, and the first one that is not there."""

    found: dict[str, Library]
    missing: str = ""


class Libraries:
    """Finds libraries for one processor; every file is read once.

    Args:
        machine: Processor, as `ElfFile.machine` names it.
        bits: 32 or 64.
    """

    def __init__(self, machine: str, bits: int) -> None:
        self._wanted = (machine, bits)
        self._read: dict[Path, Library | None] = {}

    def closure(self, needs: tuple[str, ...], search: tuple[Path, ...]) -> Closure:
        """The libraries of those names and all that they need, in the loader's order."""
        found: dict[str, Library] = {}
        waiting = [(name, search) for name in needs]
        while waiting and len(found) < _MOST_FILES:
            name, directories = waiting.pop(0)
            if name in found:
                continue
            library = self._find(name, directories)
            if library is None:
                return Closure(found, name)
            found[name] = library
            waiting += [(each, library.search) for each in library.needs]
        return Closure(found)

    @cached_property
    def directories(self) -> tuple[Path, ...]:
        """Where the loader looks for everybody's libraries."""
        listed = [Path(each) for each in (*configured(_CONFIGURATION), *_DEFAULT)]
        return tuple(dict.fromkeys(listed))[:_MOST_DIRECTORIES]

    def _find(self, name: str, directories: tuple[Path, ...]) -> Library | None:
        if "/" in name:
            return self._library(Path(name))
        for directory in (*directories, *self.directories):
            library = self._library(directory / name)
            if library is not None:
                return library
        return None

    def _library(self, path: Path) -> Library | None:
        if path not in self._read:
            self._read[path] = self._read_library(path)
        return self._read[path]

    def _read_library(self, path: Path) -> Library | None:
        """The library, or None if it is not there or not for this processor."""
        try:
            with open_elf(path) as elf:
                if (elf.machine, elf.bits) != self._wanted:
                    return None
                defines = frozenset(elf.symbols.defined)
                return Library(path, defines, elf.tag_texts("DT_NEEDED"), search_path(elf, path))
        except ModuleLoadError:
            return None


def search_path(elf: ElfFile, path: Path) -> tuple[Path, ...]:
    """Directories that a file names for the libraries it needs."""
    texts = elf.tag_texts("DT_RUNPATH") or elf.tag_texts("DT_RPATH")
    origin = str(path.parent)
    return tuple(
        Path(each.replace("${ORIGIN}", origin).replace("$ORIGIN", origin))
        for text in texts
        for each in text.split(":")
        if each
    )


def configured(file: Path, deepest: int = _DEEPEST) -> list[str]:
    """Directories of a configuration file of the loader and of those it includes.

    Args:
        file: Such as /etc/ld.so.conf; nothing comes of one that cannot be read.
        deepest: How many files may include each other.
    """
    try:
        lines = file.read_text("utf-8", "surrogateescape").splitlines()
    except OSError:
        return []
    found: list[str] = []
    for line in lines:
        words = line.split("#", 1)[0].split()
        if words[:1] == ["include"] and deepest:
            for pattern in words[1:]:
                for included in sorted(glob.glob(str(file.parent / pattern))):
                    found += configured(Path(included), deepest - 1)
        elif words[:1] not in (["include"], ["hwcap"]):
            found += words
    return found
