"""What the probe leaves behind, what it says where it may not run, and what it loses."""

from __future__ import annotations

import contextlib
import errno
import json
import os
import resource
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from engine.core.errors import ProbeError
from engine.probe import loader
from engine.probe.attachments import TRACEPOINT_OF
from engine.probe.btf import Btf
from engine.probe.bytecode import LoadedPrograms
from engine.probe.definitions import definitions
from engine.probe.layout import read_layout
from engine.probe.loader import PROGRAMS, SOURCES, Loader
from engine.probe.probe import KernelProbe
from engine.probe.store import EventStore
from tests.kernel.actor import Actor
from tests.kernel.conftest import READY_S, Watch, new_probe, value_of
from tests.kernel.kernel_facts import (
    attached_tracepoints,
    attachments,
    loaded_programs,
    still_attached,
    still_loaded,
)
from tests.waiting import wait_until

pytestmark = pytest.mark.kernel

NOBODY = 65_534
SCRIPT = Path(__file__).with_name("probe_process.py")
ROOT = Path(__file__).parents[2]


@contextlib.contextmanager
def probe_process(
    *arguments: str, wrapper: tuple[str, ...] = ()
) -> Iterator[subprocess.Popen[str]]:
    """A `probe_process.py` with these arguments; killed at the end if it still runs."""
    command = [*wrapper, sys.executable, str(SCRIPT), *arguments]
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    with subprocess.Popen(
        command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, env=environment
    ) as child:
        try:
            yield child
        finally:
            child.kill()


def said(child: subprocess.Popen[str]) -> dict[str, object]:
    assert child.stdout is not None
    line = child.stdout.readline()
    assert line, child.communicate()[1]
    message: dict[str, object] = json.loads(line)
    return message


@pytest.fixture
def opened_path(tmp_path: Path) -> str:
    path = tmp_path / "opened"
    path.touch()
    path.with_suffix(".cat").touch()
    return str(path)


