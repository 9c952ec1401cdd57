"""What chosen processes say over their sockets, as the payload programs tell it."""

from __future__ import annotations

import os
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from engine.core.errors import ProbeError, UsageError
from engine.probe.payload import PayloadSource
from engine.probe.payload_items import Endpoint, Payload
from engine.probe.probe import KernelProbe
from tests.kernel.actor import Actor
from tests.kernel.conftest import READY_S, new_probe
from tests.kernel.kernel_facts import attached_tracepoints
from tests.waiting import wait_until

pytestmark = pytest.mark.kernel

TALKER = Path(__file__).with_name("talker_process.py")
PAGE = os.sysconf("SC_PAGESIZE")


class Talker(Actor):
    """An actor whose answers are not worth a type of their own."""

    def __init__(self) -> None:
        super().__init__(TALKER)

    def ask(self, command: str, *arguments: object) -> Any:
        """Give a command; returns what it answered."""
        return self.do(command, *arguments)


@pytest.fixture
def server() -> Iterator[Talker]:
    with Talker() as one:
        yield one


@pytest.fixture
def client() -> Iterator[Talker]:
    with Talker() as one:
        yield one


@pytest.fixture
def payloads(running_probe: KernelProbe) -> Iterator[PayloadSource]:
    source = running_probe.payloads
    yield source
    source.choose(frozenset())
    while source.drain():
        pass


def everything(source: PayloadSource) -> list[Payload]:
    items: list[Payload] = []
    while batch := source.drain(100):
        items += batch
    assert source.counters().balanced
    return items


def data_of(items: list[Payload], tgid: int, direction: str = "") -> list[Payload]:
    return [
        item
        for item in items
        if item.kind == "data" and item.tgid == tgid and direction in ("", item.direction)
    ]


def connected(server: Talker, client: Talker, kind: str = "tcp4") -> tuple[Any, Any]:
    """A connection between the two; what accept and connect answered."""
    address = server.ask("serve", kind)
    if kind == "mapped":
        address[0], kind = "127.0.0.1", "tcp4"
    server.tell("accept")
    joined = client.ask("connect", kind, *address)
    accepted = server.answer()
    return accepted, joined


class TestHttp:
    PAGES = 20

    def test_both_sides_requests_and_responses_are_complete_and_in_order(
        self, payloads: PayloadSource, server: Talker, client: Talker, tmp_path: Path
    ) -> None:
        names = [f"page{number}" for number in range(self.PAGES)]
        for name in names:
            (tmp_path / name).write_text(f"content of {name}")
        port = server.ask("http_server", str(tmp_path))
        payloads.choose(frozenset({server.pid, client.pid}))
        answers = client.ask("http_get", port, *(f"/{name}" for name in names))
        assert [status for status, _ in answers] == [200] * self.PAGES
        # The server's thread may still be closing the last connection.
        items: list[Payload] = []

        def closed() -> int:
            items.extend(everything(payloads))
            return sum(one.kind == "close" and one.tgid == server.pid for one in items)

        wait_until(lambda: closed() >= self.PAGES)
        for tgid, asks in ((client.pid, "out"), (server.pid, "in")):
            flows: dict[int, list[Payload]] = {}
            for item in data_of(items, tgid):
                flows.setdefault(item.inode, []).append(item)
            assert len(flows) == self.PAGES
            for name, talk in zip(names, flows.values(), strict=True):
                asked = b"".join(one.data for one in talk if one.direction == asks)
                told = b"".join(one.data for one in talk if one.direction != asks)
                assert asked.startswith(f"GET /{name} HTTP/1.1\r\n".encode())
                assert asked.endswith(b"\r\n\r\n")
                assert told.startswith(b"HTTP/1.0 200 OK\r\n")
                assert told.endswith(f"\r\n\r\ncontent of {name}".encode())
                assert talk[0].direction == asks
                assert sum(len(one.data) for one in talk) == sum(one.length for one in talk)
                end = {one.remote if tgid == client.pid else one.local for one in talk}
                assert end == {Endpoint("127.0.0.1", port)}
        assert {item.tgid for item in items} == {server.pid, client.pid}
        assert not any(item.missing for item in items)
        roles = [(item.kind, item.tgid) for item in items if item.kind in ("accept", "connect")]
        assert sorted(roles) == sorted(
            [("accept", server.pid), ("connect", client.pid)] * self.PAGES
        )


