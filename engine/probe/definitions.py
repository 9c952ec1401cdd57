"""What the C text is told when it is compiled: sizes, numbers by name, and the kernel's offsets."""

from __future__ import annotations

from collections.abc import Mapping
from enum import IntEnum, IntFlag

from engine.probe import hooks
from engine.probe.abi import (
    CALL,
    CALLS,
    CALLS_IN_FLIGHT,
    CLOSING,
    COMMS,
    COUNTED_ROWS,
    EVENT,
    FACTS,
    FAULT_KINDS,
    LISTENER,
    LISTENERS,
    NO_FD,
    OWNED_SOCKETS,
    OWNER,
    PENDING_SIGNALS,
    PIDS,
    RUNS,
    SETTINGS,
    WAKE_EVERY,
    Comm,
    EventFlag,
    InodeKind,
    PathMark,
    Pid,
    Provenance,
    Role,
    Rule,
    Scope,
    SectionKind,
    Slot,
    TimeList,
)  # fmt: skip
from engine.probe.calls import CALLS as SYSTEM_CALLS
from engine.probe.calls import NO_FD_ARGUMENT, CallFlag, Category, FdType
from engine.probe.events import ROWS
from engine.probe.payload_abi import payload_definitions
from engine.probe.schema import STEPS, Capture, Count, StepFlag


def definitions(layout: Mapping[str, int], *, describe_fds: bool = True) -> dict[str, int]:
    """Every compiler definition the C text asks for.

    Args:
        layout: Offsets of the running kernel; see `engine.probe.layout`.
        describe_fds: Let events tell what their file descriptor is: path, addresses or inode.
    """
    found = _sizes() | _numbers() | _named_calls() | hooks.ROWS
    if describe_fds:
        found["DESCRIBE_FD"] = 1
    return found | payload_definitions() | dict(layout)


def _sizes() -> dict[str, int]:
    """How large structures and maps are."""
    return {
        "NO_FD": NO_FD,
        "NO_ARGUMENT": NO_FD_ARGUMENT,
        "CALLS": CALLS,
        "CALL_SIZE": CALL.size,
        "STEPS": STEPS,
        "FACTS_SIZE": FACTS.size,
        "COUNTED_ROWS": COUNTED_ROWS,
        "PAIRS": ROWS // 2,
        "PIDS": PIDS,
        "COMMS": COMMS,
        "CALLS_IN_FLIGHT": CALLS_IN_FLIGHT,
        "WAKE_EVERY": WAKE_EVERY,
        "EVENT_SIZE": EVENT.size,
        "CLOSING": CLOSING,
        "SLOTS": len(Slot),
        "OWNER_SIZE": OWNER.size,
        "LISTENER_SIZE": LISTENER.size,
        "SETTINGS_SIZE": SETTINGS.size,
        "OWNED_SOCKETS": OWNED_SOCKETS,
        "LISTENERS": LISTENERS,
        "PENDING_SIGNALS": PENDING_SIGNALS,
        "FAULT_KINDS": FAULT_KINDS,
        "RUNS": RUNS,
    }


_NUMBERS: tuple[tuple[str, type[IntEnum] | type[IntFlag]], ...] = (
    ("CAT", Category),
    ("FD", FdType),
    ("CAPTURE", Capture),
    ("CALL", CallFlag),
    ("COUNT", Count),
    ("STEP", StepFlag),
    ("EV", EventFlag),
    ("SLOT", Slot),
    ("SCOPE", Scope),
    ("RULE", Rule),
    ("PID", Pid),
    ("COMM", Comm),
    ("SECTION", SectionKind),
    ("PATH", PathMark),
    ("INODE", InodeKind),
    ("OWNER", Provenance),
    ("LIST", TimeList),
    ("ROLE", Role),
)
"""Numbers the C text knows by name, with what their names begin with there."""


def _numbers() -> dict[str, int]:
    return {
        f"{prefix}_{name}": int(value)
        for prefix, numbers in _NUMBERS
        for name, value in numbers.__members__.items()
    }


def _named_calls() -> dict[str, int]:
    """Rows and numbers of the calls that the programs treat in a way of their own."""
    calls = {call.name: call for call in SYSTEM_CALLS}
    rows = {f"ROW_{name.upper()}": calls[name].row for name in ("recvmmsg", "execve", "execveat")}
    numbers = {
        f"CALL_NUMBER_{name.upper()}": calls[name].number or 0 for name in ("execve", "execveat")
    }
    return rows | numbers
