"""What each event tells, against what a process is known to have done."""

from __future__ import annotations

import os
import shutil
import struct
import subprocess
from pathlib import Path

import pytest

from tests.kernel.actor import Actor
from tests.kernel.actor_process import MISSING_FD
from tests.kernel.conftest import Watch, attributes

_CODE = bytes.fromhex("b801000000 bb05000000 cd80")  # exit(5), by its 32-bit number
_BASE, _HEADERS = 0x08048000, 52 + 32
PROGRAM_OF_32_BITS = b"".join(
    (
        b"\x7fELF\x01\x01\x01".ljust(16, b"\0"),
        struct.pack("<HHIIIIIHHHHHH", 2, 3, 1, _BASE + _HEADERS, 52, 0, 0, 52, 32, 1, 0, 0, 0),
        struct.pack("<8I", 1, 0, _BASE, _BASE, *[_HEADERS + len(_CODE)] * 2, 5, 4096),
        _CODE,
    )
)

pytestmark = pytest.mark.kernel

CATS = 200


class TestOpenat:
    def test_every_open_of_a_known_file_carries_its_path(
        self, watch: Watch, tmp_path: Path
    ) -> None:
        known = tmp_path / "known"
        known.touch()
        watch.subscribe("syscall_exit-openat")
        pids = set()
        for _ in range(CATS):
            with subprocess.Popen(["/bin/cat", str(known)]) as cat:
                pids.add(cat.pid)
        seen = watch.records(name="openat", comm="cat")
        of_known = [record for record in seen if attributes(record)["name"] == str(known)]
        assert len(of_known) == CATS
        assert {record.pid for record in of_known} == pids
        assert all(attributes(record)["name"] for record in seen)
        assert watch.probe.counters().dropped_total == 0

    def test_a_success_tells_descriptor_latency_and_flags(
        self, watch: Watch, actor: Actor, tmp_path: Path
    ) -> None:
        watch.probe.set_pids(frozenset({actor.pid}))
        watch.subscribe("syscall_exit-openat")
        parent = actor.do("create", str(tmp_path), "new")
        directory, created = watch.records()
        assert attributes(directory)["name"] == str(tmp_path)
        assert directory.get("result") == directory.get("fd") == parent
        assert attributes(created) == {
            "fd": created.get("fd"),
            "dirfd": parent,
            "name": "new",
            "flags": "O_WRONLY|O_CREAT|O_TRUNC|O_CLOEXEC",
            "mode": "0o640",
        }
        latency = created.get("latency_ns")
        assert isinstance(latency, int)
        assert 0 < latency < 10_000_000_000
        assert created.get("errno") is None
        assert (created.get("category"), created.get("direction")) == ("file", "exit")
        assert created.get("tid") == created.pid == actor.pid
        assert created.get("uid") == os.getuid()

    def test_a_failure_tells_the_error_and_no_descriptor(self, watch: Watch, actor: Actor) -> None:
        watch.probe.set_pids(frozenset({actor.pid}))
        watch.subscribe("syscall_exit-openat")
        actor.do("open_path", "/nowhere/at/all")
        (record,) = watch.records()
        assert (record.get("result"), record.get("errno")) == (-2, "ENOENT")
        assert record.get("fd") is None
        assert attributes(record)["name"] == "/nowhere/at/all"

    def test_the_longest_path_is_whole(self, watch: Watch, actor: Actor) -> None:
        path = "/" + "x" * 200 + "/y" * 1_900
        watch.probe.set_pids(frozenset({actor.pid}))
        watch.subscribe("syscall_exit-openat")
        actor.do("open_path", path)
        (record,) = watch.records()
        assert attributes(record)["name"] == path

    def test_an_unreadable_path_is_marked_missing_and_counted(
        self, watch: Watch, actor: Actor
    ) -> None:
        watch.probe.set_pids(frozenset({actor.pid}))
        watch.subscribe("syscall_exit-openat")
        watch.probe.drain()
        before = watch.probe.kernel_counters().faults
        actor.do("open_nowhere")
        (record,) = watch.records()
        assert record.get("errno") == "EFAULT"
        assert attributes(record)["name"] is None
        assert attributes(record)["missing"] == ["name"]
        assert watch.probe.kernel_counters().faults == before + 1

    def test_enter_comes_first_and_tells_no_result(self, watch: Watch, actor: Actor) -> None:
        watch.probe.set_pids(frozenset({actor.pid}))
        watch.subscribe("syscall_enter-openat", "syscall_exit-openat")
        actor.do("open_path", "/etc/passwd")
        enter, leave = watch.records()
        assert (enter.get("direction"), leave.get("direction")) == ("enter", "exit")
        assert enter.get("result") is None
        assert enter.get("latency_ns") is None
        assert attributes(enter)["name"] == "/etc/passwd"
        assert leave.ts_ns - enter.ts_ns >= 0


