"""What an event says its descriptor is, against what the process itself and /proc say."""

from __future__ import annotations

import os
import socket
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from engine.core.clock import SystemClock
from engine.core.records import Record
from engine.core.source import Logbook
from engine.probe import features
from engine.probe.filters import Filters
from engine.probe.probe import KernelProbe
from tests.kernel.actor import Actor
from tests.kernel.conftest import READY_S, Watch

pytestmark = pytest.mark.kernel

SCRIPT = Path(__file__).with_name("descriptors_process.py")
CALLS = ("read", "write", "lseek", "fstat", "fcntl")
BY_FD = ("read", "write", "fcntl", "close")
"""Calls with the category of what their descriptor is; the others have one of their own."""
MPTCP = 262
AF_INET, AF_INET6 = int(socket.AF_INET), int(socket.AF_INET6)


@pytest.fixture
def holder() -> Iterator[Actor]:
    """A process that makes descriptors and works on them when told."""
    with Actor(SCRIPT) as one:
        yield one


@pytest.fixture
def watched(watch: Watch, holder: Actor) -> Watch:
    """Sees every call that works on a descriptor of the holder."""
    watch.probe.set_pids(frozenset({holder.pid}))
    watch.subscribe(*(f"syscall_{way}-{call}" for way in ("enter", "exit") for call in CALLS))
    watch.subscribe("syscall_enter-close", "syscall_exit-close")
    return watch


def numbers(answer: object) -> list[int]:
    assert isinstance(answer, list)
    return answer


def number(answer: object) -> int:
    assert isinstance(answer, int)
    return answer


def told_of(
    watched: Watch, holder: Actor, descriptor: int, *, category: str, changing: str = ""
) -> dict[str, object]:
    """What every call on a descriptor says of it, which must be the same of all of them.

    Args:
        changing: A field that may change meanwhile, and is left out.
    """
    watched.restart()
    holder.do("use", descriptor)
    holder.do("close", descriptor)
    seen = watched.records(fd=descriptor)
    names = sorted((str(record.get("event"))) for record in seen)
    expected = [f"syscall_{way}-{call}" for way in ("enter", "exit") for call in (*CALLS, "close")]
    assert names == sorted(expected)
    for record in seen:
        if record.get("name") in BY_FD:
            assert record.get("category") == category, record
    told = [described(record) for record in seen]
    for each in told:
        each.pop(changing, None)
    assert told == [told[0]] * len(told)
    return told[0]


def described(record: Record) -> dict[str, object]:
    fields = ("fd_type", "fd_name", "fd_protocol", "fd_role", "fd_state", "fd_inode")
    return {name: value for name in fields if (value := record.get(name)) is not None}


