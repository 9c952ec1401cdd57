"""Filters, as the kernel obeys them."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from engine.core.errors import ProbeError, UsageError
from engine.probe import bpfsys, setup
from engine.probe.btf import Btf
from engine.probe.definitions import definitions
from engine.probe.filters import Filters
from engine.probe.layout import Layout, read_layout
from engine.probe.loader import Loader
from engine.probe.session import KernelSession, ring_sizes
from tests.kernel.actor import Actor
from tests.kernel.conftest import READY_S, Watch, new_probe
from tests.kernel.kernel_facts import attached_tracepoints
from tests.waiting import wait_until

pytestmark = pytest.mark.kernel

RING = 1 << 20


@pytest.fixture(autouse=True)
def no_filters_afterwards(watch: Watch) -> object:
    """The probe is every test's."""
    yield
    watch.probe.set_filters(Filters())


def one(pid: int) -> frozenset[int]:
    return frozenset({pid})


class TestThreads:
    def test_a_chosen_thread_is_seen_without_the_others_of_its_process(
        self, watch: Watch, actor: Actor, tmp_path: Path
    ) -> None:
        watch.probe.set_filters(Filters(tids=one(actor.pid)))
        watch.subscribe("syscall_exit-openat")
        actor.do("open_in_thread", str(tmp_path))
        actor.do("open_path", str(tmp_path))
        assert [record.get("tid") for record in watch.records()] == [actor.pid]

    def test_processes_and_threads_chosen_are_seen_alike(
        self, watch: Watch, actor: Actor, tmp_path: Path
    ) -> None:
        with Actor() as other:
            watch.probe.set_filters(Filters(tgids=one(other.pid), tids=one(actor.pid)))
            watch.subscribe("syscall_exit-openat")
            for each in (actor, other):
                each.do("open_path", str(tmp_path))
            thread = other.do("open_in_thread", str(tmp_path))
            actor.do("open_in_thread", str(tmp_path))
        opens = [record.get("tid") for record in watch.records()]
        assert opens == [actor.pid, other.pid, thread]

    def test_choosing_other_threads_shuts_the_first_out(
        self, watch: Watch, actor: Actor, tmp_path: Path
    ) -> None:
        with Actor() as other:
            watch.subscribe("syscall_exit-openat")
            watch.probe.set_filters(Filters(tids=one(actor.pid)))
            watch.probe.set_filters(Filters(tgids=one(actor.pid)))
            watch.probe.set_filters(Filters(tids=one(other.pid)))
            watch.restart()
            for each in (actor, other):
                each.do("open_path", str(tmp_path))
            assert {record.pid for record in watch.records()} == {other.pid}