KINDS = [
    ("file", "file", "file"),
    ("device", "file", "file"),
    ("directory", "file", "directory"),
    ("memory", "file", "file"),
    ("tcp4", "net", "ipv4_sock"),
    ("tcp6", "net", "ipv6_sock"),
    ("listener", "net", "ipv4_servsock"),
    ("pipe", "ipc", "fifo"),
    ("unix", "ipc", "unix_sock"),
    ("event", "ipc", "event"),
    ("signal", "ipc", "signalfd"),
    ("inotify", "ipc", "inotify"),
    ("timer", "other", "timerfd"),
    ("epoll", "other", "eventpoll"),
    ("netlink", "other", "netlink"),
    ("process", "other", "unsupported"),
    ("namespace", "other", "unsupported"),
    ("missing", "other", "unknown"),
]


class TestJudgedByDescriptor:
    @pytest.mark.parametrize(("kind", "category", "fd_type"), KINDS)
    def test_read_and_close_have_the_category_of_what_the_descriptor_is(
        self, watch: Watch, actor: Actor, kind: str, category: str, fd_type: str
    ) -> None:
        watch.probe.set_pids(frozenset({actor.pid}))
        watch.subscribe("syscall_exit-read", "syscall_enter-close", "syscall_exit-close")
        descriptor = actor.do("read_one", kind)
        (read,) = watch.records(event="syscall_exit-read", fd=descriptor)
        assert (read.get("category"), read.get("fd_type")) == (category, fd_type)
        assert attributes(read)["size"] == 16
        for event in ("syscall_enter-close", "syscall_exit-close"):
            close = watch.records(event=event, fd=descriptor)[-1]
            assert (close.get("category"), close.get("fd_type")) == (category, fd_type)

    def test_a_category_lets_only_its_own_calls_through(self, watch: Watch, actor: Actor) -> None:
        watch.probe.set_pids(frozenset({actor.pid}))
        watch.subscribe("syscall_exit-read:net", "syscall_exit-write:net")
        for kind, _, _ in KINDS:
            actor.do("read_one", kind)
        seen = watch.records()
        assert {record.get("category") for record in seen} == {"net"}
        # one connected pair per family, read and written once; the listener is only read
        assert len([record for record in seen if record.get("name") == "write"]) == 2
        assert len([record for record in seen if record.get("name") == "read"]) == 3

    def test_write_tells_size_and_result(self, watch: Watch, actor: Actor) -> None:
        watch.probe.set_pids(frozenset({actor.pid}))
        watch.subscribe("syscall_exit-write:file")
        actor.do("write_null", 3)
        seen = watch.records()
        assert [record.get("result") for record in seen] == [1, 1, 1]
        assert [attributes(record)["size"] for record in seen] == [1, 1, 1]

    def test_a_bad_descriptor_tells_its_number_and_the_error(
        self, watch: Watch, actor: Actor
    ) -> None:
        watch.probe.set_pids(frozenset({actor.pid}))
        watch.subscribe("syscall_exit-read")
        actor.do("read_one", "missing")
        (record,) = watch.records(errno="EBADF")
        assert record.get("fd") == MISSING_FD

    def test_a_call_entered_before_its_subscription_has_no_latency(
        self, watch: Watch, actor: Actor
    ) -> None:
        actor.wait_idle()
        watch.probe.set_pids(frozenset({actor.pid}))
        watch.subscribe("syscall_exit-read:ipc")
        actor.do("nothing")
        actor.do("nothing")
        first, second = watch.records(fd=0)
        assert first.get("latency_ns") is None
        assert second.get("latency_ns") is not None
        assert first.get("category") == second.get("category") == "ipc"

    def test_a_switch_turned_off_and_on_within_a_call_makes_no_false_latency(
        self, watch: Watch, actor: Actor
    ) -> None:
        watch.probe.set_pids(frozenset({actor.pid}))
        watch.subscribe("syscall_exit-read:ipc", "syscall_enter-read:ipc")
        actor.do("nothing")
        actor.wait_idle()
        watch.probe.unsubscribe("syscall_exit-read", "ipc")
        watch.restart()
        watch.subscribe("syscall_exit-read:ipc")
        actor.do("nothing")
        (record,) = watch.records(event="syscall_exit-read", fd=0)
        assert record.get("latency_ns") is None


