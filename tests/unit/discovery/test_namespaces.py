"""Network namespaces: each is dumped from inside, and dropped when nobody is in it."""

from __future__ import annotations

import os
import subprocess
import sys
import threading
from contextlib import suppress

import pytest

from engine.core.clock import SystemClock
from engine.core.source import Logbook
from engine.discovery.namespaces import Namespaces, read_netns
from engine.discovery.processes import ProcessTable
from engine.discovery.sockdiag import TABLES
from engine.discovery.watcher import PortWatcher
from tests.unit.discovery.inside import listener_inside, namespace_of, needs_namespaces
from tests.unit.discovery.listener import Listener
from tests.values import json_of
from tests.waiting import wait_until

CLOCK = SystemClock()
OWN = namespace_of(os.getpid())


def look(processes: ProcessTable, namespaces: Namespaces) -> tuple[bool, set[int]]:
    processes.look()
    found, moved = namespaces.note_processes()
    return found, set(moved)


def test_the_namespace_of_a_process_is_read() -> None:
    assert read_netns(os.getpid()) == OWN
    child = subprocess.Popen(["true"])
    child.wait()
    assert read_netns(child.pid) is None


@needs_namespaces
def test_a_namespace_is_found_dumped_and_dropped() -> None:
    processes = ProcessTable()
    namespaces = Namespaces(processes)
    look(processes, namespaces)
    namespaces.dump(TABLES)
    others = len(namespaces)
    with listener_inside() as inside:
        port = inside.open()
        netns = namespace_of(inside.pid)
        assert look(processes, namespaces)[0]
        assert not look(processes, namespaces)[0]
        assert len(namespaces) == others + 1
        assert namespaces.of(inside.pid) == netns != OWN
        assert (netns, port) in {(each.netns, each.port) for each in namespaces.dump(TABLES).came}
    wait_until(lambda: look(processes, namespaces) and len(namespaces) == others)
    dumped = namespaces.dump(TABLES)
    assert (netns, port) in {(each.netns, each.port) for each in dumped.went}
    assert netns not in {each.netns for each in dumped.came}
    namespaces.close()


def namespaces_of_threads() -> set[int]:
    found = set()
    for tid in os.listdir("/proc/self/task"):
        with suppress(FileNotFoundError):
            found.add(os.stat(f"/proc/self/task/{tid}/ns/net").st_ino)
    return found


@needs_namespaces
def test_no_thread_of_this_process_changes_its_namespace() -> None:
    processes = ProcessTable()
    namespaces = Namespaces(processes)
    with listener_inside():
        look(processes, namespaces)
        namespaces.dump(TABLES)
        assert "discovery-netns" not in [each.name for each in threading.enumerate()]
        wait_until(lambda: namespaces_of_threads() == {OWN})  # the helper is gone at once, or soon
    namespaces.close()


@needs_namespaces
def test_a_process_that_moves_is_noticed() -> None:
    processes = ProcessTable()
    namespaces = Namespaces(processes)
    with listener_inside() as inside, Listener() as mover:
        for _ in range(3):
            look(processes, namespaces)
        assert mover.enter(inside.pid) == 0
        wait_until(lambda: mover.pid in look(processes, namespaces)[1])
        assert namespaces.of(mover.pid) == namespace_of(inside.pid)
    namespaces.close()


@needs_namespaces
def test_sockets_are_released_with_their_owner() -> None:
    """Nobody calls close here: -W error would tell of a socket left open."""
    processes = ProcessTable()
    namespaces = Namespaces(processes)
    with listener_inside():
        look(processes, namespaces)
        namespaces.dump(TABLES)
    before = len(os.listdir("/proc/self/fd"))
    del namespaces
    assert len(os.listdir("/proc/self/fd")) < before


def test_without_the_right_only_the_own_namespace_is_looked_at(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(Namespaces, "may_enter", False)
    watcher = PortWatcher(CLOCK, Logbook(CLOCK))
    with Listener() as listener:
        port = listener.open()
        rows = watcher.scan_once()
        assert port in {each["port"] for row in rows for each in json_of(row)["ports"]}
    status = watcher.status()
    assert status.state == "degraded"
    assert "other network namespaces than this one are not looked at" in status.reason
    assert status.fix


@needs_namespaces
def test_rows_tell_the_namespace() -> None:
    watcher = PortWatcher(CLOCK, Logbook(CLOCK))
    with listener_inside() as inside, Listener() as outside:
        inner, outer = inside.open(), outside.open()
        inside.open("udp4")
        rows = {row.pid: json_of(row) for row in watcher.scan_once()}
        shown = rows[inside.pid]
        assert shown["netns"] == namespace_of(inside.pid)
        assert {"port": inner, "proto": "tcp", "address": "127.0.0.1"} in shown["ports"]
        assert len(shown["ports"]) == 2
        assert rows[outside.pid]["netns"] == OWN
        assert rows[outside.pid]["ports"] == (
            {"port": outer, "proto": "tcp", "address": "127.0.0.1"},
        )
    assert inside.pid not in {row.pid for row in watcher.scan_once()}


@needs_namespaces
def test_the_same_port_in_two_namespaces_is_two_rows() -> None:
    with listener_inside() as inside, Listener() as outside:
        port = outside.open()
        assert inside.open(port=port) == port
        rows = PortWatcher(CLOCK, Logbook(CLOCK), open_port=str(port)).scan_once()
        assert {row.pid for row in rows} == {inside.pid, outside.pid}


@needs_namespaces
def test_a_socket_of_another_namespace_belongs_to_who_holds_it() -> None:
    """As a container runtime's name server does: it listens inside, and lives outside."""
    with listener_inside() as inside, Listener() as runtime:
        assert runtime.enter(inside.pid) == 0
        port = runtime.open("udp4")
        assert runtime.enter(os.getpid()) == 0
        rows = PortWatcher(CLOCK, Logbook(CLOCK), open_port=str(port)).scan_once()
        (row,) = [json_of(row) for row in rows if row.pid == runtime.pid]
    assert row["netns"] == OWN
    assert row["ports"] == (
        {"port": port, "proto": "udp", "address": "127.0.0.1", "netns": row["ports"][0]["netns"]},
    )
    assert row["ports"][0]["netns"] != OWN


@needs_namespaces
def test_interfaces_are_named_as_inside() -> None:
    before = (
        "import ctypes, os, subprocess; ctypes.CDLL(None).unshare(0x40000000) and os._exit(9); "
        "subprocess.run(['ip', 'link', 'set', 'lo', 'name', 'inside0'], check=True); "
        "subprocess.run(['ip', 'link', 'set', 'inside0', 'up'], check=True); "
    )
    if subprocess.run(["ip", "-V"], stdout=subprocess.DEVNULL).returncode:
        pytest.skip("no ip on this box")
    with Listener(before=before, program=sys.executable) as inside:
        port = inside.open("udp4", device="inside0")
        rows = PortWatcher(CLOCK, Logbook(CLOCK), open_port=str(port)).scan_once()
        (row,) = [json_of(row) for row in rows if row.pid == inside.pid]
    assert row["ports"][0]["address"] == "127.0.0.1%inside0"
