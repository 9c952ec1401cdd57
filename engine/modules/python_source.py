"""What a Python module offers and does when it is imported, by its syntax tree alone."""

from __future__ import annotations

import ast
import re
import warnings
from collections.abc import Iterator
from dataclasses import dataclass

from engine.core.errors import MalformedModule
from engine.core.sanitise import clean
from engine.modules.literals import is_notable
from engine.modules.python_exports import (
    LONGEST,
    MOST_FACTS,
    Function,
    PythonExport,
    dotted,
    is_main_guard,
    python_exports,
)

_LARGEST = 8 << 20
_REACHING = frozenset(
    ("asyncio", "cffi", "code", "ctypes", "ftplib", "http", "importlib", "marshal", "mmap",
     "pickle", "multiprocessing", "paramiko", "pty", "requests", "runpy", "shelve", "shutil",
     "signal", "smtplib", "socket", "ssl", "subprocess", "telnetlib", "threading", "urllib",
     "xmlrpc")
)  # fmt: skip
_REACHING_OS = re.compile(
    r"os\.(?:system|popen|exec\w+|spawn\w+|posix_spawn\w*|fork\w*|kill\w*|remove\w*|unlink|rename"
    r"|rmdir|ch(?:mod|own|root)|set\w*id|putenv|_exit|dup2?|open|write|memfd_create)|sys\.exit"
)
_REACHING_CALLS = frozenset(
    ("exec", "eval", "compile", "__import__", "open", "input", "breakpoint")
)


@dataclass(frozen=True)
class PythonFacts:
    """What is known of a module."""

    exports: tuple[PythonExport, ...]
    imports: tuple[str, ...]
    """Modules it imports, in the order of their names."""
    reaches: tuple[str, ...]
    """Imports and calls that lead out of the interpreter, as `subprocess`, `os.system`, `eval`."""
    runs_at_import: tuple[str, ...]
    """Statements with calls outside of functions: `line 3: connect()`."""
    texts: tuple[str, ...]
    """Text constants that name a shell, a download, an address, ..."""


def read_python(source: bytes) -> PythonFacts:
    """Parse a module; nothing of it is compiled or run.

    Raises:
        MalformedModule: if it is no Python of this interpreter's version.
    """
    if len(source) > _LARGEST:
        raise MalformedModule(f"it has {len(source)} bytes; at most {_LARGEST} are parsed")
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            tree = ast.parse(source)
    except SyntaxError as error:
        where = f", line {error.lineno}" if error.lineno else ""
        raise MalformedModule(
            f"it is not valid Python{where}: {clean(str(error.msg), 200)}"
        ) from None
    except (ValueError, RecursionError, MemoryError, LookupError) as error:
        raise MalformedModule(
            f"it cannot be parsed: {clean(str(error) or type(error).__name__, 200)}"
        ) from None
    return PythonFacts(
        python_exports(tree),
        tuple(sorted(set(_imports(tree)))[:MOST_FACTS]),
        tuple(sorted(set(_reaches(tree)))[:MOST_FACTS]),
        tuple(dict.fromkeys(_runs(tree)))[:MOST_FACTS],
        tuple(dict.fromkeys(_texts(tree)))[:MOST_FACTS],
    )


def _imports(tree: ast.Module) -> Iterator[str]:
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            yield from (clean(each.name, LONGEST) for each in node.names)
        elif isinstance(node, ast.ImportFrom):
            yield clean("." * node.level + (node.module or ""), LONGEST)


def _reaches(tree: ast.Module) -> Iterator[str]:
    for name in _imports(tree):
        if name.partition(".")[0] in _REACHING:
            yield name
    for node in ast.walk(tree):
        if isinstance(node, ast.Call):
            called = dotted(node.func)
            if called in _REACHING_CALLS or _REACHING_OS.fullmatch(called):
                yield clean(called, LONGEST)


def _runs(tree: ast.Module) -> Iterator[str]:
    """Calls that importing makes; class bodies run too, functions do not."""
    waiting: list[ast.AST] = [*reversed(tree.body)]
    while waiting:
        node = waiting.pop()
        if isinstance(node, ast.If) and is_main_guard(node):
            waiting += reversed(node.orelse)
            continue
        if isinstance(node, Function):
            waiting += reversed(node.decorator_list)
            continue
        if isinstance(node, ast.Lambda):
            continue
        if isinstance(node, ast.Call):
            yield clean(f"line {node.lineno}: {dotted(node.func) or '...'}()", LONGEST)
        waiting += reversed(list(ast.iter_child_nodes(node)))


def _texts(tree: ast.Module) -> Iterator[str]:
    for node in ast.walk(tree):
        if isinstance(node, ast.Constant) and isinstance(node.value, str):
            text = clean(node.value, LONGEST)
            if is_notable(text):
                yield text
