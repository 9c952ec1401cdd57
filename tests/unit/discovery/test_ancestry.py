"""The line of parents."""

from __future__ import annotations

import os
import subprocess
import sys

from engine.core.identity import read_stat
from engine.discovery.ancestry import ancestry, is_init


def test_it_leads_from_the_parent_to_init() -> None:
    line = ancestry(os.getpid())
    assert line[0].pid == os.getpid()
    assert line[1].pid == os.getppid()
    assert line[0].comm == read_stat(os.getpid()).comm
    assert is_init(line[-1].pid)
    assert not any(is_init(each.pid) for each in line[:-1])


def test_nothing_is_above_init_or_what_is_gone() -> None:
    assert ancestry(0) == ()
    with subprocess.Popen([sys.executable, "-c", ""]) as child:
        child.wait()
    assert ancestry(child.pid) == ()
