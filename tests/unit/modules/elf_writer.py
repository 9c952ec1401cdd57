"""ELF shared objects made for tests, and Go plugins among them, without any toolchain."""

from __future__ import annotations

import struct
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

_RELATIVE, _ABSOLUTE = {183: 1027}, {183: 257}
"""Numbers of relocations by machine; x86-64's where there are none."""
OBJECT, FUNCTION = 1, 2
TEXT, RODATA, DATA = 0x1000, 0x100000, 0x200000
"""Where the three parts stand in memory: executable, read-only, writable."""
_FLAGS = {TEXT: 5, RODATA: 4, DATA: 6}
_TAGS = {"HASH": 4, "STRTAB": 5, "SYMTAB": 6, "RELA": 7, "RELASZ": 8, "STRSZ": 10, "SYMENT": 11,
         "INIT_ARRAYSZ": 27, "RELRSZ": 35, "RELR": 36, "GNU_HASH": 0x6FFFFEF5}  # fmt: skip


class ElfWriter:
    """Puts things into the three parts, and says where they are."""

    def __init__(self, order: str = "<", machine: int = 62) -> None:
        self.parts = {TEXT: bytearray(), RODATA: bytearray(16), DATA: bytearray(16)}
        self.symbols: list[tuple[str, int, int, int, int]] = []
        self.relocations: list[tuple[int, int, int, int]] = []
        self.tags: dict[str, int] = {}
        self.needed: list[str] = []
        self.order = order
        self.machine = machine

    def put(self, content: bytes, part: int = RODATA) -> int:
        """Address of the content."""
        memory = self.parts[part]
        memory += bytes(-len(memory) % 8)
        memory += content
        return part + len(memory) - len(content)

    def words(self, *values: int, part: int = DATA) -> int:
        """Address of so many 64-bit numbers."""
        return self.put(struct.pack(f"{self.order}{len(values)}Q", *values), part)

    def patch(self, address: int, content: bytes) -> None:
        """Write over what stands there."""
        part = max(each for each in self.parts if each <= address)
        self.parts[part][address - part : address - part + len(content)] = content

    def symbol(self, name: str, value: int, size: int = 8, kind: int = OBJECT) -> int:
        """Define a symbol; its number."""
        self.symbols.append((name, value, size, kind, 1 if value else 0))
        return len(self.symbols)

    def point(self, place: int, to: int) -> None:
        """Let the loader write an address of this file."""
        self.relocations.append((place, _RELATIVE.get(self.machine, 8), 0, to))

    def point_to_symbol(self, place: int, number: int) -> None:
        """Let the loader write a symbol's address."""
        self.relocations.append((place, _ABSOLUTE.get(self.machine, 1), number, 0))

    def build(self, *, sections: bool = True, gnu_hash: bool = False, kind: int = 3) -> bytes:
        """The file."""
        order = self.order
        strings, table = b"\0", bytes(24)
        for name, value, size, symbol_kind, section in self.symbols:
            table += struct.pack(
                f"{order}IBBHQQ", len(strings), 0x10 | symbol_kind, 0, section, value, size
            )
            strings += name.encode("utf-8", "surrogateescape") + b"\0"
        needed = []
        for library in self.needed:
            needed.append(len(strings))
            strings += library.encode() + b"\0"
        rows = [struct.pack(f"{order}QQq", place, (number << 32) | type_, addend)
                for place, type_, number, addend in self.relocations]  # fmt: skip
        tags = {
            "STRTAB": self.put(strings),
            "STRSZ": len(strings),
            "SYMTAB": self.put(table),
            "SYMENT": 24,
            "RELA": self.put(b"".join(rows)),
            "RELASZ": 24 * len(rows),
            "INIT_ARRAYSZ": 16,
        }
        count = len(self.symbols) + 1
        if gnu_hash:
            tags["GNU_HASH"] = self.put(self._gnu_hash(count))
        else:
            tags["HASH"] = self.put(struct.pack(f"{order}II", 1, count) + bytes(4 + 4 * count))
        tags |= self.tags
        entries = [(1, offset) for offset in needed]
        entries += [(_TAGS[name], value) for name, value in tags.items()]
        dynamic = self.put(
            b"".join(struct.pack(f"{order}QQ", *each) for each in (*entries, (0, 0))), DATA
        )
        return self._file(dynamic, 16 * (len(entries) + 1), kind, tags["SYMTAB"], count, sections)

    def _gnu_hash(self, count: int) -> bytes:
        """One bucket with all symbols in one chain."""
        chain = [0] * (count - 2) + [1]
        return struct.pack(f"{self.order}IIIIQI{len(chain)}I", 1, 1, 1, 0, 0, 1, *chain)

    def _file(
        self, dynamic: int, size: int, kind: int, symbols: int, count: int, sections: bool
    ) -> bytes:
        order, body, headers, offset, places = self.order, b"", b"", 0x1000, {}
        for address, content in self.parts.items():
            places[address] = offset
            headers += struct.pack(f"{order}IIQQQQQQ", 1, _FLAGS[address], offset, address, address,
                len(content), len(content) + (64 if address == DATA else 0), 0x1000)  # fmt: skip
            body += bytes(content) + bytes(-len(content) % 0x1000)
            offset = 0x1000 + len(body)
        at = places[DATA] + dynamic - DATA
        headers += struct.pack(f"{order}IIQQQQQQ", 2, 6, at, dynamic, dynamic, size, size, 8)
        table, number = b"", 0
        if sections:
            names = b"\0.dynsym\0.shstrtab\0"
            table += bytes(64)
            table += struct.pack(f"{order}IIQQQQIIQQ", 1, 11, 2, symbols,
                places[RODATA] + symbols - RODATA, 24 * count, 0, 1, 8, 24)  # fmt: skip
            table += struct.pack(f"{order}IIQQQQIIQQ", 9, 3, 0, 0, offset, len(names), 0, 0, 1, 0)
            body, number = body + names, 3
            offset += len(names)
        header = b"\x7fELF\x02" + (b"\x01" if order == "<" else b"\x02") + b"\x01" + bytes(9)
        header += struct.pack(f"{order}HHIQQQIHHHHHH", kind, self.machine, 1, 0, 64,
            offset if sections else 0, 0, 64, 56, 4, 64, number, 2 if sections else 0)  # fmt: skip
        return (header + headers).ljust(0x1000, b"\0") + body + table


