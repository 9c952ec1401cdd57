"""The language a process is written in, by Beyla's rules: what it has mapped, then its executable.

The names are go, java, dotnet, python, ruby, nodejs, rust, php, cpp, generic. Rules, first hit
wins: a mapped runtime library; a Go section or a telling function in the executable; the name of
a mapped interpreter; `php` in the path; a mapped C++ library. Where Beyla says generic, three more
are tried unless `faithful`: the names of interpreters it does not know, or that were deleted; the
compiler's mark of Rust, which a stripped program keeps; the C++ library it was linked with.
"""

from __future__ import annotations

import os
import re
from collections import OrderedDict
from collections.abc import Iterable, Sequence
from typing import NamedTuple

from engine.discovery.elf import ElfFile
from engine.discovery.golang import go_version

_DELETED = " (deleted)"
_LIBRARIES = (
    (re.compile(r"libcoreclr\.so"), "dotnet"),
    (re.compile(r"libjvm\.so"), "java"),
    (re.compile(r"libpython3[0-9.]*\.so"), "python"),
    (re.compile(r"libruby-[0-9.]*\.so"), "ruby"),
)
_INTERPRETERS = (
    (re.compile(r"(?:.*/)?node"), "nodejs"),
    (re.compile(r"(?:.*/)?deno"), "nodejs"),
    (re.compile(r"(?:.*/)?ruby[0-9.]*"), "ruby"),
    (re.compile(r"(?:.*/)?python[0-9.]*"), "python"),
)
_MORE_NAMES = (
    (re.compile(r"pypy[0-9.]*"), "python"),
    (re.compile(r"nodejs"), "nodejs"),
    (re.compile(r"java"), "java"),
    (re.compile(r"dotnet"), "dotnet"),
)
_CPP_LIBRARIES = ("libstdc++.so", "libc++.so")
_TELLING = (b"rust_panic", b"JVM_", b"graal_")
_CACHE_SIZE = 1000
_MAPS_BYTES = 4 << 20


class Language(NamedTuple):
    """What a process is written in."""

    name: str
    rule: str
    """What told."""
    version: str | None = None
    """Version of Go it was built with."""


class Traits(NamedTuple):
    """What an executable tells by itself."""

    is_go: bool = False
    go_version: str | None = None
    function: str = ""
    """The first function that tells a language."""
    by_rustc: bool = False
    cpp_library: bool = False
    """Whether it is linked with a shared C++ library."""


class Languages:
    """Detection with a memory: a file, by device, inode and time of change, is read once."""

    def __init__(self, *, faithful: bool = False) -> None:
        self._faithful = faithful
        self._known: OrderedDict[tuple[int, int, int], Traits] = OrderedDict()

    def of(self, pid: int, exe: str) -> Language | None:
        """The language of a running process.

        Args:
            pid: The process; its executable is reached through /proc/PID/exe, which works in
                other mount namespaces and for deleted files.
            exe: Path of the executable as the kernel names it.

        Returns:
            The language; None if neither executable nor mappings can be read.
        """
        mapped = mapped_names(pid)
        try:
            traits = self._traits(f"/proc/{pid}/exe")
        except OSError:
            if mapped is None:
                return None
            traits = Traits()
        return tell(mapped or [exe], traits, exe, faithful=self._faithful)

    def _traits(self, path: str) -> Traits:
        descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
        try:
            found = os.fstat(descriptor)
            key = (found.st_dev, found.st_ino, found.st_mtime_ns)
            if key not in self._known:
                self._known[key] = read_traits(descriptor)
                if len(self._known) > _CACHE_SIZE:
                    self._known.popitem(last=False)
            return self._known[key]
        finally:
            os.close(descriptor)


def tell(mapped: Sequence[str], traits: Traits, exe: str, *, faithful: bool = False) -> Language:
    """Apply the rules.

    Args:
        mapped: Names of the files it has mapped, in order.
        traits: What its executable tells.
        exe: Path of the executable as the kernel names it.
        faithful: Apply Beyla's rules only.
    """
    names = mapped if faithful else [name.removesuffix(_DELETED) for name in mapped]
    for name in names:
        for library, language in _LIBRARIES:
            if library.search(name):
                return Language(language, f"it has {os.path.basename(name)} mapped")
    if traits.is_go:
        return Language("go", "the executable has Go's tables", traits.go_version)
    if traits.function:
        language = "rust" if "rust_panic" in traits.function else "java"
        return Language(language, f"the executable has the function {traits.function}")
    for name in names:
        for interpreter, language in _INTERPRETERS:
            if interpreter.fullmatch(name):
                return Language(language, f"it runs {name}")
    if "php" in exe:
        return Language("php", "php is in the path")
    if found := next((name for name in names if _is_cpp(name)), ""):
        return Language("cpp", f"it has {os.path.basename(found)} mapped")
    return Language("generic", "no rule applies") if faithful else _more(traits, exe)


def _more(traits: Traits, exe: str) -> Language:
    """What can be told where Beyla cannot."""
    name = os.path.basename(exe.removesuffix(_DELETED))
    for pattern, language in (*_INTERPRETERS, *_MORE_NAMES):
        if pattern.fullmatch(name):
            return Language(language, f"the executable is called {name}; generic to Beyla")
    if traits.by_rustc:
        return Language("rust", "the compiler left its mark; generic to Beyla")
    if traits.cpp_library:
        return Language("cpp", "it is linked with a C++ library; generic to Beyla")
    return Language("generic", "no rule applies")


def _is_cpp(name: str) -> bool:
    return any(library in name for library in _CPP_LIBRARIES)


def mapped_names(pid: int) -> list[str] | None:
    """Names of the files a process has mapped, in order, each once; None if they are hidden."""
    try:
        with open(f"/proc/{pid}/maps", "rb") as file:
            lines = file.read(_MAPS_BYTES).split(b"\n")
    except OSError:
        return None
    return _names(lines)


def _names(lines: Iterable[bytes]) -> list[str]:
    """The paths in the lines of a /proc/PID/maps; nothing before a path holds a slash."""
    paths = dict.fromkeys(line[at:] for line in lines if (at := line.find(b"/")) > 0)
    return [os.fsdecode(path) for path in paths]


def read_traits(descriptor: int) -> Traits:
    """Read what an executable tells.

    Raises:
        OSError: if it cannot be read.
    """
    elf = ElfFile(descriptor)
    if b".gopclntab" in elf.sections or b".go.buildinfo" in elf.sections:
        return Traits(is_go=True, go_version=go_version(elf))
    libraries = elf.content(b".dynstr")
    return Traits(
        function=_telling_function(elf),
        by_rustc=b"rustc version" in elf.content(b".comment"),
        cpp_library=any(each.encode() in libraries for each in _CPP_LIBRARIES),
    )


def _telling_function(elf: ElfFile) -> str:
    for name in elf.functions(*_TELLING):
        if b"rust_panic" in name or name.startswith((b"JVM_", b"graal_")):
            return name.decode("ascii", "replace")[:100]
    return ""
