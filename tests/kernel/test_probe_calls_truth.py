"""Every call a process makes is told once, with its result; nothing else is told of it."""

from __future__ import annotations

import os
import signal
from collections.abc import Iterator
from pathlib import Path

import pytest

from engine.core.records import Record
from engine.probe.call_events import CALL_EVENTS
from engine.probe.calls import CALLS
from engine.probe.schema import SNAPLEN, SNAPLEN_MAX
from tests.kernel.actor import Actor
from tests.kernel.conftest import Watch, attributes
from tests.kernel.test_probe_strace import attempted

pytestmark = pytest.mark.kernel

_SCRIPT = Path(__file__).with_name("caller_process.py")
_MEMORY = {"mmap", "munmap", "brk", "mremap", "madvise", "mprotect"}
"""The interpreter's own, at any time."""
_CONVERSATION = (0, 1)
"""The caller's descriptors for commands and answers."""


@pytest.fixture
def caller() -> Iterator[Actor]:
    """A process that plays scenarios."""
    with Actor(_SCRIPT) as one:
        yield one


@pytest.fixture
def all_calls(watch: Watch, caller: Actor) -> Watch:
    """Everything the caller does, its own memory and the conversation with it apart."""
    watch.probe.set_pids(frozenset({caller.pid}))
    for event in CALL_EVENTS:
        if event.direction == "exit" and not event.absent:
            watch.subscribe(event.name)
    caller.do("nothing")
    watch.restart()
    return watch


def told(watch: Watch, caller: Actor) -> list[Record]:
    """What the probe told of the caller's scenario."""
    watch.probe.drain()
    return [
        record
        for record in watch.records()
        if record.pid == caller.pid
        and not (record.get("name") in {"read", "write"} and record.get("fd") in _CONVERSATION)
    ]


def names_and_results(records: list[Record]) -> list[list[object]]:
    return [[call_name(record), record.get("result")] for record in records]


def call_name(record: Record) -> str:
    return str(record.get("event")).partition("-")[2]


def played(caller: Actor, scenario: str, *arguments: object) -> list[list[object]]:
    """Have a scenario played; the calls the caller says it made."""
    made = caller.do(scenario, *arguments)
    assert isinstance(made, list)
    assert made
    return made


def without_memory(records: list[Record]) -> list[Record]:
    return [record for record in records if record.get("name") not in _MEMORY]


def by_call(records: list[Record], name: str, **wanted: object) -> Record:
    """The first record of a call with such attributes."""
    for record in records:
        if call_name(record) == name:
            found = attributes(record)
            if all(found.get(key) == value for key, value in wanted.items()):
                return record
    raise AssertionError(f"no {name} with {wanted}")