PACKAGES = {"internal/goarch": b"goarch!!", "os/exec": b"osexec!!", "runtime/cgo": b"cgocgo!!"}


@dataclass
class Method:
    """An exported method and its type's text."""

    name: str
    type: str


@dataclass
class GoPluginWriter(ElfWriter):
    """A Go plugin as the linker would lay it out, as much of it as the reader looks at.

    Args:
        prefix: `go:` since Go 1.20, `go.` before.
        packages: Fingerprints by import path, in order.
        types_distance: Words between `types` and the export table, which depends on the version.
    """

    packages: Mapping[str, bytes] = field(default_factory=lambda: dict(PACKAGES))
    prefix: str = "go:"
    path: str = "example.com/plug"
    types_distance: int = 104
    module_size: int = 584
    machine: int = 62
    exports: list[tuple[str, int]] = field(default_factory=list)

    def __post_init__(self) -> None:
        ElfWriter.__init__(self, machine=self.machine)
        self.types = self.put(bytes(16))

    def name(self, text: str, *, exported: bool = True) -> int:
        """Offset of a name."""
        raw = text.encode()
        return self.put(bytes([1 if exported else 0, len(raw)]) + raw) - self.types

    def type(
        self, kind: int, text: str, *, to: int | None = None, methods: Sequence[Method] = ()
    ) -> int:
        """Offset of a type; `to` is the offset of what a pointer points to."""
        flags = 1 if methods else 0
        record = bytearray(48)
        record[20], record[23] = flags, kind
        struct.pack_into("<i", record, 40, self.name(text))
        extra = {22: 8, 19: 8, 20: 32, 25: 32}.get(kind, 0)
        rows = [(self.name(each.name), self.type(19, each.type)) for each in methods]
        uncommon = struct.pack("<iHHII", 0, len(rows), len(rows), 16, 0) if methods else b""
        table = b"".join(struct.pack("<iiii", name, type_, 0, 0) for name, type_ in rows)
        at = self.put(bytes(record) + bytes(extra) + uncommon + table)
        if to is not None:
            self.point(at + 48, self.types + to)
        return at - self.types

    def variable(
        self, name: str, type_: str, *, kind: int = 25, methods: Sequence[Method] = ()
    ) -> None:
        """Export a variable of that type; the methods are those of a pointer to it."""
        held = self.type(kind, type_)
        self.export(name, self.type(22, f"*{type_}", to=held, methods=methods))

    def export(self, name: str, type_: int, *, present: bool = True) -> None:
        """Export something that has that type when it is looked up."""
        self.exports.append((name, type_))
        if present:
            self.symbol(f"{self.path}.{name}", self.words(0))

    def finish(self) -> int:
        """Write the package table and the module description; address of the latter's slice."""
        table = self.put(bytes(40 * len(self.packages)), DATA)
        for index, (package, fingerprint) in enumerate(self.packages.items()):
            raw = package.encode()
            text, hash_ = self.put(raw), self.put(fingerprint)
            self.symbol(f"{self.prefix}link.pkghashbytes.{package}", hash_)
            header = self.words(0, 8)
            self.point(header, hash_)
            number = self.symbol(f"{self.prefix}link.pkghash.{package}", header, 16)
            record = table + 40 * index
            self.patch(record, struct.pack("<QQQQQ", 0, len(raw), 0, 8, 0))
            self.point(record, text)
            self.point(record + 16, hash_)
            self.point_to_symbol(record + 32, number)
        count = len(self.packages)
        rows = [struct.pack("<ii", self.name(name), type_) for name, type_ in self.exports]
        raw = self.path.encode()
        place = self.words(*[0] * 40) + 200
        for distance, to in ((-40, self.put(b"".join(rows))), (-16, self.put(raw)), (0, table)):
            self.point(place + distance, to)
        self.point(place - 40 - self.types_distance, self.types)
        self.patch(place - 32, struct.pack("<QQ", len(rows), len(rows)))
        self.patch(place - 8, struct.pack("<Q", len(raw)))
        self.patch(place + 8, struct.pack("<QQ", count, count))
        self.symbol("runtime.firstmoduledata", place, self.module_size)
        return place


def doctor_plugin(**options: Any) -> GoPluginWriter:
    """A plugin with the exports of the doctor, its two mistakes included."""
    plugin = GoPluginWriter(**options)
    check = Method("HealthCheck", "func() error")
    plugin.variable(
        "Doctor", "main.Doctor", methods=(check, Method("Poke", "func(int) (string, error)"))
    )
    held = plugin.type(25, "main.Doctor")
    pointer = plugin.type(22, "*main.Doctor", to=held, methods=(check,))
    plugin.export("Pointer", plugin.type(22, "**main.Doctor", to=pointer))
    plugin.variable("Value", "main.Iface", kind=20)
    plugin.export("New", plugin.type(19, "func(string) (interface { HealthCheck() error }, error)"))
    plugin.finish()
    return plugin