class TestFollowing:
    SCRIPT = "/bin/cat {0}; /bin/sh -c '/bin/cat {0}; true'; true"

    def opened_by(self, watch: Watch, path: str) -> list[int | None]:
        return [
            record.pid
            for record in watch.records(event="syscall_exit-openat")
            if path in str(record.as_json())
        ]

    def test_children_and_theirs_are_seen_from_their_first_event(
        self, watch: Watch, actor: Actor, tmp_path: Path
    ) -> None:
        path = tmp_path / "followed"
        path.touch()
        watch.probe.set_filters(Filters(tgids=one(actor.pid), follow=True))
        watch.subscribe("syscall_exit-openat", "syscall_exit-execve", "tracepoint-procexit")
        shell = actor.do("run", "/bin/sh", "-c", self.SCRIPT.format(path))
        opened = self.opened_by(watch, str(path))
        assert len(opened) == len(set(opened)) == 2
        executed = [
            record.pid
            for record in watch.records()
            if record.get("event") == "syscall_exit-execve" and record.get("result") == 0
        ]
        assert executed[0] == shell
        assert set(opened) < set(executed)
        ended = [
            record.pid for record in watch.records() if record.get("event") == "tracepoint-procexit"
        ]
        assert sorted(ended, key=str) == sorted(executed, key=str)

    def test_a_scope_follows_children_only_while_that_is_asked_for(
        self, watch: Watch, actor: Actor, tmp_path: Path
    ) -> None:
        path = tmp_path / "scoped"
        path.touch()
        watch.probe.set_pids(one(actor.pid), follow=True)
        watch.subscribe("syscall_exit-openat")
        actor.do("run", "/bin/sh", "-c", self.SCRIPT.format(path))
        assert len(set(self.opened_by(watch, str(path)))) == 2
        watch.probe.set_pids(one(actor.pid))
        watch.restart()
        actor.do("run", "/bin/sh", "-c", self.SCRIPT.format(path))
        assert self.opened_by(watch, str(path)) == []

    def test_without_following_children_are_not_seen(
        self, watch: Watch, actor: Actor, tmp_path: Path
    ) -> None:
        path = tmp_path / "unfollowed"
        path.touch()
        watch.probe.set_filters(Filters(tgids=one(actor.pid)))
        watch.subscribe("syscall_exit-openat")
        actor.do("run", "/bin/cat", str(path))
        assert self.opened_by(watch, str(path)) == []

    def test_children_of_others_are_not_followed(
        self, watch: Watch, actor: Actor, tmp_path: Path
    ) -> None:
        with Actor() as other:
            watch.probe.set_filters(Filters(tgids=one(actor.pid), follow=True))
            watch.subscribe("syscall_exit-openat")
            other.do("run", "/bin/cat", str(tmp_path))
        assert watch.records() == []

    def test_following_is_attached_only_while_asked_for(self, watch: Watch, actor: Actor) -> None:
        watch.probe.set_filters(Filters(tgids=one(actor.pid), follow=True))
        assert attached_tracepoints() == ["sched_process_fork", "sched_process_free"]
        watch.probe.set_filters(Filters())
        assert attached_tracepoints() == []

    def test_who_ended_is_forgotten_and_who_lives_is_too_once_not_followed(
        self, actor: Actor
    ) -> None:
        defines = definitions(read_layout(Btf.load()).defines)
        loaded = Loader(defines, rings=ring_sizes(RING)).run()
        session = KernelSession(loaded, RING)

        def chosen() -> set[int]:
            keys = bpfsys.map_keys(loaded.maps["pids"], 4)
            return {int.from_bytes(key, "little") for key in keys}

        try:
            session.set_filters(Filters(tgids=one(actor.pid), follow=True))
            actor.do("run", "/bin/true")
            wait_until(lambda: chosen() == {actor.pid})
            actor.tell("run", "/bin/cat", "/dev/stdin")
            wait_until(lambda: len(chosen()) == 2)
            # The same choice with another rule keeps the child.
            session.set_filters(Filters(tgids=one(actor.pid), follow=True, failed_only=True))
            assert len(chosen()) == 2
            session.set_filters(Filters(tgids=one(actor.pid)))
            assert chosen() == {actor.pid}
        finally:
            session.close()

    def test_a_kernel_that_cannot_tell_children_says_so(
        self, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        layout = read_layout(Btf.load())
        defines = {name: at for name, at in layout.defines.items() if name != "HAVE_FOLLOW"}
        lacking = Layout(defines, {**layout.missing, "FOLLOW": "task_struct.tgid"})
        monkeypatch.setattr(setup, "read_layout", lambda _: lacking)
        probe = new_probe()
        probe.start()
        try:
            assert probe.wait_ready(READY_S), probe.status()
            with pytest.raises(ProbeError, match=r"cannot follow.*no task_struct\.tgid"):
                probe.set_filters(Filters(tgids=one(os.getppid()), follow=True))
            assert probe.filters == Filters()
            assert attached_tracepoints() == []
        finally:
            probe.stop()


class TestNames:
    NAME = "exactly-15-long"

    def test_only_threads_of_that_name_are_seen(
        self, watch: Watch, actor: Actor, tmp_path: Path
    ) -> None:
        with Actor() as shorter, Actor() as other:
            actor.do("rename", self.NAME)
            shorter.do("rename", self.NAME[:-1])
            watch.probe.set_filters(Filters(comms=frozenset({self.NAME, "nobody"})))
            watch.subscribe("syscall_exit-openat")
            for each in (actor, shorter, other):
                each.do("open_path", str(tmp_path))
        assert [(record.pid, record.comm) for record in watch.records()] == [(actor.pid, self.NAME)]

    def test_excluded_names_are_not_seen(self, watch: Watch, actor: Actor, tmp_path: Path) -> None:
        with Actor() as other:
            actor.do("rename", self.NAME)
            pids = frozenset({actor.pid, other.pid})
            watch.probe.set_filters(Filters(tgids=pids, excluded_comms=frozenset({self.NAME})))
            watch.subscribe("syscall_exit-openat")
            for each in (actor, other):
                each.do("open_path", str(tmp_path))
        assert {record.pid for record in watch.records()} == {other.pid}

    def test_a_process_and_a_name_have_both_to_be_right(
        self, watch: Watch, actor: Actor, tmp_path: Path
    ) -> None:
        with Actor() as other:
            for each in (actor, other):
                each.do("rename", self.NAME)
            watch.probe.set_filters(
                Filters(tgids=one(actor.pid), comms=frozenset({self.NAME, "nobody"}))
            )
            watch.subscribe("syscall_exit-openat")
            for each in (actor, other):
                each.do("open_path", str(tmp_path))
            actor.do("rename", "another")
            actor.do("open_path", str(tmp_path))
        assert [record.pid for record in watch.records()] == [actor.pid]

    def test_a_name_too_long_is_refused_and_changes_nothing(self, watch: Watch) -> None:
        with pytest.raises(UsageError, match="longer"):
            watch.probe.set_filters(Filters(comms=frozenset({self.NAME + "x"})))
        assert watch.probe.filters == Filters()


class TestResults:
    def test_only_failures_are_seen_and_the_rest_is_counted(
        self, watch: Watch, actor: Actor, tmp_path: Path
    ) -> None:
        watch.probe.set_filters(Filters(tgids=one(actor.pid), failed_only=True))
        before = watch.probe.kernel_counters()
        watch.subscribe("syscall_enter-openat", "syscall_exit-openat")
        actor.do("open_path", str(tmp_path), 20)
        actor.do("open_path", str(tmp_path / "missing"), 3)
        exits = watch.records(direction="exit")
        assert [record.get("errno") for record in exits] == ["ENOENT"] * 3
        assert len(watch.records(direction="enter")) == 23
        after = watch.probe.kernel_counters()
        assert after.suppressed - before.suppressed == 20
        assert after.produced - before.produced == 26

    def test_kindlings_rule_hides_zero_and_failed_results_of_calls_judged_by_descriptor(
        self, watch: Watch, actor: Actor, tmp_path: Path
    ) -> None:
        path = tmp_path / "read"
        path.write_bytes(b"x" * 100)
        events = ("syscall_exit-openat", "syscall_exit-read:file", "syscall_exit-close:file")

        def results() -> list[tuple[object, bool]]:
            watch.restart()
            actor.do("read_file", str(path))
            actor.do("open_path", str(path.with_suffix(".missing")))
            return [
                (record.get("name"), int(str(record.get("result"))) > 0)
                for record in watch.records()
            ]

        watch.probe.set_filters(Filters(tgids=one(actor.pid), faithful=True))
        watch.subscribe(*events)
        assert results() == [("openat", True), ("read", True), ("openat", False)]
        watch.probe.set_filters(Filters(tgids=one(actor.pid)))
        assert results() == [
            ("openat", True),
            ("read", True),
            ("read", False),
            ("close", False),
            ("openat", False),
        ]

    def test_a_rule_set_before_the_start_holds_from_the_first_event(self, tmp_path: Path) -> None:
        probe = new_probe()
        with Actor() as busy:
            probe.set_filters(Filters(tgids=one(busy.pid), failed_only=True))
            probe.subscribe("syscall_exit-openat")
            busy.tell("open_path", str(tmp_path), 1_000_000_000)
            probe.start()
            try:
                assert probe.wait_ready(READY_S), probe.status()

                def suppressed() -> int:
                    probe.drain()
                    return probe.kernel_counters().suppressed

                wait_until(lambda: suppressed() > 1000)
            finally:
                probe.stop()
        assert probe.counters().seen == 0
        assert probe.rings["kernel_event"].last_seq == 0


def test_the_own_process_is_not_seen_even_where_it_is_chosen(watch: Watch, tmp_path: Path) -> None:
    watch.probe.set_filters(Filters(tgids=one(os.getpid()), tids=one(os.getpid())))
    watch.subscribe("syscall_exit-openat")
    os.close(os.open(tmp_path, os.O_RDONLY))
    assert watch.records() == []
