"""A pid with its start time names one process for ever."""

from __future__ import annotations

import os
import signal
import subprocess

import pytest
from hypothesis import given
from hypothesis import strategies as st

from engine.core.errors import ProcessGone
from engine.core.identity import own_identity, parse_stat, read_stat

LINE = b"42 (%s) S 7 42 42 0 -1 0 0 0 0 0 11 22 0 0 20 0 1 0 98765 4096 321 0 0"


@pytest.mark.fuzz("/proc/PID/stat")
@given(st.binary(max_size=15))
def test_any_name_is_read_whole(comm: bytes) -> None:
    stat = parse_stat(42, LINE.replace(b"%s", comm))
    assert (stat.comm, stat.ppid, stat.state) == (comm, 7, "S")
    assert (stat.identity.start_ticks, stat.cpu_ticks, stat.rss_pages) == (98765, 33, 321)


@pytest.mark.fuzz("/proc/PID/stat")
@given(st.binary(max_size=120))
def test_garbage_is_a_value_error(text: bytes) -> None:
    if text.count(b" ") < 20:
        with pytest.raises(ValueError):  # noqa: PT011 - any ValueError will do
            parse_stat(1, text)


def test_own_process() -> None:
    assert own_identity() == read_stat(os.getpid()).identity
    assert read_stat(os.getpid()).ppid == os.getppid()


def test_a_process_that_ended_is_gone() -> None:
    child = subprocess.Popen(["true"])
    child.wait()
    with pytest.raises(ProcessGone, match=f"process {child.pid} has ended"):
        read_stat(child.pid)


def test_flags_tell_forked_and_ending_processes_and_kernel_threads_apart() -> None:
    def flagged(flags: int) -> bytes:
        return LINE.replace(b"%s", b"x").replace(b" -1 0 ", b" -1 %d " % flags)

    assert parse_stat(42, flagged(0x40)).has_not_exec_ed
    assert parse_stat(42, flagged(0x208040)).is_kernel_thread
    assert parse_stat(42, flagged(0x40010C)).is_ending
    plain = parse_stat(42, flagged(0x400100))
    assert not plain.has_not_exec_ed
    assert not plain.is_kernel_thread
    assert not plain.is_ending


def test_a_forked_child_has_not_exec_ed() -> None:
    child = os.fork()
    if child == 0:
        os.kill(os.getpid(), signal.SIGSTOP)
        os._exit(0)
    os.waitpid(child, os.WUNTRACED)
    try:
        assert read_stat(child).has_not_exec_ed
    finally:
        os.kill(child, signal.SIGKILL)
        os.waitpid(child, 0)
    with subprocess.Popen(["cat"], stdin=subprocess.PIPE) as exec_ed:
        assert not read_stat(exec_ed.pid).has_not_exec_ed
