"""Whatever bytes a file has: a verdict comes out, and soon."""

from __future__ import annotations

import hashlib
import os
import struct
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from engine.core.errors import ModuleLoadError
from engine.modules.filekind import Kind
from engine.modules.inspection import Inspection, inspect
from engine.modules.inspection_json import inspection_as_json
from tests.unit.modules.conftest import Write
from tests.unit.modules.elf_writer import DATA, ElfWriter, doctor_plugin

PLUGIN = doctor_plugin().build()
_NUMBERS = (0, 1, 7, 0x7F, 0xFFFF, 1 << 31, (1 << 32) - 1, 1 << 40, (1 << 63) - 1, (1 << 64) - 1)


def looked_at(content: bytes, name: str = "hostile.so") -> Inspection:
    """The inspection of a file that is nowhere but in memory."""
    descriptor = os.memfd_create(name)
    try:
        os.write(descriptor, content)
        found = inspect(Path(f"/proc/self/fd/{descriptor}"))
    finally:
        os.close(descriptor)
    inspection_as_json(found)
    return found


@pytest.mark.fuzz("Go plugin files")
@settings(max_examples=200, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(
    st.lists(st.tuples(st.integers(0, len(PLUGIN) // 8 - 1), st.sampled_from(_NUMBERS)), max_size=4)
)
def test_a_plugin_with_absurd_numbers_in_it_gives_a_verdict(
    changes: list[tuple[int, int]],
) -> None:
    content = bytearray(PLUGIN)
    for place, number in changes:
        struct.pack_into("<Q", content, 8 * place, number)
    assert looked_at(bytes(content)).kind in Kind


@pytest.mark.fuzz("Go plugin files")
@settings(max_examples=200, deadline=None)
@given(st.data())
def test_a_plugin_with_absurd_tables_gives_a_verdict(data: st.DataObject) -> None:
    """As above, where it hurts: headers, dynamic tags, symbols, relocations and types."""
    content = bytearray(PLUGIN)
    used = [
        place for place in range(0, len(PLUGIN) - 4, 4) if PLUGIN[place : place + 4] != bytes(4)
    ]
    for _ in range(data.draw(st.integers(1, 3))):
        place = data.draw(st.sampled_from(used))
        width, code = data.draw(st.sampled_from([(4, "I"), (2, "H"), (1, "B")]))
        number = data.draw(st.sampled_from(_NUMBERS)) & ((1 << 8 * width) - 1)
        struct.pack_into(f"<{code}", content, place, number)
    assert looked_at(bytes(content)).kind in Kind


@pytest.mark.fuzz("Go plugin files")
@settings(max_examples=100, deadline=None)
@given(st.binary(max_size=512))
def test_noise_behind_the_magic_gives_a_verdict(noise: bytes) -> None:
    assert looked_at(b"\x7fELF\x02\x01\x01" + noise).kind in Kind


@pytest.mark.fuzz("Python module files")
@settings(max_examples=200, deadline=None)
@given(
    st.binary(max_size=300)
    | st.text(max_size=300).map(lambda text: text.encode("utf-8", "replace"))
)
def test_noise_in_a_python_module_gives_a_verdict(
    tmp_path_factory: pytest.TempPathFactory, noise: bytes
) -> None:
    path = tmp_path_factory.getbasetemp() / "noise.py"
    path.write_bytes(noise)
    assert inspect(path).kind in (Kind.PYTHON_MODULE, Kind.UNKNOWN, Kind.ARCHIVE)


@pytest.mark.parametrize("cut", [1, 4, 15, 16, 63, 64, 200, 0x1000, 0x1010])
def test_a_file_that_was_cut_off_is_never_loadable(cut: int) -> None:
    found = looked_at(PLUGIN[:cut])
    assert not found.loadable
    assert found.kind in (Kind.UNKNOWN, Kind.TRUNCATED, Kind.OTHER)


def test_a_file_cut_off_in_what_is_mapped_would_end_the_host_with_sigbus() -> None:
    found = looked_at(PLUGIN[:0x2000])
    assert found.kind == Kind.TRUNCATED
    assert "SIGBUS" in found.reason


@pytest.mark.parametrize(
    ("tag", "value", "told"),
    [
        ("RELASZ", 1 << 40, "relocations"),
        ("STRSZ", 1 << 40, "outside of it"),
        ("SYMTAB", 1 << 50, "outside of it"),
        ("RELA", (1 << 64) - 8, "outside of it"),
    ],
)
def test_tables_that_are_larger_than_the_file_are_named(tag: str, value: int, told: str) -> None:
    plugin = doctor_plugin()
    plugin.tags[tag] = value
    found = looked_at(plugin.build(sections=False))
    assert told in " ".join([found.reason, *found.faults])
    assert not found.loadable or found.faults


def test_a_symbol_count_that_is_absurd_is_named() -> None:
    plugin = doctor_plugin()
    plugin.tags["HASH"] = plugin.put(struct.pack("<II", 1, (1 << 32) - 1))
    found = looked_at(plugin.build(sections=False))
    assert found.kind == Kind.UNKNOWN
    assert "symbols; at most" in found.reason


def test_a_name_without_an_end_is_named() -> None:
    elf = ElfWriter()
    elf.symbol("x" * 20, DATA)
    elf.tags["STRSZ"] = 5
    assert "has no end" in looked_at(elf.build()).reason


def test_a_hash_table_that_names_more_buckets_than_memory_is_named() -> None:
    elf = ElfWriter()
    elf.tags["GNU_HASH"] = elf.put(struct.pack("<IIII", (1 << 32) - 1, 1, 1, 0))
    elf.symbol("one", DATA)
    content = elf.build(sections=False, gnu_hash=True)
    assert "buckets" in looked_at(content).reason


def test_section_headers_that_lie_are_left_out_as_the_loader_leaves_them_out() -> None:
    content = bytearray(PLUGIN)
    struct.pack_into("<Q", content, 40, len(content) + 5)
    found = looked_at(bytes(content))
    assert found.kind == Kind.GO_PLUGIN
    assert found.loadable
    assert any("section headers are not usable" in each for each in found.unusual)


def test_one_bad_part_leaves_the_others() -> None:
    plugin = doctor_plugin()
    types = [place for place, _, _, to in plugin.relocations if to == plugin.types]
    plugin.relocations = [each for each in plugin.relocations if each[0] not in types]
    found = looked_at(plugin.build())
    assert found.kind == Kind.GO_PLUGIN
    assert found.go is not None
    assert len(found.go.packages) == 3
    assert found.go.exports == ()
    assert found.faults == ["module description: the types of its exports are not found"]


def test_names_from_outside_cannot_write_to_the_terminal() -> None:
    plugin = doctor_plugin()
    plugin.needed.append("lib\x1b[31m.so")
    found = looked_at(plugin.build())
    assert found.elf is not None
    assert found.elf.needed == ("lib␛[31m.so",)


def test_a_pipe_is_refused_without_waiting_for_it(tmp_path: Path) -> None:
    pipe = tmp_path / "pipe.so"
    os.mkfifo(pipe)
    with pytest.raises(ModuleLoadError, match="not a regular file"):
        inspect(pipe)


def test_what_is_not_there_is_an_error_that_names_it(tmp_path: Path) -> None:
    with pytest.raises(ModuleLoadError, match="No such file"):
        inspect(tmp_path / "absent.so")


def test_a_file_that_everybody_may_write_to_is_unusual(write: Write) -> None:
    path = write(PLUGIN)
    path.chmod(0o666)
    assert "everybody may write to it" in inspect(path).unusual


def test_a_time_that_no_calendar_has_is_left_out() -> None:
    path = Path("/dev/shm", f"boxscope-test-{os.getpid()}.so")
    path.write_bytes(PLUGIN)
    try:
        os.utime(path, ns=(0, 1 << 80))
        assert inspect(path).modified == ""
    finally:
        path.unlink()


def test_segments_both_writable_and_executable_are_unusual() -> None:
    content = bytearray(PLUGIN)
    struct.pack_into("<I", content, 64 + 4, 7)
    found = looked_at(bytes(content))
    assert "a part of it is mapped both writable and executable" in found.unusual


@pytest.mark.parametrize("name", ["module.py", "module.so", "module"])
def test_a_file_that_cannot_be_read_though_it_opens_is_told(tmp_path: Path, name: str) -> None:
    """As on a failing disk: at the start of a process's memory there is nothing to read."""
    file = tmp_path / name
    file.symlink_to("/proc/self/mem")
    with pytest.raises(ModuleLoadError, match=r"cannot read .*: Input/output error"):
        inspect(file)


def test_a_file_of_the_kernel_that_has_no_size_ends_at_once(tmp_path: Path) -> None:
    """Whatever it would go on to say, it is looked at as far as its size says."""
    file = tmp_path / "module.so"
    file.symlink_to("/proc/kmsg")
    assert inspect(file).sha256 == hashlib.sha256().hexdigest()
