"""The sections of a WebAssembly file, as far as an author or a host wants to know them."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field

from engine.core.errors import WasmError
from engine.core.sanitise import clean

SECTION_NAMES = (
    "custom",
    "type",
    "import",
    "function",
    "table",
    "memory",
    "global",
    "export",
    "start",
    "element",
    "code",
    "data",
    "data count",
    "tag",
)
_GLOBAL, _EXPORT = 6, 7
_I32, _I32_CONST, _MUTABLE = 0x7F, 0x41, 1
_MAX_NAMES = 100_000
STACK_POINTER = "boxscope_stack_pointer"
"""Name under which `with_stack_pointer` exports the shadow stack pointer."""


@dataclass(frozen=True, slots=True)
class Section:
    """One section: where its content lies in the file."""

    number: int
    name: str
    """Of a custom section its own name, sanitised; else the name of its kind."""
    at: int
    size: int


@dataclass(slots=True)
class ModuleFile:
    """What a file says about itself."""

    sections: list[Section] = field(default_factory=list)
    producers: dict[str, list[str]] = field(default_factory=dict)
    """Language, compiler and tools with their versions, by field of the producers section."""
    function_names: list[str] = field(default_factory=list)
    has_lines: bool = False
    """Whether there is debug information that names source lines."""

    def size_of(self, name: str) -> int:
        """Bytes in all sections of that name."""
        return sum(section.size for section in self.sections if section.name == name)


def read_module_file(wasm: bytes) -> ModuleFile:
    """Read the sections of a module; a custom section that is broken is passed over.

    Raises:
        WasmError: if it is no WebAssembly module, or its sections do not add up.
    """
    if not wasm.startswith(b"\0asm"):
        raise WasmError("not a WebAssembly module", fix="give the built .wasm, not its source")
    found = ModuleFile(list(_sections(wasm)))
    for section in found.sections:
        content = wasm[section.at : section.at + section.size]
        if section.number != 0:
            continue
        try:
            _read_custom(found, section.name, _Reader(content))
        except IndexError:
            continue
    return found


def with_stack_pointer(wasm: bytes) -> tuple[bytes, int] | None:
    """The same module with its shadow stack pointer exported, and where the stack begins.

    LLVM puts the pointer first among the globals; the stack grows down from its first value to 0
    where the linker was told "stack first", as TinyGo and zig do. None where there is no such
    global, or the module exports nothing.
    """
    sections = {section.number: section for section in _sections(wasm) if section.number}
    if _GLOBAL not in sections or _EXPORT not in sections:
        return None
    pointer = _Reader(wasm[sections[_GLOBAL].at :])
    try:
        count, kind, mutable = pointer.number(), pointer.byte(), pointer.byte()
        if not count or (kind, mutable, pointer.byte()) != (_I32, _MUTABLE, _I32_CONST):
            return None
        top = pointer.number()
    except IndexError:
        return None
    if _imports_globals(wasm, sections.get(2)):
        return None
    exports = sections[_EXPORT]
    content = _Reader(wasm[exports.at : exports.at + exports.size])
    entries = content.number()
    name = STACK_POINTER.encode()
    added = _leb(len(name)) + name + b"\x03" + _leb(0)
    body = _leb(entries + 1) + content.rest() + added
    head = _header_start(wasm, exports)
    section = bytes([_EXPORT]) + _leb(len(body)) + body
    return wasm[:head] + section + wasm[exports.at + exports.size :], top


class _Reader:
    """Reads numbers and names; IndexError where the bytes end."""

    def __init__(self, content: bytes) -> None:
        self._content = content
        self._at = 0

    def byte(self) -> int:
        value = self._content[self._at]
        self._at += 1
        return value

    def number(self) -> int:
        """An unsigned LEB128 number of at most 5 bytes."""
        value = 0
        for shift in range(0, 35, 7):
            byte = self.byte()
            value |= (byte & 0x7F) << shift
            if not byte & 0x80:
                return value
        raise IndexError("number too long")

    def text(self) -> str:
        length = self.number()
        if self._at + length > len(self._content):
            raise IndexError("text leaves its section")
        text = self._content[self._at : self._at + length]
        self._at += length
        return clean(text, 200)

    @property
    def at(self) -> int:
        return self._at

    def skip(self, count: int) -> None:
        self._at += count

    def rest(self) -> bytes:
        return self._content[self._at :]


def _sections(wasm: bytes) -> Iterator[Section]:
    at = 8
    while at < len(wasm):
        head = _Reader(wasm[at : at + 6])
        try:
            number, size = head.byte(), head.number()
        except IndexError as error:
            raise WasmError(f"broken section header at byte {at}") from error
        start = at + head.at
        if start + size > len(wasm):
            raise WasmError(f"section at byte {at} has {size} bytes, more than the file")
        name = SECTION_NAMES[number] if number < len(SECTION_NAMES) else f"section {number}"
        if number == 0:
            reader = _Reader(wasm[start : start + size])
            try:
                name = reader.text()
            except IndexError as error:
                raise WasmError(f"custom section at byte {at} has no name") from error
            yield Section(number, name, start + reader.at, size - reader.at)
        else:
            yield Section(number, name, start, size)
        at = start + size


def _header_start(wasm: bytes, section: Section) -> int:
    """Where the header of a section begins: its number, before the length in 1 to 5 bytes."""
    at = 8
    while at < len(wasm):
        head = _Reader(wasm[at : at + 6])
        head.byte()
        size = head.number()
        if at + head.at == section.at:
            return at
        at += head.at + size
    raise WasmError("section not found")


def _imports_globals(wasm: bytes, section: Section | None) -> bool:
    """Whether a module imports a global, which would then be the first; only kinds 0 are usual."""
    if section is None:
        return False
    reader = _Reader(wasm[section.at : section.at + section.size])
    try:
        for _ in range(reader.number()):
            reader.text()
            reader.text()
            if reader.byte() != 0:
                return True
            reader.number()
    except IndexError:
        return True
    return False


def _read_custom(found: ModuleFile, name: str, reader: _Reader) -> None:
    if name == "producers":
        for _ in range(reader.number()):
            what = reader.text()
            tools = found.producers.setdefault(what, [])
            for _ in range(reader.number()):
                tools.append(" ".join(part for part in (reader.text(), reader.text()) if part))
    elif name == "name":
        _read_names(found, reader)
    elif name == ".debug_line":
        found.has_lines = True


def _read_names(found: ModuleFile, reader: _Reader) -> None:
    """The function names of a name section."""
    while True:
        kind, size = reader.byte(), reader.number()
        if kind != 1:
            reader.skip(size)
            continue
        for _ in range(min(reader.number(), _MAX_NAMES)):
            reader.number()
            found.function_names.append(reader.text())
        return


def _leb(value: int) -> bytes:
    encoded = bytearray()
    while value > 0x7F:
        encoded.append(value & 0x7F | 0x80)
        value >>= 7
    encoded.append(value)
    return bytes(encoded)
