"""The reader of ELF files, beside what it reads."""

from __future__ import annotations

import struct
import subprocess
import sys
from pathlib import Path

import pytest

from engine.core.errors import MalformedModule
from engine.modules import elf_tables
from engine.modules.elf import ElfFile, open_elf
from tests.unit.modules.conftest import Write
from tests.unit.modules.elf_writer import DATA, FUNCTION, TEXT, ElfWriter

LIBC = next(
    Path(line.split()[-1])
    for line in Path("/proc/self/maps").read_text().splitlines()
    if "/libc.so" in line or "/libc-" in line
)


def written() -> tuple[ElfWriter, int]:
    """A file with a function, an object, an import, and an address to relocate."""
    elf = ElfWriter()
    elf.symbol("code", elf.put(b"\xc3", TEXT), 1, FUNCTION)
    elf.symbol("object", elf.put(b"contents", DATA))
    elf.symbol("elsewhere", 0)
    place = elf.words(0)
    elf.point(place, DATA + 16)
    return elf, place


@pytest.mark.parametrize("sections", [True, False])
@pytest.mark.parametrize("gnu_hash", [True, False])
def test_symbols_are_found_with_and_without_section_headers(
    write: Write, sections: bool, gnu_hash: bool
) -> None:
    elf, _ = written()
    with open_elf(write(elf.build(sections=sections, gnu_hash=gnu_hash))) as read:
        assert [each.name for each in read.symbols.entries] == ["", "code", "object", "elsewhere"]
        assert bool(read.sections) is sections
        code, elsewhere = read.symbols.named("code"), read.symbols.named("elsewhere")
        assert code is not None
        assert (code.value, code.size, code.kind) == (TEXT, 1, FUNCTION)
        assert elsewhere is None


def test_symbols_and_relocations_of_a_big_endian_file_are_read(write: Write) -> None:
    elf = ElfWriter(order=">", machine=43)
    elf.symbol("object", elf.put(b"contents", DATA))
    with open_elf(write(elf.build())) as read:
        assert (read.order, read.bits, read.machine) == (">", 64, "sparcv9")
        symbol = read.symbols.named("object")
        assert symbol is not None
        assert read.read(symbol.value, 8) == b"contents"


def test_addresses_are_read_as_the_loader_would_write_them(write: Write) -> None:
    elf, place = written()
    number = elf.symbol("target", DATA + 32)
    other = elf.words(0)
    elf.point_to_symbol(other, number)
    missing = elf.words(0)
    elf.point_to_symbol(missing, 3)
    plain = elf.words(77)
    with open_elf(write(elf.build())) as read:
        assert read.pointer(place) == DATA + 16
        assert read.pointer(other) == DATA + 32
        assert read.pointer(missing) == 0
        assert read.pointer(plain) == 77
        assert read.word(place) == 0


def test_packed_relocations_have_their_addends_in_place(write: Write) -> None:
    """As linked with -z pack-relative-relocs: an address, and which words behind it follow."""
    elf = ElfWriter()
    first = elf.words(1000, 1001, 1002, *range(2000, 2064))
    elf.tags["RELR"] = elf.words(first, 0b101, 0b11)
    elf.tags["RELRSZ"] = 24
    with open_elf(write(elf.build())) as read:
        relocated = {place: each.addend for place, each in read.relocations.items()}
        assert relocated == {first: 1000, first + 16: 1002, first + 8 * 64: 2061}
        assert all(each.relative for each in read.relocations.values())
        assert read.pointer(first + 16) == 1002


