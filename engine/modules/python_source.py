"""What a Python module offers and does when it is imported, by its syntax tree alone."""

from __future__ import annotations

import ast
import re
import warnings
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Literal

from engine.core.errors import MalformedModule
from engine.core.sanitise import clean
from engine.modules.literals import is_notable

_LARGEST = 8 << 20
_MOST_FACTS = 500
_LONGEST = 200
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

_Function = ast.FunctionDef | ast.AsyncFunctionDef


@dataclass(frozen=True)
class PythonMethod:
    """A function or method."""

    name: str
    least: int
    """Fewest positional arguments it can be called with, `self` excluded."""
    most: int | None
    """Most of them; None for any number."""
    flaw: str = ""
    """`async`, `property`, or an argument that has to be named; empty if it can just be called."""

    def accepts(self, count: int | None) -> bool:
        """Whether it can be called with so many arguments; None is any number."""
        if self.flaw or count is None:
            return not self.flaw and self.most is None
        return self.least <= count and (self.most is None or count <= self.most)

    def __str__(self) -> str:
        if self.flaw:
            return self.flaw
        if self.most is None:
            return f"it takes {self.least} or more arguments"
        if self.least != self.most:
            return f"it takes {self.least} to {self.most} arguments"
        return f"it takes {self.most} argument{'s' if self.most != 1 else ''}"


@dataclass(frozen=True)
class PythonExport:
    """A name that a look-up finds."""

    name: str
    kind: Literal["function", "class", "instance", "value"]
    methods: tuple[PythonMethod, ...]
    """Of the class, of the instance's class, or the function alone."""
    detail: str = ""
    """The instance's class."""


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
        raise MalformedModule(f"it cannot be parsed: {clean(str(error), 200)}") from None
    return PythonFacts(
        _exports(tree),
        tuple(sorted(set(_imports(tree)))[:_MOST_FACTS]),
        tuple(sorted(set(_reaches(tree)))[:_MOST_FACTS]),
        tuple(dict.fromkeys(_runs(tree)))[:_MOST_FACTS],
        tuple(dict.fromkeys(_texts(tree)))[:_MOST_FACTS],
    )


def _exports(tree: ast.Module) -> tuple[PythonExport, ...]:
    classes = {node.name: node for node in tree.body if isinstance(node, ast.ClassDef)}
    found: dict[str, PythonExport] = {}
    for node in tree.body:
        for export in _bound(node, classes):
            found[export.name] = export
    listed = _all(tree)
    return tuple(
        export
        for name, export in found.items()
        if (name in listed if listed is not None else not name.startswith("_"))
    )[:_MOST_FACTS]


def _bound(node: ast.stmt, classes: dict[str, ast.ClassDef]) -> Iterator[PythonExport]:
    """What a statement gives a name to; imported names are not the module's."""
    if isinstance(node, _Function):
        yield PythonExport(clean(node.name, _LONGEST), "function", (_method(node, bound=False),))
    elif isinstance(node, ast.ClassDef):
        yield PythonExport(clean(node.name, _LONGEST), "class", _methods(node, classes))
    elif isinstance(node, ast.Assign | ast.AnnAssign):
        targets = node.targets if isinstance(node, ast.Assign) else [node.target]
        for target in targets:
            if isinstance(target, ast.Name):
                yield _value(target.id, node.value, classes)


def _value(name: str, value: ast.expr | None, classes: dict[str, ast.ClassDef]) -> PythonExport:
    name = clean(name, _LONGEST)
    if isinstance(value, ast.Call) and isinstance(value.func, ast.Name):
        made = classes.get(value.func.id)
        if made is not None:
            detail = clean(made.name, _LONGEST)
            return PythonExport(name, "instance", _methods(made, classes), detail)
    return PythonExport(name, "value", ())


