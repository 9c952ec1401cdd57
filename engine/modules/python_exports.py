"""What a look-up finds in a Python module, by its syntax tree alone."""

from __future__ import annotations

import ast
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from typing import Literal

from engine.core.sanitise import clean

MOST_FACTS = 500
LONGEST = 200
Function = ast.FunctionDef | ast.AsyncFunctionDef
_Literal = (
    ast.Constant | ast.JoinedStr | ast.List | ast.Tuple | ast.Set | ast.Dict | ast.Lambda
    | ast.ListComp | ast.SetComp | ast.DictComp | ast.GeneratorExp
)  # fmt: skip
"""Expressions whose values have no methods of the module's own."""
_RUN_TIME = "what it holds is known only when the module runs"


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
    untold: bool = False
    """Whether the flaw is that only running it tells what it is."""

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
    untold: str = ""
    """Why it may have other methods than these; empty if it has none but these."""


def python_exports(tree: ast.Module) -> tuple[PythonExport, ...]:
    """Names that a look-up finds, in the order in which they are first bound."""
    classes = {each.name: each for each in _statements(tree.body) if isinstance(each, ast.ClassDef)}
    found: dict[str, PythonExport] = {}
    for node in _statements(tree.body):
        for name in _unbound(node):
            found.pop(name, None)
        for export in _bound(node, classes):
            if export.name in found and node not in tree.body:
                export = replace(export, untold="which of its values it has depends on the run")
            found[export.name] = export
    listed = _all(tree)
    return tuple(
        export
        for name, export in found.items()
        if (name in listed if listed is not None else not name.startswith("_"))
    )[:MOST_FACTS]


def is_main_guard(node: ast.AST) -> bool:
    """Whether it is `if __name__ == "__main__":`, whose body does not run in an import."""
    if not isinstance(node, ast.If):
        return False
    match node.test:
        case ast.Compare(
            left=ast.Name(id="__name__"),
            ops=[ast.Eq()],
            comparators=[ast.Constant(value="__main__")],
        ):
            return True
    return False


def dotted(node: ast.expr) -> str:
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


def _statements(body: list[ast.stmt]) -> Iterator[ast.stmt]:
    """Statements that run when this scope does, in order, with those inside of blocks."""
    waiting: list[ast.AST] = [*reversed(body)]
    while waiting:
        node = waiting.pop()
        if isinstance(node, ast.stmt):
            yield node
        if isinstance(node, Function | ast.ClassDef):
            continue
        inside = node.orelse if is_main_guard(node) else ast.iter_child_nodes(node)  # type: ignore[attr-defined]
        waiting += reversed(
            [
                each
                for each in inside
                if isinstance(each, ast.stmt | ast.ExceptHandler | ast.match_case)
            ]
        )


def _unbound(node: ast.stmt) -> Iterator[str]:
    if isinstance(node, ast.Delete):
        yield from (each.id for each in node.targets if isinstance(each, ast.Name))


def _bound(node: ast.stmt, classes: Mapping[str, ast.ClassDef]) -> Iterator[PythonExport]:
    """What a statement gives a name to; imported names are not the module's."""
    replaced = "its decorator may have made something else of it"
    if isinstance(node, Function):
        untold = replaced if node.decorator_list else ""
        method = _method(node, bound=False)
        yield PythonExport(clean(node.name, LONGEST), "function", (method,), untold=untold)
    elif isinstance(node, ast.ClassDef):
        methods, untold = _methods(node, classes)
        yield PythonExport(clean(node.name, LONGEST), "class", methods, untold=untold)
    else:
        for name, value in _names(node):
            yield _value(clean(name, LONGEST), value, classes)


def _names(node: ast.stmt) -> Iterator[tuple[str, ast.expr | None]]:
    """Names that a statement assigns to, with what, where that can be told."""
    match node:
        case ast.Assign(targets=targets, value=value):
            for target in targets:
                yield from _unpacked(target, value)
        case ast.AnnAssign(target=target, value=ast.expr() as value):
            yield from _unpacked(target, value)
        case ast.For(target=target) | ast.AsyncFor(target=target):
            yield from _unpacked(target, None)
        case ast.With(items=items) | ast.AsyncWith(items=items):
            for item in items:
                if item.optional_vars is not None:
                    yield from _unpacked(item.optional_vars, None)
        case ast.Expr(value=ast.NamedExpr(target=target, value=value)):
            yield target.id, value


def _unpacked(target: ast.expr, value: ast.expr | None) -> Iterator[tuple[str, ast.expr | None]]:
    match target:
        case ast.Name(id=name):
            yield name, value
        case ast.Starred(value=inner):
            yield from _unpacked(inner, None)
        case ast.Tuple(elts=parts) | ast.List(elts=parts):
            given = value.elts if isinstance(value, ast.Tuple | ast.List) else []
            plain = not any(isinstance(each, ast.Starred) for each in (*parts, *given))
            values = given if plain and len(given) == len(parts) else [None] * len(parts)
            for part, each in zip(parts, values, strict=True):
                yield from _unpacked(part, each)