class TestFiles:
    def file(self, name: str) -> dict[str, object]:
        return {"fd_type": "file", "fd_name": name}

    def test_a_file_has_its_path(self, watched: Watch, holder: Actor, tmp_path: Path) -> None:
        path = str(tmp_path / "file")
        fd = number(holder.do("opened", path))
        assert told_of(watched, holder, fd, category="file") == self.file(path)

    def test_a_renamed_file_has_its_new_path(
        self, watched: Watch, holder: Actor, tmp_path: Path
    ) -> None:
        old, new = str(tmp_path / "old"), str(tmp_path / "new")
        fd = number(holder.do("opened", old))
        holder.do("rename", old, new)
        assert told_of(watched, holder, fd, category="file") == self.file(new)

    def test_a_removed_file_is_marked(self, watched: Watch, holder: Actor, tmp_path: Path) -> None:
        path = str(tmp_path / "gone")
        fd = number(holder.do("opened", path))
        holder.do("unlink", path)
        assert holder.do("link", fd) == f"{path} (deleted)"
        assert told_of(watched, holder, fd, category="file") == self.file(f"{path} (deleted)")

    @pytest.mark.parametrize("path", ["/proc/sys/kernel/hostname", "/dev/null", "/dev/zero"])
    def test_other_file_systems_have_the_path_of_where_they_are_mounted(
        self, watched: Watch, holder: Actor, path: str
    ) -> None:
        fd = number(holder.do("opened", path, os.O_RDONLY))
        assert told_of(watched, holder, fd, category="file") == self.file(path)

    def test_proc_self_is_the_process_it_was(self, watched: Watch, holder: Actor) -> None:
        fd = number(holder.do("opened", "/proc/self/status", os.O_RDONLY))
        path = f"/proc/{holder.pid}/status"
        assert told_of(watched, holder, fd, category="file") == self.file(path)

    @pytest.mark.parametrize("path", ["/", "/proc", "/etc"])
    def test_a_directory_has_its_path(self, watched: Watch, holder: Actor, path: str) -> None:
        fd = number(holder.do("opened", path, os.O_RDONLY | os.O_DIRECTORY))
        assert told_of(watched, holder, fd, category="file") == {
            "fd_type": "directory",
            "fd_name": path,
        }

    def test_mounts_are_followed_up_to_the_root(
        self, watched: Watch, holder: Actor, tmp_path: Path
    ) -> None:
        source, memory, bound = (tmp_path / name for name in ("source", "memory", "bound"))
        for folder in (source, memory, bound):
            folder.mkdir()
        holder.do("own_mounts")
        holder.do("mount", "none", str(memory), "tmpfs")
        holder.do("mount", str(source), str(bound), "bind")
        holder.do("mount", "none", str(memory), "tmpfs")  # one over the other
        for path in (str(memory / "a"), str(bound / "b")):
            fd = number(holder.do("opened", path))
            assert holder.do("link", fd) == path
            assert told_of(watched, holder, fd, category="file") == self.file(path)

    def test_a_long_path_is_whole_and_a_deep_one_is_cut_at_the_top(
        self, watched: Watch, holder: Actor, tmp_path: Path
    ) -> None:
        watched.probe.unsubscribe("syscall_exit-close")  # its descriptor waits in a small place
        folder = tmp_path
        for _ in range(10):
            folder = folder / ("x" * 200)
        folder.mkdir(parents=True)
        fd = number(holder.do("opened", str(folder / "file")))
        watched.restart()
        holder.do("use", fd)
        names = {record.get("fd_name") for record in watched.records(fd=fd)}
        assert names == {str(folder / "file")}
        deep = tmp_path / "/".join("d" * 60)
        deep.mkdir(parents=True)
        fd = number(holder.do("opened", str(deep / "file")))
        watched.restart()
        holder.do("use", fd)
        (name,) = {str(record.get("fd_name")) for record in watched.records(fd=fd)}
        assert name == ".../" + "d/" * 31 + "file"

    def test_the_close_of_a_long_path_is_cut_at_the_top(
        self, watched: Watch, holder: Actor, tmp_path: Path
    ) -> None:
        folder = tmp_path / ("x" * 200) / ("y" * 200)
        folder.mkdir(parents=True)
        fd = number(holder.do("opened", str(folder / "file")))
        watched.restart()
        holder.do("close", fd)
        (leave,) = watched.records(event="syscall_exit-close", fd=fd)
        assert leave.get("fd_name") == f".../{'y' * 200}/file"

    def test_a_name_is_sanitised(self, watched: Watch, holder: Actor, tmp_path: Path) -> None:
        fd = number(holder.do("opened", str(tmp_path / "a\x1b[31m")))
        told = told_of(watched, holder, fd, category="file")
        assert told == self.file(f"{tmp_path}/a␛[31m")

    def test_a_memory_file_has_its_name(self, watched: Watch, holder: Actor) -> None:
        fd = number(holder.do("memory", "scratch"))
        assert told_of(watched, holder, fd, category="file") == self.file("memfd:scratch")

    def test_a_named_pipe_has_its_path(self, watched: Watch, holder: Actor, tmp_path: Path) -> None:
        path = tmp_path / "fifo"
        os.mkfifo(path)
        fd = number(holder.do("opened", str(path), os.O_RDWR | os.O_NONBLOCK))
        assert told_of(watched, holder, fd, category="ipc") == {
            "fd_type": "fifo",
            "fd_name": str(path),
        }


