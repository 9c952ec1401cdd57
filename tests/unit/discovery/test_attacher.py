"""Capture is attached to what asks for it, and stays with a program that is started again."""

from __future__ import annotations

import os
import threading
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

import pytest

from engine.core.clock import SystemClock
from engine.core.errors import BoxscopeError, FailedError, ProcessGone, RequirementError
from engine.core.identity import ProcessId, read_stat
from engine.core.records import Record
from engine.core.source import Logbook
from engine.discovery.capture import Capture, CaptureCost
from engine.discovery.config import DiscoveryConfig, load_config
from engine.discovery.watcher import PortWatcher
from tests.unit.discovery.listener import Listener
from tests.waiting import wait_until

CLOCK = SystemClock()


class Recorder:
    """A capture that notes what it was told; traffic is not what is tested here."""

    def __init__(self) -> None:
        self.attached: list[ProcessId] = []
        self.room = 1_000
        self.ready = True
        self.failure: BoxscopeError | None = None

    @property
    def pids(self) -> list[int]:
        return [each.pid for each in self.attached]

    def attach(self, process: ProcessId) -> None:
        if self.failure:
            raise self.failure
        if len(self.attached) >= self.room:
            raise FailedError("the kernel has no room")
        self.attached.append(process)

    def detach(self, process: ProcessId) -> CaptureCost:
        self.attached.remove(process)
        return CaptureCost(5, 6, 7, 8_000)

    def costs(self) -> Mapping[ProcessId, CaptureCost]:
        return dict.fromkeys(self.attached, CaptureCost(1, 2, 3, 4_000))


def watcher_with(
    capture: Capture | None,
    port: int,
    *,
    by_itself: bool = False,
    logbook: Logbook | None = None,
    config: DiscoveryConfig | None = None,
) -> PortWatcher:
    return PortWatcher(
        CLOCK,
        logbook or Logbook(CLOCK),
        open_port=str(port or ""),
        config=config,
        capture=capture,
        attach_selected=by_itself,
    )


def row_of(watcher: PortWatcher, pid: int) -> Record | None:
    return {row.pid: row for row in watcher.scan_once()}.get(pid)


def is_attached(watcher: PortWatcher, pid: int) -> object:
    row = row_of(watcher, pid)
    return row and row.get("attached")


def captures(watcher: PortWatcher) -> dict[int | None, tuple[object, ...]]:
    """State, cause and number of payloads by pid."""
    rows = watcher.tables()["capture_state"]
    return {row.pid: tuple(map(row.get, ("state", "cause", "payloads"))) for row in rows}


def told(logbook: Logbook) -> list[str]:
    return [str(each.get("text")) for each in logbook.ring.since(0).records]


@contextmanager
def server(port: int = 0, *, before: str = "") -> Iterator[tuple[Listener, int]]:
    """A program that is the same whenever it is started; yields it and its port."""
    with Listener(before=before) as listener:
        opened = listener.open(port=port, reuse=True)
        yield listener, opened


