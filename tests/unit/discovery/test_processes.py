"""Which processes there are, and which came since the last look."""

from __future__ import annotations

import os

import pytest

from engine.discovery.processes import LOOKS_PER_LISTING, ProcessTable
from tests.unit.discovery.stalled_fork import StalledFork

needs_ptrace = pytest.mark.skipif(os.geteuid() != 0, reason="it takes CAP_SYS_PTRACE")


@needs_ptrace
@pytest.mark.parametrize("looks_before", range(LOOKS_PER_LISTING))
def test_a_process_whose_number_was_given_before_it_could_be_seen_is_found(
    looks_before: int,
) -> None:
    """Whether the look in between lists /proc or asks for numbers."""
    processes = ProcessTable()
    for _ in range(1 + looks_before):
        processes.look()
    with StalledFork() as fork:
        processes.look()
        before = processes.pids
        pid = fork.finish()
        assert pid not in before
        processes.look()
        assert pid in processes.appeared
    processes.look(asked=[pid])
    assert pid not in processes.pids