class TestFiles:
    def test_every_call_is_told_once_in_order_with_its_result(
        self, all_calls: Watch, caller: Actor, tmp_path: Path
    ) -> None:
        made = played(caller, "files", str(tmp_path))
        assert names_and_results(without_memory(told(all_calls, caller))) == made
        assert all_calls.probe.counters().dropped_total == 0

    def test_failures_carry_the_errors_name(
        self, all_calls: Watch, caller: Actor, tmp_path: Path
    ) -> None:
        played(caller, "files", str(tmp_path))
        failed = [
            (call_name(record), record.get("errno"))
            for record in without_memory(told(all_calls, caller))
            if record.get("errno")
        ]
        assert failed == [
            ("openat", "EEXIST"),
            ("ioctl", "ENOTTY"),
            ("close", "EBADF"),
            ("read", "EBADF"),
            ("write", "EBADF"),
            ("lstat", "ENOENT"),
            ("faccessat", "ENOENT"),
            ("rename", "ENOENT"),
            ("unlink", "ENOENT"),
            ("mkdir", "EEXIST"),
            ("chdir", "ENOENT"),
        ]

    def test_attributes_tell_what_was_asked_and_what_came(
        self, all_calls: Watch, caller: Actor, tmp_path: Path
    ) -> None:
        played(caller, "files", str(tmp_path))
        records = without_memory(told(all_calls, caller))
        one, two = f"{tmp_path}/one", f"{tmp_path}/two"
        fd = records[0].get("result")

        def shown(name: str, **wanted: object) -> dict[str, object]:
            return attributes(by_call(records, name, **wanted))

        assert shown("openat") == {
            "fd": fd,
            "dirfd": -100,
            "name": one,
            "flags": "O_RDWR|O_CREAT|O_EXCL",
            "mode": "0o600",
        }
        assert shown("write") == {
            "res": 6, "data": "hello\\n", "fd": fd, "size": 6,
        }  # fmt: skip
        assert shown("pwrite") == {
            "res": 2, "data": "HE", "fd": fd, "size": 2, "pos": 0,
        }  # fmt: skip
        assert shown("read", res=0)["data"] == ""
        assert shown("read", res=6)["data"] == "HEllo\\n"
        assert shown("writev")["data"] == shown("pwritev")["data"] == "abcdef"
        assert (shown("readv")["data"], shown("readv")["size"]) == ("HEllo\\n", 6)
        assert shown("preadv")["pos"] == 100
        assert shown("lseek") == {
            "res": 0, "fd": fd, "offset": 0, "whence": "SEEK_SET",
        }  # fmt: skip
        assert shown("ioctl")["request"] == "TCGETS"
        assert shown("fcntl")["cmd"] == "F_GETFD"
        assert shown("flock")["operation"] == "LOCK_EX"
        assert shown("fchmod") == {"res": 0, "fd": fd, "mode": "0o640"}
        assert shown("stat") == {"res": 0, "path": one}
        assert shown("access") == {"res": 0, "name": one, "mode": "R_OK"}
        assert shown("statx")["mask"] == "0x7ff"
        assert shown("rename") == {"res": 0, "oldpath": one, "newpath": two}
        assert shown("renameat2")["flags"] == "RENAME_NOREPLACE"
        assert shown("linkat") == {
            "res": 0, "olddir": -100, "oldpath": two, "newdir": -100,
            "newpath": f"{tmp_path}/three", "flags": "0",
        }  # fmt: skip
        assert shown("symlink") == {"res": 0, "target": "two", "linkpath": f"{tmp_path}/soft"}
        assert shown("readlink")["target"] == "two"
        assert shown("unlinkat", flags="AT_REMOVEDIR")["name"] == f"{tmp_path}/other"
        assert shown("mkdir")["mode"] == "0o755"
        assert shown("openat2") == {
            "fd": fd, "dirfd": -100, "name": one, "flags": "O_RDONLY|O_CLOEXEC", "mode": "0o0",
            "resolve": "RESOLVE_NO_SYMLINKS",
        }  # fmt: skip
        assert shown("getcwd")["path"] == os.getcwd()
        assert shown("memfd_create") == {"fd": fd, "name": "memory", "flags": "MFD_CLOEXEC"}
        assert not [record for record in records if "missing" in attributes(record)]

    def test_a_file_is_file_whichever_way_it_is_named(
        self, all_calls: Watch, caller: Actor, tmp_path: Path
    ) -> None:
        played(caller, "files", str(tmp_path))
        categories = {
            call_name(record): record.get("category")
            for record in without_memory(told(all_calls, caller))
            if record.get("errno") != "EBADF"
        }
        assert categories.pop("memfd_create") == "memory"
        assert set(categories.values()) == {"file"}

    def test_an_enter_is_told_for_every_exit(
        self, watch: Watch, caller: Actor, tmp_path: Path
    ) -> None:
        watch.probe.set_pids(frozenset({caller.pid}))
        for event in CALL_EVENTS:
            if "file" in event.categories and not event.absent:
                watch.subscribe(f"{event.name}:file")
        made = played(caller, "files", str(tmp_path))
        records = [record for record in told(watch, caller) if record.get("category") == "file"]
        entered = [record for record in records if record.get("direction") == "enter"]
        left = [record for record in records if record.get("direction") == "exit"]
        assert [call_name(record) for record in entered] == [call_name(one) for one in left]
        assert len(left) == len([one for one in made if one[1] != -9]) - 1  # memfd_create
        for record in left:
            assert isinstance(record.get("latency_ns"), int)


