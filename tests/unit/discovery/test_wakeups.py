"""A poke is answered soon, many pokes by one scan."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from typing import Any

import pytest

from engine.core.clock import SystemClock
from engine.core.source import Logbook
from engine.discovery.observed import Event, Observed
from engine.discovery.scanner import Scanner
from engine.discovery.wakeups import WakeUps
from engine.discovery.watcher import PortWatcher
from tests.unit.discovery.listener import Listener
from tests.waiting import wait_until

CLOCK = SystemClock()


def test_pokes_until_a_scan_are_one_scan() -> None:
    wake_ups = WakeUps()
    for pid in (1, 2, None, 2):
        wake_ups.poke(pid)
    assert wake_ups.wait(60) == "poked"
    assert wake_ups.take() == {1, 2}
    assert wake_ups.wait(0) == "time"
    assert wake_ups.take() == frozenset()


def test_pokes_leave_a_gap_between_scans() -> None:
    wake_ups = WakeUps()
    for scan_s, least_s in ((0.0, 0.02), (0.01, 0.04)):
        wake_ups.note_cost(scan_s)
        before = time.monotonic()
        wake_ups.poke(None)
        assert wake_ups.wait(60) == "poked"
        assert time.monotonic() - before >= least_s * 0.95
        wake_ups.take()


def test_stopping_ends_every_wait() -> None:
    wake_ups = WakeUps()
    wake_ups.note_cost(1000.0)
    wake_ups.poke(None)
    waiting = threading.Thread(target=wake_ups.wait, args=(3600.0,))
    waiting.start()
    wake_ups.stop()
    waiting.join(5)
    assert not waiting.is_alive()
    assert wake_ups.wait(3600.0) == ""
    wake_ups.wait_to_stop(3600.0)


@pytest.fixture
def watcher() -> Iterator[PortWatcher]:
    """Looks once, and then only when it is poked."""
    running = PortWatcher(CLOCK, Logbook(CLOCK), interval_s=3600.0)
    running.start()
    wait_until(lambda: running.status().state != "starting")
    yield running
    running.stop()


def pids(watcher: PortWatcher) -> set[int | None]:
    return {row.pid for row in watcher.tables()["process"]}


def test_listen_brings_a_row_at_once(watcher: PortWatcher) -> None:
    with Listener() as listener:
        listener.open()
        watcher.poke("listen", listener.pid)
        wait_until(lambda: listener.pid in pids(watcher))


def test_exit_takes_it_away_at_once(watcher: PortWatcher) -> None:
    with Listener() as listener:
        listener.open()
        watcher.poke("bind")
        wait_until(lambda: listener.pid in pids(watcher))
        pid = listener.pid
    watcher.poke("exit", pid)
    wait_until(lambda: pid not in pids(watcher))


def test_exec_is_noticed_at_once(watcher: PortWatcher) -> None:
    with Listener() as listener:
        listener.open()
        watcher.poke("listen", listener.pid)
        wait_until(lambda: listener.pid in pids(watcher))
        listener.exec("/bin/cat")

        def comm() -> str | None:
            watcher.poke("exec", listener.pid)
            return {row.pid: row.comm for row in watcher.tables()["process"]}.get(listener.pid)

        wait_until(lambda: comm() == "cat")


def test_if_it_is_not_known_who_exec_ed_every_process_is_looked_at(
    watcher: PortWatcher, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("engine.discovery.scanner._EXES_CHECKED", 0)
    with Listener() as listener:
        listener.open()
        watcher.poke("listen", listener.pid)
        wait_until(lambda: listener.pid in pids(watcher))
        listener.exec("/bin/cat")

        def comm() -> str | None:
            watcher.poke("exec")
            return {row.pid: row.comm for row in watcher.tables()["process"]}.get(listener.pid)

        wait_until(lambda: comm() == "cat")


def test_processes_nobody_knows_do_not_cause_scans(
    watcher: PortWatcher, monkeypatch: pytest.MonkeyPatch
) -> None:
    looks = []
    look = Scanner.look

    def counted(self: Scanner, *arguments: Any) -> list[Event[Observed]]:
        looks.append(1)
        return look(self, *arguments)

    monkeypatch.setattr(Scanner, "look", counted)
    for _ in range(1000):
        watcher.poke("exec", 2**22)
        watcher.poke("exit", 2**22)
    assert not looks
    started = time.monotonic()
    while time.monotonic() - started < 0.2:
        watcher.poke("bind", 2**22)
    wait_until(lambda: looks)
    assert len(looks) <= (time.monotonic() - started) / 0.02 + 1
