"""What is told of a Go plugin that no toolchain made."""

from __future__ import annotations

import struct

import pytest

from engine.modules.elf import open_elf
from engine.modules.filekind import Kind
from engine.modules.gofacts import GoFacts
from engine.modules.initialisers import init_tasks
from engine.modules.inspection import Inspection, inspect
from engine.modules.moduledata import module_data
from engine.modules.packages import package_table
from tests.unit.modules.conftest import Write
from tests.unit.modules.elf_writer import (
    DATA,
    FUNCTION,
    PACKAGES,
    TEXT,
    ElfWriter,
    GoPluginWriter,
    doctor_plugin,
)


def go_of(found: Inspection) -> GoFacts:
    """The Go part of an inspection that has one."""
    assert found.go is not None, found.reason
    return found.go


@pytest.mark.parametrize("prefix", ["go:", "go."])
@pytest.mark.parametrize("sections", [True, False])
@pytest.mark.parametrize("types_distance", [104, 112, 88])
def test_a_plugin_of_any_version_is_read_without_symbols_for_its_tables(
    write: Write, prefix: str, sections: bool, types_distance: int
) -> None:
    plugin = doctor_plugin(prefix=prefix, types_distance=types_distance)
    found = inspect(write(plugin.build(sections=sections)))
    assert (found.kind, found.loadable, found.faults) == (Kind.GO_PLUGIN, True, [])
    go = go_of(found)
    assert (go.path, go.packages) == ("example.com/plug", tuple(PACKAGES))
    assert go.fingerprints == PACKAGES
    assert go.linked == ("os/exec",)
    assert [(each.kind, each.name, each.type, each.looked_up) for each in go.exports] == [
        ("var", "Doctor", "main.Doctor", "*main.Doctor"),
        ("var", "Pointer", "*main.Doctor", "**main.Doctor"),
        ("var", "Value", "main.Iface", "*main.Iface"),
        ("func", "New", *["func(string) (interface { HealthCheck() error }, error)"] * 2),
    ]
    doctor = go.exports[0]
    assert [(each.name, each.type) for each in doctor.methods] == [
        ("HealthCheck", "func() error"),
        ("Poke", "func(int) (string, error)"),
    ]
    assert go.exports[1].methods == ()


def test_an_export_without_its_symbol_makes_open_fail(write: Write) -> None:
    plugin = GoPluginWriter()
    plugin.export("Gone", plugin.type(19, "func()"), present=False)
    plugin.finish()
    found = inspect(write(plugin.build()))
    assert not found.loadable
    assert found.obstacles == [
        "could not find symbol Gone: it is listed as an export and is not there"
    ]


def test_a_plugin_without_exports_is_a_plugin(write: Write) -> None:
    plugin = GoPluginWriter()
    plugin.finish()
    found = inspect(write(plugin.build()))
    assert found.loadable
    assert go_of(found).exports == ()


def test_initialisers_are_listed_as_the_linker_lists_them(write: Write) -> None:
    plugin = GoPluginWriter()
    plugin.exports.clear()
    tasks = []
    for name, functions in (("errors", 1), ("example.com/plug", 2)):
        task = plugin.words(functions << 32, *[0] * functions)
        plugin.symbol(f"{name}..inittask", task, 24)
        tasks.append(task)
    listed = plugin.words(0, 0)
    for index, task in enumerate(tasks):
        plugin.point(listed + 8 * index, task)
    place = plugin.finish()
    plugin.point(place + 24, listed)
    plugin.patch(place + 32, struct.pack("<Q", 2))
    go = go_of(inspect(write(plugin.build())))
    assert [tuple(each) for each in go.init] == [("errors", 1), ("example.com/plug", 2)]


def test_initialisers_of_an_old_plugin_are_followed_even_in_a_circle(write: Write) -> None:
    plugin = GoPluginWriter()
    own, first, idle = plugin.words(0, 2, 1, 0, 0), plugin.words(0, 1, 3, 0), plugin.words(0, 0, 0)
    plugin.point(own + 24, first)
    plugin.point(own + 32, idle)
    plugin.point(first + 24, own)
    for name, task in (("example.com/plug", own), ("first", first), ("idle", idle)):
        plugin.symbol(f"{name}..inittask", task, 24)
    plugin.finish()
    with open_elf(write(plugin.build())) as elf:
        table = package_table(elf)
        assert table is not None
        tasks = init_tasks(elf, module_data(elf, table))
    assert [tuple(each) for each in tasks] == [("first", 3), ("example.com/plug", 1)]


def test_c_functions_of_a_plugin_are_named(write: Write) -> None:
    plugin = GoPluginWriter()
    plugin.symbol("example.com/plug._cgo_0123abcd_Cfunc_getpid", DATA)
    plugin.symbol("example.com/plug._Cfunc_system", DATA)
    plugin.symbol("example.com/plug._Cfunc_system.abi0", DATA)
    plugin.finish()
    assert go_of(inspect(write(plugin.build()))).c_functions == ("getpid", "system")


def test_constructors_beyond_gos_own_are_unusual(write: Write) -> None:
    plugin = doctor_plugin()
    plugin.tags["INIT_ARRAYSZ"] = 40
    assert "3 C constructors more than Go's own" in inspect(write(plugin.build())).unusual