class TestItem:
    @pytest.mark.parametrize(
        ("kind", "family"), [("tcp4", "ipv4"), ("tcp6", "ipv6"), ("mapped", "ipv4")]
    )
    def test_it_tells_whose_socket_both_ends_and_both_stamps(
        self, payloads: PayloadSource, server: Talker, client: Talker, kind: str, family: str
    ) -> None:
        payloads.choose(frozenset({server.pid, client.pid}))
        (server_fd, peer), (client_fd, own) = connected(server, client, kind)
        inode = client.ask("inode")
        began = time.time_ns()
        assert client.ask("send", "write", "hello") == 5
        ended = time.time_ns()
        assert server.ask("receive", "read") == "hello"
        items = everything(payloads)
        (sent,), (received,) = data_of(items, client.pid), data_of(items, server.pid)
        assert sent.direction == "out"
        assert received.direction == "in"
        assert sent.data == received.data == b"hello"
        assert sent.length == received.length == 5
        assert (sent.fd, received.fd) == (client_fd, server_fd)
        assert (sent.tid, received.tid) == (client.pid, server.pid)
        assert sent.inode == inode != received.inode
        assert sent.family == received.family == family
        assert sent.protocol == received.protocol == "tcp"
        assert sent.local == received.remote == Endpoint(own[0], own[1])
        assert peer[1] == own[1]
        assert sent.remote == received.local
        slack = 50_000_000  # the clocks drift apart until they are compared again
        assert sent.entered_ns is not None
        assert began - slack <= sent.entered_ns <= sent.ts_ns <= ended + slack
        assert sent.comm == Path(f"/proc/{client.pid}/comm").read_text().strip()
        accept = next(item for item in items if item.kind == "accept")
        connect = next(item for item in items if item.kind == "connect")
        assert (accept.fd, accept.inode) == (received.fd, received.inode)
        assert (connect.fd, connect.inode) == (sent.fd, sent.inode)
        assert accept.remote == sent.local
        assert connect.remote == sent.remote

    def test_unix_sockets_have_a_family_and_no_addresses(
        self, payloads: PayloadSource, server: Talker, client: Talker
    ) -> None:
        payloads.choose(frozenset({server.pid, client.pid}))
        connected(server, client, "unix")
        client.do("send", "send", "over unix")
        server.do("receive", "recv")
        items = everything(payloads)
        for item in (*data_of(items, client.pid), *data_of(items, server.pid)):
            assert (item.data, item.family) == (b"over unix", "unix")
            assert (item.local, item.remote, item.protocol) == (None, None, "")
        assert len(data_of(items, client.pid)) == len(data_of(items, server.pid)) == 1

    @pytest.mark.parametrize("kind", ["udp4", "udp6"])
    def test_a_datagrams_other_end_comes_from_the_call(
        self, payloads: PayloadSource, server: Talker, client: Talker, kind: str
    ) -> None:
        payloads.choose(frozenset({server.pid, client.pid}))
        host, port = server.ask("serve", kind)
        server.do("take_listener")
        client.do("serve", kind)
        client.do("take_listener")
        client.do("send_to", "a datagram", host, port)
        server.do("receive", "recvfrom")
        items = everything(payloads)
        (sent,), (received,) = data_of(items, client.pid), data_of(items, server.pid)
        assert sent.data == received.data == b"a datagram"
        assert sent.protocol == received.protocol == "udp"
        assert sent.remote == received.local == Endpoint(host, port)
        assert received.remote == sent.local is not None

    def test_the_end_of_the_stream_and_the_close_are_told(
        self, payloads: PayloadSource, server: Talker, client: Talker
    ) -> None:
        payloads.choose(frozenset({server.pid, client.pid}))
        connected(server, client)
        client.do("shut")
        server.do("receive", "read")
        items = everything(payloads)
        (end,) = data_of(items, server.pid)
        assert (end.direction, end.length, end.data) == ("in", 0, b"")
        closes = [item for item in items if item.kind == "close"]
        assert [(item.tgid, item.remote) for item in closes] == [(client.pid, end.local)]


