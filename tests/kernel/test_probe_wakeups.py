"""Changes of processes are told at once, beside and without subscriptions; discovery wakes up."""

from __future__ import annotations

import json
import os
import signal
import socket
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager

import pytest

from engine.core.clock import SystemClock
from engine.core.settings import Settings
from engine.core.source import Logbook
from engine.discovery.watcher import PortWatcher
from engine.live import LiveEngine
from engine.probe import wakeups
from engine.probe.attachments import TRACEPOINT_OF
from engine.probe.probe import KernelProbe
from engine.probe.wakeups import WAKEUP_PROGRAMS, Change
from engine.selection import Selection
from tests.kernel.actor import Actor
from tests.kernel.conftest import READY_S, Watch, new_probe, value_of
from tests.kernel.kernel_facts import attached_tracepoints
from tests.kernel.test_commands import WITHOUT_CAPABILITIES
from tests.unit.discovery.listener import Listener
from tests.waiting import wait_until

pytestmark = pytest.mark.kernel

HOUR_S = 3600.0
OWN_TRACEPOINTS = sorted(TRACEPOINT_OF[program] for program in WAKEUP_PROGRAMS)


class Told:
    """A callback that remembers."""

    def __init__(self) -> None:
        self.changes: list[tuple[Change, int | None]] = []
        self.threads: set[int] = set()

    def __call__(self, change: Change, pid: int | None) -> None:
        self.threads.add(threading.get_ident())
        self.changes.append((change, pid))

    def of(self, pid: int) -> list[Change]:
        return [change for change, whose in self.changes if whose == pid]


@pytest.fixture
def told(running_probe: KernelProbe) -> Iterator[Told]:
    """What the running probe tells."""
    told = Told()
    running_probe.watch_processes(told)
    yield told
    running_probe.watch_processes(None)


class TestTelling:
    def test_exec_listen_and_exit_are_told_in_turn(self, told: Told) -> None:
        with Listener() as listener:
            pid = listener.pid
            wait_until(lambda: told.of(pid) == ["exec"])
            listener.open()
            wait_until(lambda: told.of(pid) == ["exec", "listen"])
        wait_until(lambda: told.of(pid)[2:3] == ["exit"])
        assert threading.get_ident() not in told.threads

    def test_a_listener_that_is_closed_is_told_of(self, told: Told) -> None:
        with Listener() as listener:
            opened = listener.open()
            wait_until(lambda: "listen" in told.of(listener.pid))
            before = len(told.of(listener.pid))
            listener.close(opened)
            wait_until(lambda: told.of(listener.pid)[before:] == ["listen"])

    def test_connections_threads_and_system_calls_are_not(self, told: Told) -> None:
        script = """
import socket, threading
server = socket.create_server(("127.0.0.1", 0))
input()
for _ in range(20):
    client = socket.create_connection(server.getsockname())
    server.accept()[0].close()
    client.close()
threads = [threading.Thread(target=print) for _ in range(5)]
for each in threads: each.start()
for each in threads: each.join()
print("done", flush=True)
input()
"""
        with subprocess.Popen(
            [sys.executable, "-c", script], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
        ) as child:
            assert child.stdin is not None
            assert child.stdout is not None
            wait_until(lambda: "listen" in told.of(child.pid))
            before = told.of(child.pid)
            child.stdin.write("go\n")
            child.stdin.flush()
            while child.stdout.readline() != "done\n":
                pass
            subprocess.run(["/bin/true"], check=True)  # told of after all that
            wait_until(lambda: told.changes[-1][0] == "exit")
            assert told.of(child.pid) == before
            child.communicate("end\n")

    def test_the_own_process_is_not(self, told: Told) -> None:
        socket.create_server(("127.0.0.1", 0)).close()
        ended = subprocess.Popen(["/bin/true"])
        ended.wait()
        wait_until(lambda: "exit" in told.of(ended.pid))
        assert told.of(os.getpid()) == []


