"""Capture is attached to what asks for it, and stays with a program that is started again."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager

import pytest

from engine.core.clock import SystemClock
from engine.core.errors import FailedError, UsageError
from engine.core.identity import ProcessId
from engine.core.source import Logbook
from engine.discovery.attacher import Capture, CaptureCost
from engine.discovery.watcher import PortWatcher
from tests.unit.discovery.listener import Listener

CLOCK = SystemClock()


class Recorder:
    """A capture that notes what it was told; traffic is not what is tested here."""

    def __init__(self, refuse: bool = False) -> None:
        self.attached: list[ProcessId] = []
        self.refuse = refuse

    def attach(self, process: ProcessId) -> None:
        if self.refuse:
            raise FailedError("the kernel has no room")
        self.attached.append(process)

    def detach(self, process: ProcessId) -> None:
        self.attached.remove(process)

    def costs(self) -> Mapping[ProcessId, CaptureCost]:
        return dict.fromkeys(self.attached, CaptureCost(1, 2, 3))


def watcher_with(
    capture: Capture | None, port: int, *, by_itself: bool = False, logbook: Logbook | None = None
) -> PortWatcher:
    return PortWatcher(
        CLOCK,
        logbook or Logbook(CLOCK),
        open_port=str(port),
        capture=capture,
        attach_selected=by_itself,
    )


def is_attached(watcher: PortWatcher, pid: int) -> bool | None:
    return {row.pid: row.get("attached") for row in watcher.scan_once()}.get(pid)  # type: ignore[return-value]


@contextmanager
def server(port: int = 0) -> Iterator[tuple[Listener, int]]:
    """A program that is the same whenever it is started; yields it and its port."""
    with Listener() as listener:
        opened = listener.open(port=port, reuse=True)
        yield listener, opened


def test_by_hand_and_back() -> None:
    with server() as (listener, port):
        recorder = Recorder()
        watcher = watcher_with(recorder, port)
        assert is_attached(watcher, listener.pid) is False
        watcher.attach(listener.pid)
        (row,) = watcher.tables()["process"]
        assert (row.get("attached"), row.get("change")) == (True, "changed")
        assert [each.pid for each in recorder.attached] == [listener.pid]
        assert [each.payloads for each in watcher.capture_costs().values()] == [1]
        watcher.attach(listener.pid)
        assert len(recorder.attached) == 1
        watcher.detach(listener.pid)
        assert recorder.attached == []
        assert is_attached(watcher, listener.pid) is False


def test_it_survives_a_restart_of_the_program() -> None:
    recorder = Recorder()
    with server() as (first, port):
        watcher = watcher_with(recorder, port)
        watcher.scan_once()
        watcher.attach(first.pid)
    watcher.scan_once()
    assert recorder.attached == []
    with server(port) as (second, _):
        assert is_attached(watcher, second.pid) is True
        assert [each.pid for each in recorder.attached] == [second.pid]
        watcher.detach(second.pid)
    with server(port) as (third, _):
        assert is_attached(watcher, third.pid) is False


def test_criteria_that_ask_for_it_attach_by_themselves() -> None:
    with server() as (listener, port):
        recorder = Recorder()
        watcher = watcher_with(recorder, port, by_itself=True)
        assert is_attached(watcher, listener.pid) is True
        watcher.detach(listener.pid)
        assert is_attached(watcher, listener.pid) is False
        watcher.attach(listener.pid)
        watcher.stop()
        assert recorder.attached == []


def test_what_ends_or_is_no_longer_listed_is_detached() -> None:
    with server() as (_, port):
        recorder = Recorder()
        watcher = watcher_with(recorder, port, by_itself=True)
        watcher.scan_once()
        watcher.set_ports("1")
        watcher.scan_once()
        assert recorder.attached == []


def test_a_capture_that_is_refused_is_told_once() -> None:
    with server() as (listener, port):
        logbook = Logbook(CLOCK)
        watcher = watcher_with(Recorder(refuse=True), port, by_itself=True, logbook=logbook)
        for _ in range(3):
            assert is_attached(watcher, listener.pid) is False
            listener.open()
        told = [str(each.get("text")) for each in logbook.ring.since(0).records]
        assert [each for each in told if "captured" in each] == [
            f"process {listener.pid} is not captured: the kernel has no room"
        ]
        with pytest.raises(FailedError, match="no room"):
            watcher.attach(listener.pid)


def test_without_capture_it_is_an_error() -> None:
    with server() as (listener, port):
        watcher = watcher_with(None, port)
        watcher.scan_once()
        with pytest.raises(FailedError, match="traffic capture does not run here"):
            watcher.attach(listener.pid)
        with pytest.raises(UsageError, match="process 1 is not listed"):
            watcher.attach(1)
        assert watcher.capture_costs() == {}


def test_stages_count_what_went_through() -> None:
    with server() as (_, port):
        watcher = watcher_with(None, port)
        watcher.scan_once()
        stages = watcher.status().stages
        assert list(stages) == ["watcher", "matcher", "attacher"]
        assert all(each.balanced for each in stages.values())
        assert stages["watcher"].kept == stages["matcher"].seen >= 1
        assert stages["matcher"].kept == stages["attacher"].seen == stages["attacher"].kept == 1
