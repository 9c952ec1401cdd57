"""What is told of a Python module without importing it."""

from __future__ import annotations

from pathlib import Path

import pytest

from engine.modules.filekind import Kind
from engine.modules.inspection import inspect
from engine.modules.python_source import PythonFacts, read_python
from tests.unit.modules.conftest import Write

SOURCE = '''
"""A doctor."""
import os, socket
from subprocess import run as go
import json
from . import near

__version__ = "1"
URL = "http://doctor.invalid/install.sh"
GREETING = "hello"

class Doctor:
    ready = json.loads("{}")

    def health_check(self):
        return os.system("bash -c true")

@json.cached
def make():
    eval("1")

connection = socket.create_connection(("localhost", 1))
doctor: Doctor = Doctor()
later = lambda: go(["ls"])

if __name__ == "__main__":
    print("not run")
'''


def read(source: str) -> PythonFacts:
    """The facts of a module."""
    return read_python(source.encode())


def test_what_a_look_up_finds_is_listed() -> None:
    exports = {each.name: (each.kind, each.detail) for each in read(SOURCE).exports}
    assert exports == {
        "URL": ("value", ""),
        "GREETING": ("value", ""),
        "Doctor": ("class", ""),
        "make": ("function", ""),
        "connection": ("value", ""),
        "doctor": ("instance", "Doctor"),
        "later": ("value", ""),
    }


def test_a_list_of_exports_decides_if_there_is_one() -> None:
    facts = read(SOURCE + '__all__ = ["make", "__version__", "run"]\n')
    assert [each.name for each in facts.exports] == ["__version__", "make"]


def test_a_list_that_has_to_be_computed_does_not() -> None:
    facts = read("__all__ = [name for name in ()]\ndef make(): ...\n")
    assert [each.name for each in facts.exports] == ["make"]


def test_imports_and_calls_that_lead_outside_are_told() -> None:
    facts = read(SOURCE)
    assert facts.imports == (".", "json", "os", "socket", "subprocess")
    assert facts.reaches == ("eval", "os.system", "socket", "subprocess")


def test_calls_that_importing_makes_are_told_with_their_lines() -> None:
    """Class bodies and decorators run; functions, lambdas and the main block do not."""
    assert read(SOURCE).runs_at_import == (
        "line 13: json.loads()",
        "line 22: socket.create_connection()",
        "line 23: Doctor()",
    )


def test_notable_texts_are_told() -> None:
    assert set(read(SOURCE).texts) == {"http://doctor.invalid/install.sh", "bash -c true"}


@pytest.mark.parametrize(
    ("source", "told"),
    [
        (b"def broken(:\n", "not valid Python, line 1"),
        (b"\0", "null bytes"),
        (b"# coding: no-such-codec\n", "not valid Python"),
        (b"(" * 10_000, "not valid Python"),
        (b"\xff\xfe", "not valid Python"),
        (b"x" * (9 << 20), "at most"),
    ],
    ids=["syntax", "nul", "codec", "nested", "bytes", "large"],
)
def test_what_cannot_be_parsed_cannot_be_loaded(write: Write, source: bytes, told: str) -> None:
    found = inspect(write(source, "broken.py"))
    assert (found.kind, found.loadable) == (Kind.PYTHON_MODULE, False)
    assert told in found.obstacles[0]


def test_nothing_of_it_runs(write: Write, tmp_path: Path) -> None:
    witness = tmp_path / "witness"
    found = inspect(write(f"open({str(witness)!r}, 'w').close()\n".encode(), "does.py"))
    assert found.python is not None
    assert found.python.runs_at_import == ("line 1: open().close()", "line 1: open()")
    assert not witness.exists()


def test_bytecode_and_other_files_are_named(write: Write) -> None:
    assert inspect(write(b"\xa7\r\r\n" + bytes(12), "a.pyc")).kind == Kind.PYTHON_BYTECODE
    assert inspect(write(b"hello", "a.txt")).kind == Kind.OTHER
    archive = inspect(write(b"!<arch>\nrest", "a.so"))
    assert archive.kind == Kind.ARCHIVE
    assert "invalid ELF header" in archive.reason
    assert not archive.loadable


SCATTERED = """
class A:
    def go(self): ...
first, (second, *rest) = A(), (A(), 1)
try:
    third = A()
except ImportError:
    third = None
if third:
    def fourth(): ...
else:
    for fifth in (): pass
with open("/dev/null") as sixth: pass
(seventh := A())
gone = A()
del gone
never: A
if __name__ == "__main__":
    eighth = A()
"""


def test_a_name_is_found_wherever_the_module_binds_it() -> None:
    exports = {each.name: (each.kind, bool(each.untold)) for each in read(SCATTERED).exports}
    assert exports == {
        "A": ("class", False),
        "first": ("instance", False),
        "second": ("value", True),
        "rest": ("value", True),
        "third": ("value", True),
        "fourth": ("function", False),
        "fifth": ("value", True),
        "sixth": ("value", True),
        "seventh": ("instance", False),
    }


@pytest.mark.parametrize(
    "addition",
    ["__all__ += ['b']", "__all__.append('b')", "__all__.extend(('b',))", "__all__ = ['a', 'b']"],
)
def test_a_list_of_exports_may_grow(addition: str) -> None:
    facts = read(f"a = b = c = 1\n__all__ = ['a']\n{addition}\n")
    assert [each.name for each in facts.exports] == ["a", "b"]


@pytest.mark.parametrize(
    "test", ["__name__ != '__main__'", "__name__", "__name__ == 'x'", "'__main__' in __name__"]
)
def test_a_block_that_only_looks_like_the_main_one_runs(test: str) -> None:
    facts = read(f"import os\nif {test}:\n    os.system('true')\n    bound = 1\n")
    assert facts.runs_at_import == ("line 3: os.system()",)
    assert [each.name for each in facts.exports] == ["bound"]
