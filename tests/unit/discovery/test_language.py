"""Languages told from executables."""

from __future__ import annotations

import os
import shutil
import struct
import subprocess
import sys
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from engine.discovery.language import Languages, detect


def elf(sections: dict[str, bytes], order: str = "<") -> bytes:
    """A 64-bit ELF file that is nothing but sections."""
    contents = {"": b"", **sections}
    contents[".shstrtab"] = b"\0".join(name.encode() for name in [*contents, ".shstrtab"]) + b"\0"
    body, entries = b"", b""
    for name, content in contents.items():
        at = contents[".shstrtab"].index(name.encode() + b"\0")
        entries += struct.pack(f"{order}II16xQQ24x", at, 1, 64 + len(body), len(content))
        body += content
    header = b"\x7fELF\x02" + (b"\x01" if order == "<" else b"\x02") + b"\x01" + bytes(9)
    header += struct.pack(f"{order}HHIQQQIHHHHHH", 2, 62, 1, 0, 0, 64 + len(body), 0, 64, 0, 0, 64,
        len(contents), len(contents) - 1)  # fmt: skip
    return header + body + entries


GO = elf({".text": b"x", ".go.buildinfo": b"\xff Go buildinf:"})
OLD_GO = elf({".gopclntab": b"x"})
RUST = elf({".comment": b"GCC: (Debian 12.2.0)\0rustc version 1.79.0\0"})
CPP = elf({".dynstr": b"\0libc.so.6\0libstdc++.so.6\0"})
C = elf({".comment": b"GCC: (Debian 12.2.0)\0", ".dynstr": b"\0libc.so.6\0"})


@pytest.mark.parametrize(
    ("content", "name", "language"),
    [
        (GO, "server", "go"),
        (OLD_GO, "server", "go"),
        (GO, "node", "go"),
        (elf({".go.buildinfo": b""}, ">"), "server", "go"),
        (RUST, "server", "rust"),
        (CPP, "server", "cpp"),
        (C, "server", "generic"),
        (C, "python3", "python"),
        (C, "python3.12", "python"),
        (C, "pypy3", "python"),
        (C, "pythonbutnotreally", "generic"),
        (CPP, "node", "nodejs"),
        (C, "nodejs", "nodejs"),
        (RUST, "deno", "nodejs"),
        (C, "ruby3.1", "ruby"),
        (C, "java", "java"),
        (C, "javac", "generic"),
        (C, "dotnet", "dotnet"),
        (C, "php-fpm8.2", "php"),
        (C, "python3 (deleted)", "python"),
        (b"#!/bin/sh\n", "script", "generic"),
        (b"", "empty", "generic"),
    ],
)
def test_language(content: bytes, name: str, language: str, tmp_path: Path) -> None:
    path = tmp_path / "executable"
    path.write_bytes(content)
    assert detect(str(path), f"/usr/bin/{name}") == language


@given(st.integers(0, 63), st.binary(min_size=1, max_size=8), st.integers(0, 700))
def test_a_damaged_file_is_read_to_an_end(position: int, damage: bytes, length: int) -> None:
    with os.fdopen(os.memfd_create("executable"), "wb") as file:
        file.write((RUST[:position] + damage + RUST[position + len(damage) :])[:length])
        file.flush()
        assert detect(f"/proc/self/fd/{file.fileno()}", "/x") in ("generic", "rust")


def test_a_running_process_is_told_from_its_own_executable() -> None:
    languages = Languages()
    assert languages.of(os.getpid(), os.readlink("/proc/self/exe")) == "python"


def test_a_deleted_executable_is_still_told(tmp_path: Path) -> None:
    program = tmp_path / "python3"
    shutil.copy(shutil.which("cat") or "/bin/cat", program)
    with subprocess.Popen([program], stdin=subprocess.PIPE) as child:
        try:
            program.unlink()
            exe = os.readlink(f"/proc/{child.pid}/exe")
            assert exe.endswith("python3 (deleted)")
            assert Languages().of(child.pid, exe) == "python"
        finally:
            child.kill()


def test_a_file_is_looked_at_once() -> None:
    languages = Languages()
    assert languages.of(os.getpid(), sys.executable) == "python"
    assert languages.of(os.getpid(), "/renamed/ruby") == "python"


def test_a_process_that_has_ended_has_no_language() -> None:
    with subprocess.Popen(["true"]) as child:
        child.wait()
    assert Languages().of(child.pid, "/bin/true") is None
