"""Shared libraries are found where the loader finds them."""

from __future__ import annotations

import platform
import struct
import sys
from pathlib import Path

import pytest

from engine.modules.elf import open_elf
from engine.modules.libraries import Libraries, configured, search_path


@pytest.fixture
def libraries() -> Libraries:
    with open_elf(Path(sys.executable).resolve()) as elf:
        return Libraries(elf.machine, elf.bits)


def test_the_c_library_is_found_with_what_it_defines_and_needs(libraries: Libraries) -> None:
    closure = libraries.closure(("libc.so.6",), ())
    assert closure.missing == ""
    found = closure.found["libc.so.6"]
    assert {"malloc", "dlopen"} <= found.defines
    assert any(each.startswith("GLIBC_2.") for each in found.defines)
    assert set(found.needs) <= set(closure.found)


def test_the_first_library_that_is_missing_is_named(libraries: Libraries) -> None:
    assert libraries.closure(("libc.so.6", "libgone.so.1", "libalso.so"), ()).missing == (
        "libgone.so.1"
    )


def test_a_directory_of_the_file_comes_first(libraries: Libraries, tmp_path: Path) -> None:
    real = libraries.closure(("libc.so.6",), ()).found["libc.so.6"].path
    (tmp_path / "libc.so.6").write_bytes(real.read_bytes())
    closure = libraries.closure(("libc.so.6",), (tmp_path,))
    assert closure.found["libc.so.6"].path == tmp_path / "libc.so.6"


def test_a_library_for_another_processor_is_passed_over(
    libraries: Libraries, tmp_path: Path
) -> None:
    real = libraries.closure(("libc.so.6",), ()).found["libc.so.6"].path
    other = bytearray(real.read_bytes())
    struct.pack_into("<H", other, 18, 183 if platform.machine() != "aarch64" else 62)
    (tmp_path / "libc.so.6").write_bytes(other)
    assert libraries.closure(("libc.so.6",), (tmp_path,)).found["libc.so.6"].path == real


def test_what_is_no_library_is_passed_over(libraries: Libraries, tmp_path: Path) -> None:
    (tmp_path / "libc.so.6").write_text("INPUT(libc.so)")
    assert libraries.closure(("libc.so.6",), (tmp_path,)).found["libc.so.6"].path.parent != tmp_path


def test_configuration_files_include_others_and_may_include_themselves(tmp_path: Path) -> None:
    (tmp_path / "ld.so.conf").write_text(
        "# where\ninclude conf.d/*.conf\n/last  # behind\ninclude ld.so.conf\n"
    )
    (tmp_path / "conf.d").mkdir()
    (tmp_path / "conf.d" / "b.conf").write_text("/b\n")
    (tmp_path / "conf.d" / "a.conf").write_text("/a\n\nhwcap 1 nosegneg\n")
    listed = configured(tmp_path / "ld.so.conf")
    assert list(dict.fromkeys(listed)) == ["/a", "/b", "/last"]
    assert configured(tmp_path / "nowhere") == []


def test_a_program_may_name_directories_beside_itself() -> None:
    program = Path(sys.executable).resolve()
    with open_elf(program) as elf:
        assert all("$ORIGIN" not in str(each) for each in search_path(elf, program))
