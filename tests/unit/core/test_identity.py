"""A pid with its start time names one process for ever."""

from __future__ import annotations

import os
import subprocess

import pytest
from hypothesis import given
from hypothesis import strategies as st

from engine.core.errors import ProcessGone
from engine.core.identity import own_identity, parse_stat, read_stat

LINE = b"42 (%s) S 7 42 42 0 -1 0 0 0 0 0 11 22 0 0 20 0 1 0 98765 4096 321 0 0"


@given(st.binary(max_size=15))
def test_any_name_is_read_whole(comm: bytes) -> None:
    stat = parse_stat(42, LINE.replace(b"%s", comm))
    assert (stat.comm, stat.ppid, stat.state) == (comm, 7, "S")
    assert (stat.identity.start_ticks, stat.cpu_ticks, stat.rss_pages) == (98765, 33, 321)


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