class TestCapture:
    @pytest.mark.parametrize("how", ["write", "writev", "send", "sendmsg"])
    @pytest.mark.parametrize(
        ("receive", "parts"), [("read", 1), ("recv", 1), ("readv", 3), ("recvmsg", 3)]
    )
    def test_the_parts_of_a_call_are_joined(
        self,
        payloads: PayloadSource,
        server: Talker,
        client: Talker,
        how: str,
        receive: str,
        parts: int,
    ) -> None:
        payloads.choose(frozenset({server.pid, client.pid}))
        connected(server, client)
        texts = ["first ", "", "second ", "third"]
        assert client.ask("send", how, *texts) == 18
        assert server.ask("receive", receive, 21, parts) == "first second third"
        items = everything(payloads)
        (sent,), (received,) = data_of(items, client.pid), data_of(items, server.pid)
        assert sent.data == received.data == b"first second third"
        assert sent.length == received.length == 18

    @pytest.mark.parametrize("cap", [0, 1, 1024, 16384])
    def test_no_more_than_the_cap_is_kept_and_the_length_is_true(
        self, payloads: PayloadSource, server: Talker, client: Talker, cap: int
    ) -> None:
        payloads.choose(frozenset({client.pid}), cap=cap)
        connected(server, client)
        text = "".join(f"{number:05}" for number in range(1000))
        for how, texts in (("send", [text]), ("writev", [text[:700], text[700:]])):
            assert client.ask("send", how, *texts) == 5000
        items = data_of(everything(payloads), client.pid)
        assert [item.data for item in items] == [text[:cap].encode()] * 2
        assert [item.length for item in items] == [5000] * 2

    def test_a_message_larger_than_anything_kept_is_cut(
        self, payloads: PayloadSource, server: Talker, client: Talker
    ) -> None:
        payloads.choose(frozenset({client.pid}), cap=16384)
        connected(server, client)
        client.do("send_many", 40_000, 1)
        (item,) = data_of(everything(payloads), client.pid)
        assert item.length == 40_000
        assert item.data == b"x" * 16384

    @pytest.mark.parametrize("how", ["sendfile", "splice"])
    def test_what_is_never_in_memory_has_a_length(
        self, payloads: PayloadSource, server: Talker, client: Talker, how: str
    ) -> None:
        payloads.choose(frozenset({server.pid, client.pid}))
        connected(server, client)
        assert client.ask("send_unread", how, "of a file") == 9
        assert server.ask("receive_unread", 100) == 9
        items = everything(payloads)
        (sent,), (received,) = data_of(items, client.pid), data_of(items, server.pid)
        for item, direction in ((sent, "out"), (received, "in")):
            assert (item.direction, item.length, item.data) == (direction, 9, b"")
            assert not item.missing
        assert (sent.local, sent.remote) == (received.remote, received.local)

    def test_what_is_sent_to_a_socket_that_is_closed_meanwhile_was_sent(
        self, payloads: PayloadSource, server: Talker, client: Talker
    ) -> None:
        payloads.choose(frozenset({client.pid}))
        connected(server, client)
        inode = client.ask("inode")
        assert client.ask("splice_while_it_is_closed", "of a file") == 9
        (sent,) = data_of(everything(payloads), client.pid)
        assert (sent.direction, sent.length, sent.inode) == ("out", 9, inode)
        assert (sent.family, sent.local) == ("", None)

    def test_every_message_of_a_call_is_told_up_to_a_limit(
        self, payloads: PayloadSource, server: Talker, client: Talker
    ) -> None:
        payloads.choose(frozenset({server.pid, client.pid}))
        before = payloads.counters()
        host, port = server.ask("serve", "udp4")
        server.do("take_listener")
        client.do("connect", "udp4", host, port)
        texts = [f"message {number}" for number in range(10)]
        assert client.ask("send", "sendmmsg", *texts) == 10
        assert server.ask("receive_messages", 3, 100) == 3
        items = everything(payloads)
        sent, received = data_of(items, client.pid), data_of(items, server.pid)
        assert [item.data.decode() for item in sent] == texts[:8]
        assert [item.message for item in sent] == list(range(8))
        assert [item.left_out for item in sent] == [0] * 7 + [2]
        assert [item.data.decode() for item in received] == texts[:3]
        assert [item.length for item in received] == [9] * 3
        after = payloads.counters()
        lost = after.dropped.get("beyond_limit", 0) - before.dropped.get("beyond_limit", 0)
        assert lost == 2
        assert payloads.losses() == {server.pid: 0, client.pid: 2}

    def test_what_is_only_looked_at_is_told_once_it_is_taken(
        self, payloads: PayloadSource, server: Talker, client: Talker
    ) -> None:
        payloads.choose(frozenset({server.pid}))
        connected(server, client)
        client.do("send", "send", "peeked")
        server.do("receive", "peek")
        server.do("receive", "recv")
        assert [item.data for item in data_of(everything(payloads), server.pid)] == [b"peeked"]

    def test_files_and_pipes_never_appear(self, payloads: PayloadSource, client: Talker) -> None:
        payloads.choose(frozenset({client.pid}))
        client.do("files_and_pipes", "no socket")
        # Its commands and answers go through pipes, too.
        assert everything(payloads) == []


