"""What the Go linker wrote down about a build: version, modules, settings.

Format: packages debug/buildinfo and runtime/debug of Go: a header of 32 bytes that begins with
`\\xff Go buildinf:`, behind it two strings (since Go 1.18) or in it pointers to their headers. `go
version -m` refuses a plugin only because the linker writes it without the executable bit.
"""

from __future__ import annotations

import ast
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field

from engine.core.errors import MalformedModule
from engine.core.sanitise import clean
from engine.modules.elf import LARGEST_READ, ElfFile
from engine.modules.packages import PREFIXES, go_string

_MAGIC = b"\xff Go buildinf:"
_HEADER = 32
_FLAGS_AT, _POINTERS_AT = 15, 16
_INLINE = 2
_MARKER = 16
"""Bytes around the module information, for the tools that look for it."""
_LONGEST_VERSION, _LONGEST_INFO = 1024, 16 << 20
_MOST_MODULES, _MOST_SETTINGS = 50_000, 1_000
_LONGEST = 4096
_WRITABLE = 2


@dataclass(frozen=True)
class Module:
    """A Go module that is linked in."""

    path: str
    version: str
    replacement: Module | None = None
    """What a `replace` directive put in its place."""


@dataclass(frozen=True)
class BuildInfo:
    """What is known of a build; text is sanitised."""

    version: str
    """Such as `go1.26.6`, with experiments as the linker wrote them."""
    path: str = ""
    """Import path of the main package."""
    main: Module | None = None
    dependencies: tuple[Module, ...] = ()
    settings: Mapping[str, str] = field(default_factory=dict)
    """Build flags and variables, such as `-trimpath` or `GOAMD64`."""


def read_build_info(elf: ElfFile) -> BuildInfo | None:
    """The build information; None if there is none (a plugin of Go 1.20 or older, or no Go).

    Raises:
        MalformedModule: if it leads out of the file.
    """
    start = _find(elf)
    if start is None:
        return None
    header = elf.read(start, _HEADER)
    if header[_FLAGS_AT] & _INLINE:
        version, behind = _counted(elf, start + _HEADER, _LONGEST_VERSION)
        info, _ = _counted(elf, behind, _LONGEST_INFO)
    else:
        version = go_string(elf, elf.pointer(start + _POINTERS_AT), _LONGEST_VERSION)
        second = elf.pointer(start + _POINTERS_AT + elf.bits // 8)
        info = go_string(elf, second, _LONGEST_INFO) if second else b""
    if not version:
        return None
    if len(info) >= 2 * _MARKER + 1 and info[-_MARKER - 1 : -_MARKER] == b"\n":
        info = info[_MARKER:-_MARKER]
    return _parse(clean(version, _LONGEST_VERSION), info.decode("utf-8", "surrogateescape"))


def _find(elf: ElfFile) -> int | None:
    """Its address: by section, by symbol, or as the run time aligns it, in writable memory."""
    section = elf.section(".go.buildinfo")
    symbols = (elf.symbols.named(f"{prefix}buildinfo") for prefix in PREFIXES)
    likely = [section.address] if section else []
    likely += [symbol.value for symbol in symbols if symbol]
    for address in likely:
        if elf.read(address, len(_MAGIC)) == _MAGIC:
            return address
    for segment in elf.loads:
        if segment.flags & _WRITABLE and segment.file_size:
            content = elf.read(segment.address, min(segment.file_size, LARGEST_READ))
            at = content.find(_MAGIC)
            while at >= 0:
                if (segment.address + at) % 16 == 0:
                    return segment.address + at
                at = content.find(_MAGIC, at + 1)
    return None


def _counted(elf: ElfFile, at: int, limit: int) -> tuple[bytes, int]:
    """A text behind its length, and the address behind it."""
    length = shift = 0
    for position in range(10):
        byte = elf.read(at + position, 1)[0]
        length |= (byte & 0x7F) << shift
        if byte < 0x80:
            break
        shift += 7
    start = at + position + 1
    if length > limit:
        raise MalformedModule(f"its build information has {length} bytes; at most {limit} are read")
    return elf.read(start, length), start + length


def _parse(version: str, info: str) -> BuildInfo:
    path, main = "", None
    dependencies: list[Module] = []
    settings: dict[str, str] = {}
    for line in info.splitlines():
        what, _, rest = line.partition("\t")
        if what == "path":
            path = clean(rest, _LONGEST)
        elif what == "mod":
            main = _module(rest)
        elif what == "dep" and len(dependencies) < _MOST_MODULES:
            dependencies.append(_module(rest))
        elif what == "=>" and dependencies:
            replaced = dependencies[-1]
            dependencies[-1] = Module(replaced.path, replaced.version, _module(rest))
        elif what == "=>" and main:
            main = Module(main.path, main.version, _module(rest))
        elif what == "build" and len(settings) < _MOST_SETTINGS:
            key, value = _setting(rest)
            settings[key] = value
    return BuildInfo(version, path, main, tuple(dependencies), settings)


def _module(columns: str) -> Module:
    path, version, *_ = [*columns.split("\t"), "", ""]
    return Module(clean(path, _LONGEST), clean(version, _LONGEST))


def _setting(text: str) -> tuple[str, str]:
    """`key=value`, either of them quoted as Go quotes."""
    if text[:1] in ('"', "`"):
        end = text.find(text[0], 1)
        key, value = text[: end + 1], text[end + 2 :]
    else:
        key, _, value = text.partition("=")
    return clean(_unquoted(key), _LONGEST), clean(_unquoted(value), _LONGEST)


def _unquoted(text: str) -> str:
    if len(text) >= 2 and text[0] == text[-1] == "`":
        return text[1:-1]
    if len(text) >= 2 and text[0] == text[-1] == '"':
        try:  # Go's escapes are Python's
            return str(ast.literal_eval(text))
        except (SyntaxError, ValueError):
            return text
    return text


def modules_of(info: BuildInfo) -> Iterator[Module]:
    """The main module, then its dependencies."""
    if info.main:
        yield info.main
    yield from info.dependencies


def module_of(package: str, modules: Iterable[Module]) -> Module | None:
    """The module a package belongs to: the longest path that begins the package's."""
    owners = [
        each for each in modules if package == each.path or package.startswith(f"{each.path}/")
    ]
    return max(owners, key=lambda each: len(each.path), default=None)
