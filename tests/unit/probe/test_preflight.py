from __future__ import annotations

import errno
import os
from pathlib import Path

import pytest

from engine.core.errors import RequirementError
from engine.probe import preflight

BPF, PERFMON, ADMIN = 1 << 39, 1 << 38, 1 << 21


def status(capabilities: int, seccomp: int = 0) -> str:
    return f"Name:\tpython\nCapPrm:\t0\nCapEff:\t{capabilities:016x}\nSeccomp:\t{seccomp}\n"


@pytest.mark.parametrize(
    ("capabilities", "ok", "lacking"),
    [
        (BPF | PERFMON, True, ""),
        (ADMIN, True, ""),
        ((1 << 41) - 1, True, ""),
        (0, False, "CAP_BPF and CAP_PERFMON missing"),
        (BPF, False, "CAP_PERFMON missing"),
        (PERFMON, False, "CAP_BPF missing"),
    ],
)
def test_rights_are_two_capabilities_or_the_old_one(
    capabilities: int, ok: bool, lacking: str
) -> None:
    found = preflight.rights(status(capabilities))
    assert found.ok is ok
    assert lacking in found.detail
    assert bool(found.fix) is not ok
    assert bool(found.costs_you) is not ok


def refuse(code: int) -> int:
    raise OSError(code, os.strerror(code))


@pytest.mark.parametrize(
    ("code", "own_status", "detail", "fix"),
    [
        (errno.EINVAL, status(ADMIN), "too old", "5.8"),
        (errno.EPERM, status(0), "not allowed", "root"),
        (errno.EPERM, status(ADMIN, seccomp=2), "seccomp", "profile"),
        (errno.EPERM, status(ADMIN), "although the capabilities are there", "namespace"),
        (errno.ENOSYS, status(ADMIN), "not implemented", "CONFIG_BPF_SYSCALL"),
    ],
)
def test_a_refused_map_tells_why(code: int, own_status: str, detail: str, fix: str) -> None:
    found = preflight.ring_buffer(lambda size: refuse(code), own_status)
    assert not found.ok
    assert detail in found.detail
    assert fix in found.fix


def test_a_map_that_can_be_made_is_closed_again() -> None:
    descriptor = os.open(os.devnull, os.O_RDONLY)
    assert preflight.ring_buffer(lambda size: descriptor, status(ADMIN)).ok
    with pytest.raises(OSError, match="Bad file descriptor"):
        os.fstat(descriptor)


def test_type_information_is_a_file(tmp_path: Path) -> None:
    file = tmp_path / "vmlinux"
    assert "is missing" in preflight.type_information(file).detail
    file.touch()
    assert "is empty" in preflight.type_information(file).detail
    file.write_bytes(b"\x9f\xeb")
    assert preflight.type_information(file).ok


def test_lockdown_forbids_only_in_its_confidentiality_mode(tmp_path: Path) -> None:
    file = tmp_path / "lockdown"
    assert preflight.lockdown(file).ok
    file.write_text("none [integrity] confidentiality\n")
    assert preflight.lockdown(file).ok
    file.write_text("none integrity [confidentiality]\n")
    assert "forbids" in preflight.lockdown(file).detail


def test_other_architectures_are_refused() -> None:
    assert preflight.architecture("x86_64").ok
    assert "aarch64" in preflight.architecture("aarch64").detail


def test_bcc_and_the_systems_python_are_both_needed(tmp_path: Path) -> None:
    assert preflight.bcc(lambda: tmp_path, "/bin/sh").ok
    assert "BCC is not installed" in preflight.bcc(lambda: None, "/bin/sh").detail
    assert "Python is missing" in preflight.bcc(lambda: tmp_path, str(tmp_path / "no")).detail


@pytest.mark.parametrize(
    ("os_release", "command"),
    [
        ('ID=ubuntu\nID_LIKE=debian\nNAME="Ubuntu"\n', "apt-get install -y python3-bpfcc"),
        ("ID=debian\n", "apt-get install -y python3-bpfcc"),
        ('ID="rhel"\nID_LIKE="fedora"\n', "dnf install -y python3-bcc"),
        ("ID=arch\n", "pacman -S python-bcc"),
        ("ID=other\n", "apt-get install -y python3-bpfcc"),
    ],
)
def test_the_line_to_type_is_the_distributions_own(
    tmp_path: Path, os_release: str, command: str
) -> None:
    file = tmp_path / "os-release"
    file.write_text(os_release)
    assert preflight.install_line(file) == command
    assert preflight.install_line(tmp_path / "none") == "apt-get install -y python3-bpfcc"


def test_the_first_thing_missing_is_raised_with_its_fix(monkeypatch: pytest.MonkeyPatch) -> None:
    good = preflight.Requirement("one", True, "there", "", "")
    bad = preflight.Requirement("two", False, "it is missing", "much", "type this")
    monkeypatch.setattr(preflight, "CHECKS", (lambda: good, lambda: bad))
    with pytest.raises(RequirementError, match="it is missing") as missing:
        preflight.check()
    assert missing.value.fix == "type this"
    assert missing.value.exit_code == 3


def test_every_need_of_this_box_is_told() -> None:
    names = [check().name for check in preflight.CHECKS]
    assert names == [
        "architecture",
        "rights",
        "lockdown",
        "bpf(2)",
        "kernel memory",
        "BTF",
        "BCC",
        "other hooks",
        "tracefs",
        "locked memory",
    ]


def test_a_refused_read_of_kernel_memory_is_told_as_lockdown() -> None:
    def load(code: bytes) -> int:
        return os.dup(0) if len(code) == 16 else refuse(errno.EPERM)

    found = preflight.kernel_memory(load, status(ADMIN))
    assert not found.ok
    assert "Operation not permitted" in found.detail
    assert "lockdown=integrity" in found.fix


def test_where_no_program_is_taken_it_is_not_lockdown() -> None:
    inside = preflight.kernel_memory(lambda code: refuse(errno.EPERM), status(ADMIN))
    assert "user namespace" in inside.fix
    unprivileged = preflight.kernel_memory(lambda code: refuse(errno.EPERM), status(0))
    assert "CAP_BPF" in unprivileged.fix


@pytest.mark.parametrize(
    ("there", "said"),
    [
        (("kprobe", "uprobe"), "not needed"),
        (("uprobe",), "no kprobes: raw tracepoints"),
        (("kprobe",), "TLS plaintext unavailable"),
        ((), "neither"),
    ],
)
def test_hooks_that_are_not_there_are_told_and_not_missed(
    tmp_path: Path, there: tuple[str, ...], said: str
) -> None:
    for name in there:
        (tmp_path / name).mkdir()
    found = preflight.other_hooks(tmp_path)
    assert found.ok
    assert said in found.detail


def test_tracefs_is_told_and_not_needed() -> None:
    mounted = preflight.tracefs("tracefs /sys/kernel/tracing tracefs rw 0 0\n")
    assert mounted.ok
    assert mounted.detail.startswith("mounted")
    assert preflight.tracefs("proc /proc proc rw 0 0\n").detail.startswith("not mounted")


@pytest.mark.parametrize(
    ("release", "counts"), [("5.10.0-28-amd64", True), ("5.11.0", False), ("6.18.44", False)]
)
def test_locked_memory_counts_before_5_11_only(release: str, counts: bool) -> None:
    found = preflight.locked_memory(release)
    assert found.ok
    assert ("counts" in found.detail) is counts
