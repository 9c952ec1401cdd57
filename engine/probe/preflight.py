"""What the kernel probe needs from the box, checked before anything is started.

BCC reports a missing right as a failed compilation; these checks name the cause instead.
"""

from __future__ import annotations

import errno
import os
import platform
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from engine.core.errors import RequirementError
from engine.probe import bpfsys, btf, compile_child

CAP_SYS_ADMIN = 21
CAP_PERFMON = 38
CAP_BPF = 39

_STATUS = Path("/proc/self/status")
_LOCKDOWN = Path("/sys/kernel/security/lockdown")
_OS_RELEASE = Path("/etc/os-release")

_COST = "no kernel events; plugins, ports and Wasm still work"
_GRANT = "run as root, or grant AmbientCapabilities=CAP_BPF CAP_PERFMON in a systemd unit"
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


def requirements() -> list[Requirement]:
    """Every need with what was found, for the doctor. Changes nothing."""
    return [check() for check in _CHECKS]


def check() -> None:
    """Make sure the probe can run.

    Raises:
        RequirementError: for the first thing that is missing, with the line that provides it.
    """
    for one in _CHECKS:
        found = one()
        if not found.ok:
            raise RequirementError(found.detail, fix=found.fix)


def parse_capabilities(status: str) -> int:
    """The effective capability bits in the text of /proc/PID/status; 0 if there are none."""
    for line in status.splitlines():
        name, _, value = line.partition(":")
        if name == "CapEff":
            return int(value, 16)
    return 0


def may_load(capabilities: int) -> bool:
    """Whether these capabilities allow to load and attach tracing programs."""
    if capabilities >> CAP_SYS_ADMIN & 1:
        return True
    return bool(capabilities >> CAP_BPF & 1 and capabilities >> CAP_PERFMON & 1)


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
    capabilities = parse_capabilities(_STATUS.read_text() if status is None else status)
    lacking = [
        name
        for name, bit in (("CAP_BPF", CAP_BPF), ("CAP_PERFMON", CAP_PERFMON))
        if not capabilities >> bit & 1
    ]
    return _requirement(
        "rights",
        may_load(capabilities),
        "may load kernel programs",
        f"loading kernel programs is not allowed: {' and '.join(lacking)} missing",
        _GRANT,
    )


def type_information(path: Path = btf.VMLINUX) -> Requirement:
    """BTF, which tells where members lie in the kernel's structures."""
    return _requirement(
        "BTF",
        os.access(path, os.R_OK),
        str(path),
        f"the kernel has no type information: {path} is missing",
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


_CHECKS: tuple[Callable[[], Requirement], ...] = (
    architecture,
    rights,
    lockdown,
    ring_buffer,
    type_information,
    bcc,
)


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
    if refused.errno == errno.EPERM and not may_load(parse_capabilities(status)):
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