def test_a_plugin_for_arm64_is_read_on_any_box(write: Write) -> None:
    plugin = doctor_plugin(machine=183)
    found = inspect(write(plugin.build()))
    assert found.elf is not None
    assert (found.kind, found.elf.machine, found.faults) == (Kind.GO_PLUGIN, "arm64", [])
    assert len(go_of(found).exports) == 4
    assert go_of(found).literals == ()


def test_a_plugin_whose_relocations_are_not_known_has_its_fingerprints(write: Write) -> None:
    plugin = doctor_plugin()
    plugin.machine = 22
    found = inspect(write(plugin.build()))
    assert (found.kind, found.loadable) == (Kind.GO_PLUGIN, False)
    assert go_of(found).fingerprints == PACKAGES
    assert go_of(found).linked == ("os/exec",)
    assert found.faults == ["package table: relocations of s390x are not known here"]


def test_another_processor_is_an_obstacle(write: Write) -> None:
    plugin = doctor_plugin()
    plugin.machine = 43
    found = inspect(write(plugin.build()))
    assert not found.loadable
    assert found.obstacles[0].startswith("it is built for sparcv9, this box is ")


def lea(register: int, place: int, target: int) -> bytes:
    """`lea register, [rip + ...]` at an address."""
    return struct.pack("<BBBi", 0x48, 0x8D, 5 | register << 3, target - place - 7)


def test_texts_are_told_with_the_function_that_uses_them(write: Write) -> None:
    """Lengths in the next register, stored before and stored after; headers in data; no length."""
    plugin = GoPluginWriter()
    bash = plugin.put(b"bashcurl -s http://a.invalidpseudosudogend of it\0\x01")
    start = TEXT
    code = lea(0, start, bash) + b"\xbb" + struct.pack("<I", 4)  # rax, then ebx
    code += b"\x48\xc7\x44\x24\x78" + struct.pack("<I", 24)  # movq $24, 0x78(%rsp)
    code += lea(2, start + len(code), bash + 4) + b"\x48\x89\x54\x24\x70"  # rdx to 0x70(%rsp)
    code += lea(2, start + len(code), bash + 34) + b"\x48\x89\x54\x24\x10"  # to 0x10(%rsp)
    code += b"\x48\xc7\x44\x24\x18" + struct.pack("<I", 5)  # movq $5, 0x18(%rsp)
    code += lea(6, start + len(code), bash + 39)  # rsi, nothing tells its length
    headers = plugin.words(0, 4, 0, 6)
    plugin.point(headers, bash)
    plugin.point(headers + 16, bash + 28)
    plugin.symbol("example.com/plug..stmp_0", headers, 32)
    code += lea(7, start + len(code), headers)
    plugin.put(code, TEXT)
    plugin.symbol("example.com/plug.(*D).Check", start, len(code), FUNCTION)
    plugin.finish()
    go = go_of(inspect(write(plugin.build())))
    assert [(each.text, each.exact, each.notable) for each in go.literals] == [
        ("bash", True, True),
        ("curl -s http://a.invalid", True, True),
        ("sudog", True, False),
        ("end of it", False, False),
        ("pseudo", True, False),
    ]
    assert {each.function for each in go.literals} == {"(*D).Check"}
    assert [each.name for each in go.functions] == ["(*D).Check"]


@pytest.mark.parametrize(
    ("magic", "version"),
    [(b"\xf0", "go1.18 or go1.19"), (b"\xf1", "go1.20 or newer"), (b"\xf9", "")],
)
def test_without_build_information_the_function_table_tells_a_range(
    write: Write, magic: bytes, version: str
) -> None:
    plugin = doctor_plugin()
    plugin.put(magic + b"\xff\xff\xff\0\0\x01\x08")
    assert go_of(inspect(write(plugin.build()))).toolchain.version == version


def test_the_oldest_layout_tells_its_version(write: Write) -> None:
    made_by = go_of(inspect(write(doctor_plugin(module_size=552).build()))).toolchain
    assert (made_by.version, made_by.release) == ("go1.19", "go1.19")


@pytest.mark.parametrize(
    ("text", "trimmed"),
    [(b"/usr/lib/go/src/runtime/proc.go", False), (b"\0runtime/proc.go", True), (b"", None)],
)
def test_trimmed_paths_are_told_without_build_information(
    write: Write, text: bytes, trimmed: bool | None
) -> None:
    plugin = doctor_plugin()
    plugin.put(text)
    assert go_of(inspect(write(plugin.build()))).toolchain.trimmed is trimmed


def test_a_shared_object_is_no_plugin_and_a_python_extension_is_told_apart(write: Write) -> None:
    elf = ElfWriter()
    elf.symbol("answer", elf.put(b"\xc3", TEXT), 1, FUNCTION)
    assert inspect(write(elf.build())).kind == Kind.SHARED_OBJECT
    elf.symbol("PyInit_thing", TEXT, 1, FUNCTION)
    assert inspect(write(elf.build())).kind == Kind.PYTHON_EXTENSION
    assert inspect(write(elf.build(kind=2))).kind == Kind.EXECUTABLE
    assert inspect(write(elf.build(kind=1))).kind == Kind.OBJECT
