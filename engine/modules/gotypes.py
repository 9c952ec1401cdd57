"""Types in a Go binary: their names, and the methods of named ones.

Format: `internal/abi.Type`, `internal/abi.Name` and `internal/abi.UncommonType` of 64-bit
processors, which have not changed in what is read here since Go 1.17. Nothing of it is removed by
`strip`, since reflection needs it.
"""

from __future__ import annotations

import struct
from typing import Final, NamedTuple

from engine.core.errors import MalformedModule
from engine.modules.elf import ElfFile

_TYPE_BYTES, _UNCOMMON_BYTES, _METHOD_BYTES = 48, 16, 16
_FLAGS_AT, _KIND_AT, _STRING_AT = 20, 23, 40
_HAS_UNCOMMON, _EXTRA_STAR = 1, 2
_EXPORTED = 1
_LONGEST_NAME, _MOST_METHODS = 16_384, 10_000
_NO_TYPE: Final = (0, -1)
"""Offsets of a method's type that the linker has pruned."""

FUNC, INTERFACE, MAP, POINTER, STRUCT = 19, 20, 21, 22, 25
"""Kinds, as in package reflect."""
_LAST_KIND = 26
_KIND_BYTES = {17: 24, 18: 16, FUNC: 8, INTERFACE: 32, POINTER: 8, 23: 8, STRUCT: 32}
"""Bytes between the type and its uncommon part, by kind; 0 for basic kinds, unknown for maps."""


class Name(NamedTuple):
    """A name with its flag."""

    text: str
    exported: bool


class Method(NamedTuple):
    """An exported method."""

    name: str
    type: str
    """Such as `func(int) error`; empty where the linker has pruned it."""


class GoType(NamedTuple):
    """A type, as much of it as is needed."""

    offset: int
    kind: int
    text: str
    """As reflection prints it, such as `*main.Doctor`."""
    methods: tuple[Method, ...]
    """Exported ones, in the order of their names; an interface's when they are asked for."""


class TypeReader:
    """Reads types by their offset.

    Every method raises MalformedModule where an offset leads out of the file.

    Args:
        elf: A 64-bit file.
        base: Address that offsets count from, `runtime.types`.
    """

    def __init__(self, elf: ElfFile, base: int) -> None:
        self.base = base
        self._elf = elf
        self._types: dict[int, GoType] = {}
        """Those read, by address: a thousand variables may be of one type."""

    def name(self, offset: int) -> Name:
        """The name at an offset."""
        at = self._address(offset)
        flags = self._elf.read(at, 1)[0]
        length, start = self._uvarint(at + 1)
        if length > _LONGEST_NAME:
            raise MalformedModule(f"a name has {length} bytes; at most {_LONGEST_NAME} are read")
        text = self._elf.read(start, length).decode("utf-8", "surrogateescape")
        return Name(text, bool(flags & _EXPORTED))

    def kind_of(self, offset: int) -> int | None:
        """Kind of the type at an offset; None if it is none that exists."""
        kind = self._elf.read(self._address(offset) + _KIND_AT, 1)[0] & 31
        return kind if 0 < kind <= _LAST_KIND else None

    def type(self, offset: int) -> GoType:
        """The type at an offset, with its methods."""
        return self._type_at(self._address(offset))

    def element(self, pointer: GoType) -> GoType:
        """What a pointer type points to."""
        if pointer.kind != POINTER:
            raise MalformedModule(f"{pointer.text} is not a pointer")
        return self._type_at(self._elf.pointer(self.base + pointer.offset + _TYPE_BYTES))

    def interface(self, interface: GoType) -> GoType:
        """An interface type with the methods it asks for, exported or not."""
        if interface.kind != INTERFACE:
            raise MalformedModule(f"{interface.text} is not an interface")
        at = self.base + interface.offset + _TYPE_BYTES + 8
        start, count = self._elf.pointer(at), self._elf.word(at + 8)
        if count > _MOST_METHODS:
            raise MalformedModule(f"an interface has {count} methods")
        table = self._elf.read(start, count * 8) if count else b""
        methods = (
            Method(self.name(name).text, self._signature(kind))
            for name, kind in struct.iter_unpack(f"{self._elf.order}ii", table)
        )
        return interface._replace(methods=tuple(methods))

    def _address(self, offset: int) -> int:
        if offset <= 0:
            raise MalformedModule(f"a type or name has the offset {offset}")
        return self.base + offset

    def _type_at(self, address: int) -> GoType:
        found = self._types.get(address)
        if found is None:
            found = self._types[address] = self._read_type(address)
        return found

    def _read_type(self, address: int) -> GoType:
        raw = self._elf.read(address, _TYPE_BYTES)
        flags, kind = raw[_FLAGS_AT], raw[_KIND_AT] & 31
        (string,) = struct.unpack_from(f"{self._elf.order}i", raw, _STRING_AT)
        text = self.name(string).text
        if flags & _EXTRA_STAR:
            text = text.removeprefix("*")
        methods: tuple[Method, ...] = ()
        if flags & _HAS_UNCOMMON and kind not in (MAP, INTERFACE):
            methods = self._methods(address + _TYPE_BYTES + _KIND_BYTES.get(kind, 0))
        return GoType(address - self.base, kind, text, methods)

    def _methods(self, uncommon: int) -> tuple[Method, ...]:
        raw = self._elf.read(uncommon, _UNCOMMON_BYTES)
        exported, start = struct.unpack(f"{self._elf.order}6xHI4x", raw)
        if exported > _MOST_METHODS:
            raise MalformedModule(f"a type has {exported} methods")
        table = self._elf.read(uncommon + start, exported * _METHOD_BYTES)
        return tuple(
            Method(self.name(name).text, self._signature(kind))
            for name, kind, _, _ in struct.iter_unpack(f"{self._elf.order}iiii", table)
        )

    def _signature(self, offset: int) -> str:
        return "" if offset in _NO_TYPE else self._text(offset)

    def _text(self, offset: int) -> str:
        raw = self._elf.read(self._address(offset), _TYPE_BYTES)
        (string,) = struct.unpack_from(f"{self._elf.order}i", raw, _STRING_AT)
        text = self.name(string).text
        return text.removeprefix("*") if raw[_FLAGS_AT] & _EXTRA_STAR else text

    def _uvarint(self, at: int) -> tuple[int, int]:
        """A base-128 number, and the address behind it."""
        value = shift = 0
        for position in range(5):
            byte = self._elf.read(at + position, 1)[0]
            value |= (byte & 0x7F) << shift
            if byte < 0x80:
                return value, at + position + 1
            shift += 7
        raise MalformedModule("the length of a name has no end")
