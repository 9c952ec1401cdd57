"""A Go program as far as it decides which plugins it can open."""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path

from engine.core.errors import MalformedModule, ModuleLoadError
from engine.core.sanitise import clean
from engine.modules.elf import ElfFile, open_regular
from engine.modules.filekind import (
    KIND_TEXTS,
    NO_PLUGINS_TEXT,
    Kind,
    contains,
    identify,
    is_static_host,
)
from engine.modules.linkage import Build, read_build
from engine.modules.loader import Loader
from engine.modules.packages import fingerprints

_PROGRAMS = (Kind.GO_HOST, Kind.GO_PROGRAM, Kind.EXECUTABLE)
_WITHOUT_CGO = "it was built without cgo: build it with CGO_ENABLED=1"


@dataclass(frozen=True)
class Host:
    """A program that is asked to open plugins."""

    path: Path
    """The real path."""
    machine: str
    """Processor, as `ElfFile.machine` names it."""
    bits: int
    fingerprints: dict[str, bytes]
    """By package; empty if it cannot open plugins."""
    build: Build
    loader: Loader
    """As it is when the program starts."""
    refusal: str = ""
    """The error with which it refuses every file; empty if it does not."""
    reason: str = ""
    """Why it cannot open plugins; empty if it can."""
    is_static: bool = False
    """Whether it has a `plugin.Open` and no dynamic symbols, by which a plugin finds the run time
    that it is loaded into."""

    @property
    def opens_plugins(self) -> bool:
        """Whether there is a `plugin.Open` in it that works."""
        return not self.reason


def read_host(path: Path) -> Host:
    """The facts of a program.

    Raises:
        ModuleLoadError: if it cannot be read or is no program.
    """
    try:
        real = path.resolve(strict=True)
    except (OSError, RuntimeError) as error:
        reason = getattr(error, "strerror", "") or str(error)
        raise ModuleLoadError(f"cannot read {clean(str(path), 400)}: {reason}") from None
    descriptor = open_regular(real)
    try:
        return _read(real, descriptor)
    except MalformedModule as error:
        shown = clean(str(path), 400)
        raise ModuleLoadError(f"{shown} cannot be a host: {error.message}") from None
    finally:
        os.close(descriptor)


def _read(path: Path, descriptor: int) -> Host:
    elf = ElfFile(descriptor)
    identified = identify(elf)
    if identified.kind not in _PROGRAMS:
        raise MalformedModule(f"it is no program but a {KIND_TEXTS[identified.kind]}")
    marks = fingerprints(elf)
    build = read_build(elf, descriptor, marks)
    refusal = reason = ""
    if identified.kind == Kind.EXECUTABLE:
        reason = "it is no Go program"
    elif identified.kind == Kind.GO_PROGRAM:
        refusal = NO_PLUGINS_TEXT.decode() if contains(elf, NO_PLUGINS_TEXT) else ""
        reason = _WITHOUT_CGO if refusal else identified.reason
    is_static = bool(reason) and not refusal and is_static_host(elf)
    if is_static:
        reason = ""
    loader = Loader(elf, path)
    return Host(path, elf.machine, elf.bits, marks, build, loader, refusal, reason, is_static)
