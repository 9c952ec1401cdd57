"""What real C compilers make, and what is told of it."""

from __future__ import annotations

import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from pydantic_core import _pydantic_core

from engine.modules.cexports import CExport, header_signatures
from engine.modules.filekind import Kind
from engine.modules.inspection import inspect

SOURCE = """
#include <stdint.h>
#include <stdlib.h>
struct point { int x, y; };
typedef struct { long a; } pair;
int add(int a, const uint64_t b) { return a + (int)b; }
const char *name(void) { return "x"; }
double scale(double by, struct point *where) { return by * where->x; }
struct point move(struct point p) { return p; }
pair swap(pair p) { return p; }
void run(const char *what) { exit(system(what)); }
static int hidden(void) { return 1; }
__attribute__((constructor)) static void early(void) { hidden(); }
"""
HEADER = """
/* int commented(int); */
#define WRONG int add(char);
extern int add(int a, const uint64_t b);
const char *name(void);   // the name
double scale(double by, struct point *where);
unsigned long odd(unsigned, char **);
"""


def compiled(folder: Path, *flags: str) -> Path:
    """The library, built by gcc."""
    gcc = shutil.which("gcc")
    if gcc is None:
        pytest.skip("gcc is missing; as root type: apt-get install -y gcc libc6-dev")
    output = folder / "libthing.so"
    command = [gcc, "-shared", "-fPIC", *flags, "-o", str(output), "-x", "c", "-"]
    subprocess.run(command, input=SOURCE, text=True, check=True)
    return output


def exports(path: Path) -> dict[str, CExport]:
    """By name."""
    return {each.name: each for each in inspect(path).c}


def test_signatures_come_from_debugging_information(tmp_path: Path) -> None:
    found = exports(compiled(tmp_path, "-g"))
    assert {name: str(each.signature) for name, each in found.items()} == {
        "add": "(a: int, b: uint64_t) -> int",
        "move": "(p: struct point) -> struct point",
        "name": "() -> const char*",
        "run": "(what: const char*) -> void",
        "scale": "(by: double, where: struct point*) -> double",
        "swap": "(p: pair) -> pair",
    }
    assert found["add"].source == "debugging information"
    assert [name for name, each in found.items() if each.obstacle] == ["move", "swap"]
    assert "struct point by value" in found["move"].obstacle


def test_signatures_come_from_a_header_beside_it(tmp_path: Path) -> None:
    path = compiled(tmp_path, "-s")
    (tmp_path / "thing.h").write_text(HEADER)
    found = exports(path)
    assert str(found["add"].signature) == "(a: int, b: uint64_t) -> int"
    assert str(found["scale"].signature) == "(by: double, where: struct point*) -> double"
    assert found["name"].source == "thing.h"
    assert found["run"].signature is None


def test_without_either_nothing_is_guessed(tmp_path: Path) -> None:
    found = exports(compiled(tmp_path, "-s"))
    assert set(found) == {"add", "move", "name", "run", "scale", "swap"}
    assert {each.obstacle for each in found.values()} == {
        "no signature: no debugging information and no header beside it"
    }


def test_compressed_debugging_information_is_read(tmp_path: Path) -> None:
    found = exports(compiled(tmp_path, "-g", "-gz=zlib"))
    assert str(found["name"].signature) == "() -> const char*"


def test_names_in_debugging_information_cannot_write_to_the_terminal(tmp_path: Path) -> None:
    path = compiled(tmp_path, "-g")
    content = path.read_bytes()
    assert b"what\0" in content
    path.write_bytes(content.replace(b"what\0", b"w\x1b[H\0"))
    assert str(exports(path)["run"].signature) == "(w␛[H: const char*) -> void"


def test_a_c_library_tells_what_it_calls_and_runs_first(tmp_path: Path) -> None:
    found = inspect(compiled(tmp_path))
    assert (found.kind, found.loadable) == (Kind.SHARED_OBJECT, True)
    assert found.elf is not None
    assert found.elf.imports == ("system",)
    assert found.elf.constructors == 2
    assert found.elf.needed == ("libc.so.6",)
    assert found.elf.glibc_floor.startswith("2.")


def test_a_library_that_needs_a_newer_c_library_is_refused(tmp_path: Path) -> None:
    path = compiled(tmp_path)
    content = path.read_bytes()
    floor = inspect(path).elf
    assert floor is not None
    old = f"GLIBC_{floor.glibc_floor}\0".encode()
    newer = b"GLIBC_9.9".ljust(len(old) - 1, b"9") + b"\0"
    path.write_bytes(content.replace(old, newer))
    found = inspect(path)
    assert not found.loadable
    assert "not found: this box has glibc" in found.obstacles[0]


def test_a_prototype_is_read_as_c_reads_it() -> None:
    found = header_signatures(HEADER, frozenset(("odd", "commented", "add")))
    assert str(found["odd"]) == "(?: unsigned, ?: char**) -> unsigned long"
    assert "commented" not in found
    assert str(found["add"]) == "(a: int, b: uint64_t) -> int"


def test_programs_and_extensions_of_this_box_are_told_apart() -> None:
    program = inspect(Path(sys.executable).resolve())
    assert (program.kind, program.loadable) == (Kind.EXECUTABLE, False)
    path = Path(_pydantic_core.__file__)
    found = inspect(path)
    assert (found.kind, found.loadable) == (Kind.PYTHON_EXTENSION, True)
    assert "PyInit__pydantic_core" in {each.name for each in found.c}
