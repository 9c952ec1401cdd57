"""BTF reader: where a member lies in a structure of the running kernel.

BTF is the kernel's own type information (`/sys/kernel/btf/vmlinux`): a header, a section of
types and a section of strings, as in the kernel's `include/uapi/linux/btf.h`.
"""

from __future__ import annotations

import struct
from array import array
from pathlib import Path
from typing import NamedTuple

from engine.core.errors import ProbeError

VMLINUX = Path("/sys/kernel/btf/vmlinux")

_HEADER = struct.Struct("<HBBIIIII")
_MAGIC = 0xEB9F

_PTR, _STRUCT, _UNION, _ENUM, _TYPEDEF = 2, 4, 5, 6, 8
_QUALIFIERS = frozenset({_TYPEDEF, 9, 10, 11, 18})  # typedef, volatile, const, restrict, type_tag
_FUNC_PROTO = 13
_KINDS = 20
_TYPE_WORDS = 3
_FIXED_TAIL = {1: 1, 3: 3, 14: 1, 17: 1}  # int, array, var, decl_tag; in 4-byte words
_TAIL_PER_ENTRY = {_STRUCT: 3, _UNION: 3, 6: 2, _FUNC_PROTO: 2, 15: 3, 19: 3}  # 6 enum, 15 datasec


class Member(NamedTuple):
    """Where a member lies and what it is."""

    offset: int
    """Bytes from the start of the structure."""
    type_id: int


