"""Debugging information: who compiled a file, and the signatures of its C functions.

pyelftools decodes it; what it is given is bounded first (compressed sections announce their size),
and entries are walked one after the other, because links between them may lead in circles.
"""

from __future__ import annotations

import io
import os
from collections.abc import Iterator
from itertools import islice
from typing import NamedTuple

from elftools.dwarf.compileunit import CompileUnit
from elftools.dwarf.die import DIE
from elftools.dwarf.dwarfinfo import DWARFInfo
from elftools.elf.elffile import ELFFile

from engine.core.errors import MalformedModule
from engine.core.sanitise import clean

_LARGEST = 128 << 20
"""All of it, inflated, in bytes."""
_MOST_UNITS, _MOST_ENTRIES = 4_096, 100_000
_DEEPEST_TYPE, _LONGEST_NAME = 12, 400
_UNKNOWN = "?"


class Parameter(NamedTuple):
    """A parameter of a C function."""

    name: str
    type: str


class Signature(NamedTuple):
    """A C function as a compiler saw it."""

    parameters: tuple[Parameter, ...]
    result: str
    """`void` for none."""

    def __str__(self) -> str:
        shown = ", ".join(f"{name}: {type_}" for name, type_ in self.parameters)
        return f"({shown}) -> {self.result}"


def go_producer(descriptor: int) -> str:
    """What Go's compiler wrote about itself, such as `Go cmd/compile go1.19.8; -shared regabi`.

    Empty if there is none.

    Raises:
        MalformedModule: if the debugging information cannot be read.
    """
    try:
        for unit in _units(_open(descriptor)):
            producer = _text(unit.get_top_DIE(), "DW_AT_producer")
            if producer.startswith("Go cmd/compile "):
                return producer
    except MalformedModule:
        raise
    except Exception as error:  # of a parser, for whatever bytes somebody wrote
        raise _unreadable(error) from None
    return ""


def c_signatures(descriptor: int, wanted: frozenset[str]) -> dict[str, Signature]:
    """The signatures of these functions where C units define them.

    Of very much debugging information only the first hundred thousand entries are read.

    Raises:
        MalformedModule: if the debugging information cannot be read.
    """
    found: dict[str, Signature] = {}
    budget = iter(range(_MOST_ENTRIES))
    try:
        for unit in _units(_open(descriptor)):
            if not _text(unit.get_top_DIE(), "DW_AT_producer").startswith("Go cmd/"):
                found |= _signatures(unit, wanted, budget)
    except MalformedModule:
        raise
    except Exception as error:  # as above
        raise _unreadable(error) from None
    return found


def _unreadable(error: Exception) -> MalformedModule:
    told = clean(f"{type(error).__name__}: {error}", 200)
    return MalformedModule(f"its debugging information cannot be read: {told}")


def _open(descriptor: int) -> DWARFInfo | None:
    size = os.fstat(descriptor).st_size
    stream = io.BufferedReader(io.FileIO(descriptor, closefd=False))
    elf, left = ELFFile(stream), _LARGEST
    for section in islice(elf.iter_sections(), _MOST_UNITS):
        if not section.name.startswith((".debug_", ".zdebug_", ".eh_frame")):
            continue
        if section["sh_type"] == "SHT_NOBITS":
            raise MalformedModule("its debugging information is elsewhere")
        left -= section.data_size
        if left < 0 or section["sh_size"] > size:
            raise MalformedModule(f"it has more debugging information than {_LARGEST} bytes")
    if not elf.has_dwarf_info(strict=True):
        return None
    info: DWARFInfo = elf.get_dwarf_info(relocate_dwarf_sections=False, follow_links=False)
    return info


def _units(info: DWARFInfo | None) -> Iterator[CompileUnit]:
    if info is not None:
        yield from islice(info.iter_CUs(), _MOST_UNITS)


def _signatures(
    unit: CompileUnit, wanted: frozenset[str], budget: Iterator[int]
) -> dict[str, Signature]:
    found = {}
    entries = _entries(unit, budget)
    for entry in entries:
        name = _text(entry, "DW_AT_name")
        if entry.tag != "DW_TAG_subprogram" or name not in wanted or not _is_definition(entry):
            continue
        found[name] = Signature(tuple(_parameters(entry, entries)), _type_name(entry))
    return found


def _is_definition(entry: DIE) -> bool:
    return "DW_AT_low_pc" in entry.attributes or "DW_AT_ranges" in entry.attributes


def _parameters(function: DIE, following: Iterator[DIE]) -> Iterator[Parameter]:
    """Parameters come first below their function."""
    if not function.has_children:
        return
    for entry in following:
        if entry.tag != "DW_TAG_formal_parameter":
            return
        yield Parameter(_text(entry, "DW_AT_name") or _UNKNOWN, _type_name(entry))


def _entries(unit: CompileUnit, budget: Iterator[int]) -> Iterator[DIE]:
    """All entries in the order of the file, as many as the budget allows."""
    section = unit.dwarfinfo.debug_info_sec
    if section is None:
        return
    offset = unit.cu_die_offset
    end = unit.cu_offset + unit.size
    for _ in budget:
        if offset >= end:
            return
        entry = DIE(unit, section.stream, offset)
        offset += entry.size
        yield entry


def _type_name(entry: DIE) -> str:
    """The type of a function's result or of a parameter, in C."""
    prefix = suffix = ""
    for _ in range(_DEEPEST_TYPE):
        if "DW_AT_type" not in entry.attributes:
            return f"{prefix}void{suffix}"
        entry = entry.get_DIE_from_attribute("DW_AT_type")
        if entry.tag == "DW_TAG_pointer_type":
            suffix = f"*{suffix}"
        elif entry.tag == "DW_TAG_const_type":
            prefix = "const " if suffix else prefix  # of what is pointed to: not to be freed
        elif entry.tag == "DW_TAG_volatile_type":
            continue
        elif entry.tag in ("DW_TAG_base_type", "DW_TAG_typedef"):
            return f"{prefix}{_text(entry, 'DW_AT_name')}{suffix}"
        elif entry.tag == "DW_TAG_structure_type":
            return f"struct {_text(entry, 'DW_AT_name')}{suffix}"
        elif entry.tag == "DW_TAG_enumeration_type":
            return f"enum {_text(entry, 'DW_AT_name')}{suffix}"
        else:
            return _UNKNOWN
    return _UNKNOWN


def _text(entry: DIE, attribute: str) -> str:
    value = entry.attributes.get(attribute)
    if value is None or not isinstance(value.value, bytes):
        return ""
    return clean(value.value, _LONGEST_NAME)