class TestConnections:
    @pytest.mark.parametrize(
        ("host", "family", "shown"),
        [("127.0.0.1", "ipv4", "127.0.0.1"), ("::1", "ipv6", "[::1]")],
    )
    def test_connect_and_accept_tell_both_ends(
        self, watch: Watch, actor: Actor, host: str, family: str, shown: str
    ) -> None:
        watch.probe.set_pids(frozenset({actor.pid}))
        watch.subscribe("syscall_enter-connect", "syscall_exit-connect", "syscall_exit-accept4")
        answer = actor.do("converse", host)
        assert isinstance(answer, list)
        (_, client_port), (_, server_port), (client, _, server) = answer
        for direction in ("enter", "exit"):
            (connect,) = watch.records(name="connect", direction=direction)
            assert connect.get("fd") == client
            named = {"fd": client, "family": family, "address": f"{shown}:{server_port}"}
            assert attributes(connect).items() >= named.items()
        ends = f"{shown}:{client_port}->{shown}:{server_port}"
        assert attributes(connect)["tuple"] == ends
        (accept,) = watch.records(event="syscall_exit-accept4")
        assert accept.get("name") == "accept"
        assert accept.get("fd") == accept.get("result") == server
        assert attributes(accept) == {
            "fd": server,
            "tuple": ends,
            "family": family,
            "peer": f"{shown}:{client_port}",
            "local": f"{shown}:{server_port}",
            "flags": "SOCK_CLOEXEC",
        }

    def test_a_refused_connect_tells_the_error(self, watch: Watch, actor: Actor) -> None:
        watch.probe.set_pids(frozenset({actor.pid}))
        watch.subscribe("syscall_exit-connect")
        port = actor.do("refused")
        (record,) = watch.records()
        assert record.get("errno") == "ECONNREFUSED"
        assert attributes(record)["address"] == f"127.0.0.1:{port}"

    @pytest.mark.parametrize("address", ["/nowhere/socket", "@abstract"])
    def test_a_unix_socket_is_net_for_connect_and_shows_its_path(
        self, watch: Watch, actor: Actor, address: str
    ) -> None:
        watch.probe.set_pids(frozenset({actor.pid}))
        watch.subscribe("syscall_exit-connect:net")
        actor.do("connect_unix", address)
        (record,) = watch.records()
        assert attributes(record).items() >= {"family": "unix", "address": address}.items()
        assert "tuple" not in attributes(record)


class TestProcesses:
    def test_execve_shows_the_file_name_both_ways(self, watch: Watch, tmp_path: Path) -> None:
        program = tmp_path / "program"
        shutil.copy("/bin/true", program)
        watch.subscribe("syscall_enter-execve", "syscall_exit-execve")
        with subprocess.Popen([program]) as child:
            pass
        enter, leave = watch.records(pid=child.pid, filename=str(program))
        assert (enter.get("direction"), leave.get("direction")) == ("enter", "exit")
        assert leave.get("result") == 0
        assert leave.comm == "program"
        assert leave.get("latency_ns")
        assert leave.get("category") == "process"

    def test_a_script_shows_its_own_name(self, watch: Watch, tmp_path: Path) -> None:
        script = tmp_path / "script"
        script.write_text("#!/bin/sh\nexit 0\n")
        script.chmod(0o755)
        watch.subscribe("syscall_exit-execve")
        subprocess.run([script], check=True)
        assert len(watch.records(filename=str(script), result=0)) == 1

    @pytest.mark.parametrize("told", [("execve",), ("execveat",), ("execve", "execveat")])
    def test_an_execveat_is_not_taken_for_an_execve(
        self, watch: Watch, told: tuple[str, ...]
    ) -> None:
        """The kernel gives each new image the number of execve, whichever call asked for it."""
        for call in told:
            watch.subscribe(f"syscall_exit-{call}")
        program = os.open("/bin/true", os.O_RDONLY | os.O_CLOEXEC)
        try:
            child = os.fork()
            if not child:
                os.execve(program, ["true"], {})  # an execveat
        finally:
            os.close(program)
        os.waitpid(child, 0)
        shown = watch.records(pid=child)
        assert [record.get("event") for record in shown] == (
            ["syscall_exit-execveat"] if "execveat" in told else []
        )
        assert all(record.get("result") == 0 and record.get("latency_ns") for record in shown)
        assert all("dirfd" not in attributes(record) for record in shown)  # gone with the image

    def test_a_32bit_program_is_told_as_the_call_that_asked_for_it(
        self, watch: Watch, tmp_path: Path
    ) -> None:
        program = tmp_path / "program"
        program.write_bytes(PROGRAM_OF_32_BITS)
        program.chmod(0o700)
        watch.subscribe("syscall_enter-execve", "syscall_exit-execve")
        try:
            with subprocess.Popen([program]) as child:
                pass
        except OSError:
            pytest.skip("this kernel runs no 32-bit programs")
        assert child.returncode == 5
        enter, leave = watch.records(pid=child.pid)
        assert (enter.get("direction"), leave.get("direction")) == ("enter", "exit")
        assert (leave.get("result"), leave.comm) == (0, "program")
        assert leave.get("latency_ns")
        assert attributes(leave)["filename"] == str(program)

    def test_a_failed_execve_shows_name_and_error(self, watch: Watch, tmp_path: Path) -> None:
        watch.subscribe("syscall_exit-execve")
        with pytest.raises(PermissionError):
            subprocess.run([tmp_path], check=True)
        (record,) = watch.records(filename=str(tmp_path))
        assert record.get("errno") == "EACCES"


class TestForeignNumbers:
    @pytest.mark.parametrize("number", [42, 43, 59])
    def test_a_32bit_call_is_not_taken_for_the_64bit_one_of_its_number(
        self, watch: Watch, actor: Actor, number: int
    ) -> None:
        """42, 43 and 59 are pipe, times and oldolduname there; connect, accept, execve here."""
        watch.probe.set_pids(frozenset({actor.pid}))
        for call in ("connect", "accept", "execve"):
            watch.subscribe(f"syscall_enter-{call}", f"syscall_exit-{call}")
        actor.do("call_32bit", number)
        assert watch.records() == []