class TestEnd:
    def test_stop_leaves_no_program_attachment_or_descriptor(self) -> None:
        others = loaded_programs()
        descriptors = set(os.listdir("/proc/self/fd"))
        probe = new_probe()
        probe.subscribe("syscall_exit-openat")
        probe.subscribe("kprobe-tcp_set_state")
        probe.start()
        assert probe.wait_ready(READY_S), probe.status()
        own = loaded_programs() - others
        assert len(own) == len(PROGRAMS)
        assert {"inet_sock_set_state", "sys_enter", "sys_exit"} <= {*attached_tracepoints()}
        probe.stop()
        probe.stop()
        assert attached_tracepoints() == []
        assert set(os.listdir("/proc/self/fd")) == descriptors
        wait_until(lambda: not still_loaded(own))
        assert probe.status().state == "off"

    def test_counters_and_records_stay_readable_after_stop(
        self, actor: Actor, tmp_path: Path
    ) -> None:
        probe = new_probe()
        probe.set_pids(frozenset({actor.pid}))
        probe.subscribe("syscall_exit-openat")
        probe.start()
        assert probe.wait_ready(READY_S), probe.status()
        actor.do("open_path", str(tmp_path), 50)
        probe.stop()
        assert probe.counters().seen == probe.counters().kept == 50
        assert len(probe.rings["kernel_event"].since(0, 1_000).records) == 50

    @pytest.mark.parametrize("cached", [True, False])
    def test_stopping_while_the_programs_are_made_ends_that(
        self, cached: bool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        if not cached:
            monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
        probe = new_probe()
        probe.start()
        probe.stop()
        assert not probe.wait_ready(READY_S)
        assert attached_tracepoints() == []

    @pytest.mark.fault("kill -9 of the engine")
    @pytest.mark.parametrize("deadly", [signal.SIGTERM, signal.SIGKILL, signal.SIGSEGV])
    def test_a_killed_engine_leaves_nothing_in_the_kernel_even_under_load(
        self, deadly: signal.Signals, opened_path: str, actor: Actor
    ) -> None:
        with probe_process("syscall_exit-openat", opened_path) as child:
            assert said(child)["state"] == "running"
            assert said(child)["opened"] == [f"{opened_path}.cat"]
            actor.tell("open_path", opened_path, 1_000_000_000)
            programs, links = loaded_programs(child.pid), attachments(child.pid)
            assert still_loaded(programs) == programs != set()
            assert still_attached(links) == links
            assert len(links) == 2
            child.send_signal(deadly)
            assert child.wait() == -deadly
            wait_until(lambda: not still_attached(links))
            wait_until(lambda: not still_loaded(programs))

    @pytest.mark.fault("probe breaks while it runs")
    def test_a_probe_that_breaks_detaches_and_another_can_take_its_place(
        self, actor: Actor, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        descriptors = set(os.listdir("/proc/self/fd"))

        def break_down(*_: object) -> None:
            raise OSError(errno.ENOMEM, os.strerror(errno.ENOMEM))

        probe = new_probe()
        probe.set_pids(frozenset({actor.pid}))
        probe.subscribe("syscall_exit-openat")
        with monkeypatch.context() as patched:
            patched.setattr(EventStore, "append", break_down)
            probe.start()
            assert probe.wait_ready(READY_S), probe.status()
            actor.do("open_path", str(tmp_path))
            wait_until(lambda: probe.status().state == "failed")
        assert "Cannot allocate memory" in probe.status().reason
        wait_until(lambda: attached_tracepoints() == [])
        with pytest.raises(ProbeError, match="the probe broke"):
            probe.subscribe("syscall_exit-openat")
        probe.stop()
        assert set(os.listdir("/proc/self/fd")) == descriptors
        again = new_probe()
        again.set_pids(frozenset({actor.pid}))
        again.subscribe("syscall_exit-openat")
        again.start()
        try:
            assert again.wait_ready(READY_S), again.status()
            actor.do("open_path", str(tmp_path))
        finally:
            again.stop()
        assert again.counters().kept == 1


def test_the_own_process_is_filtered_in_another_pid_namespace(opened_path: str) -> None:
    unshare = ("unshare", "--pid", "--fork", "--kill-child")
    with probe_process("syscall_exit-openat", opened_path, wrapper=unshare) as child:
        assert said(child)["state"] == "running"
        assert said(child)["opened"] == [f"{opened_path}.cat"]


class TestWithoutRights:
    def test_an_unprivileged_user_is_told_which_and_what_to_do(self, opened_path: str) -> None:
        with probe_process("syscall_exit-openat", opened_path, str(NOBODY)) as child:
            status = said(child)
            why = said(child)["unavailable"]
            _, errors = child.communicate()
        assert status["state"] == "failed"
        assert status["reason"] == (
            "loading kernel programs is not allowed: CAP_BPF and CAP_PERFMON missing"
        )
        assert "root" in str(status["fix"])
        assert why == [status["reason"]]
        assert errors == ""

    def test_a_refused_compilation_is_told_as_a_missing_right(self) -> None:
        """The compiler itself, without the checks before it."""
        code = (
            "import os\n"
            "from engine.core.errors import BoxscopeError\n"
            "from engine.probe.btf import Btf\n"
            "from engine.probe.definitions import definitions\n"
            "from engine.probe.layout import read_layout\n"
            "from engine.probe.loader import Loader\n"
            "loader = Loader(definitions(read_layout(Btf.load()).defines))\n"
            f"os.setgroups([]), os.setgid({NOBODY}), os.setuid({NOBODY})\n"
            "try:\n"
            "    loader.run()\n"
            "except BoxscopeError as error:\n"
            "    print(error)\n"
        )
        done = subprocess.run(
            [sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=False
        )
        assert done.stderr == ""
        assert "operation not permitted" in done.stdout
        assert "CAP_BPF" in done.stdout


def test_a_program_that_does_not_compile_is_told_with_the_compilers_error(tmp_path: Path) -> None:
    source = tmp_path / "broken.c"
    source.write_text("int on_sys_enter(void *ctx) { return nowhere; }\n")
    with pytest.raises(ProbeError, match="use of undeclared identifier 'nowhere'"):
        Loader({}, (source,)).run()


def load(*sources: Path) -> LoadedPrograms:
    """The probe's own text with more behind it, for this kernel."""
    defines = definitions(read_layout(Btf.load()).defines)
    return Loader(defines, (*SOURCES, *sources)).run()


class TestRefusedProgram:
    BROKEN = """
        int on_tcp_state_broken(struct bpf_raw_tracepoint_args *ctx)
        {
            u32 row = bpf_get_prandom_u32();
            struct pair *pair = matrix.lookup(&row);

            return pair->enter[0];
        }
    """

    def test_it_is_named_with_the_verifiers_last_line_and_the_others_load(
        self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        source = tmp_path / "broken.c"
        source.write_text(self.BROKEN)
        monkeypatch.setattr(loader, "PROGRAMS", ("on_tcp_state_broken", *loader.PROGRAMS))
        loaded = load(source)
        try:
            assert loaded.refused == {
                "on_tcp_state_broken": (
                    "Permission denied: R0 invalid mem access 'map_value_or_null'"
                )
            }
            assert set(loaded.programs) == {*loader.PROGRAMS} - {"on_tcp_state_broken"}
        finally:
            loaded.close()

    def test_the_engine_goes_on_and_tells_which_events_it_cannot_deliver(
        self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        source = tmp_path / "tcp.c"
        source.write_text(self.BROKEN.replace("on_tcp_state_broken", "on_tcp_state"))
        sources = tuple(source if one.name == "tcp.c" else one for one in SOURCES)
        monkeypatch.setattr(Loader.__init__, "__defaults__", (sources, None))
        probe = new_probe()
        probe.subscribe("syscall_exit-openat")
        probe.start()
        try:
            assert probe.wait_ready(READY_S), probe.status()
            assert probe.status().state == "degraded"
            assert "the kernel refused on_tcp_state: Perm" in probe.status().reason
            with pytest.raises(ProbeError, match="refused on_tcp_state"):
                probe.subscribe("kprobe-tcp_set_state")
            assert attached_tracepoints() == ["sys_enter", "sys_exit"]
        finally:
            probe.stop()

    def test_without_a_helper_what_it_helps_is_told_all_the_same(
        self, actor: Actor, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        source = tmp_path / "owners.c"
        whole = next(one for one in SOURCES if one.name == "owners.c").read_text()
        without, found, rest = whole.partition("int on_sock_send(")
        assert found
        source.write_text(without + rest[rest.index("int on_sock_receive(") :])
        sources = tuple(source if one.name == "owners.c" else one for one in SOURCES)
        monkeypatch.setattr(Loader.__init__, "__defaults__", (sources, None))
        probe = new_probe()
        probe.subscribe("kprobe-tcp_set_state")
        probe.start()
        try:
            assert probe.wait_ready(READY_S), probe.status()
            assert "the kernel refused on_sock_send" in probe.status().reason
            assert "sock_send_length" not in attached_tracepoints()
            watch = Watch(probe)
            probe.set_pids(frozenset({actor.pid}))
            actor.do("refused")
            states = [value_of(one, "new_state") for one in watch.records(pid=actor.pid)]
            assert states == ["SYN_SENT", "CLOSE"]
        finally:
            probe.stop()


class TestRefusedAttachment:
    def test_nothing_stays_attached_and_trying_again_works(
        self, watch: Watch, actor: Actor, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        watch.probe.set_pids(frozenset({actor.pid}))
        with monkeypatch.context() as patched:
            patched.setitem(TRACEPOINT_OF, "on_sys_exit", "no_such_tracepoint")
            with pytest.raises(ProbeError, match="cannot attach to no_such_tracepoint: No such"):
                watch.subscribe("syscall_exit-openat")
            assert attached_tracepoints() == []
        watch.subscribe("syscall_exit-openat")
        actor.do("open_path", str(tmp_path))
        assert [value_of(record, "name") for record in watch.records()] == ["openat"]

    def test_a_helper_without_its_tracepoint_is_left_out(
        self, watch: Watch, actor: Actor, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setitem(TRACEPOINT_OF, "on_sock_send", "no_such_tracepoint")
        watch.probe.set_pids(frozenset({actor.pid}))
        watch.subscribe("kprobe-tcp_set_state")
        assert attached_tracepoints() == [
            "inet_sock_set_state",
            "sock_recv_length",
            "tcp_destroy_sock",
        ]
        actor.do("refused")
        states = [value_of(one, "new_state") for one in watch.records(pid=actor.pid)]
        assert states == ["SYN_SENT", "CLOSE"]

    def test_what_was_subscribed_before_goes_on(
        self, watch: Watch, actor: Actor, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        watch.probe.set_pids(frozenset({actor.pid}))
        watch.subscribe("syscall_exit-openat")
        with monkeypatch.context() as patched:
            patched.setitem(TRACEPOINT_OF, "on_tcp_state", "no_such_tracepoint")
            with pytest.raises(ProbeError):
                watch.subscribe("kprobe-tcp_set_state")
        actor.do("open_path", str(tmp_path))
        assert [value_of(record, "name") for record in watch.records()] == ["openat"]


@contextlib.contextmanager
def no_more_files() -> Iterator[None]:
    """This process may open nothing."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    os.close(lowest := os.dup(0))
    resource.setrlimit(resource.RLIMIT_NOFILE, (lowest, hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))


def test_where_no_more_files_may_be_open_the_limit_is_named(watch: Watch) -> None:
    with no_more_files():
        with pytest.raises(ProbeError, match=r"attach to sys_enter: Too many.*ulimit -n"):
            watch.subscribe("syscall_exit-openat")
        with pytest.raises(ProbeError, match=r"Too many open files.*ulimit -n"):
            watch.probe.payloads.choose(frozenset({1}))
    watch.probe.payloads.choose(frozenset())


def test_a_kernel_without_some_members_still_loads() -> None:
    """Every feature can be compiled out; the programs must still pass the verifier."""
    defines = {
        name: value
        for name, value in definitions(read_layout(Btf.load()).defines).items()
        if not name.startswith("HAVE_")
    }
    loaded = Loader(defines).run()
    assert set(loaded.programs) == {*PROGRAMS}
    assert loaded.refused == {}
    loaded.close()


def totals(probe: KernelProbe) -> dict[tuple[object, object], object]:
    """Events delivered by each cell that delivered any."""
    return {
        (row.get("event"), row.get("category")): row.get("total")
        for row in probe.tables()["subscription"]
        if row.get("total")
    }


class TestLosses:
    WRITES = 50_000

    @pytest.mark.fault("kernel ring overflows")
    def test_a_flooded_ring_counts_every_loss(self, actor: Actor) -> None:
        probe = new_probe(ring_bytes=os.sysconf("SC_PAGESIZE"))
        probe.set_pids(frozenset({actor.pid}))
        probe.subscribe("syscall_exit-write", "file")
        probe.start()
        try:
            assert probe.wait_ready(READY_S), probe.status()
            actor.do("write_null", self.WRITES)
        finally:
            probe.stop()
        counters = probe.counters()
        kernel = probe.kernel_counters()
        assert counters.balanced
        assert counters.seen == kernel.produced == self.WRITES
        assert counters.dropped == {"ring_full": kernel.dropped}
        assert kernel.dropped > 0
        assert counters.kept == probe.rings["kernel_event"].last_seq > 0
        assert totals(probe) == {("syscall_exit-write", "file"): counters.kept}

    def test_a_ring_that_is_large_enough_loses_nothing(self, actor: Actor) -> None:
        probe = new_probe()
        probe.set_pids(frozenset({actor.pid}))
        probe.subscribe("syscall_exit-write", "file")
        probe.start()
        try:
            assert probe.wait_ready(READY_S), probe.status()
            actor.do("write_null", self.WRITES)
        finally:
            probe.stop()
        assert probe.counters().kept == probe.counters().seen == self.WRITES
        assert probe.counters().dropped == {}
        assert totals(probe) == {("syscall_exit-write", "file"): self.WRITES}