class Btf:
    """The types of one BTF blob, looked up by name.

    Raises:
        ProbeError: if the blob is not BTF or is cut short.
    """

    def __init__(self, blob: bytes) -> None:
        if len(blob) < _HEADER.size:
            raise ProbeError(f"BTF is cut short: {len(blob)} bytes")
        magic, _, _, header, type_at, type_len, text_at, text_len = _HEADER.unpack_from(blob)
        if magic != _MAGIC:
            raise ProbeError(f"not BTF of this machine's byte order: magic {magic:#06x}")
        types = blob[header + type_at : header + type_at + type_len]
        self._strings = blob[header + text_at : header + text_at + text_len]
        if len(types) != type_len or len(self._strings) != text_len or type_len % 4:
            raise ProbeError("BTF is cut short: its sections reach beyond its end")
        self._words = memoryview(types).cast("I")
        self._positions = array("I", [0])  # type 0 is void and has no entry
        self._structs: dict[int, int] = {}
        self._typedefs: dict[int, int] = {}
        self._enums: dict[int, int] = {}
        try:
            self._index()
        except IndexError as broken:
            raise ProbeError("BTF does not parse: a type is cut short or of a new form") from broken

    @classmethod
    def load(cls, path: Path = VMLINUX) -> Btf:
        """Read a BTF file.

        Raises:
            ProbeError: if it cannot be read or is not BTF.
        """
        try:
            blob = path.read_bytes()
        except OSError as error:
            raise ProbeError(f"cannot read {path}: {error.strerror}") from error
        return cls(blob)

    def offset(self, structure: str, path: str) -> int:
        """Bytes from the start of `structure` to the member at `path`.

        Members of unnamed structs and unions are found as if they were the outer one's own.

        Args:
            structure: Name of a struct, without the word `struct`.
            path: Member names joined by dots; all but the last are embedded, not pointed to.

        Raises:
            KeyError: if this kernel has no such struct or member.
            ProbeError: if the BTF contradicts itself.
        """
        try:
            type_id = self._structs[self._name_offset(structure)]
            total = 0
            for name in path.split("."):
                member = self._member(type_id, self._name_offset(name))
                total += member.offset
                type_id = self._stripped(member.type_id)
        except KeyError:
            raise KeyError(f"{structure}.{path}") from None
        except (IndexError, RecursionError) as broken:
            raise ProbeError(f"BTF contradicts itself at {structure}.{path}") from broken
        return total

    def parameters(self, typedef: str) -> int:
        """How many parameters the function has that a pointer typedef stands for.

        The kernel has one such typedef per tracepoint, `btf_trace_<name>`; its first parameter
        is internal to the tracepoint.

        Raises:
            KeyError: if there is no such typedef of a function pointer.
            ProbeError: if the BTF contradicts itself.
        """
        try:
            pointer = self._stripped(self._typedefs[self._name_offset(typedef)])
            prototype = self._words[self._positions[pointer] + 2]
            if self._kind(pointer) != _PTR or self._kind(prototype) != _FUNC_PROTO:
                raise KeyError(typedef)
            return self._count(prototype)
        except (IndexError, RecursionError) as broken:
            raise ProbeError(f"BTF contradicts itself at {typedef}") from broken

    def enumerators(self, name: str) -> dict[int, str]:
        """The names of an enumeration's values, by value; of the 32-bit kind.

        Raises:
            KeyError: if this kernel has no such enum.
            ProbeError: if the BTF contradicts itself.
        """
        try:
            type_id = self._enums[self._name_offset(name)]
            first = self._positions[type_id] + _TYPE_WORDS
            pairs = self._words[first : first + 2 * self._count(type_id)].tolist()
            return {
                value - (1 << 32) if value >> 31 else value: self._text(text)
                for text, value in zip(pairs[::2], pairs[1::2], strict=True)
            }
        except (IndexError, ValueError) as broken:
            raise ProbeError(f"BTF contradicts itself at enum {name}") from broken

    def _index(self) -> None:
        """Record where every type starts, and which id a struct or typedef name has."""
        words, positions, end = self._words, self._positions, len(self._words)
        tail = [(_FIXED_TAIL.get(kind, 0), _TAIL_PER_ENTRY.get(kind, 0)) for kind in range(_KINDS)]
        position, type_id = 0, 1
        while position < end:
            positions.append(position)
            info = words[position + 1]
            kind = info >> 24 & 31
            if kind == _STRUCT:
                self._structs.setdefault(words[position], type_id)
            elif kind == _TYPEDEF:
                self._typedefs.setdefault(words[position], type_id)
            elif kind == _ENUM:
                self._enums.setdefault(words[position], type_id)
            fixed, per_entry = tail[kind]
            position += _TYPE_WORDS + fixed + per_entry * (info & 0xFFFF)
            type_id += 1
        if position != end:
            raise IndexError(position)

    def _name_offset(self, name: str) -> int:
        found = self._strings.find(b"\0" + name.encode() + b"\0")
        if found < 0:
            raise KeyError(name)
        return found + 1

    def _text(self, offset: int) -> str:
        return self._strings[offset : self._strings.index(b"\0", offset)].decode("ascii", "replace")

    def _kind(self, type_id: int) -> int:
        return self._words[self._positions[type_id] + 1] >> 24 & 31 if type_id else 0

    def _count(self, type_id: int) -> int:
        return self._words[self._positions[type_id] + 1] & 0xFFFF

    def _stripped(self, type_id: int) -> int:
        """The type behind typedefs and qualifiers."""
        for _ in range(len(self._positions)):
            if self._kind(type_id) not in _QUALIFIERS:
                return type_id
            type_id = self._words[self._positions[type_id] + 2]
        raise IndexError(type_id)  # a ring of typedefs

    def _member(self, type_id: int, name: int) -> Member:
        """The member of that name offset, also inside unnamed members.

        Raises:
            KeyError: if there is none.
        """
        if self._kind(type_id) not in (_STRUCT, _UNION):
            raise KeyError(name)
        words, start = self._words, self._positions[type_id]
        bitfields = words[start + 1] >> 31
        for entry in range(start + _TYPE_WORDS, start + _TYPE_WORDS + 3 * self._count(type_id), 3):
            bits = words[entry + 2] & 0xFFFFFF if bitfields else words[entry + 2]
            if words[entry] == name:
                return Member(bits // 8, words[entry + 1])
            if words[entry] == 0:
                try:
                    inner = self._member(self._stripped(words[entry + 1]), name)
                except KeyError:
                    continue
                return Member(bits // 8 + inner.offset, inner.type_id)
        raise KeyError(name)