def _methods(class_: ast.ClassDef, classes: dict[str, ast.ClassDef]) -> tuple[PythonMethod, ...]:
    """Own methods and those of bases in the same file; the first of a name counts."""
    found: dict[str, PythonMethod] = {}
    waiting, done = [class_], set()
    while waiting:
        current = waiting.pop(0)
        if current.name in done:
            continue
        done.add(current.name)
        own: dict[str, PythonMethod] = {}
        for node in current.body:
            if isinstance(node, _Function):
                own[node.name] = _method(node, bound=True)
        found = {**own, **found}
        waiting += [
            classes[base.id]
            for base in current.bases
            if isinstance(base, ast.Name) and base.id in classes
        ]
    return tuple(found.values())[:_MOST_FACTS]


def _method(node: _Function, *, bound: bool) -> PythonMethod:
    decorators = {_dotted(each).rpartition(".")[2] for each in node.decorator_list}
    arguments = node.args
    positional = len(arguments.posonlyargs) + len(arguments.args)
    given = 1 if bound and "staticmethod" not in decorators and positional else 0
    least = max(0, positional - len(arguments.defaults) - given)
    most = None if arguments.vararg else positional - given
    named = [
        argument.arg
        for argument, default in zip(arguments.kwonlyargs, arguments.kw_defaults, strict=True)
        if default is None
    ]
    flaw = ""
    if isinstance(node, ast.AsyncFunctionDef):
        flaw = "it is async"
    elif decorators & {"property", "cached_property"}:
        flaw = "it is a property"
    elif named:
        flaw = f"its argument {clean(named[0], 60)} has to be named"
    return PythonMethod(clean(node.name, _LONGEST), least, most, flaw)


def _all(tree: ast.Module) -> set[str] | None:
    """What `__all__` lists, where it is a plain list; None if there is none."""
    for node in tree.body:
        if not isinstance(node, ast.Assign):
            continue
        if any(isinstance(target, ast.Name) and target.id == "__all__" for target in node.targets):
            try:
                return {str(name) for name in ast.literal_eval(node.value)}
            except (ValueError, TypeError, RecursionError, MemoryError):
                return None
    return None


def _imports(tree: ast.Module) -> Iterator[str]:
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            yield from (clean(each.name, _LONGEST) for each in node.names)
        elif isinstance(node, ast.ImportFrom):
            yield clean("." * node.level + (node.module or ""), _LONGEST)


def _reaches(tree: ast.Module) -> Iterator[str]:
    for name in _imports(tree):
        if name.partition(".")[0] in _REACHING:
            yield name
    for node in ast.walk(tree):
        if isinstance(node, ast.Call):
            called = _dotted(node.func)
            if called in _REACHING_CALLS or _REACHING_OS.fullmatch(called):
                yield clean(called, _LONGEST)


def _runs(tree: ast.Module) -> Iterator[str]:
    """Calls that importing makes; class bodies run too, functions do not."""
    waiting: list[ast.AST] = [*reversed(tree.body)]
    while waiting:
        node = waiting.pop()
        if isinstance(node, ast.If) and _is_main_guard(node):
            waiting += reversed(node.orelse)
            continue
        if isinstance(node, _Function):
            waiting += reversed(node.decorator_list)
            continue
        if isinstance(node, ast.Lambda):
            continue
        if isinstance(node, ast.Call):
            yield clean(f"line {node.lineno}: {_dotted(node.func) or '...'}()", _LONGEST)
        waiting += reversed(list(ast.iter_child_nodes(node)))


def _is_main_guard(node: ast.If) -> bool:
    test = node.test
    return isinstance(test, ast.Compare) and (
        isinstance(test.left, ast.Name) and test.left.id == "__name__"
    )


def _texts(tree: ast.Module) -> Iterator[str]:
    for node in ast.walk(tree):
        if isinstance(node, ast.Constant) and isinstance(node.value, str):
            text = clean(node.value, _LONGEST)
            if is_notable(text):
                yield text


def _dotted(node: ast.expr) -> str:
    """`os.path.join`, `open().close`; empty for anything else."""
    parts: list[str] = []
    current: ast.expr = node
    while True:
        called = ""
        while isinstance(current, ast.Call):
            current, called = current.func, "()"
        if not isinstance(current, ast.Attribute):
            break
        parts.append(current.attr + called)
        current = current.value
    if not isinstance(current, ast.Name):
        return ""
    return ".".join([current.id + called, *reversed(parts)])
