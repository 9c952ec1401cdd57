"""Whether a module's symbol would pass a host's type assertion, told without running it.

Go's `Lookup` returns a pointer to a variable. Two mistakes follow from that, and both compile: a
variable that holds a pointer is looked up as `**T`, one that holds an interface as `*Iface`, and
neither type has any methods. In Python, names and numbers of arguments are compared.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from engine.core.errors import UsageError
from engine.core.sanitise import clean
from engine.modules.exports import Export
from engine.modules.filekind import KIND_TEXTS, Kind
from engine.modules.gotypes import Method
from engine.modules.inspection import Inspection
from engine.modules.python_exports import PythonExport
from engine.modules.signature import Interface, parameter_count

Mistake = Literal["", "pointer_variable", "interface_variable", "function", "class"]


@dataclass(frozen=True)
class Lack:
    """A method that is missing, or is another one than asked for."""

    method: str
    wanted: str
    has: str
    """Its type where there is one of that name, else empty."""

    def __str__(self) -> str:
        if self.has:
            is_ = ":" if self.has.startswith(("it", "what ")) else " is"
            return f"{self.method}{is_} {self.has}, wanted {self.wanted}"
        return f"no method {self.method}{self.wanted.removeprefix('func')}"


@dataclass(frozen=True)
class Conformance:
    """What would become of `symbol.(Interface)`."""

    symbol: str
    looked_up: str
    """Type of what is looked up."""
    lacks: tuple[Lack, ...]
    assertion: str = ""
    """Text of the failed assertion, as Go's run time words it; empty if it passes, or in Python."""
    mistake: Mistake = ""
    hint: str = ""
    """What the author should write instead."""
    untold: str = ""
    """Why it may pass all the same, where the file does not tell; empty if it does."""

    @property
    def conforms(self) -> bool:
        """Whether it passes: by the names of the types, which may still differ in their package."""
        return not self.lacks


def conformances(found: Inspection, interface: Interface) -> tuple[Conformance, ...]:
    """What becomes of the assertion for every symbol of a module.

    Raises:
        UsageError: if modules of this kind have no methods, or none can have these.
    """
    if found.go is not None and found.kind == Kind.GO_PLUGIN:
        check_interface(interface)
        return tuple(judge_export(each, interface) for each in found.go.exports)
    if found.kind == Kind.PYTHON_MODULE:
        exports = found.python.exports if found.python else ()
        return tuple(judge_python(each, interface) for each in exports)
    raise UsageError(
        f"{clean(str(found.path), 400)} has no methods: it is a {KIND_TEXTS[found.kind]}",
        fix="an interface can be asked of a Go plugin or a Python module",
    )


def check_interface(interface: Interface) -> None:
    """See that a plugin's type can have these methods at all.

    Raises:
        UsageError: if one is not exported: only types of the host's own package could have it.
    """
    for method in interface.methods:
        if not method.name[:1].isupper():
            raise UsageError(
                f"no plugin can have the method {method.name}: it is not exported",
                fix="begin it with a capital letter, in the host and in the plugin",
            )


def judge_export(export: Export, interface: Interface) -> Conformance:
    """Tell whether what `Lookup` returns for an export has an interface's methods."""
    lacks = _lacks(export.methods, interface)
    if not lacks:
        return Conformance(export.name, export.looked_up, ())
    assertion = (
        f"interface conversion: {export.looked_up} is not {interface}: "
        f"missing method {lacks[0].method}"
    )
    mistake, hint = _mistake(export, interface)
    return Conformance(export.name, export.looked_up, lacks, assertion, mistake, hint)


def judge_python(export: PythonExport, interface: Interface) -> Conformance:
    """Tell whether a Python object has these methods, by names and numbers of arguments."""
    shown = {"instance": f"{export.detail} object"}.get(export.kind, export.kind)
    usable = {each.name: each for each in export.methods} if export.kind != "function" else {}
    class_ = export.kind == "class"
    lacks, untold = [], export.untold
    for wanted in interface.methods:
        method, count = usable.get(wanted.name), parameter_count(wanted)
        if method is None:
            lacks.append(Lack(wanted.name, wanted.type, ""))
        elif not method.accepts(count):
            lacks.append(Lack(wanted.name, wanted.type, str(method)))
            untold = method.flaw if method.untold else untold
    if class_ and not lacks:
        hint = f"{export.name} is a class: the module has to make an object of it"
        none = tuple(
            Lack(each.name, each.type, "not bound to an object") for each in interface.methods
        )
        return Conformance(export.name, shown, none, mistake="class", hint=hint)
    return Conformance(
        export.name, shown, tuple(lacks), untold=untold if lacks and not class_ else ""
    )


def _lacks(methods: tuple[Method, ...], interface: Interface) -> tuple[Lack, ...]:
    types = {method.name: method.type for method in methods}
    return tuple(
        Lack(wanted.name, wanted.type, types.get(wanted.name, ""))
        for wanted in interface.methods
        if types.get(wanted.name) != wanted.type
    )


def _mistake(export: Export, interface: Interface) -> tuple[Mistake, str]:
    name = export.name
    if export.shape == "func":
        return "function", f"{name} is a function: the host has to call it and assert its result"
    which = "not these" if _lacks(export.inner_methods, interface) else "these"
    held = f"what {name} holds has {which}"
    if export.shape == "pointer":
        value = export.type.removeprefix("*").removeprefix("main.")
        return "pointer_variable", (
            f"{name} is declared as {export.type}, so Lookup returns {export.looked_up}, which has "
            f"no methods ({held}): declare `var {name} {value}`"
        )
    if export.shape == "interface":
        return "interface_variable", (
            f"{name} is declared as the interface {export.type}, so Lookup returns "
            f"{export.looked_up}, which has no methods ({held}): declare `var {name} T` with its "
            f"own type T"
        )
    return "", ""
