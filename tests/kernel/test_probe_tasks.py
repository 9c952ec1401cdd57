"""Processes, threads, signals, page faults and packets: each as often as it really happened."""

from __future__ import annotations

import os
import signal
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from engine.probe.hook_settings import HookSettings
from engine.probe.page_faults import Fault
from tests.kernel.actor import Actor
from tests.kernel.conftest import Watch, attributes
from tests.waiting import wait_until

pytestmark = pytest.mark.kernel

SCRIPT = Path(__file__).with_name("task_process.py")
PAGES = 250
DATAGRAM = 100 + 8 + 20 + 14
"""With its UDP, IPv4 and Ethernet headers."""


@pytest.fixture
def tasks() -> Iterator[Actor]:
    with Actor(SCRIPT) as one:
        yield one


@pytest.fixture
def other() -> Iterator[Actor]:
    with Actor(SCRIPT) as one:
        yield one


def follow(watch: Watch, actor: Actor) -> None:
    """The actor and all its children."""
    filters = replace(watch.probe.filters, tgids=frozenset({actor.pid}), follow=True)
    watch.probe.set_filters(filters)


class TestExit:
    @pytest.mark.parametrize("status", [0, 3, 255])
    def test_an_exit_code_is_told_once(self, watch: Watch, tasks: Actor, status: int) -> None:
        follow(watch, tasks)
        watch.subscribe("tracepoint-procexit")
        child = tasks.do("leave", status)
        (record,) = watch.records()
        assert (record.pid, record.get("tid")) == (child, child)
        assert attributes(record) == {
            "status": status << 8,
            "exit_code": status,
            "signal": None,
            "group_dead": True,
        }
        assert record.get("category") == "process"

    @pytest.mark.parametrize("deadly", [signal.SIGKILL, signal.SIGTERM, signal.SIGUSR1])
    def test_a_deadly_signal_is_told(
        self, watch: Watch, tasks: Actor, deadly: signal.Signals
    ) -> None:
        follow(watch, tasks)
        watch.subscribe("tracepoint-procexit")
        child = tasks.do("end_child", deadly)
        (record,) = watch.records()
        assert record.pid == child
        assert attributes(record)["signal"] == deadly.name
        assert attributes(record)["exit_code"] is None

    def test_a_null_pointer_is_told(self, watch: Watch, tasks: Actor) -> None:
        follow(watch, tasks)
        watch.subscribe("tracepoint-procexit")
        child = tasks.do("crash")
        (record,) = watch.records()
        assert (record.pid, attributes(record)["signal"]) == (child, "SIGSEGV")

    def test_the_end_of_a_thread_is_not_the_end_of_its_process(
        self, watch: Watch, tasks: Actor
    ) -> None:
        follow(watch, tasks)
        watch.subscribe("tracepoint-procexit")
        tid = tasks.do("end_thread")
        wait_until(watch.records)  # a thread is joined a little before it has ended
        (record,) = watch.records()
        assert (record.pid, record.get("tid")) == (tasks.pid, tid)
        assert attributes(record)["group_dead"] is False

    def test_exit_of_a_group_ends_each_thread_with_its_code(
        self, watch: Watch, tasks: Actor
    ) -> None:
        follow(watch, tasks)
        watch.subscribe("tracepoint-procexit")
        child = tasks.do("leave_with_threads", 7)
        wait_until(lambda: len(watch.records()) == 2)
        ended = watch.records()
        assert {one.pid for one in ended} == {child}
        assert {attributes(one)["exit_code"] for one in ended} == {7}
        assert sorted(str(attributes(one)["group_dead"]) for one in ended) == ["False", "True"]