def _value(name: str, value: ast.expr | None, classes: Mapping[str, ast.ClassDef]) -> PythonExport:
    if isinstance(value, ast.Call) and isinstance(value.func, ast.Name):
        made = classes.get(value.func.id)
        if made is not None:
            detail = clean(made.name, LONGEST)
            methods, untold = _methods(made, classes)
            return PythonExport(name, "instance", methods, detail, untold)
    return PythonExport(name, "value", (), untold="" if isinstance(value, _Literal) else _RUN_TIME)


def _methods(
    class_: ast.ClassDef, classes: Mapping[str, ast.ClassDef]
) -> tuple[tuple[PythonMethod, ...], str]:
    """Methods of a class and of its bases in the same file, and why there may be others."""
    found: dict[str, PythonMethod] = {}
    waiting, done, untold = [class_], set(), ""
    while waiting:
        current = waiting.pop(0)
        if current.name in done:
            continue
        done.add(current.name)
        found = {**_own(current), **found}
        for base in current.bases:
            known = classes.get(base.id) if isinstance(base, ast.Name) else None
            if known is not None:
                waiting.append(known)
            elif dotted(base) != "object":
                shown = clean(dotted(base), 60)
                untold = " ".join(f"its base {shown} is not in this file".split())
        if current.keywords or current.decorator_list:
            untold = "its metaclass or decorator may have given it methods"
    return tuple(found.values())[:MOST_FACTS], untold


def _own(class_: ast.ClassDef) -> dict[str, PythonMethod]:
    """What the body of a class gives a name to and might be called."""
    own: dict[str, PythonMethod] = {}
    for node in _statements(class_.body):
        for name in _unbound(node):
            own.pop(name, None)
        if isinstance(node, Function):
            own[node.name] = _method(node, bound=True)
            continue
        for name, value in _names(node):
            own.pop(name, None)
            if isinstance(value, ast.Lambda):
                own[name] = _callable(clean(name, LONGEST), value.args, bound=True)
            elif isinstance(value, ast.Name) and value.id in own:
                own[name] = replace(own[value.id], name=clean(name, LONGEST))
            elif isinstance(value, ast.Call | ast.Attribute | ast.Name):
                own[name] = PythonMethod(clean(name, LONGEST), 0, None, _RUN_TIME, untold=True)
    return own


def _method(node: Function, *, bound: bool) -> PythonMethod:
    decorators = {dotted(each).rpartition(".")[2] for each in node.decorator_list}
    name = clean(node.name, LONGEST)
    method = _callable(name, node.args, bound=bound and "staticmethod" not in decorators)
    if isinstance(node, ast.AsyncFunctionDef):
        return replace(method, flaw="it is async")
    if decorators & {"property", "cached_property"}:
        return replace(method, flaw="it is a property")
    return method


def _callable(name: str, arguments: ast.arguments, *, bound: bool) -> PythonMethod:
    positional = len(arguments.posonlyargs) + len(arguments.args)
    given = 1 if bound and positional else 0
    least = max(0, positional - len(arguments.defaults) - given)
    most = None if arguments.vararg else positional - given
    named = [
        argument.arg
        for argument, default in zip(arguments.kwonlyargs, arguments.kw_defaults, strict=True)
        if default is None
    ]
    flaw = f"its argument {clean(named[0], 60)} has to be named" if named else ""
    return PythonMethod(name, least, most, flaw)


def _all(tree: ast.Module) -> set[str] | None:
    """What `__all__` lists, where that is written out; None if there is none, or it is computed."""
    listed: set[str] | None = None
    for node in _statements(tree.body):
        parts: list[ast.expr] = []
        match node:
            case ast.Assign(targets=targets, value=value):
                if any(isinstance(each, ast.Name) and each.id == "__all__" for each in targets):
                    listed, parts = set(), [value]
            case ast.AnnAssign(target=ast.Name(id="__all__"), value=ast.expr() as value):
                listed, parts = set(), [value]
            case ast.AugAssign(target=ast.Name(id="__all__"), value=value):
                parts = [value]
            case ast.Expr(
                value=ast.Call(
                    func=ast.Attribute(value=ast.Name(id="__all__"), attr=called)
                ) as call
            ):
                parts = [ast.List(call.args)] if called == "append" else call.args
        try:
            for part in parts:
                listed = (listed or set()) | {str(name) for name in ast.literal_eval(part)}
        except (ValueError, TypeError, RecursionError, MemoryError):
            return None
    return listed
