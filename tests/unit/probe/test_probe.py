"""The source as it is before the kernel has been asked, or where it refuses."""

from __future__ import annotations

from pathlib import Path

import pytest

from engine.core.clock import SystemClock
from engine.core.errors import RequirementError, UsageError
from engine.core.source import Logbook
from engine.probe import preflight
from engine.probe.catalogue import CELLS
from engine.probe.probe import KernelProbe

REASON = "BCC is not installed for the system's Python"


@pytest.fixture
def probe() -> KernelProbe:
    clock = SystemClock()
    return KernelProbe(clock, Logbook(clock))


@pytest.fixture
def refused(probe: KernelProbe, monkeypatch: pytest.MonkeyPatch) -> KernelProbe:
    """A probe on a box without BCC."""

    def check() -> None:
        raise RequirementError(REASON, fix="apt-get install -y python3-bpfcc")

    monkeypatch.setattr(preflight, "check", check)
    probe.subscribe("syscall_exit-openat")
    probe.start()
    assert not probe.wait_ready(10.0)
    return probe


def switched_on(probe: KernelProbe) -> list[tuple[object, object]]:
    return [
        (row.get("event"), row.get("category"))
        for row in probe.tables()["subscription"]
        if row.get("on")
    ]


def test_the_table_has_a_row_for_every_switch_from_the_beginning(probe: KernelProbe) -> None:
    rows = probe.tables()["subscription"]
    assert [(row.get("event"), row.get("category")) for row in rows] == [
        (cell.event.name, cell.category.label) for cell in CELLS
    ]
    assert switched_on(probe) == []


def test_subscriptions_may_be_made_and_taken_back_before_the_start(probe: KernelProbe) -> None:
    probe.subscribe("syscall_exit-read")
    probe.unsubscribe("syscall_exit-read", "file")
    assert switched_on(probe) == [
        ("syscall_exit-read", category) for category in ("net", "ipc", "other")
    ]


def test_patterns_and_presets_are_subscribed_and_taken_back_as_a_whole(probe: KernelProbe) -> None:
    probe.subscribe("syscall_*-openat", "f*")
    assert switched_on(probe) == [
        ("syscall_enter-openat", "file"),
        ("syscall_exit-openat", "file"),
    ]
    probe.subscribe("@story")
    probe.unsubscribe("*")
    assert switched_on(probe) == []


def test_taking_back_closes_exactly_what_it_names(probe: KernelProbe) -> None:
    probe.subscribe("@story")
    before = switched_on(probe)
    probe.subscribe("syscall_exit-read", "net")
    probe.subscribe("syscall_exit-read", "net")
    probe.unsubscribe("syscall_exit-read", "net")
    assert switched_on(probe) == before
    probe.unsubscribe("syscall_exit-read")
    assert switched_on(probe) == before


def test_several_switches_are_turned_together_or_not_at_all(probe: KernelProbe) -> None:
    with pytest.raises(UsageError):
        probe.switch([("syscall_exit-openat", ""), ("syscall_exit-nothing", "")], True)
    assert switched_on(probe) == []
    probe.switch([("syscall_exit-openat", "file"), ("syscall_exit-read", "net")], True)
    assert len(switched_on(probe)) == 2
    probe.switch([("syscall_exit-openat", "file"), ("syscall_exit-read", "net")], False)
    assert switched_on(probe) == []


def test_wrong_names_are_refused_before_the_start(probe: KernelProbe) -> None:
    with pytest.raises(UsageError, match="unknown event"):
        probe.subscribe("syscall_exit-nothing")
    with pytest.raises(UsageError, match="no category"):
        probe.unsubscribe("syscall_exit-openat", "net")


def test_a_probe_that_was_never_started_can_be_stopped(probe: KernelProbe) -> None:
    probe.stop()
    assert probe.status().state == "off"


def test_a_missing_requirement_is_the_status_the_log_and_every_rows_reason(
    refused: KernelProbe,
) -> None:
    status = refused.status()
    assert (status.state, status.reason) == ("failed", REASON)
    assert status.fix == "apt-get install -y python3-bpfcc"
    rows = refused.tables()["subscription"]
    assert {row.get("unavailable") for row in rows} == {REASON}
    assert switched_on(refused) == []
    refused.stop()
    assert refused.status().state == "failed"


def test_a_subscription_that_cannot_be_served_is_refused_with_the_fix(
    refused: KernelProbe,
) -> None:
    with pytest.raises(RequirementError) as missing:
        refused.subscribe("syscall_exit-openat")
    assert missing.value.fix == "apt-get install -y python3-bpfcc"
    refused.stop()


@pytest.mark.parametrize("size", [4095, 4096 * 3])
def test_a_ring_has_to_be_a_power_of_two_of_pages(size: int) -> None:
    clock = SystemClock()
    with pytest.raises(ValueError, match="power of two"):
        KernelProbe(clock, Logbook(clock), ring_bytes=size)


@pytest.mark.parametrize("pids", [{0}, {-1}, {1 << 22}, set(range(1, 20_000))])
def test_a_scope_that_cannot_be_is_refused(probe: KernelProbe, pids: set[int]) -> None:
    with pytest.raises(UsageError):
        probe.set_pids(frozenset(pids))


def test_the_programs_and_stub_headers_are_beside_their_package() -> None:
    from engine.probe.loader import HEADERS, SOURCES

    assert all(source.is_file() for source in SOURCES)
    assert (HEADERS / "include/linux/kconfig.h").is_file()
    assert Path(HEADERS, "include/uapi/linux/bpf.h").is_file()


@pytest.mark.parametrize("snaplen", [-1, 2049])
def test_a_snaplen_that_cannot_be_is_refused(probe: KernelProbe, snaplen: int) -> None:
    with pytest.raises(UsageError, match="cannot be"):
        probe.set_snaplen(snaplen)
