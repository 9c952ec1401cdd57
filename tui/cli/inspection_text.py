"""An inspected Wasm plugin as text for people."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

if TYPE_CHECKING:  # Wasmtime is loaded only when a plugin is really inspected
    from engine.wasm.imports import Judged
    from engine.wasm.inspection import Inspection

_WIDTH = 13


def inspection_lines(found: Inspection) -> Iterator[str]:
    """Verdict first, then what is in the file, then what its author should know."""
    yield "an agent loads it" if found.loads else "an agent does not load it"
    yield from _findings(found)
    yield ""
    yield _line("size", f"{found.size:,} B; {_sections(found)}")
    yield _line("sha256", found.sha256)
    for what, tools in found.module.producers.items():
        yield _line(what, ", ".join(tools))
    yield _line("dialect", found.dialect)
    yield _line("hooks", ", ".join(found.hooks) or "none")
    if found.custom_filter:
        yield _line("custom filter", found.custom_filter)
    yield _line("exports", ", ".join(found.exports))
    yield _line("memory", f"{found.memory:,} B after _start")
    yield _line("times", f"compile {found.compile_ms:.1f} ms, start {found.start_ms:.2f} ms")
    yield _line("backtraces", _backtraces(found))
    for log in found.start_logs:
        yield _line("_start", log)
    yield from _imports(found)


def _findings(found: Inspection) -> Iterator[str]:
    for level, text, advice in found.findings:
        yield f"  {level:<8} {text}"
        if advice:
            yield f"           {advice}"


def _imports(found: Inspection) -> Iterator[str]:
    yield ""
    yield f"imports: {len(found.imports)}"
    for judged in found.imports:
        yield f"  {_verdict(judged):<12} {judged.name}"


def _verdict(judged: Judged) -> str:
    if not judged.refusal:
        return "ok"
    if judged.old_sdk:
        return "old SDK"
    return "lenient only" if judged.lenient else "refused"


def _sections(found: Inspection) -> str:
    parts = (f"{name} {found.module.size_of(name):,} B" for name in ("code", "data", "name"))
    return ", ".join(parts)


def _backtraces(found: Inspection) -> str:
    if found.module.has_lines:
        return "names, files and lines"
    return "names" if found.module.function_names else "numbers only"


def _line(what: str, text: str) -> str:
    return f"{what:<{_WIDTH}}  {text}"