class TestChoice:
    def test_nothing_is_attached_while_nobody_is_chosen(
        self, payloads: PayloadSource, client: Talker
    ) -> None:
        assert attached_tracepoints() == []
        payloads.choose(frozenset({client.pid}))
        assert attached_tracepoints() == ["sys_enter", "sys_exit", "sys_exit"]
        payloads.choose(frozenset())
        assert attached_tracepoints() == []

    def test_nobody_else_appears(
        self, payloads: PayloadSource, server: Talker, client: Talker
    ) -> None:
        payloads.choose(frozenset({client.pid}))
        connected(server, client)
        for one, other in ((client, server), (server, client)):
            one.do("send", "send", "text")
            other.do("receive", "recv")
        assert {item.tgid for item in everything(payloads)} == {client.pid}
        payloads.choose(frozenset({server.pid}))
        client.do("send", "send", "text")
        server.do("receive", "recv")
        assert {item.tgid for item in everything(payloads)} == {server.pid}

    def test_a_read_that_began_before_its_process_was_chosen_is_told(
        self, payloads: PayloadSource, server: Talker, client: Talker
    ) -> None:
        connected(server, client)
        server.do("receive_in_background")
        tasks = Path(f"/proc/{server.pid}/task")

        def one_waits() -> bool:
            calls = [(task / "syscall").read_text() for task in tasks.iterdir()]
            return any(call.startswith("45 ") for call in calls)

        wait_until(one_waits)
        payloads.choose(frozenset({server.pid}))
        client.do("send", "send", "late")
        assert client.ask("receive", "recv") == "late"
        received = data_of(everything(payloads), server.pid, "in")
        assert [(item.data, item.entered_ns) for item in received] == [(b"late", None)]
        assert received[0].tid != received[0].tgid

    def test_who_is_chosen_before_the_start_is_listened_to_from_the_start(
        self, server: Talker, client: Talker
    ) -> None:
        probe = new_probe()
        probe.payloads.choose(frozenset({client.pid}))
        assert probe.payloads.drain() == ()
        probe.start()
        try:
            assert probe.wait_ready(READY_S), probe.status()
            connected(server, client)
            client.do("send", "send", "early")
        finally:
            probe.stop()
        # What was captured stays to be drained.
        assert [item.data for item in data_of(everything(probe.payloads), client.pid)] == [b"early"]
        assert attached_tracepoints() == []

    @pytest.mark.parametrize(
        ("tgids", "cap"), [({0}, 10), ({1 << 22}, 10), (set(range(1, 5000)), 10), ({1}, 16385)]
    )
    def test_what_cannot_be_chosen_is_refused(
        self, payloads: PayloadSource, tgids: set[int], cap: int
    ) -> None:
        with pytest.raises(UsageError):
            payloads.choose(frozenset(tgids), cap=cap)
        assert payloads.chosen == frozenset()

    def test_a_refused_attachment_leaves_nobody_chosen(
        self, payloads: PayloadSource, client: Talker, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        from engine.probe.attachments import TRACEPOINT_OF

        with monkeypatch.context() as patched:
            patched.setitem(TRACEPOINT_OF, "on_payload_exit", "no_such_tracepoint")
            with pytest.raises(ProbeError):
                payloads.choose(frozenset({client.pid}))
        assert attached_tracepoints() == []
        assert payloads.chosen == frozenset()
        payloads.choose(frozenset({client.pid}))
        assert attached_tracepoints() == ["sys_enter", "sys_exit", "sys_exit"]


def test_every_loss_is_counted(server: Talker, client: Talker) -> None:
    probe = new_probe(payload_ring_bytes=PAGE)
    probe.payloads.choose(frozenset({client.pid}), cap=100)
    probe.start()
    try:
        assert probe.wait_ready(READY_S), probe.status()
        host, port = server.ask("serve", "udp4")
        client.do("connect", "udp4", host, port)
        client.do("send_many", 100, 1_000)
        items = everything(probe.payloads)
    finally:
        probe.stop()
    counters = probe.payloads.counters()
    assert counters.balanced
    assert counters.seen == 1_001  # the connect as well
    assert counters.kept == len(items) < 100
    assert counters.dropped == {"ring_full": 1_001 - len(items)}
    assert probe.payloads.losses() == {client.pid: 1_001 - len(items)}
    assert probe.payloads.kernel_counters().produced == 1_001
