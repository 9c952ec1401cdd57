"""What decides whether one Go binary opens in another, read once from a file."""

from __future__ import annotations

import os
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from engine.modules.buildinfo import BuildInfo, read_build_info
from engine.modules.elf import ElfFile
from engine.modules.elf_tables import knows_relocations
from engine.modules.exports import read_exports
from engine.modules.layouts import Layout
from engine.modules.moduledata import module_data
from engine.modules.packages import (
    Package,
    fingerprints,
    first_module_size,
    package_table,
)
from engine.modules.toolchain import Toolchain, toolchain

Inode = tuple[int, int]
"""Device and number: what the loader knows a file by."""


@dataclass(frozen=True)
class Linkage:
    """A plugin, or another shared object that could be taken for one."""

    path: Path
    """The real path."""
    inode: Inode
    fingerprints: dict[str, bytes]
    """By package, as other files see them."""
    packages: tuple[Package, ...]
    """As the run time compares them, in that order; empty if it is no Go plugin."""
    ordered: bool
    """Whether that order is known."""
    plugin_path: str
    missing: tuple[str, ...]
    """Exports that are promised but not there."""
    build: Build

    @property
    def go_plugin(self) -> bool:
        """Whether it is what `go build -buildmode=plugin` makes."""
        return bool(self.packages)


@dataclass(frozen=True)
class Build:
    """What is known of how a Go file was built."""

    layout: Layout
    info: BuildInfo | None
    toolchain: Toolchain


def read_linkage(elf: ElfFile, descriptor: int, path: Path) -> Linkage:
    """The facts of a shared object.

    Args:
        elf: The file.
        descriptor: The same file.
        path: Its real path.

    Raises:
        MalformedModule: if the file contradicts itself.
    """
    marks = fingerprints(elf)
    packages: tuple[Package, ...] = ()
    missing: tuple[str, ...] = ()
    plugin_path, ordered = "", True
    table = package_table(elf) if marks and knows_relocations(elf) else None
    if table is not None:
        data = module_data(elf, table)
        packages, plugin_path = table.packages, data.path
        missing = tuple(each.name for each in read_exports(elf, data) if not each.present)
    elif marks and not knows_relocations(elf):  # and with them the order
        packages, ordered = tuple(Package(*each) for each in marks.items()), False
    build = read_build(elf, descriptor, marks)
    return Linkage(
        path, inode_of(descriptor), marks, packages, ordered, plugin_path, missing, build
    )


def read_build(elf: ElfFile, descriptor: int, packages: Iterable[str]) -> Build:
    """How a Go file was built."""
    info = read_build_info(elf)
    made_by = toolchain(elf, descriptor, info, packages)
    size = first_module_size(elf) if elf.bits == 64 else None
    return Build(Layout(size, made_by.release), info, made_by)


def inode_of(file: int | Path) -> Inode:
    """What the loader knows a file by: an open one, or the one at a path."""
    status = os.stat(file)
    return status.st_dev, status.st_ino