class TestDescriptors:
    def test_every_call_is_told_once_in_order_with_its_result(
        self, all_calls: Watch, caller: Actor
    ) -> None:
        made = played(caller, "descriptors")
        assert names_and_results(without_memory(told(all_calls, caller))) == made

    def test_pairs_lists_and_sets_are_told(self, all_calls: Watch, caller: Actor) -> None:
        played(caller, "descriptors")
        records = without_memory(told(all_calls, caller))

        def shown(name: str, **wanted: object) -> dict[str, object]:
            return attributes(by_call(records, name, **wanted))

        pipe, flagged = shown("pipe"), shown("pipe2")
        reader, quiet = pipe["fd1"], flagged["fd1"]
        assert pipe.keys() == {"res", "fd1", "fd2"}
        assert flagged["flags"] == "O_NONBLOCK|O_CLOEXEC"
        assert by_call(records, "pipe2").get("name") == "pipe"
        assert by_call(records, "read", fd=quiet).get("errno") == "EAGAIN"
        assert shown("poll") == {"res": 1, "fds": f"{reader}:POLLIN", "timeout": 0}
        assert "timeout" not in shown("ppoll")  # the kernel writes over it
        assert shown("epoll_ctl") == {
            "res": 0, "epfd": shown("epoll_create1")["fd"], "op": "EPOLL_CTL_ADD", "fd": reader,
            "events": "EPOLLIN", "nativeID": 233,
        }  # fmt: skip
        assert shown("epoll_wait")["fds"] == f"{reader}:EPOLLIN"
        assert shown("splice") == {
            "res": 4, "fd_in": reader, "fd_out": flagged["fd2"], "size": 4, "flags": "0",
        }  # fmt: skip
        again = shown("dup")["res"]
        assert shown("dup2") == {"res": again, "fd": reader, "newfd": again}
        assert shown("dup3")["flags"] == "O_CLOEXEC"
        assert by_call(records, "dup3").get("name") == "dup"
        assert shown("eventfd2") == {
            "res": shown("eventfd2")["res"], "initval": 3, "flags": "EFD_NONBLOCK",
        }  # fmt: skip
        assert shown("signalfd4")["mask"] == "SIGUSR1"
        assert shown("timerfd_create")["clockid"] == "CLOCK_MONOTONIC"

    def test_categories_are_kindlings_and_waiting_is_wait(
        self, all_calls: Watch, caller: Actor
    ) -> None:
        played(caller, "descriptors")
        seen = {
            (call_name(record), record.get("category"))
            for record in without_memory(told(all_calls, caller))
            if record.get("errno") != "EBADF"
        }
        assert seen >= {
            ("pipe", "ipc"), ("pipe2", "ipc"), ("eventfd2", "ipc"), ("inotify_init1", "ipc"),
            ("signalfd4", "signal"), ("timerfd_create", "time"), ("poll", "wait"),
            ("ppoll", "wait"), ("epoll_wait", "wait"), ("epoll_ctl", "wait"), ("dup", "ipc"),
            ("splice", "ipc"), ("close", "other"), ("close", "ipc"), ("close_range", "other"),
        }  # fmt: skip


class TestSockets:
    def test_every_call_is_told_once_in_order_with_its_result(
        self, all_calls: Watch, caller: Actor
    ) -> None:
        made = played(caller, "sockets")
        assert names_and_results(without_memory(told(all_calls, caller))) == made

    def test_both_ends_and_the_data_are_told(self, all_calls: Watch, caller: Actor) -> None:
        played(caller, "sockets")
        records = without_memory(told(all_calls, caller))

        def shown(name: str, **wanted: object) -> dict[str, object]:
            return attributes(by_call(records, name, **wanted))

        listening = shown("getsockname")["address"]
        assert str(listening).startswith("127.0.0.1:")
        assert shown("bind")["addr"] == "127.0.0.1:0"
        assert shown("listen")["backlog"] == 7
        accepted = shown("accept4")
        client = accepted["peer"]
        assert accepted["tuple"] == f"{client}->{listening}"
        assert accepted["local"] == listening
        assert by_call(records, "accept4").get("fd") == accepted["fd"]
        assert shown("getpeername")["address"] == client
        assert shown("connect") == {
            "res": 0, "tuple": f"{client}->{listening}", "family": "ipv4", "address": listening,
            "fd": shown("connect")["fd"],
        }  # fmt: skip
        assert shown("sendto")["data"] == "GET / HTTP/1.1\\r\\n"
        assert shown("sendto")["tuple"] == f"{client}->{listening}"
        assert shown("recvfrom")["tuple"] == f"{client}->{listening}"
        assert shown("sendmsg")["data"] == shown("recvmsg")["data"] == "200 OK\\n"
        assert shown("sendmsg")["tuple"] == shown("recvmsg")["tuple"] == f"{listening}->{client}"
        assert shown("setsockopt") == {
            "res": 0, "fd": shown("setsockopt")["fd"], "level": "SOL_SOCKET",
            "optname": "SO_REUSEADDR", "val": 1, "optlen": 4,
        }  # fmt: skip
        assert (shown("getsockopt")["optname"], shown("getsockopt")["val"]) == ("SO_ERROR", 0)
        assert shown("shutdown")["how"] == "SHUT_WR"
        assert shown("socket", type="SOCK_STREAM|SOCK_CLOEXEC") == {
            "fd": shown("socket", type="SOCK_STREAM|SOCK_CLOEXEC")["fd"], "domain": "ipv4",
            "type": "SOCK_STREAM|SOCK_CLOEXEC", "proto": "IPPROTO_TCP",
        }  # fmt: skip
        refused = by_call(records, "connect", res=-111)
        assert refused.get("errno") == "ECONNREFUSED"
        assert attributes(refused)["address"] == listening

    def test_datagrams_name_the_other_end_of_each(self, all_calls: Watch, caller: Actor) -> None:
        played(caller, "sockets")
        records = without_memory(told(all_calls, caller))
        sent = attributes(by_call(records, "sendto", data="datagram"))
        received = attributes(by_call(records, "recvfrom", data="datagram"))
        assert str(sent["tuple"]).endswith(f"->{sent['address']}")
        assert str(received["tuple"]).startswith(f"{received['address']}->")
        assert str(received["tuple"]).endswith(f"->{sent['address']}")
        many, taken = (attributes(by_call(records, name)) for name in ("sendmmsg", "recvmmsg"))
        assert (many["res"], many["vlen"], many["data"]) == (2, 2, ["first", "second"])
        # received into the same five and six bytes
        assert taken["data"] == ["first", "second"]
        assert {record.get("category") for record in records if "mmsg" in call_name(record)} == {
            "net"
        }
        named = attributes(by_call(records, "sendmsg", data="first"))
        assert named["address"] == sent["address"]
        assert named["tuple"] == sent["tuple"]
        taken = attributes(by_call(records, "recvmsg", data="first"))
        assert str(taken["tuple"]) == f"{taken['address']}->{sent['address']}"
        pair = attributes(by_call(records, "socketpair"))
        assert pair["domain"] == "unix"
        assert isinstance(pair["fd1"], int)


