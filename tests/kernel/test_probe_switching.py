"""Subscriptions, the pid scope and the own process, as the kernel obeys them."""

from __future__ import annotations

import os
import threading
import time
from pathlib import Path

import pytest

from engine.core.errors import UsageError
from engine.core.records import RecordStore
from engine.probe.reader import READER_NICE
from tests.kernel.actor import Actor
from tests.kernel.conftest import READY_S, Watch, new_probe
from tests.kernel.kernel_facts import attached_tracepoints
from tests.waiting import wait_until

pytestmark = pytest.mark.kernel

TOGGLE_S = 1.0


def wait_for_more(store: RecordStore, seq: int) -> None:
    """Wait until there are newer records than this one."""
    wait_until(lambda: store.last_seq > seq)


def wait_past(wall_ns: int) -> None:
    """Wait until it is later than this."""
    wait_until(lambda: time.time_ns() > wall_ns)


class TestSwitches:
    def test_an_event_arrives_soon_after_its_switch_is_turned_on(
        self, watch: Watch, actor: Actor, tmp_path: Path
    ) -> None:
        watch.probe.set_pids(frozenset({actor.pid}))
        watch.subscribe("syscall_exit-openat")
        actor.do("open_path", str(tmp_path))
        # Not drained here: the probe's own tick must bring it.
        ring = watch.probe.rings["kernel_event"]
        wait_until(lambda: ring.last_seq > watch.since, TOGGLE_S)

    def test_nothing_arrives_after_a_switch_is_turned_off(
        self, watch: Watch, actor: Actor, tmp_path: Path
    ) -> None:
        watch.probe.set_pids(frozenset({actor.pid}))
        watch.subscribe("syscall_exit-openat", "syscall_exit-close")
        actor.do("open_path", str(tmp_path))
        watch.probe.unsubscribe("syscall_exit-openat")
        assert len(watch.records(name="openat")) == 1
        actor.do("open_path", str(tmp_path))
        assert len(watch.records(name="openat")) == 1
        assert len(watch.records(name="close")) == 2

    def test_what_happened_before_the_switch_was_turned_off_is_delivered(
        self, watch: Watch, actor: Actor, tmp_path: Path
    ) -> None:
        watch.probe.set_pids(frozenset({actor.pid}))
        watch.subscribe("syscall_exit-openat")
        actor.do("open_path", str(tmp_path), 100)
        watch.probe.unsubscribe("syscall_exit-openat")
        # Not drained here: the probe itself must read the rest although nothing is attached.
        wait_until(lambda: watch.probe.rings["kernel_event"].last_seq == watch.since + 100)

    def test_taking_one_category_back_leaves_the_others(self, watch: Watch, actor: Actor) -> None:
        watch.probe.set_pids(frozenset({actor.pid}))
        watch.subscribe("syscall_exit-read")
        watch.probe.unsubscribe("syscall_exit-read", "file")
        actor.do("read_one", "file")
        actor.do("read_one", "tcp4")
        assert {record.get("category") for record in watch.records()} == {"net", "ipc"}

    def test_the_table_tells_what_is_on_and_how_much_came(
        self, watch: Watch, actor: Actor, tmp_path: Path
    ) -> None:
        watch.probe.set_pids(frozenset({actor.pid}))
        before = total_of(watch, "syscall_exit-openat", "file")
        watch.subscribe("syscall_exit-openat")
        actor.do("open_path", str(tmp_path), 10)
        wait_until(lambda: total_of(watch, "syscall_exit-openat", "file") == before + 10)
        on = {
            (record.get("event"), record.get("category"))
            for record in watch.probe.tables()["subscription"]
            if record.get("on")
        }
        assert on == {("syscall_exit-openat", "file")}

    def test_an_unknown_event_changes_nothing(self, watch: Watch) -> None:
        with pytest.raises(UsageError, match="syscall_exit-openat"):
            watch.subscribe("syscall_exit-opneat")
        assert attached_tracepoints() == []


def total_of(watch: Watch, event: str, category: str) -> int:
    for record in watch.probe.tables()["subscription"]:
        if (record.get("event"), record.get("category")) == (event, category):
            total = record.get("total")
            assert isinstance(total, int)
            return total
    raise AssertionError(f"no row for {event}:{category}")


class TestAttachments:
    def test_nothing_is_attached_while_nothing_is_subscribed(self, watch: Watch) -> None:
        assert watch.probe.status().state == "running"
        assert attached_tracepoints() == []

    @pytest.mark.parametrize(
        ("event", "tracepoints"),
        [
            ("syscall_enter-read", ["sys_enter"]),
            ("syscall_exit-read", ["sys_enter", "sys_exit"]),
            ("tracepoint-procexit", ["sched_process_exit"]),
            (
                "kprobe-tcp_set_state",
                ["inet_sock_set_state", "sock_recv_length", "sock_send_length", "tcp_destroy_sock"],
            ),
        ],
    )
    def test_an_event_attaches_what_it_needs_and_no_longer_than_needed(
        self, watch: Watch, event: str, tracepoints: list[str]
    ) -> None:
        watch.subscribe(event)
        assert attached_tracepoints() == tracepoints
        watch.probe.unsubscribe(event)
        assert attached_tracepoints() == []

    def test_a_tracepoint_stays_as_long_as_one_event_needs_it(self, watch: Watch) -> None:
        watch.subscribe("syscall_enter-read:net", "syscall_exit-connect")
        watch.probe.unsubscribe("syscall_exit-connect")
        assert attached_tracepoints() == ["sys_enter"]