class TestSignals:
    def test_a_handled_signal_tells_its_sender(
        self, watch: Watch, tasks: Actor, other: Actor
    ) -> None:
        tasks.do("catch", signal.SIGUSR1)
        watch.probe.set_pids(frozenset({tasks.pid}))
        watch.subscribe("tracepoint-signaldeliver")
        for _ in range(3):
            other.do("send_signal", tasks.pid, signal.SIGUSR1)
            tasks.do("nothing")
        told = watch.records()
        assert len(told) == 3
        for record in told:
            assert (record.pid, record.get("category")) == (tasks.pid, "signal")
            facts = attributes(record)
            assert (facts["spid"], facts["dpid"]) == (other.pid, tasks.pid)
            assert (facts["sig"], facts["signal"]) == (signal.SIGUSR1, "SIGUSR1")
            assert (facts["code"], facts["action"]) == ("SI_USER", "handler")
            assert str(facts["scomm"]).startswith("python")

    @pytest.mark.parametrize("deadly", [signal.SIGKILL, signal.SIGTERM])
    def test_a_deadly_signal_is_told_as_what_was_sent(
        self, watch: Watch, tasks: Actor, deadly: signal.Signals
    ) -> None:
        follow(watch, tasks)
        watch.subscribe("tracepoint-signaldeliver")
        child = tasks.do("end_child", deadly)
        (record,) = [one for one in watch.records() if one.pid == child]
        facts = attributes(record)
        assert (facts["signal"], facts["action"], facts["spid"]) == (
            deadly.name,
            "default",
            tasks.pid,
        )
        assert facts.get("delivered_as") == (None if deadly is signal.SIGKILL else "SIGKILL")

    def test_a_signal_of_the_kernel_has_no_sender(self, watch: Watch, tasks: Actor) -> None:
        follow(watch, tasks)
        watch.subscribe("tracepoint-signaldeliver")
        child = tasks.do("crash")
        tasks.do("catch_alarm")
        segfault, alarm = (watch.records(signal=name) for name in ("SIGSEGV", "SIGALRM"))
        assert [one.pid for one in segfault] == [child]
        assert [one.pid for one in alarm] == [tasks.pid]
        assert attributes(segfault[0])["spid"] is None
        assert attributes(alarm[0])["spid"] is None


class TestLifeCycle:
    def test_a_fork_an_exec_and_a_rename_are_told_with_what_became_of_them(
        self, watch: Watch, tasks: Actor
    ) -> None:
        follow(watch, tasks)
        watch.subscribe(
            "tracepoint-sched_process_fork",
            "tracepoint-task_newtask",
            "tracepoint-sched_process_exec",
            "tracepoint-task_rename",
        )
        child = tasks.do("run", "/bin/true", "one", "", "two words")
        (fork,) = watch.records(name="process_fork")
        assert fork.pid == tasks.pid
        assert attributes(fork) == {"child_pid": child, "child_tid": child, "thread": False}
        (task,) = watch.records(name="task_newtask")
        assert (task.pid, attributes(task)["child_tid"]) == (tasks.pid, child)
        assert "CLONE_CHILD_CLEARTID" in str(attributes(task)["clone_flags"])
        (started,) = watch.records(name="process_exec")
        assert (started.pid, started.comm) == (child, "true")
        assert attributes(started) == {
            "filename": "/bin/true",
            "argv": ["/bin/true", "one", "", "two words"],
            "old_tid": child,
        }
        (named,) = watch.records(name="task_rename")
        assert (named.pid, attributes(named)["new"]) == (child, "true")

    def test_a_thread_is_told_as_one(self, watch: Watch, tasks: Actor) -> None:
        follow(watch, tasks)
        watch.subscribe("tracepoint-sched_process_fork")
        tid = tasks.do("end_thread")
        (fork,) = watch.records()
        assert attributes(fork) == {"child_pid": tasks.pid, "child_tid": tid, "thread": True}

    def test_a_new_name_is_told_with_the_old_one(self, watch: Watch, tasks: Actor) -> None:
        watch.probe.set_pids(frozenset({tasks.pid}))
        watch.subscribe("tracepoint-task_rename")
        tasks.do("rename", "first")
        tasks.do("rename", "second")
        first, second = watch.records()
        assert attributes(first)["new"] == "first"
        assert attributes(second) == {"old": "first", "new": "second", "by_tid": tasks.pid}


