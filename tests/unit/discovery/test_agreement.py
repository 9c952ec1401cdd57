"""The rows agree with other tools' view of the same box, socket by socket."""

from __future__ import annotations

import os
import re
import shutil
import socket
import subprocess
import sys
from collections.abc import Callable, Iterator
from typing import TypeVar

import psutil
import pytest

from engine.core.clock import SystemClock
from engine.core.source import Logbook
from engine.discovery.watcher import PortWatcher
from tests.unit.discovery.inside import namespace_of, needs_namespaces
from tests.unit.discovery.listener import Listener
from tests.values import json_of

Seen = set[tuple[str, int, str, int | None]]
"""Protocol, port, address and pid; None where no process is visible."""

OWN = namespace_of(os.getpid())

View = TypeVar("View")

LINE = re.compile(r"\n(?=(?:tcp|udp) )")
"""Where the next socket begins in what ss lists; names of processes may hold line feeds."""

needs_ss = pytest.mark.skipif(shutil.which("ss") is None, reason="no ss on this box")
needs_ipv6 = pytest.mark.skipif(not socket.has_dualstack_ipv6(), reason="no IPv6 on this box")


@pytest.fixture
def box() -> Iterator[list[int]]:
    """Processes with sockets of every sort; yields their pids."""
    with Listener() as one, Listener() as two:
        for kind in ("tcp4", "tcp6", "mapped", "dual", "v6only", "udp4", "udp6"):
            one.open(kind)
        one.open_connected_udp()
        one.open(device="lo")
        shared = one.open(reuse=True)
        two.open(port=shared, reuse=True)
        two.open()
        child = two.fork()
        two.open()
        yield [one.pid, two.pid, child]


def by_ss() -> Seen:
    """What `ss -lntup` lists."""
    run = subprocess.run(["ss", "-Hlntup"], stdout=subprocess.PIPE, text=True, check=True)
    seen: Seen = set()
    for line in filter(None, LINE.split(run.stdout.strip())):
        proto, _, _, _, local, *_ = line.split()
        address, _, port = local.rpartition(":")
        pids: list[int | None] = [int(pid) for pid in re.findall(r"pid=(\d+)", line)]
        for pid in pids or [None]:
            seen.add((proto, int(port), re.sub(r"[\[\]]", "", address), pid))
    return seen


def by_watcher() -> Seen:
    """What a first scan lists."""
    clock = SystemClock()
    return seen_in(PortWatcher(clock, Logbook(clock)))


def seen_in(watcher: PortWatcher) -> Seen:
    return {
        (port["proto"], port["port"], port["address"], row.pid)
        for row in watcher.scan_once()
        if row.get("netns") == OWN  # the other tools see no other namespace
        for port in json_of(row)["ports"]
    }


def undisturbed(theirs: Callable[[], View], ours: Callable[[], View]) -> tuple[View, View]:
    """Both views of one moment: theirs was the same before and after ours was taken."""
    before = theirs()
    for _ in range(100):
        mine, after = ours(), theirs()
        if before == after:
            return before, mine
        before = after
    raise AssertionError("the box never stood still")


@needs_ss
@needs_ipv6
def test_the_first_scan_agrees_with_ss(box: list[int]) -> None:
    theirs, ours = undisturbed(by_ss, by_watcher)
    assert ours == theirs
    counts = [len([each for each in ours if each[3] == pid]) for pid in box]
    assert counts == [9, 3, 2]


@needs_ss
@needs_namespaces
def test_seen_is_the_number_of_sockets_that_ss_lists() -> None:
    """In a box of its own, as sockets of every network namespace are seen."""
    alone = ["unshare", "--net", "--pid", "--fork", "--mount-proc"]
    module = "tests.unit.discovery.counting_inside"
    theirs, ours = subprocess.check_output([*alone, sys.executable, "-m", module]).split()
    assert ours == theirs == b"6"


@needs_ss
@needs_ipv6
def test_a_later_scan_agrees_with_ss(box: list[int]) -> None:
    clock = SystemClock()
    watcher = PortWatcher(clock, Logbook(clock))
    watcher.scan_once()
    with Listener() as newcomer:
        newcomer.open()
        newcomer.open("udp6")
        newcomer.fork()
        theirs, ours = undisturbed(by_ss, lambda: seen_in(watcher))
        assert ours == theirs
        assert {each[3] for each in ours} >= {*box, newcomer.pid}
    theirs, ours = undisturbed(by_ss, lambda: seen_in(watcher))
    assert ours == theirs


@needs_ipv6
def test_the_first_scan_agrees_with_psutil(box: list[int]) -> None:
    """psutil names one owner of a shared socket and writes `*` as `::`."""

    def by_psutil() -> Seen:
        return {
            (
                "tcp" if each.type == socket.SOCK_STREAM else "udp",
                each.laddr.port,
                each.laddr.ip,
                each.pid,
            )
            for each in psutil.net_connections("inet")
            if each.laddr
            and (each.status == "LISTEN" or (each.status == "NONE" and not each.raddr))
        }

    theirs, ours = undisturbed(by_psutil, by_watcher)
    plain = {
        (proto, port, address.partition("%")[0].replace("*", "::"), pid)
        for proto, port, address, pid in ours
    }
    assert theirs <= plain
    assert {each[:3] for each in theirs} == {each[:3] for each in plain}
    assert {each[3] for each in plain} >= set(box)
