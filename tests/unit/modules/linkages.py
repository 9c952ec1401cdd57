"""Plugins as the run time sees them, made by hand."""

from __future__ import annotations

from pathlib import Path

from engine.modules.buildinfo import BuildInfo, Module
from engine.modules.layouts import Layout
from engine.modules.linkage import Build, Linkage
from engine.modules.packages import Package
from engine.modules.toolchain import Toolchain

SIZES = {"1.22.10": 592, "1.25.5": 584, "1.26.5": 592, "1.26.6": 592, "1.27.3": 568}


def build(
    go: str = "1.26.6",
    *dependencies: Module,
    experiment: str = "",
    instrumented: tuple[str, ...] = (),
    main: str = "example.com/plug",
    **settings: str,
) -> Build:
    """A build; settings are given without the dash (`trimpath="true"`)."""
    flags = {f"-{name}": value for name, value in settings.items()}
    version = f"go{go} X:{experiment}" if experiment else f"go{go}"
    info = BuildInfo(version, main, Module(main, "(devel)"), dependencies, flags)
    trimmed = flags.get("-trimpath") == "true"
    made_by = Toolchain(version, "build information", "", trimmed, instrumented)
    return Build(Layout(SIZES[go], f"go{go}"), info, made_by)


def linkage(
    name: str,
    packages: dict[str, int],
    *,
    path: str = "",
    go: str = "1.26.6",
    missing: tuple[str, ...] = (),
    ordered: bool = True,
) -> Linkage:
    """A plugin with packages of these contents; no packages make it another library."""
    table = tuple(Package(package, bytes([mark])) for package, mark in packages.items())
    return Linkage(
        Path(f"/{name}"),
        (1, hash(name)),
        dict(table),
        table,
        ordered,
        path or f"example.com/{name}",
        missing,
        build(go),
    )
