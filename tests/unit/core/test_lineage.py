"""A process tree grows and shrinks with the processes of the box."""

from __future__ import annotations

import os
import signal
import subprocess
from collections.abc import Iterator

import pytest

from engine.core.identity import ProcessId
from engine.core.kinds import PROCESS
from engine.core.lineage import Kin, ProcessTree, living_processes, told_processes
from engine.core.records import new_record
from tests.waiting import wait_until

SCRIPT = "read go; sleep 600 & echo $!; read go; exit 0"
"""Waits, has a child, tells its pid, waits, and leaves it to another parent."""


@pytest.fixture
def shell() -> Iterator[subprocess.Popen[str]]:
    """A shell that does SCRIPT."""
    pipe = subprocess.PIPE
    with subprocess.Popen(["/bin/sh", "-c", SCRIPT], stdin=pipe, stdout=pipe, text=True) as process:
        yield process
        process.kill()


def tell(shell: subprocess.Popen[str]) -> None:
    assert shell.stdin is not None
    shell.stdin.write("\n")
    shell.stdin.flush()


def test_children_are_found_as_they_come_and_kept_when_others_adopt_them(
    shell: subprocess.Popen[str],
) -> None:
    tree = ProcessTree(shell.pid, living_processes)
    assert tree.look() == {shell.pid}
    tell(shell)
    assert shell.stdout is not None
    child = int(shell.stdout.readline())
    try:
        wait_until(lambda: tree.look() == {shell.pid, child})
        tell(shell)
        shell.wait(10)
        assert tree.look() == {shell.pid, child}, "its parent has ended, its records are there"
    finally:
        os.kill(child, signal.SIGKILL)


def test_the_own_process_tree_holds_a_grandchild() -> None:
    command = ["/bin/sh", "-c", "sleep 600 & echo $!; wait"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as shell:
        assert shell.stdout is not None
        grandchild = int(shell.stdout.readline())
        try:
            assert {os.getpid(), shell.pid, grandchild} <= ProcessTree(
                os.getpid(), living_processes
            ).look()
        finally:
            os.kill(grandchild, signal.SIGKILL)


def kin(pid: int, start: int, *parents: int) -> Kin:
    return Kin(ProcessId(pid, start), parents)


def test_a_pid_that_means_a_stranger_now_is_given_up() -> None:
    there = [kin(1, 0, 0), kin(10, 5, 1), kin(11, 6, 10)]
    tree = ProcessTree(10, lambda: there)
    assert tree.look() == {10, 11}
    there = [kin(1, 0, 0), kin(10, 5, 1), kin(11, 9, 1)]
    assert tree.look() == {10}


def test_the_next_life_of_the_roots_pid_has_no_children_here() -> None:
    there = [kin(10, 5, 1)]
    tree = ProcessTree(10, lambda: there)
    tree.look()
    there = []
    tree.look()
    there = [kin(10, 7, 1), kin(12, 8, 10)]
    assert tree.look() == {10}


def test_a_recording_tells_of_descendants_whose_parents_own_no_port() -> None:
    rows = [
        new_record(PROCESS, {"start": 3, "ppid": 20, "ancestry": ["20 sh", "10 cron"]},
                   ts_ns=0, pid=30),
        new_record(PROCESS, {"start": 1, "ppid": 1, "ancestry": ["1 init"]}, ts_ns=0, pid=10),
        new_record(PROCESS, {"start": 1, "ppid": 1}, ts_ns=0, pid=40),
        new_record(PROCESS, {}, ts_ns=0),
    ]  # fmt: skip
    assert ProcessTree(10, lambda: told_processes(rows)).look() == {10, 30}
