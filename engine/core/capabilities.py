"""What this process is allowed to do: the capabilities the kernel asks for, by name."""

from __future__ import annotations

from collections.abc import Iterable

NUMBERS = {
    "CAP_DAC_READ_SEARCH": 2,
    "CAP_SYS_PTRACE": 19,
    "CAP_SYS_ADMIN": 21,
    "CAP_PERFMON": 38,
    "CAP_BPF": 39,
}
"""The bits of those that something here needs."""

SIGHT = ("CAP_SYS_PTRACE", "CAP_DAC_READ_SEARCH")
"""What it takes to look into processes of other users."""
PROBE = ("CAP_BPF", "CAP_PERFMON")
"""What it takes to load and attach tracing programs."""


def effective() -> int:
    """The capabilities of this process, as bits.

    Raises:
        OSError: if /proc cannot be read.
    """
    with open("/proc/self/status", encoding="utf-8") as status:
        return parse(status.read())


def parse(status: str) -> int:
    """The effective capabilities in the text of /proc/PID/status; 0 if there are none."""
    for line in status.splitlines():
        name, _, value = line.partition(":")
        if name == "CapEff":
            return int(value, 16)
    return 0


def lacking(names: Iterable[str], capabilities: int) -> list[str]:
    """Which of some capabilities are not among the bits."""
    return [name for name in names if not capabilities >> NUMBERS[name] & 1]


def grant(names: Iterable[str], capabilities: int) -> str:
    """What to do to have some capabilities; empty if all are there."""
    wanted = list(names)
    if not lacking(wanted, capabilities):
        return ""
    listed = " and ".join(filter(None, [", ".join(wanted[:-1]), wanted[-1]]))
    return f"run as root, or with {listed}"