class TestByHand:
    def test_on_and_off(self) -> None:
        with server() as (listener, port):
            recorder = Recorder()
            watcher = watcher_with(recorder, port)
            assert is_attached(watcher, listener.pid) is False
            watcher.attach(listener.pid)
            (row,) = watcher.tables()["process"]
            assert (row.get("attached"), row.get("change")) == (True, "changed")
            assert recorder.pids == [listener.pid]
            watcher.attach(listener.pid)
            assert recorder.pids == [listener.pid]
            watcher.detach(listener.pid)
            assert recorder.attached == []
            assert is_attached(watcher, listener.pid) is False
            with pytest.raises(FailedError, match="not attached"):
                watcher.detach(listener.pid)

    def test_the_change_is_a_record(self) -> None:
        with server() as (listener, port):
            watcher = watcher_with(Recorder(), port)
            watcher.scan_once()
            watcher.attach(listener.pid)
            watcher.detach(listener.pid)
            records = watcher.rings["process"].since(0, 10).records
            assert [(one.get("change"), one.get("attached")) for one in records] == [
                ("created", False),
                ("changed", True),
                ("changed", False),
            ]

    def test_it_tells_what_it_costs_and_what_it_had_cost(self) -> None:
        with server() as (listener, port):
            watcher = watcher_with(Recorder(), port)
            watcher.attach(listener.pid)
            assert captures(watcher) == {listener.pid: ("attached", "by hand", 1)}
            (row,) = watcher.tables()["capture_state"]
            assert [row.get(name) for name in ("payload_bytes", "dropped", "us_per_payload")] == [
                2,
                3,
                4.0,
            ]
            watcher.detach(listener.pid)
            assert captures(watcher) == {listener.pid: ("detached", "by hand", 5)}

    @pytest.mark.parametrize("listed", [True, False])
    def test_before_anything_can_be_captured_it_waits(self, listed: bool) -> None:
        recorder, logbook = Recorder(), Logbook(CLOCK)
        recorder.ready = False
        with server() as (listener, port):
            watcher = watcher_with(recorder, port if listed else 1, logbook=logbook)
            watcher.attach(listener.pid)
            assert is_attached(watcher, listener.pid) is False
            assert captures(watcher) == {listener.pid: ("waiting", "by hand", 1)}
            assert any("as soon as that can be done" in text for text in told(logbook))
            recorder.ready = True
            assert captures(watcher) == {listener.pid: ("attached", "by hand", 1)}
            assert is_attached(watcher, listener.pid) is True
            *before, last = [
                one.get("attached")
                for one in watcher.rings["process"].since(0, 99).records
                if one.pid == listener.pid
            ]
            assert set(before) == {False}
            assert last is True
            assert recorder.pids == [listener.pid]

    def test_what_never_could_be_captured_is_not_told_as_if_it_had_been(self) -> None:
        recorder = Recorder()
        recorder.ready = False
        with server() as (listener, port):
            watcher = watcher_with(recorder, port)
            watcher.attach(listener.pid)
            watcher.stop()
            assert captures(watcher) == {listener.pid: ("waiting", "by hand", 5)}

    def test_a_process_that_is_not_listed(self) -> None:
        recorder = Recorder()
        with Listener() as listener:
            watcher = watcher_with(recorder, 1)
            watcher.scan_once()
            watcher.attach(listener.pid)
            assert recorder.pids == [listener.pid]
            row = row_of(watcher, listener.pid)
            assert row is not None
            assert (row.get("attached"), row.get("verdict")) == (True, "not selected")
            assert row.get("ports") == ()
            assert recorder.pids == [listener.pid]
        assert row_of(watcher, listener.pid) is None
        assert recorder.attached == []
        assert captures(watcher) == {listener.pid: ("awaited", "by hand", 5)}

    def test_a_process_that_comes_to_be_listed_and_is_no_longer(self) -> None:
        recorder = Recorder()
        with server() as (listener, port):
            watcher = watcher_with(recorder, 1)
            watcher.attach(listener.pid)
            watcher.set_ports(str(port))
            assert is_attached(watcher, listener.pid) is True
            watcher.set_ports("1")
            assert is_attached(watcher, listener.pid) is True
            assert recorder.pids == [listener.pid]
            watcher.detach(listener.pid)
            assert recorder.attached == []
            assert row_of(watcher, listener.pid) is None
            changes = [one.get("change") for one in watcher.rings["process"].since(0, 99).records]
            assert changes == ["created", "changed", "deleted", "created", "deleted"]

    def test_a_pid_that_is_used_again_is_another_process(self) -> None:
        recorder = Recorder()
        with server() as (listener, port):
            watcher = watcher_with(recorder, 1)
            child = listener.fork()
            watcher.attach(child)
            start = read_stat(child).identity.start_ticks
            listener.end_child(child)
            ticks = os.sysconf("SC_CLK_TCK")
            wait_until(lambda: time.clock_gettime(time.CLOCK_BOOTTIME) * ticks > start + 1)
            refused = listener.respawn(child)
            if refused:
                pytest.skip(f"a pid cannot be chosen here: {os.strerror(refused)}")
            watcher.set_ports(str(port))
            assert is_attached(watcher, child) is True
            (old, new) = watcher.tables()["capture_state"]
            assert (old.get("state"), new.get("cause")) == ("ended", f"in place of {child}")
            assert recorder.attached == [read_stat(child).identity]

    def test_what_is_not_there_and_boxscope_itself_are_refused(self) -> None:
        with server() as (listener, port):
            watcher = watcher_with(Recorder(), port)
            watcher.scan_once()
        with pytest.raises(ProcessGone):
            watcher.attach(listener.pid)
        with pytest.raises(FailedError, match="itself"):
            watcher.attach(os.getpid())

    def test_without_capture_it_is_an_error(self) -> None:
        with server() as (listener, port):
            watcher = watcher_with(None, port)
            watcher.scan_once()
            with pytest.raises(FailedError, match="traffic capture does not run here"):
                watcher.attach(listener.pid)
            assert captures(watcher) == {}


