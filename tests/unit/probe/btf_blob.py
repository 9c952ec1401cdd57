"""Builds BTF blobs type by type, for tests."""

from __future__ import annotations

import struct

STRUCT, UNION, TYPEDEF, VOLATILE, CONST, FUNC_PROTO = 4, 5, 8, 9, 10, 13


class BtfBuilder:
    """Adds types in order; each method returns the new type's id."""

    def __init__(self) -> None:
        self._strings = b"\0"
        self._types: list[bytes] = []

    def integer(self, name: str, size: int) -> int:
        return self._add(name, 1 << 24, size, struct.pack("<I", size * 8))

    def pointer(self, target: int) -> int:
        return self._add("", 2 << 24, target)

    def array(self, element: int, count: int) -> int:
        return self._add("", 3 << 24, 0, struct.pack("<III", element, element, count))

    def wrapper(self, kind: int, name: str, target: int) -> int:
        """A typedef or a qualifier."""
        return self._add(name, kind << 24, target)

    def compound(
        self, kind: int, name: str, members: list[tuple[str, int, int]], *, bitfields: bool = False
    ) -> int:
        """A struct or union of (name, type, offset in bits)."""
        info = kind << 24 | len(members) | (1 << 31 if bitfields else 0)
        tail = b"".join(
            struct.pack("<III", self._string(member), type_id, bits)
            for member, type_id, bits in members
        )
        return self._add(name, info, 0, tail)

    def enumeration(self, name: str, values: list[str], numbers: list[int] | None = None) -> int:
        """An enum; all of its values are 0 unless told."""
        pairs = zip(values, numbers or [0] * len(values), strict=True)
        tail = b"".join(struct.pack("<Ii", self._string(value), number) for value, number in pairs)
        return self._add(name, 6 << 24 | len(values), 4, tail)

    def prototype(self, parameters: list[int]) -> int:
        tail = b"".join(struct.pack("<II", 0, parameter) for parameter in parameters)
        return self._add("", FUNC_PROTO << 24 | len(parameters), 0, tail)

    def raw(self, info: int) -> int:
        """A type of any kind, without a tail."""
        return self._add("", info, 0)

    def blob(self) -> bytes:
        types = b"".join(self._types)
        header = struct.pack(
            "<HBBIIIII", 0xEB9F, 1, 0, 24, 0, len(types), len(types), len(self._strings)
        )
        return header + types + self._strings

    def _add(self, name: str, info: int, size: int, tail: bytes = b"") -> int:
        self._types.append(struct.pack("<III", self._string(name), info, size) + tail)
        return len(self._types)

    def _string(self, text: str) -> int:
        if not text:
            return 0
        packed = text.encode() + b"\0"
        at = self._strings.find(b"\0" + packed)
        if at >= 0:
            return at + 1
        self._strings += packed
        return len(self._strings) - len(packed)
