"""What a shared object offers to C, and with which signature.

A signature comes from the debugging information or from a header beside the file; without one a
function cannot be called safely, because a guessed result type cuts pointers in half.

Format: the names that cgo gives to exported functions: `X` beside `_cgoexp_<hex>_X`.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path

from engine.core.errors import MalformedModule
from engine.core.sanitise import clean
from engine.modules.dwarf import Parameter, Signature, c_signatures
from engine.modules.elf import ElfFile
from engine.modules.elf_tables import FUNCTION

_MOST_EXPORTS = 5_000
_LARGEST_HEADER = 4 << 20
_GO_EXPORT = re.compile(r"_cgoexp_[0-9a-f]+_(.+)")
_COMMENT = re.compile(r"/\*.*?\*/|//[^\n]*", re.DOTALL)
_PROTOTYPE = re.compile(r"(?:^|[;}\n])\s*(?:extern\s+)?([\w\s*]+?[\s*])(\w+)\s*\(([^()]*)\)\s*;")
_QUALIFIERS = re.compile(r"\b(?:const|volatile|restrict|extern|static|inline)\b")
_SIMPLE = re.compile(
    r"""void | .*\* | enum\ \w+ | _?[Bb]ool | float | double
      | (?:(?:un)?signed|char|short|long|int)(?:\ (?:(?:un)?signed|char|short|long|int))*
      | u?int(?:8|16|32|64|ptr)_t | s?size_t
      | GoU?[Ii]nt(?:8|16|32|64)? | GoUintptr | GoFloat(?:32|64)""",
    re.VERBOSE,
)


@dataclass(frozen=True)
class CExport:
    """A function that other code can call."""

    name: str
    signature: Signature | None
    source: str
    """What tells the signature: `debugging information`, or the header's name; empty if nothing."""

    @property
    def obstacle(self) -> str:
        """Why it is not called from here; empty if it can be."""
        if self.signature is None:
            return "no signature: no debugging information and no header beside it"
        for type_ in (*(each.type for each in self.signature.parameters), self.signature.result):
            if not _SIMPLE.fullmatch(type_):
                return f"it hands over {type_} by value, which is not a plain number or pointer"
        return ""


def c_exports(elf: ElfFile, descriptor: int, path: Path, *, go: bool) -> tuple[CExport, ...]:
    """Functions that a shared object offers, in the order of their names.

    Args:
        elf: The file.
        descriptor: The same file, for its debugging information.
        path: Where it is, to look for a header beside it.
        go: Whether it is Go's: then only what was exported on purpose counts.

    Raises:
        MalformedModule: if its symbols lead out of the file.
    """
    functions = {each.name for each in elf.symbols.defined.values() if each.kind == FUNCTION}
    if go:
        matches = (_GO_EXPORT.fullmatch(name) for name in functions)
        names = {match[1] for match in matches if match and match[1] in functions}
    else:
        names = {name for name in functions if name not in ("_init", "_fini")}
    wanted = sorted(names)[:_MOST_EXPORTS]
    known, source = _known(descriptor, path, frozenset(wanted))
    return tuple(
        CExport(clean(name, 400), known.get(name), source if name in known else "")
        for name in wanted
    )


def _known(descriptor: int, path: Path, names: frozenset[str]) -> tuple[dict[str, Signature], str]:
    try:
        found = c_signatures(descriptor, names)
    except MalformedModule:  # it is optional; the header may still tell
        found = {}
    if found:
        return found, "debugging information"
    for header in (path.with_suffix(".h"), path.parent / f"{path.stem.removeprefix('lib')}.h"):
        try:
            with header.open("rb") as file:
                text = file.read(_LARGEST_HEADER).decode("utf-8", "replace")
        except (OSError, ValueError):
            continue
        return header_signatures(text, names), clean(header.name, 200)
    return {}, ""


def header_signatures(text: str, names: frozenset[str]) -> dict[str, Signature]:
    """The signatures of these functions where a header declares them in the plain way."""
    found = {}
    text = "\n".join(
        line for line in _COMMENT.sub(" ", text).splitlines() if not line.lstrip().startswith("#")
    )
    for match in _PROTOTYPE.finditer(text):
        result, name, parameters = match.groups()
        if name in names and name not in found:
            found[name] = Signature(_parameters(parameters), _type(result))
    return found


def _parameters(text: str) -> tuple[Parameter, ...]:
    if text.strip() in ("", "void"):
        return ()
    found = []
    for part in text.split(","):
        words = part.replace("*", " * ").split()
        named = len(words) > 1 and words[-1] != "*" and words[-1] not in _C_WORDS
        name = words.pop() if named else "?"
        found.append(Parameter(clean(name, 100), _type(" ".join(words))))
    return tuple(found)


_C_WORDS = frozenset(("int", "char", "short", "long", "float", "double", "unsigned", "signed"))


def _type(text: str) -> str:
    """A type without qualifiers, its asterisks at the end of its name."""
    words = _QUALIFIERS.sub(" ", text).replace("*", " * ").split()
    stars = "*" * words.count("*")
    return clean(" ".join(word for word in words if word != "*") + stars, 200)