class TestAnonymous:
    def test_both_ends_of_a_pipe_have_its_inode(self, watched: Watch, holder: Actor) -> None:
        ends = numbers(holder.do("pipe"))
        pipe = number(holder.do("inode", ends[0]))
        for fd in ends:
            assert told_of(watched, holder, fd, category="ipc") == {
                "fd_type": "fifo",
                "fd_name": f"pipe:[{pipe}]",
                "fd_inode": pipe,
            }

    @pytest.mark.parametrize(
        ("kind", "fd_type", "category"),
        [
            ("eventfd", "event", "ipc"),
            ("signalfd", "signalfd", "ipc"),
            ("inotify", "inotify", "ipc"),
            ("timerfd", "timerfd", "other"),
            ("epoll", "eventpoll", "other"),
            ("netns", "unsupported", "other"),
        ],
    )
    def test_others_are_named_as_proc_names_them(
        self, watched: Watch, holder: Actor, kind: str, fd_type: str, category: str
    ) -> None:
        fd = number(holder.do("anonymous", kind))
        link = holder.do("link", fd)
        told = told_of(watched, holder, fd, category=category)
        assert (told["fd_type"], told["fd_name"]) == (fd_type, link)

    def test_a_process_descriptor_has_its_inode(self, watched: Watch, holder: Actor) -> None:
        fd = number(holder.do("anonymous", "pidfd"))
        process = holder.do("inode", fd)
        told = told_of(watched, holder, fd, category="other")
        assert (told["fd_type"], told["fd_name"]) == ("unsupported", f"pidfd:[{process}]")

    def test_a_number_that_is_not_open_is_nothing(self, watched: Watch, holder: Actor) -> None:
        watched.restart()
        holder.do("use", 9_999)
        told = [described(record) for record in watched.records(fd=9_999)]
        assert told == [{"fd_type": "unknown"}] * (2 * len(CALLS))


class TestInternet:
    @pytest.mark.parametrize(
        ("listens", "connects", "version", "shown"),
        [
            ("127.0.0.1", "127.0.0.1", 4, "127.0.0.1"),
            ("::1", "::1", 6, "[::1]"),
            ("::", "127.0.0.1", 46, "127.0.0.1"),
        ],
    )
    def test_both_ends_tell_the_same_connection_and_their_own_side(
        self,
        watched: Watch,
        holder: Actor,
        listens: str,
        connects: str,
        version: int,
        shown: str,
    ) -> None:
        """46: an IPv4 connection to a socket of both versions."""
        listener, client, server, client_port, server_port = numbers(
            holder.do("connection", listens, connects)
        )
        inodes = {fd: holder.do("inode", fd) for fd in (listener, client, server)}
        name = f"{shown}:{client_port} -> {shown}:{server_port}"
        accepted, made = ("ipv4", "ipv4") if version == 4 else ("ipv6", "ipv6")
        made = "ipv4" if version == 46 else made
        assert told_of(watched, holder, server, category="net") == {
            "fd_type": f"{accepted}_sock",
            "fd_name": name,
            "fd_protocol": "tcp",
            "fd_role": "server",
            "fd_state": "ESTABLISHED",
            "fd_inode": inodes[server],
        }
        # The other end is closed by now, and a write makes it refuse the connection.
        told = told_of(watched, holder, client, category="net", changing="fd_state")
        assert told == {
            "fd_type": f"{made}_sock",
            "fd_name": name,
            "fd_protocol": "tcp",
            "fd_role": "client",
            "fd_inode": inodes[client],
        }
        any_address = {"::": "[::]", "::1": "[::1]"}.get(listens, listens)
        assert told_of(watched, holder, listener, category="net") == {
            "fd_type": f"{accepted}_servsock",
            "fd_name": f"{any_address}:{server_port}",
            "fd_protocol": "tcp",
            "fd_role": "listener",
            "fd_state": "LISTEN",
            "fd_inode": inodes[listener],
        }

    def test_multipath_connections_have_sides_too(self, watched: Watch, holder: Actor) -> None:
        answer = holder.do("connection", "127.0.0.1", "127.0.0.1", MPTCP)
        if answer is None:
            pytest.skip("no multipath TCP in this kernel")
        _, client, server, client_port, server_port = numbers(answer)
        for fd, role in ((server, "server"), (client, "client")):
            told = told_of(watched, holder, fd, category="net", changing="fd_state")
            name = f"127.0.0.1:{client_port} -> 127.0.0.1:{server_port}"
            assert (told["fd_name"], told["fd_role"]) == (name, role)
            assert told["fd_protocol"] == "mptcp"

    def test_a_client_that_chose_its_port_is_still_the_client(
        self, watched: Watch, holder: Actor
    ) -> None:
        fd, own, other = numbers(holder.do("bound_client", "127.0.0.1"))
        told = told_of(watched, holder, fd, category="net")
        assert (told["fd_role"], told["fd_name"]) == (
            "client",
            f"127.0.0.1:{own} -> 127.0.0.1:{other}",
        )

    @pytest.mark.parametrize(
        ("host", "shown", "fd_type"),
        [("127.0.0.1", "127.0.0.1", "ipv4_sock"), ("::1", "[::1]", "ipv6_sock")],
    )
    def test_datagram_sockets_are_clients_once_connected(
        self, watched: Watch, holder: Actor, host: str, shown: str, fd_type: str
    ) -> None:
        fd, own, other = numbers(holder.do("datagram", host, True))
        inode = holder.do("inode", fd)
        assert told_of(watched, holder, fd, category="net") == {
            "fd_type": fd_type,
            "fd_name": f"{shown}:{own} -> {shown}:{other}",
            "fd_protocol": "udp",
            "fd_role": "client",
            "fd_inode": inode,
        }
        fd, own, _ = numbers(holder.do("datagram", host, False))
        told = told_of(watched, holder, fd, category="net")
        assert told["fd_name"] == f"{shown}:{own}"
        assert "fd_role" not in told

    @pytest.mark.parametrize(
        ("family", "kind", "protocol", "fd_type", "category", "name", "spoken"),
        [
            (AF_INET, 1, 0, "ipv4_sock", "net", "tcp:[{}]", "tcp"),
            (AF_INET6, 1, 0, "ipv6_sock", "net", "tcp:[{}]", "tcp"),
            (AF_INET, 3, 1, "ipv4_sock", "net", "icmp:[{}]", "icmp"),
            (16, 3, 0, "netlink", "other", "netlink:[{}]", "route"),
            (17, 3, 0, "unsupported", "other", "packet:[{}]", None),
            (1, 2, 0, "unix_sock", "ipc", "unix:[{}]", "dgram"),
        ],
    )
    def test_a_socket_without_an_address_has_its_inode(
        self,
        watched: Watch,
        holder: Actor,
        family: int,
        kind: int,
        protocol: int,
        fd_type: str,
        category: str,
        name: str,
        spoken: str | None,
    ) -> None:
        fd = number(holder.do("bare", family, kind, protocol))
        inode = holder.do("inode", fd)
        told = told_of(watched, holder, fd, category=category)
        assert told["fd_type"] == fd_type
        assert told["fd_name"] == name.format(inode)
        assert told.get("fd_protocol") == spoken
        assert told["fd_inode"] == inode