class TestRestart:
    def test_the_program_is_attached_again_and_that_is_said(self) -> None:
        recorder, logbook = Recorder(), Logbook(CLOCK)
        with server() as (first, port):
            watcher = watcher_with(recorder, port, logbook=logbook)
            watcher.scan_once()
            watcher.attach(first.pid)
        watcher.scan_once()
        assert recorder.attached == []
        with server(port) as (second, _):
            assert is_attached(watcher, second.pid) is True
            assert recorder.pids == [second.pid]
            cause = f"in place of {first.pid}"
            assert captures(watcher) == {
                first.pid: ("ended", "by hand", 5),
                second.pid: ("attached", cause, 1),
            }
            assert any(str(second.pid) in text and cause in text for text in told(logbook))
            watcher.detach(second.pid)
        with server(port) as (third, _):
            assert is_attached(watcher, third.pid) is False

    def test_also_when_both_happen_between_two_looks(self) -> None:
        recorder = Recorder()
        with server() as (first, port):
            watcher = watcher_with(recorder, port)
            watcher.attach(first.pid)
            watcher.scan_once()
        with server(port) as (second, _):
            assert is_attached(watcher, second.pid) is True

    def test_also_when_the_new_one_listens_before_the_old_one_ends(self) -> None:
        recorder = Recorder()
        with server() as (first, port):
            watcher = watcher_with(recorder, port)
            watcher.attach(first.pid)
            with server(port) as (second, _):
                assert is_attached(watcher, second.pid) is False
                first.end()
                assert is_attached(watcher, second.pid) is True

    def test_a_sibling_that_was_there_before_takes_nobodys_place(self) -> None:
        recorder = Recorder()
        with server() as (first, port), server(port) as (sibling, _):
            watcher = watcher_with(recorder, port)
            watcher.scan_once()
            watcher.attach(first.pid)
            first.end()
            assert is_attached(watcher, sibling.pid) is False
            assert recorder.attached == []

    def test_one_takes_the_place_of_one(self) -> None:
        recorder = Recorder()
        with server() as (first, port):
            watcher = watcher_with(recorder, port)
            watcher.attach(first.pid)
            watcher.scan_once()
        with server(port) as (second, _):
            watcher.scan_once()
            with server(port):
                watcher.scan_once()
                assert recorder.pids == [second.pid]

    def test_another_program_on_another_port_takes_nobodys_place(self) -> None:
        recorder = Recorder()
        with server() as (first, port):
            watcher = watcher_with(recorder, 0)
            watcher.attach(first.pid)
            watcher.scan_once()
        with server(before="pass\n") as (other, other_port):
            assert other_port != port
            assert is_attached(watcher, other.pid) is False


class TestByCriterion:
    def test_what_is_selected_is_attached_but_what_was_detached_by_hand(self) -> None:
        with server() as (listener, port):
            recorder = Recorder()
            watcher = watcher_with(recorder, port, by_itself=True)
            assert is_attached(watcher, listener.pid) is True
            assert captures(watcher) == {listener.pid: ("attached", "criterion", 1)}
            watcher.detach(listener.pid)
            assert is_attached(watcher, listener.pid) is False
            listener.open()
            assert is_attached(watcher, listener.pid) is False
            watcher.attach(listener.pid)
            watcher.stop()
            assert recorder.attached == []

    def test_what_ends_or_is_no_longer_selected_is_detached(self) -> None:
        with server() as (listener, port):
            recorder = Recorder()
            watcher = watcher_with(recorder, port, by_itself=True)
            watcher.scan_once()
            watcher.set_ports("1")
            watcher.scan_once()
            assert recorder.attached == []
            watcher.set_ports(str(port))
            assert is_attached(watcher, listener.pid) is True
        watcher.scan_once()
        assert recorder.attached == []
        assert captures(watcher)[listener.pid][0] == "ended"

    @pytest.mark.parametrize(
        ("exports", "by_itself", "attached"),
        [
            ("", False, False),
            ("", True, True),
            (", exports: [traces]", False, True),
            (", exports: [metrics, logs]", False, True),
            (", exports: [logs]", True, False),
            (", exports: []", True, False),
        ],
    )
    def test_what_a_criterion_exports_decides(
        self, exports: str, by_itself: bool, attached: bool, tmp_path: Path
    ) -> None:
        with server() as (listener, port):
            path = tmp_path / "beyla.yaml"
            path.write_text(f"discovery:\n  instrument:\n    - {{open_ports: {port}{exports}}}\n")
            config = load_config(path, {})
            watcher = watcher_with(Recorder(), 0, by_itself=by_itself, config=config)
            assert is_attached(watcher, listener.pid) is attached
            child = listener.fork()
            row = row_of(watcher, child)
            assert row is not None
            assert (row.get("attached"), row.get("verdict")) == (attached, "selected")