def test_packed_relocations_may_be_far_apart(write: Write, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("engine.modules.elf.LARGEST_READ", 8_192)
    monkeypatch.setattr(elf_tables, "_WINDOW", 64)
    elf = ElfWriter()
    places = [elf.words(1000 + number, *[0] * 20) for number in range(100)]
    elf.tags["RELR"] = elf.words(*places)
    elf.tags["RELRSZ"] = 8 * len(places)
    with open_elf(write(elf.build())) as read:
        assert max(each.file_size for each in read.loads) > 8_192
        assert [read.pointer(place) for place in places] == list(range(1000, 1100))


def test_packed_relocations_without_end_are_refused(write: Write) -> None:
    elf = ElfWriter()
    elf.tags["RELR"] = elf.put(b"\xff" * 8 * 80_000)
    elf.tags["RELRSZ"] = 8 * 80_000
    with open_elf(write(elf.build())) as read, pytest.raises(MalformedModule, match="more than"):
        assert read.relocations


def test_memory_behind_what_is_stored_is_zero_and_then_nothing(write: Write) -> None:
    elf, _ = written()
    with open_elf(write(elf.build())) as read:
        data = next(each for each in read.loads if each.address == DATA)
        end = DATA + data.memory_size
        assert data.memory_size == data.file_size + 64
        assert read.read(end - 8, 8) == bytes(8)
        with pytest.raises(MalformedModule, match="outside of it"):
            read.read(end - 7, 8)


def test_libraries_are_listed_in_order(write: Write) -> None:
    elf, _ = written()
    elf.needed += ["libfirst.so", "libsecond.so.1"]
    with open_elf(write(elf.build())) as read:
        assert read.tag_texts("DT_NEEDED") == ("libfirst.so", "libsecond.so.1")
        assert read.tag_texts("DT_RPATH") == ()


@pytest.mark.parametrize(
    ("content", "told"),
    [
        (b"", "not an ELF file"),
        (b"MZ" + bytes(80), "not an ELF file"),
        (b"\x7fELF", "cut short"),
        (b"\x7fELF\x03\x01" + bytes(60), "invalid"),
        (b"\x7fELF\x02\x01" + bytes(20), "refers to 64 bytes"),
    ],
)
def test_what_is_no_elf_file_is_named(write: Write, content: bytes, told: str) -> None:
    with pytest.raises(MalformedModule, match=told), open_elf(write(content)):
        pass


def test_more_segments_than_anybody_needs_are_refused(write: Write) -> None:
    elf, _ = written()
    content = bytearray(elf.build())
    struct.pack_into("<H", content, 56, 60_000)
    with pytest.raises(MalformedModule, match="60000 segments"), open_elf(write(bytes(content))):
        pass


def test_a_32_bit_file_has_its_symbols(write: Write) -> None:
    """Written by hand: header, PT_LOAD, PT_DYNAMIC, one symbol."""
    at, strings = 0x200, b"\0object\0"
    symbols = bytes(16) + struct.pack("<IIIBBH", 1, 0x40, 4, 0x11, 0, 1)
    hash_ = struct.pack("<II", 1, 2) + bytes(12)
    places = [at, at + len(strings), at + len(strings) + len(symbols)]
    tags = [(5, places[0]), (10, len(strings)), (6, places[1]), (4, places[2]), (0, 0)]
    body = strings + symbols + hash_
    dynamic = at + len(body)
    body += b"".join(struct.pack("<II", *tag) for tag in tags)
    header = b"\x7fELF\x01\x01\x01" + bytes(9)
    header += struct.pack("<HHIIIIIHHHHHH", 3, 3, 1, 0, 52, 0, 0, 52, 32, 2, 40, 0, 0)
    header += struct.pack("<8I", 1, 0, 0, 0, at + len(body), at + len(body), 6, 4)
    header += struct.pack("<8I", 2, dynamic, dynamic, dynamic, 40, 40, 6, 4)
    with open_elf(write(header.ljust(at, b"\0") + body)) as read:
        assert (read.bits, read.machine) == (32, "x86")
        assert "object" in read.symbols.defined
        assert read.relocations == {}


def test_the_c_library_of_this_box_is_read(monkeypatch: pytest.MonkeyPatch) -> None:
    with open_elf(LIBC) as read:
        by_sections = len(read.symbols)
        assert read.symbols.named("malloc") is not None
        assert any(note.owner == "GNU" and note.type == 3 for note in read.notes)
        assert not read.truncated
    with open_elf(LIBC) as again:
        monkeypatch.setattr(again, "sections", ())
        assert len(again.symbols) == by_sections


def test_the_interpreter_says_which_c_library_it_needs() -> None:
    with open_elf(Path(sys.executable).resolve()) as read:
        assert read.interpreter.startswith("/lib")
        needs = {name for names in read.version_needs.values() for name in names}
    shown = subprocess.run(
        [sys.executable, "-c", "import os; print(os.confstr('CS_GNU_LIBC_VERSION'))"],
        capture_output=True,
        text=True,
        check=True,
    )
    if "glibc" in shown.stdout:
        assert any(name.startswith("GLIBC_2.") for name in needs)


def test_a_file_that_shrinks_under_the_reader_is_an_error(write: Write) -> None:
    elf, _ = written()
    path = write(elf.build())
    with path.open("r+b") as file:
        read = ElfFile(file.fileno())
        file.truncate(100)
        with pytest.raises(MalformedModule, match="shorter while it was read"):
            assert read.symbols
