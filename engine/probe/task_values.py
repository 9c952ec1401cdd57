"""States, flags and codes of threads as people write them."""

from __future__ import annotations

_STATES = (
    (0x402, "idle"), (0x001, "sleeping"), (0x002, "waiting"), (0x004, "stopped"),
    (0x008, "traced"), (0x010, "dead"), (0x020, "zombie"), (0x040, "parked"), (0x080, "dead"),
)  # fmt: skip
"""Of `include/linux/sched.h`; waiting cannot be interrupted by a signal."""

_CLONE_FLAGS = {
    0x00000100: "CLONE_VM", 0x00000200: "CLONE_FS", 0x00000400: "CLONE_FILES",
    0x00000800: "CLONE_SIGHAND", 0x00001000: "CLONE_PIDFD", 0x00002000: "CLONE_PTRACE",
    0x00004000: "CLONE_VFORK", 0x00008000: "CLONE_PARENT", 0x00010000: "CLONE_THREAD",
    0x00020000: "CLONE_NEWNS", 0x00040000: "CLONE_SYSVSEM", 0x00080000: "CLONE_SETTLS",
    0x00100000: "CLONE_PARENT_SETTID", 0x00200000: "CLONE_CHILD_CLEARTID",
    0x00400000: "CLONE_DETACHED", 0x00800000: "CLONE_UNTRACED",
    0x01000000: "CLONE_CHILD_SETTID", 0x02000000: "CLONE_NEWCGROUP",
    0x04000000: "CLONE_NEWUTS", 0x08000000: "CLONE_NEWIPC", 0x10000000: "CLONE_NEWUSER",
    0x20000000: "CLONE_NEWPID", 0x40000000: "CLONE_NEWNET", 0x80000000: "CLONE_IO",
    0x100000000: "CLONE_CLEAR_SIGHAND", 0x200000000: "CLONE_INTO_CGROUP",
}  # fmt: skip

_SIGNAL_CODES = {
    0: "SI_USER", 0x80: "SI_KERNEL", -1: "SI_QUEUE", -2: "SI_TIMER", -3: "SI_MESGQ",
    -4: "SI_ASYNCIO", -5: "SI_SIGIO", -6: "SI_TKILL",
}  # fmt: skip

_PRESENT, _WRITE, _USER, _RESERVED, _FETCH = 1, 2, 4, 8, 16


def task_state(bits: int) -> str:
    """Running (or able to), sleeping, waiting, ..., or the bits."""
    if not bits:
        return "running"
    for state, name in _STATES:
        if bits & state == state:
            return name
    return hex(bits)


def clone_flags(bits: int) -> str:
    """The flags of clone(2) as its manual writes them."""
    names = [name for bit, name in _CLONE_FLAGS.items() if bits & bit]
    rest = bits & ~sum(_CLONE_FLAGS)
    if rest or not names:
        names.append(hex(rest))
    return "|".join(names)


def signal_code(code: int) -> str:
    """Where a signal came from: SI_USER, ..., or the number, which depends on the signal."""
    return _SIGNAL_CODES.get(code) or str(code)


def fault_access(error: int) -> str:
    """What a page fault was for: read, write or execute; of an absent or a protected page."""
    access = "execute" if error & _FETCH else "write" if error & _WRITE else "read"
    return f"{access} {'protected' if error & _PRESENT else 'absent'}"
