"""A module's verdict as text for people."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING

if TYPE_CHECKING:  # the reader of ELF files is loaded only when a file is really looked at
    from engine.modules.buildinfo import Module
    from engine.modules.cexports import CExport
    from engine.modules.conformance import Conformance
    from engine.modules.exports import Export
    from engine.modules.gofacts import GoFacts
    from engine.modules.inspection import ElfFacts, Inspection
    from engine.modules.python_exports import PythonExport
    from engine.modules.python_source import PythonFacts
    from engine.modules.signature import Interface

_WIDTH = 13
_MOST = 40
"""Longest list that is printed in full; JSON has all of it."""
_QUIET = frozenset(
    ("-buildmode", "-compiler", "DefaultGODEBUG", "CGO_ENABLED", "CGO_CFLAGS", "CGO_CPPFLAGS",
     "CGO_CXXFLAGS", "CGO_LDFLAGS", "GOARCH", "GOOS", "vcs", "vcs.time", "vcs.modified")
)  # fmt: skip
"""Build settings that do not decide what loads what."""
_BLACK_BOX = "a black box: assume that it does anything the process that loads it may do"


def verdict_lines(found: Inspection) -> Iterator[str]:
    """What it is, whether it can be loaded here, then all that is known of it."""
    from engine.modules.filekind import KIND_TEXTS, MODULES

    yield KIND_TEXTS[found.kind]
    if found.kind not in MODULES:
        yield f"  refused  {found.reason}"
    for obstacle in found.obstacles:
        yield f"  refused  {obstacle}"
    if found.loadable:
        yield f"  {_BLACK_BOX}"
    for fault in found.faults:
        yield f"  unknown  {fault}"
    for fact in found.unusual:
        yield f"  unusual  {fact}"
    yield ""
    changed = found.modified.partition(".")[0].replace("T", " ") or "at no time"
    rights = f"mode {found.mode:04o}, user {found.owner}"
    yield _line("file", f"{found.size:,} B, {rights}, changed {changed}")
    yield _line("sha256", found.sha256 or "not computed: too large")
    yield _line("told by", found.reason)
    if found.elf:
        yield from _elf(found.elf, found.go)
    if found.go:
        yield from _go(found.go)
    if found.c:
        yield from _listed("exports", [_c_export(each) for each in found.c])
    if found.python:
        yield from _python(found.python)


def conformance_lines(interface: Interface, symbols: tuple[Conformance, ...]) -> Iterator[str]:
    """Which symbols satisfy an interface, and what the others lack."""
    yield ""
    yield f"{interface}"
    width = max((len(each.symbol) for each in symbols), default=0)
    for each in symbols:
        verdict = "satisfied by name" if each.conforms else "not satisfied"
        if each.untold:
            verdict = "cannot be told"
        lacks = each.untold or "; ".join(map(str, each.lacks))
        yield f"  {verdict:<17}  {each.symbol:<{width}}  {each.looked_up}  {lacks}".rstrip()
        if each.hint:
            yield f"  {'':<17}  {'':<{width}}  {each.hint}"
    if not symbols:
        yield "  no symbol can be looked up"


def _elf(facts: ElfFacts, go: GoFacts | None) -> Iterator[str]:
    yield _line("built for", f"{facts.machine}, {facts.bits} bits")
    libc = f"; glibc {facts.glibc_floor} or newer" if facts.glibc_floor else ""
    yield _line("needs", (", ".join(facts.needed) or "no library") + libc)
    if facts.imports:
        yield _line("calls", ", ".join(facts.imports))
    if go is None or go.path:
        before = "before any check" if go else "when it is loaded"
        yield _line("constructors", f"{facts.constructors}, run {before}")


def _go(facts: GoFacts) -> Iterator[str]:
    made_by = facts.toolchain
    yield _line("Go", f"{made_by.version or 'unknown'} ({made_by.known_by})")
    yield _line("built with", _settings(facts))
    if facts.path:
        yield _line("plugin path", facts.path)
    if facts.build and facts.build.main:
        yield _line("module", _module(facts.build.main))
    if facts.packages:
        linked = ", ".join(facts.linked) or "none of interest"
        yield _line("linked", f"{linked} (of {len(facts.packages)} packages)")
    elif facts.linked:
        yield _line("linked", ", ".join(facts.linked))
    if facts.c_functions:
        yield _line("C functions", ", ".join(facts.c_functions[:_MOST]))
    if facts.path:
        yield _line("initialises", _initialisers(facts))
    if facts.build:
        yield from _listed("dependencies", [_module(each) for each in facts.build.dependencies])
    if facts.path:
        yield from _listed("exports", [line for each in facts.exports for line in _export(each)])
        texts = sorted(facts.literals, key=lambda each: not each.notable)
        width = max((len(each.function) for each in texts), default=0)
        yield from _listed(
            "texts in its own functions",
            [
                f"{'!' if each.notable else ' '} {each.function:<{width}}  "
                f"{each.text!r}{'' if each.exact else ' ...'}"
                for each in texts
            ],
        )


def _settings(facts: GoFacts) -> str:
    settings = facts.build.settings if facts.build else {}
    shown = [f"{key}={value}" for key, value in settings.items() if key not in _QUIET]
    shown += [facts.toolchain.flags] if facts.toolchain.flags else []
    if not facts.build and facts.toolchain.trimmed is not None:
        shown.append("-trimpath" if facts.toolchain.trimmed else "no -trimpath")
    shown += [f"instrumented: {name}" for name in facts.toolchain.instrumented]
    return ", ".join(shown) or "nothing special"


def _initialisers(facts: GoFacts) -> str:
    own = [each.name for each in facts.functions if each.name.startswith("init.")]
    of_main = ", ".join(own) or "none of its own"
    return f"{len(facts.init)} packages; functions named init in main: {of_main}"


def _module(module: Module) -> str:
    shown = f"{module.path} {module.version}".rstrip()
    return f"{shown} => {_module(module.replacement)}" if module.replacement else shown


def _export(export: Export) -> Iterator[str]:
    missing = "" if export.present else "  (its symbol is missing: Open fails)"
    looked_up = f"  looked up as {export.looked_up}" if export.kind == "var" else ""
    yield f"{export.kind:<4}  {export.name}  {export.type}{looked_up}{missing}"
    for method in export.methods:
        yield f"        {method.name}{method.type.removeprefix('func') or ' (pruned)'}"


def _c_export(export: CExport) -> str:
    if export.signature is None:
        return export.name
    obstacle = f"  not callable: {export.obstacle}" if export.obstacle else ""
    return f"{export.name}{export.signature}  ({export.source}){obstacle}"


def _python(facts: PythonFacts) -> Iterator[str]:
    yield _line("imports", ", ".join(facts.imports) or "nothing")
    yield _line("reaches", ", ".join(facts.reaches) or "nothing of interest")
    lines = [line for each in facts.exports for line in _python_export(each)]
    yield from _listed("exports", lines)
    yield from _listed("run when it is imported", facts.runs_at_import)
    yield from _listed("texts", [repr(text) for text in facts.texts])


def _python_export(export: PythonExport) -> Iterator[str]:
    made_of = f"  {export.detail}" if export.detail else ""
    yield f"{export.kind:<8}  {export.name}{made_of}"
    if export.kind != "function":
        for method in export.methods:
            if not method.name.startswith("_"):
                yield f"            {method.name}: {method}"


def _listed(what: str, lines: Sequence[str]) -> Iterator[str]:
    if not lines:
        return
    yield ""
    yield f"{what}: {len(lines)}" if what != "exports" else f"{what}:"
    for line in lines[:_MOST]:
        yield f"  {line}"
    if len(lines) > _MOST:
        yield f"  ... {len(lines) - _MOST} more lines: see --json"


def _line(what: str, text: str) -> str:
    return f"{what:<{_WIDTH}}  {text}"
