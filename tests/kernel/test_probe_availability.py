"""What this kernel is said to deliver, against what it does."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from engine.probe.availability import Availability, find_out
from engine.probe.catalogue import EVENTS
from tests.kernel.kernel_facts import loaded_programs

pytestmark = pytest.mark.kernel


@pytest.fixture(scope="module")
def found() -> Availability:
    return find_out()


def test_every_program_is_tried_and_none_is_left_behind() -> None:
    before = loaded_programs(os.getpid())  # another test's probe may run
    found = find_out()
    assert found.untried == ""
    assert found.refused == {}
    assert loaded_programs(os.getpid()) == before


def test_whatever_cannot_be_had_has_a_reason(found: Availability) -> None:
    for event in EVENTS:
        state, reason = found.verdict(event)
        assert state in ("available", "degraded", "unavailable"), event.name
        assert bool(reason) == (state != "available"), event.name


def test_the_calls_the_kernel_is_built_without_are_those_its_symbols_lack(
    found: Availability,
) -> None:
    symbols = Path("/proc/kallsyms").read_text()
    for call in found.calls:
        assert f" T __x64_sys_{call}\n" not in symbols
    assert not found.calls & {"read", "openat", "stat", "pread", "prlimit", "umount", "fork"}
