"""Languages told from what a process has mapped and from its executable."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from engine.discovery.language import Language, Languages, Traits, read_traits, tell
from tests.unit.discovery.elf_files import buildinfo, elf, old_buildinfo, with_functions

GO = elf({".text": b"x", ".go.buildinfo": buildinfo("go1.22.3")})
RUST = elf({".comment": b"GCC: (Debian 12.2.0)\0rustc version 1.79.0\0"})
CPP = elf({".dynstr": b"\0libc.so.6\0libstdc++.so.6\0"})
C = elf({".comment": b"GCC: (Debian 12.2.0)\0", ".dynstr": b"\0libc.so.6\0"})


def traits_of(content: bytes) -> Traits:
    with os.fdopen(os.memfd_create("executable"), "wb") as file:
        file.write(content)
        file.flush()
        return read_traits(file.fileno())


@pytest.mark.parametrize(
    ("mapped", "language"),
    [
        (["libpython3"], "generic"),
        (["/usr/lib/libpython3.so"], "python"),
        (["/usr/lib/libpython3.12.so.1.0"], "python"),
        (["libruby-3.2"], "generic"),
        (["libruby-3.2.so.3.2.3"], "ruby"),
        (["/usr/bin/python3.18"], "python"),
        (["python"], "python"),
        (["/usr/lib/pythonbutnotreallypython"], "generic"),
        (["ruby3.1.2"], "ruby"),
        (["/opt/java/libj9vm25.so"], "generic"),
        (["/opt/java/lib/server/libjvm.so"], "java"),
        (["/usr/share/dotnet/libcoreclr.so"], "dotnet"),
        (["/usr/bin/node"], "nodejs"),
        (["node"], "nodejs"),
        (["/usr/bin/deno"], "nodejs"),
        (["/usr/bin/nodejs2"], "generic"),
        (["/lib/libstdc++"], "generic"),
        (["/lib/libstdc++.so.6"], "cpp"),
        (["/lib/libc++.so.1"], "cpp"),
        (["/lib/libstdc++.so.6", "/usr/bin/node"], "nodejs"),
        (["/usr/bin/node", "/lib/libjvm.so"], "java"),
        (["/a b/python3"], "python"),
    ],
)
@pytest.mark.parametrize("faithful", [False, True])
def test_what_is_mapped_tells(mapped: list[str], language: str, faithful: bool) -> None:
    assert tell(mapped, Traits(), "/bin/x", faithful=faithful).name == language


@pytest.mark.parametrize(
    ("content", "language"),
    [
        (GO, "go"),
        (elf({".gopclntab": b"x"}), "go"),
        (elf({".gopclntab": b"x"}, ">"), "go"),
        (with_functions("main", "__rust_panic_handler"), "rust"),
        (with_functions("JVM_Start"), "java"),
        (with_functions("graal_create_isolate", "rust_panic"), "java"),
        (with_functions("rust_panic", "graal_create_isolate"), "rust"),
        (with_functions("rust_panic", defined=False), "generic"),
        (with_functions("rust", "graal", "xJVM_Start"), "generic"),
        (C, "generic"),
        (RUST, "generic"),
        (b"#!/bin/sh\n", "generic"),
        (b"", "generic"),
        (b"\x7fELF\x01" + bytes(80), "generic"),
    ],
)
def test_the_executable_tells(content: bytes, language: str) -> None:
    assert tell(["/bin/x"], traits_of(content), "/bin/x", faithful=True).name == language


def test_the_file_counts_before_its_name() -> None:
    assert tell(["/usr/bin/node"], traits_of(GO), "/usr/bin/node").name == "go"
    assert tell(["/usr/bin/php-fpm8.2"], traits_of(C), "/usr/bin/php-fpm8.2").name == "php"


@pytest.mark.parametrize(
    ("content", "exe", "language"),
    [
        (RUST, "/bin/x", "rust"),
        (CPP, "/bin/x", "cpp"),
        (C, "/usr/bin/python3 (deleted)", "python"),
        (C, "/usr/bin/pypy3", "python"),
        (C, "/usr/bin/java", "java"),
        (C, "/usr/bin/javac", "generic"),
        (C, "/usr/bin/dotnet", "dotnet"),
        (C, "/usr/bin/nodejs", "nodejs"),
    ],
)
def test_more_is_told_than_beyla_tells(content: bytes, exe: str, language: str) -> None:
    traits = traits_of(content)
    assert tell([exe], traits, exe).name == language
    assert tell([exe], traits, exe, faithful=True).name == "generic"


@pytest.mark.parametrize(
    ("content", "version"),
    [
        (GO, "go1.22.3"),
        (elf(old_buildinfo("go1.13.4")), "go1.13.4"),
        (elf({".gopclntab": b"x"}), None),
        (elf({".go.buildinfo": b"\xff Go buildinf:"}), None),
        (elf({".go.buildinfo": b"\xff Go buildinf:\x08\x02".ljust(32, b"\0") + b"\xff" * 9}), None),
        (elf({".go.buildinfo": b"\xff Go buildinf:\x08\x00" + b"\xff" * 16}), None),
        (elf({".go.buildinfo": b"\xff Go buildinf:\x07\x00" + b"\xff" * 16}), None),
    ],
)
def test_the_version_of_go(content: bytes, version: str | None) -> None:
    assert traits_of(content) == Traits(is_go=True, go_version=version)


@pytest.mark.fuzz("language of an executable")
@given(st.integers(0, 63), st.binary(min_size=1, max_size=8), st.integers(0, 700))
def test_a_damaged_file_is_read_to_an_end(position: int, damage: bytes, length: int) -> None:
    for whole in (RUST, GO, with_functions("rust_panic")):
        traits_of((whole[:position] + damage + whole[position + len(damage) :])[:length])


@contextmanager
def running(*command: str) -> Iterator[int]:
    """A process that waits for its stdin."""
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as child:
        try:
            assert child.stdout is not None
            child.stdout.readline()
            yield child.pid
        finally:
            child.kill()


def language_of(pid: int, *, faithful: bool = False) -> Language:
    found = Languages(faithful=faithful).of(pid, os.readlink(f"/proc/{pid}/exe"))
    assert found is not None
    return found


def test_this_process() -> None:
    found = language_of(os.getpid(), faithful=True)
    assert found.name == "python"
    assert "python" in found.rule


SOURCES = {
    "c": ("gcc", "c", '#include <stdio.h>\nint main(){puts("");fflush(stdout);getchar();}'),
    "cpp": ("g++", "cpp", "#include <iostream>\nint main(){std::cout << std::endl;"
            "std::string s;std::cin >> s;}"),
    "rust": ("rustc", "rs", 'fn main(){println!("");let mut s=String::new();'
             "std::io::stdin().read_line(&mut s).unwrap();}"),
}  # fmt: skip


@pytest.mark.parametrize(("name", "language"), [("c", "generic"), ("cpp", "cpp"), ("rust", "rust")])
def test_a_compiled_program(name: str, language: str, tmp_path: Path) -> None:
    compiler, suffix, text = SOURCES[name]
    if not shutil.which(compiler):
        pytest.skip(f"{compiler} is not installed")
    source, program = tmp_path / f"main.{suffix}", tmp_path / "program"
    source.write_text(text)
    subprocess.run([compiler, str(source), "-o", str(program)], check=True, capture_output=True)
    with running(str(program)) as pid:
        assert language_of(pid, faithful=True).name == language


def test_a_node_program() -> None:
    if not (node := shutil.which("node")):
        pytest.skip("node is not installed")
    with running(node, "-e", "console.log(); process.stdin.resume()") as pid:
        assert language_of(pid, faithful=True).name == "nodejs"


def test_a_java_program(tmp_path: Path) -> None:
    if not (java := shutil.which("java")):
        pytest.skip("java is not installed")
    (tmp_path / "M.java").write_text(
        "class M{public static void main(String[] a) throws Exception"
        "{System.out.println();System.in.read();}}"
    )
    try:
        with running(java, str(tmp_path / "M.java")) as pid:
            found = language_of(pid, faithful=True)
    except OSError:
        pytest.skip("this java runs no source files")
    assert (found.name, found.rule) == ("java", "it has libjvm.so mapped")


def test_a_go_program() -> None:
    programs = (shutil.which(name) for name in ("docker", "kubectl", "go", "terraform"))
    program = next((each for each in programs if each), None)
    if program is None:
        pytest.skip("no program written in Go is installed")
    with open(program, "rb") as file:
        traits = read_traits(file.fileno())
    assert traits.is_go
    assert traits.go_version is not None
    assert traits.go_version.startswith(("go1.", "devel"))


def test_a_deleted_executable_is_still_told(tmp_path: Path) -> None:
    program = tmp_path / "python3"
    shutil.copy(shutil.which("cat") or "/bin/cat", program)
    with subprocess.Popen([program], stdin=subprocess.PIPE) as child:
        try:
            program.unlink()
            assert language_of(child.pid).name == "python"
            assert language_of(child.pid, faithful=True).name == "generic"
        finally:
            child.kill()


def test_a_file_is_read_once(monkeypatch: pytest.MonkeyPatch) -> None:
    languages = Languages()
    assert languages.of(os.getpid(), sys.executable)
    monkeypatch.setattr("engine.discovery.language.read_traits", None)
    found = languages.of(os.getpid(), sys.executable)
    assert found is not None
    assert found.name == "python"


def test_a_process_that_has_ended_has_no_language() -> None:
    with subprocess.Popen(["true"]) as child:
        child.wait()
    assert Languages().of(child.pid, "/bin/true") is None
