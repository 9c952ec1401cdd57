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


def read_layout(btf: Btf) -> Layout:
    """Look every member up.

    Raises:
        ProbeError: if the BTF contradicts itself.
    """
    defines: dict[str, int] = {}
    missing: dict[str, str] = {}
    for feature, members in MEMBERS.items():
        try:
            offsets = {macro: btf.offset(structure, path) for macro, structure, path in members}
            if feature in TRACEPOINTS:
                _check_tracepoint(btf, feature)
        except KeyError as absent:
            missing[feature] = str(absent.args[0])
        else:
            defines |= offsets
            defines[f"HAVE_{feature}"] = 1
    for name, (feature, macros) in SPANS.items():
        if f"HAVE_{feature}" in defines:
            start, size = _span([defines[macro] for macro in macros if macro in defines])
            defines |= {f"SPAN_{name}": start, f"SPAN_{name}_SIZE": size}
            if size > _SPAN_MAX:
                del defines[f"HAVE_{feature}"]
                missing[feature] = f"{name.lower()} of the usual layout"
    for macro, (structure, path) in OPTIONAL.items():
        try:
            defines[macro] = btf.offset(structure, path)
        except KeyError:
            defines[macro] = 0
    defines["EXIT_TELLS_GROUP"] = int("EXIT" not in missing and _exit_tells_group(btf))
    defines |= _details(btf)
    if "DROPS" not in missing:
        try:
            defines |= drop_definitions(btf.enumerators(DROP_REASONS))
        except KeyError:
            del defines["HAVE_DROPS"]
            missing["DROPS"] = DROP_REASONS
    if _has_helper(btf, "BPF_FUNC_task_pt_regs"):
        defines["HAVE_TASK_REGS"] = 1
    else:
        missing["TASK_REGS"] = "bpf_task_pt_regs"
    if "SEEDS" not in missing:
        # From the struct socket that a struct sock points to.
        defines["O_SOCKET_INODE_NUMBER"] = defines.pop("O_SOCKET_INODE") + defines.pop(
            "O_INODE_NUMBER"
        )
    return Layout(defines, missing)


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