class TestProcesses:
    def test_every_call_is_told_once_in_order_with_its_result(
        self, all_calls: Watch, caller: Actor
    ) -> None:
        made = played(caller, "processes")
        assert names_and_results(without_memory(told(all_calls, caller))) == made

    def test_children_signals_and_limits_are_told(self, all_calls: Watch, caller: Actor) -> None:
        made = played(caller, "processes")
        records = without_memory(told(all_calls, caller))

        def shown(name: str, **wanted: object) -> dict[str, object]:
            return attributes(by_call(records, name, **wanted))

        child = next(result for name, result in made if name == "clone")
        clone = shown("clone")
        assert (clone["res"], clone["flags"]) == (child, "SIGCHLD")
        assert (clone["pid"], clone["tid"], clone["ptid"]) == (caller.pid, caller.pid, os.getpid())
        assert shown("wait4") == {
            "res": child, "pid": child, "status": "exited with 3", "options": "0",
        }  # fmt: skip
        assert shown("kill", res=-3)["sig"] == "SIGTERM"
        assert by_call(records, "kill", res=-3).get("errno") == "ESRCH"
        limit = shown("getrlimit")
        assert limit["resource"] == "RLIMIT_NOFILE"
        assert (limit["cur"], limit["max"]) == (
            shown("prlimit")["oldcur"],
            shown("prlimit")["oldmax"],
        )
        assert shown("getuid") == {"uid": os.getuid()}
        assert shown("getresuid") == {"res": 0, "ruid": 0, "euid": 0, "suid": 0}
        execve = shown("execve")
        assert execve["filename"] == "/nowhere/at/all"
        assert by_call(records, "execve").get("errno") == "ENOENT"
        assert shown("nanosleep")["interval"] == 1_000
        assert shown("clock_nanosleep")["clockid"] == "CLOCK_MONOTONIC"
        assert shown("futex", val=8)["op"] == "FUTEX_WAIT|FUTEX_PRIVATE_FLAG"
        assert by_call(records, "futex", val=8).get("errno") == "EAGAIN"
        assert (shown("semop")["nsops"], shown("semop")["sem_op_0"]) == (1, 1)
        assert "sem_op_1" not in shown("semop")
        assert shown("semget")["key"] == "IPC_PRIVATE"
        assert shown("alarm") == {"nativeID": 37, "res": 0, "seconds": 0}

    def test_a_program_started_tells_its_arguments(self, watch: Watch, caller: Actor) -> None:
        watch.subscribe("syscall_exit-execve", "syscall_enter-execve")
        ((_, child),) = played(caller, "execute", "/bin/true", "one", "", "th ree")
        watch.probe.drain()
        entered, started = [record for record in watch.records() if record.pid == child]
        for record in (entered, started):
            assert attributes(record)["filename"] == "/bin/true"
        assert attributes(started)["exe"] == "/bin/true"
        assert attributes(started)["args"] == ["one", "", "th ree"]
        assert attributes(started)["ptid"] == caller.pid
        assert attributes(started)["pid"] == child
        assert isinstance(attributes(started)["vm_size"], int)
        assert started.comm == "true"


