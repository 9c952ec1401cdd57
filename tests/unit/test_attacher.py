"""Which processes stay attached, and what takes the place of those that end."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator

import pytest

from engine.attacher import Attacher
from engine.core.clock import SystemClock
from engine.core.errors import FailedError, ProbeError, ProcessGone
from engine.core.identity import read_stat
from engine.core.kinds import PROCESS
from engine.core.records import Record, new_record
from engine.core.source import Logbook


class Box:
    """Processes of our own, listed as if they had ports."""

    def __init__(self) -> None:
        self.children: list[subprocess.Popen[bytes]] = []
        self.rows: list[Record] = []
        self.told: list[frozenset[int]] = []
        self.refusal: ProbeError | None = None

    def run(self) -> int:
        """Start one; returns its pid."""
        child = subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE)
        self.children.append(child)
        return child.pid

    def list(self, pid: int, port: int = 80, exe: str = "/bin/web") -> None:
        """Have discovery list it."""
        values = {
            "ports": ({"port": port, "proto": "tcp", "address": "::"},),
            "exe": exe,
            "criterion": "open_port 80",
            "start": read_stat(pid).identity.start_ticks,
        }
        self.rows.append(new_record(PROCESS, values, ts_ns=1, pid=pid, comm="web"))

    def end(self, pid: int) -> None:
        """End one of ours, for discovery too."""
        self.rows = [row for row in self.rows if row.pid != pid]
        for child in self.children:
            if child.pid == pid:
                child.kill()
                child.wait()

    def listen(self, pids: frozenset[int]) -> None:
        if self.refusal is not None:
            raise self.refusal
        self.told.append(pids)

    def attacher(self, *, automatic: bool = False) -> Attacher:
        logbook = Logbook(SystemClock())
        return Attacher(logbook, self.listen, lambda: self.rows, automatic=automatic)


@pytest.fixture
def box() -> Iterator[Box]:
    one = Box()
    yield one
    for child in one.children:
        child.kill()
        child.wait()
        assert child.stdin is not None
        child.stdin.close()


def test_a_process_is_attached_and_detached(box: Box) -> None:
    pid = box.run()
    attacher = box.attacher()
    attacher.attach(pid)
    assert attacher.pids == {pid}
    attacher.detach(pid)
    assert box.told == [{pid}, frozenset()]


def test_one_that_is_started_again_takes_the_place(box: Box) -> None:
    first = box.run()
    box.list(first)
    attacher = box.attacher()
    attacher.attach(first)
    box.end(first)
    attacher.look()
    assert attacher.pids == frozenset()
    other, second = box.run(), box.run()
    box.list(other, exe="/bin/other")
    box.list(second)
    attacher.look()
    assert attacher.pids == {second}


def test_one_on_another_port_does_not(box: Box) -> None:
    first = box.run()
    box.list(first)
    attacher = box.attacher()
    attacher.attach(first)
    box.end(first)
    attacher.look()
    box.list(box.run(), port=81)
    attacher.look()
    assert attacher.pids == frozenset()


def test_automatically_all_that_is_listed_is_attached_but_what_was_detached(box: Box) -> None:
    one, two = box.run(), box.run()
    box.list(one)
    box.list(two, port=81)
    attacher = box.attacher(automatic=True)
    attacher.look()
    assert attacher.pids == {one, two}
    attacher.detach(one)
    attacher.look()
    assert attacher.pids == {two}
    box.rows = [row for row in box.rows if row.pid == one]
    attacher.look()
    assert attacher.pids == frozenset()


def test_rows_are_marked(box: Box) -> None:
    one, two = box.run(), box.run()
    box.list(one)
    box.list(two)
    attacher = box.attacher()
    attacher.attach(two)
    assert [row.get("attached") for row in attacher.marked(box.rows)] == [False, True]


def test_what_cannot_be_attached_is_refused(box: Box) -> None:
    attacher = box.attacher()
    with pytest.raises(FailedError, match="itself"):
        attacher.attach(os.getpid())
    pid = box.run()
    with pytest.raises(FailedError, match="not attached"):
        attacher.detach(pid)
    box.refusal = ProbeError("refused")
    with pytest.raises(ProbeError):
        attacher.attach(pid)
    assert attacher.pids == frozenset()
    box.end(pid)
    with pytest.raises(ProcessGone):
        attacher.attach(pid)