class TestAttachments:
    def test_they_are_there_only_while_somebody_watches(self, running_probe: KernelProbe) -> None:
        assert attached_tracepoints() == []
        running_probe.watch_processes(Told())
        assert attached_tracepoints() == OWN_TRACEPOINTS
        running_probe.watch_processes(None)
        assert attached_tracepoints() == []

    def test_watching_before_the_start_holds_from_then_and_ends_with_the_probe(self) -> None:
        descriptors = set(os.listdir("/proc/self/fd"))
        threads = threading.active_count()
        probe = new_probe()
        told = Told()
        probe.watch_processes(told)
        probe.start()
        assert probe.wait_ready(READY_S), probe.status()
        assert probe.status().state == "running"
        assert attached_tracepoints() == OWN_TRACEPOINTS
        subprocess.run(["/bin/true"], check=True)
        wait_until(lambda: told.changes)
        probe.stop()
        assert attached_tracepoints() == []
        assert set(os.listdir("/proc/self/fd")) == descriptors
        assert threading.active_count() == threads
        probe.watch_processes(told)
        assert attached_tracepoints() == []

    def test_what_cannot_be_attached_is_logged_and_the_rest_works(
        self, running_probe: KernelProbe, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        before = running_probe.logbook.ring.last_seq
        status = running_probe.status()
        told = Told()
        with monkeypatch.context() as patched:
            patched.setitem(TRACEPOINT_OF, "on_exec_wake", "no_such_tracepoint")
            running_probe.watch_processes(told)
        try:
            lines = running_probe.logbook.ring.since(before).records
            assert ["no_such_tracepoint" in str(line.get("text")) for line in lines] == [True]
            assert attached_tracepoints() == OWN_TRACEPOINTS[:1] + OWN_TRACEPOINTS[2:]
            ended = subprocess.Popen(["/bin/true"])
            ended.wait()
            wait_until(lambda: told.of(ended.pid) == ["exit"])
            assert running_probe.status() == status
        finally:
            running_probe.watch_processes(None)


class TestSubscriptions:
    def test_they_and_their_counters_are_untouched(
        self, watch: Watch, told: Told, actor: Actor
    ) -> None:
        probe = watch.probe
        probe.drain()
        table = [row.as_json()["on"] for row in probe.tables()["subscription"]]
        counted, events = probe.counters(), probe.event_counters()
        with Listener() as listener:
            listener.open()
            wait_until(lambda: "listen" in told.of(listener.pid))
        probe.drain()
        assert probe.counters() == counted
        assert probe.event_counters() == events
        assert [row.as_json()["on"] for row in probe.tables()["subscription"]] == table
        assert watch.records() == []

    def test_both_are_delivered_and_filters_concern_subscriptions_alone(
        self, watch: Watch, told: Told, actor: Actor
    ) -> None:
        watch.probe.set_pids(frozenset({actor.pid}))
        watch.subscribe("tracepoint-procexit", "kprobe-tcp_set_state")
        with Listener() as listener:
            pid = listener.pid
            listener.open()
        wait_until(lambda: "exit" in told.of(pid))
        assert {value_of(record, "pid") for record in watch.records()} <= {actor.pid}
        watch.probe.unsubscribe("tracepoint-procexit")
        watch.probe.unsubscribe("kprobe-tcp_set_state")
        assert attached_tracepoints() == OWN_TRACEPOINTS


@contextmanager
def woken(probe: KernelProbe) -> Iterator[PortWatcher]:
    """A discovery that never looks by itself, woken by the probe."""
    clock = SystemClock()
    watcher = PortWatcher(clock, Logbook(clock), interval_s=HOUR_S)
    watcher.start()
    wait_until(lambda: watcher.status().state != "starting")
    probe.watch_processes(watcher.poke)
    try:
        yield watcher
    finally:
        probe.watch_processes(None)
        watcher.stop()


def rows(watcher: PortWatcher) -> dict[int | None, str | None]:
    return {row.pid: row.comm for row in watcher.tables()["process"]}


class TestDiscovery:
    """Nothing here waits for the next poll, which is a minute away or an hour."""

    def test_listen_exec_and_exit_of_another_process_show(self, running_probe: KernelProbe) -> None:
        with woken(running_probe) as watcher:
            with Listener() as listener:
                pid = listener.pid
                opened = listener.open()
                wait_until(lambda: pid in rows(watcher))
                listener.close(opened)
                wait_until(lambda: pid not in rows(watcher))
                listener.open()
                wait_until(lambda: pid in rows(watcher))
                listener.exec("/bin/cat")
                wait_until(lambda: rows(watcher).get(pid) == "cat")
            wait_until(lambda: pid not in rows(watcher))

    def test_the_end_of_an_owner_of_a_shared_listener_shows(
        self, running_probe: KernelProbe
    ) -> None:
        with woken(running_probe) as watcher, Listener() as listener:
            listener.open()
            worker = listener.fork()
            watcher.poke("listen", listener.pid)
            wait_until(lambda: {worker, listener.pid} <= rows(watcher).keys())
            os.kill(worker, signal.SIGKILL)
            wait_until(lambda: worker not in rows(watcher))
            assert listener.pid in rows(watcher)

    def test_the_engine_joins_the_two_where_both_run(self) -> None:
        engine = LiveEngine(Selection(discovery=True, probe=True), Settings(scan_interval_s=60))
        engine.start()
        try:
            wait_until(lambda: attached_tracepoints() == OWN_TRACEPOINTS, READY_S)
            with Listener() as listener:
                listener.open()
                wait_until(
                    lambda: listener.pid in {row.pid for row in engine.snapshot().tables["process"]}
                )
        finally:
            engine.stop()
        assert attached_tracepoints() == []


def test_what_a_small_ring_has_no_room_for_is_told_as_everything(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(wakeups, "WAKEUP_RING_BYTES", os.sysconf("SC_PAGESIZE"))
    probe = new_probe()
    probe.start()
    assert probe.wait_ready(READY_S), probe.status()
    held, released = threading.Event(), threading.Event()
    changes: list[tuple[Change, int | None]] = []

    def slow(change: Change, pid: int | None) -> None:
        changes.append((change, pid))
        held.set()
        released.wait()

    try:
        probe.watch_processes(slow)
        # A page holds 256 wake-ups; each of these makes two, its exec and its exit.
        subprocess.run(["/bin/true"], check=True)
        held.wait()
        subprocess.run(["/bin/sh", "-c", "for i in $(seq 200); do /bin/true; done"], check=True)
        released.set()
        wait_until(lambda: ("exec", None) in changes and ("exit", None) in changes)
    finally:
        released.set()
        probe.stop()


def test_the_command_tells_of_a_listener_that_lives_between_two_scans() -> None:
    command = [sys.executable, "-m", "tui.cli", "discover", "--watch", "--probe", "--json"]
    environment = {**os.environ, "BOXSCOPE_SCAN_INTERVAL_S": "60"}
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True, env=environment) as child:
        assert child.stdout is not None
        wait_until(lambda: attached_tracepoints(child.pid) == OWN_TRACEPOINTS, READY_S)
        told: list[str] = []
        with Listener() as listener:
            listener.open()
            while told[-1:] != ["created"]:
                told += _told_of(listener.pid, child.stdout.readline())
        while told[-1:] != ["deleted"]:
            told += _told_of(listener.pid, child.stdout.readline())
        child.send_signal(signal.SIGINT)
        child.communicate()
    assert told == ["created", "deleted"]
    assert child.returncode == 130


def _told_of(pid: int, line: str) -> list[str]:
    record = json.loads(line)
    return [record["change"]] if record.get("pid") == pid else []


def test_without_rights_the_command_says_so_and_goes_on_looking() -> None:
    command = [*WITHOUT_CAPABILITIES, sys.executable, "-m", "tui.cli", "discover"]
    command += ["--watch", "--probe", "--json", "--for", "0"]
    ended = subprocess.run(command, capture_output=True, text=True, check=True)
    assert "changes show at the next scan, not at once" in ended.stderr
    assert "CAP_BPF" in ended.stderr
    *_, stats = map(json.loads, ended.stdout.splitlines())
    assert stats["sources"]["probe"]["state"] == "failed"
    assert stats["sources"]["discovery"]["state"] != "failed"
