"""Rights are told by the names of the capabilities that are there or missing."""

from __future__ import annotations

from engine.core.capabilities import NUMBERS, PROBE, SIGHT, effective, grant, lacking, parse


def test_the_bits_are_those_of_the_kernel_s_own_text() -> None:
    with open("/proc/self/status") as status:
        told = next(line for line in status if line.startswith("CapEff"))
    assert effective() == int(told.split()[1], 16)


def test_a_status_without_capabilities_has_none() -> None:
    assert parse("Name:\tpython\n") == 0
    assert parse("") == 0


def test_what_is_missing_is_named_with_what_mends_it() -> None:
    ptrace = 1 << NUMBERS["CAP_SYS_PTRACE"]
    assert lacking(SIGHT, ptrace) == ["CAP_DAC_READ_SEARCH"]
    assert grant(SIGHT, ptrace) == "run as root, or with CAP_SYS_PTRACE and CAP_DAC_READ_SEARCH"
    assert (lacking(PROBE, (1 << 41) - 1), grant(PROBE, (1 << 41) - 1)) == ([], "")