class TestPageFaults:
    @pytest.fixture(autouse=True)
    def settings(self, watch: Watch) -> Iterator[None]:
        yield
        watch.probe.set_hooks(HookSettings())

    def test_each_page_touched_for_the_first_time_is_a_fault(
        self, watch: Watch, tasks: Actor
    ) -> None:
        watch.probe.set_pids(frozenset({tasks.pid}))
        watch.probe.set_hooks(HookSettings(fault_interval=1))
        watch.subscribe("tracepoint-page_fault_user")
        first = tasks.do("touch_pages", PAGES)
        assert isinstance(first, int)
        pages = {hex(first + page * 4096) for page in range(PAGES)}
        touched = [one for one in watch.records() if attributes(one)["addr"] in pages]
        assert len(touched) == PAGES
        assert {one.get("category") for one in touched} == {"memory"}
        assert {attributes(one)["access"] for one in touched} == {"write absent"}

    def test_with_an_interval_all_are_counted_and_few_told(
        self, watch: Watch, tasks: Actor
    ) -> None:
        watch.probe.set_pids(frozenset({tasks.pid}))
        watch.probe.set_hooks(HookSettings(fault_interval=100))
        watch.subscribe("tracepoint-page_fault_user")
        tasks.do("touch_pages", PAGES)
        told = [attributes(one) for one in watch.records(access="write absent")]
        assert len(told) == 3
        assert [one["count"] for one in told] == [1, 101, 201]
        assert {one["every"] for one in told} == {100}
        counted = watch.probe.page_faults()
        (write,) = {int(str(one["error"])) for one in told}
        assert PAGES <= counted[Fault(tasks.pid, write)] < 301


@pytest.fixture
def little_memory() -> Iterator[Path]:
    """A group of processes that may have 8 MiB together."""
    for parent, limit in (
        (Path("/sys/fs/cgroup/memory"), "memory.limit_in_bytes"),
        (Path("/sys/fs/cgroup"), "memory.max"),
    ):
        group = parent / f"boxscope-test-{os.getpid()}"
        if not parent.is_dir():
            continue
        group.mkdir()
        try:
            if (group / limit).exists():
                (group / limit).write_text(str(8 << 20))
                yield group
                return
        finally:
            group.rmdir()
    pytest.skip("processes cannot be limited in memory here")


class TestMemory:
    def test_who_is_killed_for_memory_is_told(
        self, watch: Watch, tasks: Actor, little_memory: Path
    ) -> None:
        follow(watch, tasks)
        watch.subscribe("tracepoint-mark_victim", "tracepoint-procexit")
        child = tasks.do("exhaust", str(little_memory))
        (chosen,) = watch.records(name="oom_victim")
        assert (chosen.pid, chosen.get("category")) == (child, "memory")
        memory = attributes(chosen)["total_vm_kib"]
        assert isinstance(memory, int)
        assert memory >= 64 << 10
        (ended,) = watch.records(name="procexit")
        assert (ended.pid, attributes(ended)["signal"]) == (child, "SIGKILL")


class TestPackets:
    def test_a_packet_leaves_in_the_name_of_its_sender_and_arrives_in_nobodys(
        self, watch: Watch, tasks: Actor
    ) -> None:
        watch.subscribe("tracepoint-ingress", "tracepoint-egress")
        answer = tasks.do("send_datagrams", 3)
        assert isinstance(answer, list)
        ends = [f"127.0.0.1:{port}" for port in answer]
        out = watch.records(name="egress", src=ends[0], dst=ends[1])
        into = watch.records(name="ingress", src=ends[0], dst=ends[1])
        assert (len(out), len(into)) == (3, 3)
        # A datagram passes the interface before its socket is first seen to have sent one.
        assert [one.pid for one in out] == [None, tasks.pid, tasks.pid]
        assert {one.pid for one in into} == {None}
        for one in out + into:
            facts = attributes(one)
            assert (facts["dev"], facts["protocol"]) == ("lo", "ipv4")
            assert one.get("category") == "net"
        assert {attributes(one)["len"] for one in out} == {DATAGRAM}
