"""What the kernel probe needs from the box, checked before anything is started.

BCC reports a missing right as a failed compilation; these checks name the cause instead.
"""

from __future__ import annotations

import errno
import os
import platform
import re
import struct
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from engine.core.capabilities import PROBE, lacking, parse
from engine.core.errors import RequirementError
from engine.probe import bpfsys, btf, compile_child

_STATUS = Path("/proc/self/status")
_LOCKDOWN = Path("/sys/kernel/security/lockdown")
_OS_RELEASE = Path("/etc/os-release")
_MOUNTS = Path("/proc/self/mounts")
_EVENT_SOURCES = Path("/sys/bus/event_source/devices")
_READS_KERNEL_MEMORY = struct.pack(
    "<" + "BBhi" * 7,
    *(0xBF, 0xA1, 0, 0),  # r1 = r10
    *(0x07, 0x01, 0, -8),  # r1 += -8
    *(0xB7, 0x02, 0, 8),  # r2 = 8
    *(0xB7, 0x03, 0, 0),  # r3 = 0
    *(0x85, 0x00, 0, 113),  # call probe_read_kernel
    *(0xB7, 0x00, 0, 0),  # r0 = 0
    *(0x95, 0x00, 0, 0),  # exit
)
"""A program that does no more than the call lockdown takes away."""
_DOES_NOTHING = _READS_KERNEL_MEMORY[-16:]
"""Its end: what is refused as well where the reason is not what a program does."""
_MEMLOCK_UNTIL = (5, 11)

_COST = "no kernel events; plugins, ports and Wasm still work"
_GRANT = "run as root, or grant AmbientCapabilities=CAP_BPF CAP_PERFMON in a systemd unit"
_UNLOCK = "boot with lockdown=integrity, or without lockdown"
_INSTALL = {
    "debian": "apt-get install -y python3-bpfcc",
    "fedora": "dnf install -y python3-bcc",
    "arch": "pacman -S python-bcc",
}


@dataclass(frozen=True, slots=True)
class Requirement:
    """One thing the probe needs."""

    name: str
    ok: bool
    detail: str
    """What was found, or what is missing."""
    costs_you: str
    """What does not work without it; empty if it is there."""
    fix: str
    """The line that provides it; empty if it is there."""


def check() -> None:
    """Make sure the probe can run.

    Raises:
        RequirementError: for the first thing that is missing, with the line that provides it.
    """
    for one in CHECKS:
        found = one()
        if not found.ok:
            raise RequirementError(found.detail, fix=found.fix)


def may_load(capabilities: int) -> bool:
    """Whether these capabilities allow to load and attach tracing programs."""
    return not lacking(["CAP_SYS_ADMIN"], capabilities) or not lacking(PROBE, capabilities)


def architecture(machine: str | None = None) -> Requirement:
    """System call numbers and registers are those of x86-64."""
    name = machine or platform.machine()
    return _requirement(
        "architecture",
        name == "x86_64",
        name,
        f"the probe knows x86-64 only, not {name}",
        "run boxscope on an x86-64 box",
    )


def rights(status: str | None = None) -> Requirement:
    """CAP_BPF and CAP_PERFMON, or CAP_SYS_ADMIN."""
    capabilities = parse(_STATUS.read_text() if status is None else status)
    missing = " and ".join(lacking(PROBE, capabilities))
    return _requirement(
        "rights",
        may_load(capabilities),
        "may load kernel programs",
        f"loading kernel programs is not allowed: {missing} missing",
        _GRANT,
    )


def type_information(path: Path = btf.VMLINUX) -> Requirement:
    """BTF, which tells where members lie in the kernel's structures."""
    lacks = ""
    try:
        with path.open("rb") as blob:
            lacks = "" if blob.read(1) else "is empty"
    except OSError as error:
        lacks = "is missing" if error.errno == errno.ENOENT else f"cannot be read: {error.strerror}"
    return _requirement(
        "BTF",
        not lacks,
        str(path),
        f"the kernel has no type information: {path} {lacks}",
        "boot a kernel built with CONFIG_DEBUG_INFO_BTF=y, as the distributions' own are",
    )


def lockdown(path: Path = _LOCKDOWN) -> Requirement:
    """Lockdown in its confidentiality mode forbids to read kernel memory."""
    try:
        confidential = "[confidentiality]" in path.read_text()
    except OSError:
        confidential = False
    return _requirement(
        "lockdown",
        not confidential,
        "does not forbid tracing",
        "kernel lockdown=confidentiality forbids tracing",
        "boot with lockdown=integrity, or without lockdown",
    )


def ring_buffer(
    create: Callable[[int], int] = bpfsys.create_ring, status: str | None = None
) -> Requirement:
    """A trial ring buffer map: tells an old kernel and a filtered bpf(2) apart.

    Args:
        create: Makes a ring of that many bytes and returns its descriptor.
        status: Text of /proc/self/status; read if not given.
    """
    missing, fix = "", ""
    try:
        os.close(create(os.sysconf("SC_PAGESIZE")))
    except OSError as refused:
        missing, fix = _why_no_map(refused, _STATUS.read_text() if status is None else status)
    return _requirement("bpf(2)", not missing, "makes ring buffers", missing, fix)


