"""What `Lookup` finds in a Go plugin, and of what type.

Format: the export table of the module description (plugin.Lookup, runtime/plugin.go): a function is
looked up as a value of its type, a variable as a pointer to it.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from engine.core.sanitise import clean
from engine.modules.elf import ElfFile
from engine.modules.elf_tables import FUNCTION
from engine.modules.gotypes import FUNC, INTERFACE, POINTER, GoType, Method, TypeReader
from engine.modules.moduledata import ModuleData

_LONGEST = 1_000
Shape = Literal["func", "value", "pointer", "interface"]


@dataclass(frozen=True)
class Export:
    """A symbol that `Lookup` finds."""

    name: str
    shape: Shape
    """A function, or a variable that holds a value, a pointer or an interface."""
    type: str
    """Type of the function, or of the variable as it is declared, such as `main.Doctor`."""
    looked_up: str
    """Type of what `Lookup` returns, such as `*main.Doctor`."""
    methods: tuple[Method, ...]
    """Methods of what `Lookup` returns."""
    inner_methods: tuple[Method, ...] = ()
    """Methods of what a pointer variable holds, out of an assertion's reach."""
    present: bool = True
    """Whether its symbol is there; if not, `Open` fails."""

    @property
    def kind(self) -> str:
        """`func` or `var`."""
        return "func" if self.shape == "func" else "var"


@dataclass(frozen=True)
class Function:
    """A function of the plugin's main package, exported or not."""

    name: str
    """Without the plugin path, such as `(*Doctor).HealthCheck`."""
    address: int
    size: int
    """Bytes of code."""


def read_exports(elf: ElfFile, data: ModuleData) -> tuple[Export, ...]:
    """Exports in stored order.

    Raises:
        MalformedModule: if a name or type leads out of the file.
    """
    if data.types is None:
        return ()
    reader = TypeReader(elf, data.types)
    found = []
    for entry in data.exports:
        name = reader.name(entry.name).text
        present = elf.symbols.named(f"{data.path}.{name}") is not None
        found.append(_export(reader, reader.type(entry.type), name, present))
    return tuple(found)


def own_functions(elf: ElfFile, path: str) -> tuple[Function, ...]:
    """Functions of the main package, in the order of their addresses."""
    begin = f"{path}."
    found = (
        Function(symbol.name.removeprefix(begin), symbol.value, symbol.size)
        for symbol in elf.symbols.defined.values()
        if symbol.kind == FUNCTION and symbol.name.startswith(begin)
    )
    return tuple(sorted(found, key=lambda each: each.address))


def _export(reader: TypeReader, stored: GoType, name: str, present: bool) -> Export:
    looked_up = clean(stored.text, _LONGEST)
    if stored.kind != POINTER:
        shape: Shape = "func" if stored.kind == FUNC else "value"
        return Export(clean(name), shape, looked_up, looked_up, _clean(stored), present=present)
    declared = reader.element(stored)
    shape = "value"
    inner: tuple[Method, ...] = ()
    if declared.kind == POINTER:
        shape, inner = "pointer", _clean(declared)
    elif declared.kind == INTERFACE:
        shape, inner = "interface", _clean(reader.interface(declared))
    return Export(
        clean(name),
        shape,
        clean(declared.text, _LONGEST),
        looked_up,
        _clean(stored),
        inner,
        present,
    )


def _clean(type_: GoType) -> tuple[Method, ...]:
    return tuple(
        Method(clean(each.name, _LONGEST), clean(each.type, _LONGEST)) for each in type_.methods
    )
