"""The running kernel's structure layouts, as definitions for the compiler.

Each feature of the probe needs some members; where the kernel lacks one of them, that feature
is compiled out and its name is reported, and everything else still works.
"""

from __future__ import annotations

from dataclasses import dataclass

from engine.probe.btf import Btf
from engine.probe.features import (
    DETAILS,
    LEAST_PARAMETERS,
    MEMBERS,
    OPTIONAL,
    SPANS,
    TRACEPOINTS,
)
from engine.probe.reasons import DROP_REASONS, drop_definitions

_LAST_MEMBER = 16
"""Bytes of the longest member a span may end with: an IPv6 address."""
_SPAN_MAX = 128
"""What a program has room for; with shuffled structures it may not be enough."""

_GROUP_DEAD_PARAMETERS = 3
"""Of `btf_trace_sched_process_exit` where the tracepoint itself says whether the group died."""


@dataclass(frozen=True, slots=True)
class Layout:
    """Offsets of one kernel."""

    defines: dict[str, int]
    """Compiler definitions: `O_<member>` and `HAVE_<feature>`."""
    missing: dict[str, str]
    """Features this kernel cannot have, with the member that is absent."""

    def has(self, feature: str) -> bool:
        """Whether the programs may be compiled with a feature."""
        return f"HAVE_{feature}" in self.defines

    def lack(self, feature: str, member: str) -> None:
        """Have them compiled without it, for want of a member."""
        self.defines.pop(f"HAVE_{feature}", None)
        self.missing[feature] = member


def read_layout(btf: Btf) -> Layout:
    """Look every member up.

    Raises:
        ProbeError: if the BTF contradicts itself.
    """
    layout = Layout({}, {})
    _add_features(btf, layout)
    _add_spans(layout)
    for macro, (structure, path) in OPTIONAL.items():
        try:
            layout.defines[macro] = btf.offset(structure, path)
        except KeyError:
            layout.defines[macro] = 0
    layout.defines["EXIT_TELLS_GROUP"] = int(layout.has("EXIT") and _exit_tells_group(btf))
    layout.defines.update(_details(btf))
    _add_what_is_no_member(btf, layout)
    return layout


def _add_features(btf: Btf, layout: Layout) -> None:
    """The offsets of each feature, if all of its members are there."""
    for feature, members in MEMBERS.items():
        try:
            offsets = {macro: btf.offset(structure, path) for macro, structure, path in members}
            if feature in TRACEPOINTS:
                _check_tracepoint(btf, feature)
        except KeyError as absent:
            layout.lack(feature, str(absent.args[0]))
        else:
            layout.defines.update(offsets, **{f"HAVE_{feature}": 1})


def _add_spans(layout: Layout) -> None:
    """Where members lie that are read together, if that is near enough to each other."""
    for name, (feature, macros) in SPANS.items():
        if not layout.has(feature):
            continue
        offsets = [layout.defines[macro] for macro in macros if macro in layout.defines]
        start, size = _span(offsets)
        layout.defines.update({f"SPAN_{name}": start, f"SPAN_{name}_SIZE": size})
        if size > _SPAN_MAX:
            layout.lack(feature, f"{name.lower()} of the usual layout")


def _add_what_is_no_member(btf: Btf, layout: Layout) -> None:
    """Enumerators, helpers, and an offset that is the sum of two."""
    if layout.has("DROPS"):
        try:
            layout.defines.update(drop_definitions(btf.enumerators(DROP_REASONS)))
        except KeyError:
            layout.lack("DROPS", DROP_REASONS)
    if _has_helper(btf, "BPF_FUNC_task_pt_regs"):
        layout.defines["HAVE_TASK_REGS"] = 1
    else:
        layout.lack("TASK_REGS", "bpf_task_pt_regs")
    if layout.has("SEEDS"):
        # From the struct socket that a struct sock points to.
        inode = layout.defines.pop("O_SOCKET_INODE")
        layout.defines["O_SOCKET_INODE_NUMBER"] = inode + layout.defines.pop("O_INODE_NUMBER")


def _check_tracepoint(btf: Btf, feature: str) -> None:
    """Raises KeyError if a feature's tracepoint is absent or tells too little."""
    name = f"btf_trace_{TRACEPOINTS[feature]}"
    if btf.parameters(name) < LEAST_PARAMETERS.get(feature, 0):
        raise KeyError(f"{name} with {LEAST_PARAMETERS[feature] - 1} arguments")


def _has_helper(btf: Btf, name: str) -> bool:
    """Whether programs may call a helper of the kernel."""
    try:
        return name in btf.enumerators("bpf_func_id").values()
    except KeyError:
        return False


def _details(btf: Btf) -> dict[str, int]:
    details = {}
    for macro, (tracepoint, parameters) in DETAILS.items():
        try:
            details[macro] = int(btf.parameters(f"btf_trace_{tracepoint}") >= parameters)
        except KeyError:
            details[macro] = 0
    return details


def _span(offsets: list[int]) -> tuple[int, int]:
    """Where members lie that are read together: start and size, whole words of 8 bytes."""
    start = min(offsets) & ~7
    return start, max(offsets) + _LAST_MEMBER - start + 7 & ~7


def _exit_tells_group(btf: Btf) -> bool:
    return btf.parameters("btf_trace_sched_process_exit") >= _GROUP_DEAD_PARAMETERS