class TestRefusal:
    def test_is_on_the_row_and_said_once(self) -> None:
        with server() as (listener, port):
            logbook, recorder = Logbook(CLOCK), Recorder()
            recorder.failure = RequirementError("not root", fix="run as root")
            watcher = watcher_with(recorder, port, by_itself=True, logbook=logbook)
            for _ in range(3):
                row = row_of(watcher, listener.pid)
                assert row is not None
                assert (row.get("attached"), row.get("capture_error")) == (False, "not root")
                listener.open()
            assert [each for each in told(logbook) if "captured" in each] == [
                f"process {listener.pid} is not captured: not root (run as root)"
            ]

    def test_by_hand_it_is_raised_and_on_the_row_until_it_works(self) -> None:
        with server() as (listener, port):
            recorder = Recorder()
            recorder.room = 0
            watcher = watcher_with(recorder, port)
            with pytest.raises(FailedError, match="no room"):
                watcher.attach(listener.pid)
            row = row_of(watcher, listener.pid)
            assert row is not None
            assert row.get("capture_error") == "the kernel has no room"
            recorder.room = 1
            watcher.attach(listener.pid)
            row = row_of(watcher, listener.pid)
            assert row is not None
            assert (row.get("attached"), row.get("capture_error")) == (True, None)

    def test_a_capture_that_breaks_shows_on_the_rows_and_mends(self) -> None:
        with server() as (listener, port):
            recorder = Recorder()
            watcher = watcher_with(recorder, port, by_itself=True)
            assert is_attached(watcher, listener.pid) is True
            recorder.failure = FailedError("the probe broke")
            row = row_of(watcher, listener.pid)
            assert row is not None
            assert (row.get("attached"), row.get("capture_error")) == (False, "the probe broke")
            recorder.failure = None
            assert is_attached(watcher, listener.pid) is True

    def test_what_found_no_room_gets_the_room_of_what_ended(self) -> None:
        recorder = Recorder()
        recorder.room = 1
        with server() as (first, port):
            watcher = watcher_with(recorder, port, by_itself=True)
            watcher.scan_once()
            with server(port) as (second, _):
                row = row_of(watcher, second.pid)
                assert row is not None
                assert row.get("capture_error") == "the kernel has no room"
                first.end()
                assert is_attached(watcher, second.pid) is True


def test_stages_count_what_went_through() -> None:
    with server() as (_, port):
        watcher = watcher_with(None, port)
        watcher.scan_once()
        stages = watcher.status().stages
        assert list(stages) == ["watcher", "matcher", "attacher"]
        assert all(each.balanced for each in stages.values())
        assert stages["watcher"].kept == stages["matcher"].seen >= 1
        assert stages["matcher"].kept == stages["attacher"].seen == stages["attacher"].kept == 1


def test_one_that_ends_is_told_of_without_a_gap() -> None:
    """Whoever looks while it is being detached finds it, before or after."""
    looked: list[dict[int | None, tuple[object, ...]]] = []
    looking = threading.Event()

    class Slow(Recorder):
        def detach(self, process: ProcessId) -> CaptureCost:
            cost = super().detach(process)
            looking.set()
            reader.join(0.2)  # it waits for the end of this
            return cost

    with server() as (listener, port):
        watcher = watcher_with(Slow(), port)
        watcher.attach(listener.pid)

        def look() -> None:
            looking.wait()
            looked.append(captures(watcher))

        reader = threading.Thread(target=look)
        reader.start()
        watcher.detach(listener.pid)
        reader.join()
        assert looked == [{listener.pid: ("detached", "by hand", 5)}]
