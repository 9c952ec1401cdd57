"""The checks against the kernel they are about."""

from __future__ import annotations

import pytest

from engine.probe import bpfsys, preflight

pytestmark = pytest.mark.kernel


def test_trials_leave_no_program_and_find_what_the_probe_needs() -> None:
    needs = [check() for check in preflight.CHECKS]
    assert [need.name for need in needs if not need.ok] == []


def test_the_trial_program_is_refused_where_its_call_is() -> None:
    """The same program with a call that tracing programs may not make."""
    refused = preflight._READS_KERNEL_MEMORY.replace(b"\x71\0\0\0", b"\xff\xff\0\0")
    with pytest.raises(OSError, match="Invalid argument"):
        bpfsys.load_raw_tracepoint(refused)
