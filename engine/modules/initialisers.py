"""Code that runs when a module is opened: ELF constructors, and Go's package initialisers.

Format: `runtime.initTask` (runtime/proc.go): since Go 1.21 the linker puts the plugin's tasks in a
list, before that every package's `..inittask` lists what it depends on.
"""

from __future__ import annotations

import struct
from typing import NamedTuple

from engine.core.errors import MalformedModule
from engine.core.sanitise import clean
from engine.modules.elf import ElfFile
from engine.modules.moduledata import ModuleData, init_slice

CLEAN_CONSTRUCTORS = 2
"""Constructors of every Go file: the C run time's, and the one that registers the module."""
_TASK = "..inittask"
_MOST_TASKS, _MOST_LINKS = 100_000, 100_000


class InitTask(NamedTuple):
    """Initialisation of one package."""

    package: str
    functions: int
    """How many functions it runs."""


def constructors(elf: ElfFile) -> int:
    """Functions the loader runs before anything can be checked."""
    return (elf.tag("DT_INIT_ARRAYSZ") or 0) // (elf.bits // 8)


def init_tasks(elf: ElfFile, data: ModuleData) -> tuple[InitTask, ...]:
    """Packages that are initialised, in order; those that the host has are left out then.

    Raises:
        MalformedModule: if a task leads out of the file.
    """
    names = {
        symbol.value: symbol.name.removesuffix(_TASK)
        for symbol in elf.symbols.defined.values()
        if symbol.name.endswith(_TASK)
    }
    listed = _listed(elf, data, names)
    return listed if listed is not None else _linked(elf, data, names)


def _listed(elf: ElfFile, data: ModuleData, names: dict[int, str]) -> tuple[InitTask, ...] | None:
    """The linker's list; None where there is something else in its place."""
    start, count = init_slice(elf, data)
    if not 0 < count <= _MOST_TASKS:
        return None
    found = []
    for place in range(start, start + 8 * count, 8):
        task = elf.pointer(place) if place in elf.relocations else 0
        if task not in names:
            return None
        (functions,) = struct.unpack(f"{elf.order}I", elf.read(task + 4, 4))
        found.append(InitTask(clean(names[task], 400), functions))
    return tuple(found)


def _linked(elf: ElfFile, data: ModuleData, names: dict[int, str]) -> tuple[InitTask, ...]:
    """Tasks by their links, dependencies first, as the run time follows them."""
    first = elf.symbols.named(f"{data.path}{_TASK}")
    if first is None:
        return ()
    found: dict[int, InitTask] = {}
    entered = {first.value}
    waiting = [(first.value, iter(_dependencies(elf, first.value)))]
    while waiting:
        task, left = waiting[-1]
        following = next((each for each in left if each not in entered), None)
        if following is None:
            waiting.pop()
            functions = elf.word(task + 16)
            found[task] = InitTask(clean(names.get(task, "?"), 400), functions)
        else:
            entered.add(following)
            waiting.append((following, iter(_dependencies(elf, following))))
    return tuple(each for each in found.values() if each.functions)


def _dependencies(elf: ElfFile, task: int) -> list[int]:
    count = elf.word(task + 8)
    if count > _MOST_LINKS:
        raise MalformedModule(f"an initialiser depends on {count} others")
    return [elf.pointer(task + 24 + 8 * index) for index in range(count)]
