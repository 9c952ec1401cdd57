"""Build information, as the linker writes it."""

from __future__ import annotations

import pytest

from engine.core.errors import MalformedModule
from engine.modules.buildinfo import BuildInfo, Module, module_of, modules_of, read_build_info
from engine.modules.elf import open_elf
from tests.unit.modules.conftest import Write
from tests.unit.modules.elf_writer import DATA, ElfWriter

INFO = (
    "path\texample.com/plug\n"
    "mod\texample.com/plug\tv1.2.3\th1:xyz=\n"
    "dep\texample.com/dep\tv1.0.0\n"
    "=>\t../dep\t(devel)\t\n"
    "dep\texample.com/dep/sub\tv0.1.0\th1:abc=\n"
    "build\t-buildmode=plugin\n"
    'build\t-ldflags="-X main.v=1 -s"\n'
    "build\tGOAMD64=v1\n"
)
MARKER = bytes(range(16))


def varint(number: int) -> bytes:
    """Base-128."""
    return bytes([number]) if number < 128 else bytes([number & 127 | 128]) + varint(number >> 7)


def blob(version: str, info: str) -> bytes:
    """The header and its two strings, as since Go 1.18."""
    module = MARKER + info.encode() + MARKER
    header = b"\xff Go buildinf:\x08\x02".ljust(32, b"\0")
    return header + varint(len(version)) + version.encode() + varint(len(module)) + module


def read(write: Write, content: bytes, *, named: bool = True) -> BuildInfo | None:
    """What is read of it, by symbol or by its alignment."""
    elf = ElfWriter()
    elf.parts[DATA] += bytes(-len(elf.parts[DATA]) % 16)
    at = elf.put(content, DATA)
    if named:
        elf.symbol("go:buildinfo", at)
    with open_elf(write(elf.build())) as file:
        return read_build_info(file)


@pytest.mark.parametrize("named", [True, False])
def test_version_modules_and_settings_are_read(write: Write, named: bool) -> None:
    found = read(write, blob("go1.26.6", INFO), named=named)
    assert found is not None
    assert (found.version, found.path) == ("go1.26.6", "example.com/plug")
    assert found.main == Module("example.com/plug", "v1.2.3")
    assert found.dependencies == (
        Module("example.com/dep", "v1.0.0", Module("../dep", "(devel)")),
        Module("example.com/dep/sub", "v0.1.0"),
    )
    assert found.settings == {
        "-buildmode": "plugin",
        "-ldflags": "-X main.v=1 -s",
        "GOAMD64": "v1",
    }


def test_a_package_belongs_to_the_longest_module_that_begins_its_path(write: Write) -> None:
    found = read(write, blob("go1.26.6", INFO))
    assert found is not None
    modules = tuple(modules_of(found))
    for package, owner in (
        ("example.com/dep", "example.com/dep"),
        ("example.com/dep/sub/inner", "example.com/dep/sub"),
        ("example.com/depot", None),
    ):
        module = module_of(package, modules)
        assert (module.path if module else None) == owner


def test_older_strings_behind_pointers_are_read(write: Write) -> None:
    elf = ElfWriter()
    text = elf.put(b"go1.17.1")
    header = elf.words(0, 8)
    elf.point(header, text)
    at = elf.put(b"\xff Go buildinf:\x08\x00" + bytes(16), DATA)
    elf.symbol("go.buildinfo", at)
    elf.point(at + 16, header)
    with open_elf(write(elf.build())) as file:
        found = read_build_info(file)
    assert found == BuildInfo("go1.17.1")


def test_none_is_none(write: Write) -> None:
    assert read(write, b"\xff Go nothing here", named=False) is None


def test_an_absurd_length_is_refused(write: Write) -> None:
    content = b"\xff Go buildinf:\x08\x02".ljust(32, b"\0") + varint(1 << 40)
    with pytest.raises(MalformedModule, match="build information has"):
        read(write, content)