class TestUnix:
    @pytest.mark.parametrize("where", ["{}/socket", "@boxscope-test-{}"])
    def test_all_ends_have_the_name_that_was_bound(
        self, watched: Watch, holder: Actor, tmp_path: Path, where: str
    ) -> None:
        address = where.format(tmp_path if "/" in where[:3] else holder.pid)
        ends = numbers(holder.do("unix", address))
        roles = ("listener", "client", "server")
        # Backwards: a server whose client has gone has no peer to be told from.
        for fd, role in reversed(list(zip(ends, roles, strict=True))):
            inode = holder.do("inode", fd)
            told = told_of(watched, holder, fd, category="ipc")
            assert told.pop("fd_state", None) == ("LISTEN" if role == "listener" else None)
            assert told == {
                "fd_type": "unix_sock",
                "fd_name": f"unix:{address}",
                "fd_protocol": "stream",
                "fd_inode": inode,
                "fd_role": role,
            }

    def test_a_pair_has_inodes_alone(self, watched: Watch, holder: Actor) -> None:
        for fd in numbers(holder.do("unix_pair")):
            inode = holder.do("inode", fd)
            assert told_of(watched, holder, fd, category="ipc") == {
                "fd_type": "unix_sock",
                "fd_name": f"unix:[{inode}]",
                "fd_protocol": "stream",
                "fd_inode": inode,
            }


