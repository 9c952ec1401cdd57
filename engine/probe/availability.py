"""What this kernel can deliver: looked up and tried, never guessed from a version.

Three things are asked: the kernel's type information, for structures, members and tracepoints;
its symbols, for system calls it was built without; and the verifier, by loading every program.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Literal, NamedTuple

from engine.core.errors import BoxscopeError
from engine.probe import preflight
from engine.probe.attachments import TRACEPOINT_OF
from engine.probe.btf import Btf
from engine.probe.calls import BY_FD, CALLS, Category
from engine.probe.catalogue import Cell, unavailable
from engine.probe.definitions import definitions
from engine.probe.events import Event
from engine.probe.features import FEATURES
from engine.probe.layout import Layout, read_layout
from engine.probe.loader import Loader

State = Literal["available", "degraded", "unavailable", "unknown"]

KALLSYMS = Path("/proc/kallsyms")
_BUILT_IN = re.compile(rb" [Tt] __x64_sys_(\w+)\n")
"""A call's own function; one the kernel is built without has a weak stand-in, or nothing."""
_SYMBOL_OF = {"pread": "pread64", "pwrite": "pwrite64", "prlimit": "prlimit64"}
"""Calls whose function is not named like them."""


class Verdict(NamedTuple):
    """Whether an event can be had."""

    state: State
    reason: str
    """Why not, or what is lost; empty if it is available."""


@dataclass(frozen=True)
class Availability:
    """What was found on one box."""

    missing: Mapping[str, str] = field(default_factory=dict)
    """Features of the probe with what the kernel's structures lack for them."""
    tracepoints: frozenset[str] = frozenset()
    """Tracepoints the kernel does not have."""
    calls: frozenset[str] = frozenset()
    """System calls the kernel was built without: they can be made, and fail."""
    refused: Mapping[str, str] = field(default_factory=dict)
    """Programs the kernel did not take, with its reason."""
    untried: str = ""
    """Why nothing was loaded, so that refusals are not known; empty if it was."""

    def why_not(self, cell: Cell) -> str:
        """Why a cell cannot be delivered; empty as far as is known that it can."""
        event = cell.event
        if event.absent:
            return event.absent
        for program in event.programs:
            tracepoint = TRACEPOINT_OF[program]
            if tracepoint in self.tracepoints:
                return f"this kernel has no tracepoint {tracepoint}"
        lacking = unavailable(cell, dict(self.missing))
        if lacking:
            return lacking
        for program in event.programs:
            if program in self.refused:
                return f"the kernel refused {program}: {self.refused[program]}"
        return ""

    def verdict(self, event: Event) -> Verdict:
        """What of an event can be had."""
        reasons = {category: self.why_not(Cell(event, category)) for category in event.columns}
        why_not = [reason for reason in dict.fromkeys(reasons.values()) if reason]
        if all(reasons.values()):
            return Verdict("unavailable", "; ".join(why_not))
        if self.untried:
            return Verdict("unknown", self.untried)
        lost = [FEATURES[name] for name in _wanted(event) if name in self.missing]
        lost += [helper.lost for helper in event.helpers if self._lacks(helper.program)]
        if _call(event) in self.calls:
            lost.append(f"this kernel is built without {_call(event)}, so it always fails")
        if why_not or lost:
            return Verdict("degraded", "; ".join(lost or why_not))
        return Verdict("available", "")

    def _lacks(self, program: str) -> bool:
        return program in self.refused or TRACEPOINT_OF[program] in self.tracepoints


def look(btf: Btf, layout: Layout, refused: Mapping[str, str]) -> Availability:
    """What the kernel lacks, where the programs have been loaded.

    Args:
        btf: Its type information.
        layout: What was found in that.
        refused: Programs it did not take, with its reason.
    """
    return Availability(layout.missing, absent_tracepoints(btf), absent_calls(), refused)


def find_out() -> Availability:
    """Ask everything, loading every program once; nothing is attached.

    What could not be asked is told in the result. Without rights that is what the verifier says.
    """
    try:
        btf = Btf.load()
        layout = read_layout(btf)
    except BoxscopeError as error:
        return Availability(calls=absent_calls(), untried=_not_tried(error))
    found = look(btf, layout, {})
    try:
        preflight.check()
        loaded = Loader(definitions(layout.defines)).run()
    except BoxscopeError as error:
        return replace(found, untried=_not_tried(error))
    loaded.close()
    return replace(found, refused=loaded.refused)


def absent_tracepoints(btf: Btf) -> frozenset[str]:
    """The tracepoints the probe knows of that this kernel does not have.

    Raises:
        ProbeError: if the type information contradicts itself.
    """
    return frozenset(_absent(btf))


def _absent(btf: Btf) -> Iterator[str]:
    for tracepoint in set(TRACEPOINT_OF.values()):
        try:
            btf.parameters(f"btf_trace_{tracepoint}")
        except KeyError:
            yield tracepoint


def absent_calls(symbols: Path = KALLSYMS) -> frozenset[str]:
    """The system calls this kernel was built without; none if its symbols do not tell."""
    try:
        built_in = {name.decode() for name in _BUILT_IN.findall(symbols.read_bytes())}
    except OSError:
        return frozenset()
    if not built_in:
        return frozenset()
    names = (call.name for call in CALLS if call.number is not None)
    return frozenset(name for name in names if _SYMBOL_OF.get(name, name) not in built_in)


def _not_tried(error: BoxscopeError) -> str:
    return f"could not be tried: {error}"


def _call(event: Event) -> str:
    """The system call an event is about; empty if it is about none."""
    hook, _, call = event.name.partition("-")
    return call if hook.startswith("syscall_") else ""


def _wanted(event: Event) -> Iterator[str]:
    """Features an event is poorer without."""
    if event.columns == BY_FD:
        yield "FD"
    if Category.NET in event.columns:
        yield "TUPLE"
        yield "IPV6"
    if "TCP" in event.needs:
        yield "OWNER"
    if event.emitted == "execve":
        yield "EXEC"
    if _call(event):
        yield "COMPAT"