class TestToggling:
    """A switch turned on and off while events flow."""

    TIMES = 1_000
    LONG_EVERY = 50
    """Now and then a switch stays off for long enough to catch what comes late."""
    LONG_NS = 250_000_000
    LATE_NS = 100_000_000
    TIGHT_NS = 20_000_000
    """Nothing may even be this late, but for how far the stamps' clock is from the tests'."""

    @pytest.mark.parametrize("beside", [(), ("syscall_exit-openat",)])
    def test_no_event_is_delivered_that_happened_while_its_switch_was_off(
        self, watch: Watch, actor: Actor, beside: tuple[str, ...]
    ) -> None:
        """Alone, the tracepoints come and go with the switch; beside another they stay."""
        watch.probe.set_pids(frozenset({actor.pid}))
        watch.subscribe(*beside)
        descriptors = set(os.listdir("/proc/self/fd"))
        threads = threading.active_count()
        actor.tell("write_null", 1_000_000_000)
        ring = watch.probe.rings["kernel_event"]
        late: list[int] = []
        for number in range(self.TIMES):
            seen = ring.last_seq
            watch.subscribe("syscall_exit-write:file")
            if number % self.LONG_EVERY == 0:
                wait_for_more(ring, seen)
            watch.probe.unsubscribe("syscall_exit-write", "file")
            turned = time.time_ns()
            if number % self.LONG_EVERY == 0:
                wait_past(turned + self.LONG_NS)
            watch.probe.drain()
            # One thread writes, so that its newest event is the last that happened.
            (newest,) = ring.since(ring.last_seq - 1, 1).records
            late.append(newest.ts_ns - turned)
        assert max(late) < self.TIGHT_NS < self.LATE_NS
        assert watch.probe.status().state == "running"
        assert threading.active_count() == threads
        assert set(os.listdir("/proc/self/fd")) == descriptors
        watch.probe.unsubscribe("syscall_exit-openat")
        assert attached_tracepoints() == []


class TestFilters:
    def test_the_own_process_is_never_seen(
        self, watch: Watch, actor: Actor, tmp_path: Path
    ) -> None:
        watch.subscribe("syscall_exit-openat")
        os.close(os.open(tmp_path, os.O_RDONLY))
        actor.do("open_path", str(tmp_path))
        assert {record.pid for record in watch.records(name=str(tmp_path))} <= {actor.pid}
        seen = [record for record in watch.records() if record.pid == os.getpid()]
        assert seen == []
        assert watch.records(pid=actor.pid)

    def test_only_processes_in_scope_are_seen(
        self, watch: Watch, actor: Actor, tmp_path: Path
    ) -> None:
        with Actor() as other:
            watch.probe.set_pids(frozenset({actor.pid}))
            watch.subscribe("syscall_exit-openat")
            for one in (actor, other):
                one.do("open_path", str(tmp_path))
            assert {record.pid for record in watch.records()} == {actor.pid}
            watch.probe.set_pids(frozenset({other.pid}))
            watch.restart()
            for one in (actor, other):
                one.do("open_path", str(tmp_path))
            assert {record.pid for record in watch.records()} == {other.pid}
            watch.probe.set_pids(frozenset())
            watch.restart()
            for one in (actor, other):
                one.do("open_path", str(tmp_path))
            assert {record.pid for record in watch.records()} >= {actor.pid, other.pid}

    def test_a_scope_set_before_the_start_holds_from_the_first_event(self, tmp_path: Path) -> None:
        probe = new_probe()
        with Actor() as inside, Actor() as outside:
            probe.set_pids(frozenset({inside.pid}))
            probe.subscribe("syscall_exit-openat")
            for one in (inside, outside):
                one.tell("open_path", str(tmp_path), 1_000_000_000)
            probe.start()
            try:
                assert probe.wait_ready(READY_S), probe.status()
                wait_until(lambda: probe.rings["kernel_event"].last_seq > 100)
            finally:
                probe.stop()
            batch = probe.rings["kernel_event"].since(0, 1_000_000)
        assert {record.pid for record in batch.records} == {inside.pid}

    def test_a_pid_that_cannot_be_one_is_refused(self, watch: Watch) -> None:
        with pytest.raises(UsageError, match="not a process id"):
            watch.probe.set_pids(frozenset({-1}))


def test_only_the_reader_goes_before_others(watch: Watch) -> None:
    (reader,) = (one for one in threading.enumerate() if one.name == watch.probe.name)
    assert reader.native_id is not None
    number = reader.native_id
    wait_until(lambda: os.getpriority(os.PRIO_PROCESS, number) == READER_NICE)
    assert os.getpriority(os.PRIO_PROCESS, threading.get_native_id()) > READER_NICE


def test_stamps_are_wall_time(watch: Watch, actor: Actor, tmp_path: Path) -> None:
    watch.probe.set_pids(frozenset({actor.pid}))
    watch.subscribe("syscall_exit-openat")
    before = time.time_ns()
    actor.do("open_path", str(tmp_path))
    after = time.time_ns()
    (record,) = watch.records()
    slack = 100_000_000  # the clocks drift apart until they are compared again
    assert before - slack <= record.ts_ns <= after + slack