class TestSnaplen:
    @pytest.mark.parametrize(
        ("snaplen", "request_", "response"),
        [(64, "GET / HTTP/1.1\\r\\n", "200 OK\\n"), (5, "GET /", "200 O"), (0, None, None)],
    )
    def test_bounds_what_is_kept_of_data(
        self,
        watch: Watch,
        caller: Actor,
        snaplen: int,
        request_: str | None,
        response: str | None,
    ) -> None:
        watch.probe.set_pids(frozenset({caller.pid}))
        watch.subscribe("syscall_exit-sendto", "syscall_exit-sendmsg")
        watch.probe.set_snaplen(snaplen)
        try:
            played(caller, "sockets")
        finally:
            watch.probe.set_snaplen(SNAPLEN)
        first, second, *_ = (attributes(record) for record in told(watch, caller))
        assert (first["res"], first.get("data")) == (16, request_)
        # a message of two vectors, of four and three bytes
        assert (second["res"], second.get("data")) == (7, response)

    def test_long_data_is_kept_up_to_the_most_there_is_room_for(
        self, watch: Watch, caller: Actor, tmp_path: Path
    ) -> None:
        watch.probe.set_pids(frozenset({caller.pid}))
        watch.subscribe("syscall_exit-writev:file", "syscall_exit-read:file")
        watch.probe.set_snaplen(SNAPLEN_MAX)
        try:
            played(caller, "bulk", str(tmp_path / "bulk"))
        finally:
            watch.probe.set_snaplen(SNAPLEN)
        written, read = (attributes(record) for record in told(watch, caller))
        assert (written["res"], read["res"]) == (6_000, 6_000)
        # three vectors of two thousand bytes each
        assert written["data"] == read["data"] == "a" * 2_000 + "b" * 48


class TestMemory:
    def test_mappings_are_told_with_their_addresses(self, all_calls: Watch, caller: Actor) -> None:
        made = played(caller, "memory")
        lengths = {pages * 4096 for pages in (101, 102, 103)}
        records = [
            record
            for record in told(all_calls, caller)
            if attributes(record).get("length") in lengths
        ]
        assert names_and_results(records) == made
        first = attributes(records[0])
        assert first["res"] == hex(int(str(made[0][1])))
        assert (first["prot"], first["flags"], first["fd"]) == (
            "PROT_READ|PROT_WRITE", "MAP_PRIVATE|MAP_ANONYMOUS", -1,
        )  # fmt: skip
        assert records[0].get("fd") is None
        assert {record.get("category") for record in records} == {"memory"}


def test_every_call_there_is_is_told_by_its_name(all_calls: Watch, caller: Actor) -> None:
    numbers = attempted()
    results = caller.do("attempt", numbers)
    assert isinstance(results, list)
    names = {call.number: call.name for call in CALLS}
    expected = [
        [names[number], result]
        for number, result in zip(numbers, results, strict=True)
        if names[number] not in _MEMORY
    ]
    assert names_and_results(without_memory(told(all_calls, caller))) == expected


def test_memory_that_cannot_be_read_is_null_named_and_counted(
    all_calls: Watch, caller: Actor
) -> None:
    before = all_calls.probe.kernel_counters().faults
    made = played(caller, "unreadable")
    records = without_memory(told(all_calls, caller))
    assert names_and_results(records) == made
    shown = {call_name(record): attributes(record) for record in records}
    lost = {name: found.get("missing") for name, found in shown.items()}
    assert lost == {
        "openat": ["name"],
        "rename": ["newpath"],
        "connect": ["family", "address"],
        "nanosleep": ["interval"],
        "poll": None,
    }
    assert shown["rename"]["oldpath"] == "/nowhere/at/all"
    assert shown["openat"]["name"] is None
    assert all_calls.probe.kernel_counters().faults == before + 4


def test_a_signal_that_ends_the_caller_ends_its_story(watch: Watch, caller: Actor) -> None:
    watch.probe.set_pids(frozenset({caller.pid}))
    watch.subscribe("syscall_enter-exit_group", "syscall_exit-read")
    caller.do("nothing")
    caller.wait_idle()
    watch.restart()
    os.kill(caller.pid, signal.SIGKILL)
    with pytest.raises(ValueError, match="Expecting value"):
        caller.answer()
    (read,) = watch.records()
    assert (read.get("name"), read.get("errno")) == ("read", "ERESTARTSYS")