def kernel_memory(
    load: Callable[[bytes], int] = bpfsys.load_raw_tracepoint, status: str | None = None
) -> Requirement:
    """A trial program that reads kernel memory, which lockdown can forbid without telling.

    Args:
        load: Loads a program and returns its descriptor.
        status: Text of /proc/self/status; read if not given.
    """
    missing, fix = "", ""
    try:
        os.close(load(_READS_KERNEL_MEMORY))
    except OSError as refused:
        missing = f"the kernel refuses programs that read its memory: {refused.strerror}"
        told = _STATUS.read_text() if status is None else status
        fix = _why_no_map(refused, told)[1] if _refused(load, _DOES_NOTHING) else _UNLOCK
    return _requirement("kernel memory", not missing, "programs may read it", missing, fix)


def _refused(load: Callable[[bytes], int], program: bytes) -> bool:
    try:
        os.close(load(program))
    except OSError:
        return True
    return False


def other_hooks(sources: Path = _EVENT_SOURCES) -> Requirement:
    """What else could be attached to. Nothing depends on it: raw tracepoints serve every event."""
    absent = [name for name in ("kprobe", "uprobe") if not (sources / name).exists()]
    said = {
        (): "kernel and user probes are there, and not needed",
        ("kprobe",): "this kernel has no kprobes: raw tracepoints are used, as everywhere",
        ("uprobe",): "this kernel has no uprobes: TLS plaintext unavailable",
    }
    both = "this kernel has neither kprobes nor uprobes: TLS plaintext unavailable"
    return _requirement("other hooks", True, said.get(tuple(absent), both), "", "")


def tracefs(mounts: str | None = None) -> Requirement:
    """Whether tracefs is mounted. Nothing depends on it.

    Args:
        mounts: Text of /proc/self/mounts; read if not given.
    """
    text = _MOUNTS.read_text() if mounts is None else mounts
    mounted = any(line.split()[2:3] == ["tracefs"] for line in text.splitlines())
    found = "mounted" if mounted else "not mounted"
    return _requirement("tracefs", True, f"{found}, and not needed: raw tracepoints", "", "")


def locked_memory(release: str | None = None) -> Requirement:
    """RLIMIT_MEMLOCK counts for maps only before Linux 5.11, where BCC raises it if it may.

    Args:
        release: The kernel's; the running one if not given.
    """
    name = release or platform.release()
    numbers = re.match(r"(\d+)\.(\d+)", name)
    counts = numbers is not None and tuple(map(int, numbers.groups())) < _MEMLOCK_UNTIL
    found = (
        f"Linux {name} counts rings as locked memory: BCC raises RLIMIT_MEMLOCK, as root may"
        if counts
        else "RLIMIT_MEMLOCK does not limit rings here"
    )
    return _requirement("locked memory", True, found, "", "")


def bcc(
    find: Callable[[], Path | None] = compile_child.find_bcc,
    interpreter: str = compile_child.SYSTEM_PYTHON,
) -> Requirement:
    """The distribution's BCC and the system Python it belongs to.

    Args:
        find: Returns BCC's directory, or None.
        interpreter: Path of the system's Python.
    """
    package = find()
    there = os.access(interpreter, os.X_OK)
    missing = (
        f"the system's Python is missing: no {interpreter}"
        if not there
        else "BCC is not installed for the system's Python"
    )
    return _requirement("BCC", there and package is not None, str(package), missing, install_line())


CHECKS: tuple[Callable[[], Requirement], ...] = (
    architecture,
    rights,
    lockdown,
    ring_buffer,
    kernel_memory,
    type_information,
    bcc,
    other_hooks,
    tracefs,
    locked_memory,
)
"""Every need; the last ones are told, never missing. What is tried out is closed at once."""


def _requirement(name: str, ok: bool, found: str, missing: str, fix: str) -> Requirement:
    if ok:
        return Requirement(name, True, found, "", "")
    return Requirement(name, False, missing, _COST, fix)


def _why_no_map(refused: OSError, status: str) -> tuple[str, str]:
    """What a refused map creation means, and what to do."""
    if refused.errno == errno.EINVAL:
        return (
            f"the kernel is too old: {platform.release()} has no BPF ring buffer",
            "boot Linux 5.8 or newer",
        )
    if refused.errno == errno.EPERM and not may_load(parse(status)):
        return "bpf(2) is not allowed", _GRANT
    if refused.errno == errno.EPERM and "\nSeccomp:\t2" in status:
        return (
            "bpf(2) is blocked by a seccomp filter, as containers have",
            "start the container with a seccomp profile that allows bpf, or run on the host",
        )
    if refused.errno == errno.EPERM:
        return (
            "bpf(2) is refused although the capabilities are there",
            "run outside the user namespace, or let the security module allow bpf",
        )
    return f"bpf(2) fails: {refused.strerror}", "boot a kernel built with CONFIG_BPF_SYSCALL=y"


def install_line(os_release: Path = _OS_RELEASE) -> str:
    """The distribution's own command that installs BCC."""
    try:
        words = os_release.read_text().replace('"', " ").replace("=", " ").split()
    except OSError:
        words = []
    for family, line in _INSTALL.items():
        if family in words:
            return line
    return _INSTALL["debian"]