class TestCallsThatMakeDescriptors:
    def test_a_failed_close_is_not_told_of_what_was_closed_before(
        self, watch: Watch, holder: Actor, tmp_path: Path
    ) -> None:
        watch.probe.set_filters(Filters(tgids=frozenset({holder.pid}), failed_only=True))
        watch.subscribe("syscall_exit-close")
        fd = holder.do("opened", str(tmp_path / "file"))
        holder.do("close", fd)  # not shown, so that nobody asked what it closed
        holder.do("close", fd)
        watch.probe.set_filters(Filters(tgids=frozenset({holder.pid})))
        (record,) = watch.records()
        assert (record.get("errno"), described(record)) == ("EBADF", {"fd_type": "unknown"})

    def test_what_they_return_is_told(self, watch: Watch, holder: Actor, tmp_path: Path) -> None:
        watch.probe.set_pids(frozenset({holder.pid}))
        made = ("openat", "socket", "accept4", "eventfd2", "epoll_create1", "memfd_create")
        watch.subscribe(*(f"syscall_exit-{call}" for call in made))
        path = str(tmp_path / "new")
        holder.do("opened", path)
        holder.do("anonymous", "eventfd")
        holder.do("anonymous", "epoll")
        holder.do("memory", "scratch")
        _, _, server, client_port, server_port = numbers(
            holder.do("connection", "127.0.0.1", "127.0.0.1")
        )
        seen = reversed(watch.records())  # the first of each counts
        told = {str(record.get("event")).partition("-")[2]: record for record in seen}
        assert told["openat"].get("fd_name") == path
        assert told["eventfd2"].get("fd_name") == "anon_inode:[eventfd]"
        assert told["epoll_create1"].get("fd_type") == "eventpoll"
        assert told["memfd_create"].get("fd_name") == "memfd:scratch"
        assert told["socket"].get("fd_protocol") == "tcp"
        assert told["accept4"].get("fd") == server
        assert told["accept4"].get("fd_role") == "server"
        name = f"127.0.0.1:{client_port} -> 127.0.0.1:{server_port}"
        assert told["accept4"].get("fd_name") == name

    def test_a_failed_open_has_no_descriptor(self, watch: Watch, actor: Actor) -> None:
        watch.probe.set_pids(frozenset({actor.pid}))
        watch.subscribe("syscall_exit-openat")
        actor.do("open_path", "/nowhere/at/all")
        (record,) = watch.records()
        assert described(record) == {}

    def test_a_refused_connect_tells_which_socket(self, watch: Watch, actor: Actor) -> None:
        watch.probe.set_pids(frozenset({actor.pid}))
        watch.subscribe("syscall_exit-connect")
        actor.do("refused")
        (record,) = watch.records()
        assert record.get("errno") == "ECONNREFUSED"
        assert (record.get("fd_type"), record.get("fd_protocol")) == ("ipv4_sock", "tcp")


class TestWhereItComesFrom:
    def test_each_record_tells_its_source_its_type_and_its_monotonic_time(
        self, watch: Watch, actor: Actor
    ) -> None:
        watch.probe.set_pids(frozenset({actor.pid}))
        watch.subscribe("syscall_enter-openat", "syscall_exit-openat")
        begun = watch.probe.clock.monotonic_ns()
        actor.do("open_path", "/etc/passwd")
        ended = watch.probe.clock.monotonic_ns()
        enter, leave = watch.records()
        assert (enter.get("source"), enter.get("type_id")) == ("syscall_enter", 306)
        assert (leave.get("source"), leave.get("type_id")) == ("syscall_exit", 307)
        for record in (enter, leave):
            stamp = number(record.get("mono_ns"))
            assert begun <= stamp <= ended


class TestWithoutDescriptions:
    @contextmanager
    def seen_by(self, actor: Actor, **options: bool) -> Iterator[list[Record]]:
        """What another probe sees of the actor opening, reading and closing a file."""
        clock = SystemClock()
        probe = KernelProbe(clock, Logbook(clock), **options)
        probe.set_pids(frozenset({actor.pid}))
        calls = ("openat", "read", "close")
        for call in calls:
            probe.subscribe(f"syscall_exit-{call}", "" if call == "openat" else "file")
        probe.start()
        try:
            assert probe.wait_ready(READY_S), probe.status()
            actor.do("read_one", "file")
            probe.drain()
            records = probe.rings["kernel_event"].since(0).records
            assert [record.get("name") for record in records] == list(calls)
            yield list(records)
        finally:
            probe.stop()

    def test_they_can_be_left_out(self, actor: Actor) -> None:
        with self.seen_by(actor, describe_fds=False) as records:
            assert [record.get("fd_name") for record in records] == [None] * 3
            assert records[1].get("fd_type") == "file"

    def test_a_kernel_that_lacks_the_members_still_tells_the_type(
        self, actor: Actor, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        for feature in ("PATH", "INODE", "SOCKET", "ROLE", "UNIX", "NAMESPACE"):
            monkeypatch.setitem(features.MEMBERS, feature, (("O_NONE", "no_structure", "none"),))
        with self.seen_by(actor) as records:
            assert [described(record) for record in records] == [{"fd_type": "file"}] * 3
