"""Connections made, refused, reset and lost on purpose: what the probe must tell, and of whom."""

from __future__ import annotations

import errno
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from engine.core.records import Record
from engine.probe.hook_settings import HookSettings
from tests.kernel.actor import Actor
from tests.kernel.conftest import Watch, attributes
from tests.waiting import wait_until

pytestmark = pytest.mark.kernel

SCRIPT = Path(__file__).with_name("connection_process.py")
LOOPBACKS = ["127.0.0.1", "::1"]
MANY_BYTES = 100_000


@pytest.fixture
def client() -> Iterator[Actor]:
    with Actor(SCRIPT) as one:
        yield one


@pytest.fixture
def server() -> Iterator[Actor]:
    with Actor(SCRIPT) as one:
        yield one


def scope(watch: Watch, *actors: Actor) -> None:
    watch.probe.set_pids(frozenset(actor.pid for actor in actors))


def shown(host: str, port: int) -> str:
    return f"[{host}]:{port}" if ":" in host else f"{host}:{port}"


def states(records: list[Record]) -> list[str]:
    """The transitions, as OLD>NEW."""
    return [f"{attributes(one)['old_state']}>{attributes(one)['new_state']}" for one in records]


def converse(client: Actor, server: Actor, host: str = "127.0.0.1") -> tuple[int, int]:
    """Connect and accept; returns the server's and the client's port."""
    port = server.do("listen", "listener", host)
    assert isinstance(port, int)
    local = client.do("connect", "c", host, port)
    assert isinstance(local, int)
    server.do("accept", "listener", "s")
    return port, local


def end(client: Actor, server: Actor) -> None:
    """Close the client's end first, then the server's."""
    client.do("close", "c")
    assert server.do("receive", "s", 1) == 0
    server.do("close", "s")
    server.do("close", "listener")


class TestTransitions:
    @pytest.mark.parametrize("host", LOOPBACKS)
    def test_both_ends_go_through_their_states_under_their_own_process(
        self, watch: Watch, client: Actor, server: Actor, host: str
    ) -> None:
        scope(watch, client, server)
        watch.subscribe("kprobe-tcp_set_state")
        port, local = converse(client, server, host)
        end(client, server)
        wait_until(lambda: "FIN_WAIT2>CLOSE" in states(watch.records(pid=client.pid)))
        ours = watch.records(pid=client.pid)
        theirs = watch.records(pid=server.pid)
        assert states(ours) == [
            "CLOSE>SYN_SENT",
            "SYN_SENT>ESTABLISHED",
            "ESTABLISHED>FIN_WAIT1",
            "FIN_WAIT1>FIN_WAIT2",
            "FIN_WAIT2>CLOSE",
        ]
        accepted = [one for one in theirs if attributes(one)["role"] == "server"]
        assert states(accepted) == [
            "LISTEN>SYN_RECV",
            "SYN_RECV>ESTABLISHED",
            "ESTABLISHED>CLOSE_WAIT",
            "CLOSE_WAIT>LAST_ACK",
            "LAST_ACK>CLOSE",
        ]
        own = [one for one in theirs if attributes(one)["role"] == "listener"]
        assert states(own) == ["CLOSE>LISTEN", "LISTEN>CLOSE"]
        assert len(watch.records()) == len(ours) + len(theirs)
        assert {attributes(one)["src"] for one in ours[1:]} == {shown(host, local)}
        assert {attributes(one)["dst"] for one in ours} == {shown(host, port)}
        assert {attributes(one)["src"] for one in accepted} == {shown(host, port)}
        assert {attributes(one)["dst"] for one in accepted} == {shown(host, local)}
        assert {one.get("category") for one in ours + theirs} == {"net"}
        assert [attributes(one)["owner"] for one in accepted][:2] == ["accepted"] * 2
        assert {attributes(one)["role"] for one in ours} == {"client"}

    def test_an_ipv4_client_of_an_ipv6_listener_is_shown_as_ipv4(
        self, watch: Watch, client: Actor, server: Actor
    ) -> None:
        port = server.do("listen", "listener", "::")
        scope(watch, server)
        watch.subscribe("kprobe-tcp_set_state")
        local = client.do("connect", "c", "127.0.0.1", port)
        server.do("accept", "listener", "s")
        (first, second) = watch.records(pid=server.pid)
        for one in (first, second):
            told = attributes(one)
            assert (told["src"], told["dst"]) == (f"127.0.0.1:{port}", f"127.0.0.1:{local}")
            assert (told["sip"], told["sport"]) == ("127.0.0.1", port)
            assert (told["dip"], told["dport"]) == ("127.0.0.1", local)


class TestNames:
    def test_a_name_chooses_sockets_by_their_owner(
        self, watch: Watch, client: Actor, server: Actor
    ) -> None:
        """Most of what happens to a socket happens on top of another thread."""
        server.do("rename", "odd server")
        converse(client, server)
        watch.probe.set_filters(replace(watch.probe.filters, comms=frozenset({"odd server"})))
        try:
            watch.subscribe("kprobe-tcp_set_state", "tracepoint-tcp_receive_reset")
            client.do("reset", "c")
            told = watch.records()
        finally:
            watch.probe.set_filters(replace(watch.probe.filters, comms=frozenset()))
        assert [one.get("name") for one in told] == ["tcp_receive_reset", "tcp_set_state"]
        assert {(one.pid, one.comm) for one in told} == {(server.pid, "odd server")}

    def test_an_owner_that_was_renamed_is_told_by_its_new_name(
        self, watch: Watch, client: Actor, server: Actor
    ) -> None:
        """As are those that changed their user, or that were executed anew with the socket."""
        scope(watch, client, server)
        watch.subscribe("kprobe-tcp_set_state", "tracepoint-tcp_receive_reset")
        converse(client, server)
        client.do("send", "c", 1)
        server.do("receive", "s", 1)
        server.do("rename", "second name")
        client.do("send", "c", 1)
        server.do("receive", "s", 1)
        watch.restart()
        client.do("reset", "c")
        told = watch.records(pid=server.pid)
        assert [one.get("name") for one in told] == ["tcp_receive_reset", "tcp_set_state"]
        assert {one.comm for one in told} == {"second name"}


class TestConnect:
    @pytest.mark.parametrize("host", LOOPBACKS)
    def test_a_connect_that_is_answered(
        self, watch: Watch, client: Actor, server: Actor, host: str
    ) -> None:
        scope(watch, client, server)
        watch.subscribe("kretprobe-tcp_connect")
        port, local = converse(client, server, host)
        (told,) = watch.records()
        assert (told.pid, told.get("event")) == (client.pid, "kretprobe-tcp_connect")
        assert attributes(told)["src"] == shown(host, local)
        assert attributes(told)["dst"] == shown(host, port)
        assert (attributes(told)["retval"], attributes(told)["outcome"]) == (0, "established")
        assert told.get("latency_ns")

    def test_a_connect_that_is_refused_and_the_reset_it_gets(
        self, watch: Watch, client: Actor
    ) -> None:
        scope(watch, client)
        watch.subscribe(
            "kretprobe-tcp_connect",
            "tracepoint-tcp_receive_reset",
            "tracepoint-tcp_send_reset",
            "kprobe-tcp_set_state",
        )
        port = client.do("refused")
        dst = f"127.0.0.1:{port}"
        (connect,) = watch.records(name="tcp_connect")
        assert attributes(connect)["outcome"] == "ECONNREFUSED"
        (received,) = watch.records(name="tcp_receive_reset")
        for one in (connect, received):
            assert (one.pid, attributes(one)["dst"]) == (client.pid, dst)
        assert states(watch.records(name="tcp_set_state")) == ["CLOSE>SYN_SENT", "SYN_SENT>CLOSE"]
        # The reset itself comes from a port that nobody has.
        assert watch.records(name="tcp_send_reset") == []

    def test_a_connect_that_is_never_answered_is_told_once_and_its_syn_again(
        self, watch: Watch, client: Actor
    ) -> None:
        scope(watch, client)
        watch.subscribe("kretprobe-tcp_connect", "kprobe-tcp_retransmit_skb")
        answer = client.do("into_the_void", 1)
        assert isinstance(answer, list)
        error, sent_again = answer
        assert error == errno.ETIMEDOUT
        (connect,) = watch.records(name="tcp_connect")
        assert attributes(connect)["outcome"] == "no answer yet"
        assert attributes(connect)["dst"] == "192.0.2.2:80"
        again = watch.records(name="tcp_retransmit_skb")
        assert [attributes(one)["state"] for one in again] == ["SYN_SENT"] * sent_again
        assert sent_again > 0
        assert {one.pid for one in [connect, *again]} == {client.pid}
        assert {attributes(one)["segs"] for one in again} == {1}

    def test_a_connect_that_is_given_up_is_told(self, watch: Watch, client: Actor) -> None:
        scope(watch, client)
        watch.subscribe("kretprobe-tcp_connect")
        client.do("give_up")
        (connect,) = watch.records()
        assert (attributes(connect)["retval"], attributes(connect)["outcome"]) == (0, "given up")
        assert attributes(connect)["dst"] == "192.0.2.2:80"


class TestFaithful:
    """As Kindling: IPv4 alone, states around ESTABLISHED, nothing of port 22, and a socket's
    first segment only starts its clock."""

    @pytest.fixture(autouse=True)
    def unfaithful(self, watch: Watch) -> Iterator[None]:
        yield
        watch.probe.set_hooks(HookSettings())
        watch.probe.set_filters(replace(watch.probe.filters, faithful=False))

    @pytest.mark.parametrize(
        ("host", "told"),
        [
            ("127.0.0.1", ["SYN_SENT>ESTABLISHED", "ESTABLISHED>FIN_WAIT1"]),
            ("::1", []),
        ],
    )
    def test_states_are_those_around_established_of_ipv4(
        self, watch: Watch, client: Actor, server: Actor, host: str, told: list[str]
    ) -> None:
        scope(watch, client)
        watch.probe.set_filters(replace(watch.probe.filters, faithful=True))
        watch.subscribe("kprobe-tcp_set_state", "kprobe-tcp_close", "kretprobe-tcp_connect")
        converse(client, server, host)
        end(client, server)
        assert states(watch.records(name="tcp_set_state")) == told
        assert len(watch.records(name="tcp_connect")) == len(told) // 2
        assert len(watch.records(name="tcp_close")) == len(told) // 2

    @pytest.mark.parametrize(("faithful", "closes"), [(True, 0), (False, 2)])
    def test_port_22_is_left_out(
        self, watch: Watch, client: Actor, server: Actor, faithful: bool, closes: int
    ) -> None:
        port = server.do("listen", "listener", "127.0.0.222", 22)
        scope(watch, client, server)
        watch.probe.set_filters(replace(watch.probe.filters, faithful=faithful))
        watch.subscribe("kprobe-tcp_close")
        client.do("connect", "c", "127.0.0.222", port)
        server.do("accept", "listener", "s")
        end(client, server)
        assert len(watch.records()) == closes

    def test_the_first_segment_is_not_told(
        self, watch: Watch, client: Actor, server: Actor
    ) -> None:
        converse(client, server)
        scope(watch, server)
        watch.probe.set_filters(replace(watch.probe.filters, faithful=True))
        watch.probe.set_hooks(HookSettings(segment_interval_s=0.001))
        watch.subscribe("kprobe-tcp_rcv_established")
        client.do("send", "c", 1)
        server.do("receive", "s", 1)
        assert watch.records() == []
        client.do("after", 0.002)
        client.do("send", "c", 2)
        server.do("receive", "s", 2)
        (told,) = watch.records()
        assert attributes(told)["data_len"] == 2


class TestClose:
    def test_each_end_closes_once_with_what_it_sent_and_received(
        self, watch: Watch, client: Actor, server: Actor
    ) -> None:
        scope(watch, client, server)
        watch.subscribe("kprobe-tcp_close")
        converse(client, server)
        client.do("send", "c", 5)
        server.do("receive", "s", 5)
        server.do("send", "s", 3)
        client.do("receive", "c", 3)
        end(client, server)
        ours, theirs = watch.records()
        assert (ours.pid, theirs.pid) == (client.pid, server.pid)
        for one, sent, received, state in (
            (ours, 5, 3, "ESTABLISHED"),
            (theirs, 3, 5, "CLOSE_WAIT"),
        ):
            told = attributes(one)
            assert (told["bytes_sent"], told["bytes_received"]) == (sent, received)
            assert told["state"] == state
            assert isinstance(told["rtt"], int)
            assert told["rtt"] > 0

    def test_a_connection_that_was_reset_is_closed_by_its_owner(
        self, watch: Watch, client: Actor, server: Actor
    ) -> None:
        converse(client, server)
        scope(watch, client, server)
        watch.subscribe("kprobe-tcp_close")
        client.do("reset", "c")
        assert [one.pid for one in watch.records()] == [client.pid]
        assert server.do("receive", "s", 1) == -1
        server.do("close", "s")
        assert [one.pid for one in watch.records()] == [client.pid, server.pid]


class TestReset:
    @pytest.mark.parametrize("host", LOOPBACKS)
    def test_a_reset_is_told_to_each_end_under_its_own_name_and_process(
        self, watch: Watch, client: Actor, server: Actor, host: str
    ) -> None:
        port, local = converse(client, server, host)
        scope(watch, client, server)
        watch.subscribe("tracepoint-tcp_send_reset", "tracepoint-tcp_receive_reset")
        client.do("reset", "c")
        (sent,) = watch.records(name="tcp_send_reset")
        (received,) = watch.records(name="tcp_receive_reset")
        assert sent.get("event") == "tracepoint-tcp_send_reset"
        assert received.get("event") == "tracepoint-tcp_receive_reset"
        assert (sent.pid, received.pid) == (client.pid, server.pid)
        assert attributes(sent)["src"] == attributes(received)["dst"] == shown(host, local)
        assert attributes(sent)["dst"] == attributes(received)["src"] == shown(host, port)
        assert attributes(received)["owner"] == "seeded"
        assert attributes(received)["ctx_tid"] == client.pid
        assert str(attributes(sent)["reason"]).startswith("TCP_")
        assert len(watch.records()) == 2

    def test_a_connection_not_yet_accepted_belongs_to_who_listens(
        self, watch: Watch, client: Actor, server: Actor
    ) -> None:
        port = server.do("listen", "listener", "127.0.0.1")
        scope(watch, server)
        watch.subscribe("tracepoint-tcp_receive_reset")
        client.do("connect", "c", "127.0.0.1", port)
        client.do("reset", "c")
        (received,) = watch.records()
        assert (received.pid, attributes(received)["owner"]) == (server.pid, "accepted")

    @pytest.mark.parametrize("seeded", [True, False])
    @pytest.mark.parametrize("another", ["127.0.0.2", "::1"])
    def test_it_belongs_to_who_listens_at_its_address_and_not_just_at_its_port(
        self, watch: Watch, client: Actor, server: Actor, another: str, seeded: bool
    ) -> None:
        with Actor(SCRIPT) as other:
            if not seeded:
                watch.subscribe("tracepoint-tcp_receive_reset")
            port = server.do("listen", "listener", "127.0.0.1")
            other.do("listen", "listener", another, port)
            watch.subscribe("tracepoint-tcp_receive_reset")
            scope(watch, server, other)
            for host, listener in (("127.0.0.1", server), (another, other)):
                watch.restart()
                client.do("connect", "c", host, port)
                client.do("reset", "c")
                (received,) = watch.records()
                assert (received.pid, attributes(received)["owner"]) == (listener.pid, "accepted")

    @pytest.mark.parametrize(
        ("host", "through"), [("0.0.0.0", "127.0.0.1"), ("::", "127.0.0.1"), ("::", "::1")]
    )
    def test_it_belongs_to_who_listens_at_any_address(
        self, watch: Watch, client: Actor, server: Actor, host: str, through: str
    ) -> None:
        port = server.do("listen", "listener", host)
        scope(watch, server)
        watch.subscribe("tracepoint-tcp_receive_reset")
        client.do("connect", "c", through, port)
        client.do("reset", "c")
        (received,) = watch.records()
        assert (received.pid, attributes(received)["owner"]) == (server.pid, "accepted")

    def test_a_child_that_reads_a_connection_takes_it_over(
        self, watch: Watch, client: Actor, server: Actor
    ) -> None:
        converse(client, server)
        watch.probe.set_pids(frozenset())
        watch.subscribe("tracepoint-tcp_receive_reset")
        client.do("send", "c", 1)
        child = server.do("fork_and_receive", "s")
        client.do("reset", "c")
        (received,) = [one for one in watch.records() if attributes(one)["ctx_tid"] == client.pid]
        assert (received.pid, attributes(received)["owner"]) == (child, "socket")

    def test_a_reset_nobody_owns_is_told_without_a_process_and_counted_under_a_scope(
        self, watch: Watch, client: Actor
    ) -> None:
        watch.subscribe("tracepoint-tcp_send_reset")
        port = client.do("refused")
        (sent,) = watch.records(src=f"127.0.0.1:{port}")
        assert (sent.pid, sent.comm, sent.get("tid")) == (None, None, None)
        assert (attributes(sent)["owner"], attributes(sent)["reason"]) == (None, "NO_SOCKET")
        before = watch.probe.kernel_counters().unowned
        scope(watch, client)
        port = client.do("refused")
        assert watch.records(src=f"127.0.0.1:{port}") == []
        assert watch.probe.kernel_counters().unowned > before


class TestLoss:
    @pytest.fixture(autouse=True)
    def own_network(self, client: Actor, server: Actor) -> None:
        """The kernel remembers of each address how slow it was: of these, nobody else shall."""
        server.do("own_network")
        client.do("join_network", server.pid)

    def test_segments_sent_again_are_those_the_kernel_counts(
        self, watch: Watch, client: Actor, server: Actor
    ) -> None:
        port, local = converse(client, server)
        scope(watch, client)
        watch.subscribe("kprobe-tcp_retransmit_skb")
        server.do("deafen", "s")
        client.do("send", "c", MANY_BYTES)
        client.do("wait_for_retransmits", "c", 3)
        server.do("hear", "s")
        server.do("receive", "s", MANY_BYTES)
        told = client.do("wait_acknowledged", "c")
        again = watch.records()
        assert len(again) == told
        assert {one.pid for one in again} == {client.pid}
        assert {(attributes(one)["src"], attributes(one)["dst"]) for one in again} == {
            (f"127.0.0.1:{local}", f"127.0.0.1:{port}")
        }
        assert {attributes(one)["owner"] for one in again} <= {"seeded", "socket"}

    @pytest.mark.parametrize("host", LOOPBACKS)
    def test_an_answer_that_is_not_heard_is_sent_again_by_who_listens(
        self, watch: Watch, client: Actor, server: Actor, host: str
    ) -> None:
        port = server.do("listen", "listener", host)
        scope(watch, server)
        watch.subscribe("tracepoint-tcp_retransmit_synack")
        local = client.do("connect_deaf", "c", host, port)
        assert isinstance(port, int)
        assert isinstance(local, int)
        wait_until(watch.records)
        client.do("hear", "c")
        server.do("accept", "listener", "s")
        for one in watch.records():
            assert one.pid == server.pid
            assert attributes(one)["src"] == shown(host, port)
            assert attributes(one)["dst"] == shown(host, local)

    @pytest.mark.parametrize("host", LOOPBACKS)
    def test_a_segment_that_was_already_there_is_dropped_with_the_kernels_reason(
        self, watch: Watch, client: Actor, server: Actor, host: str
    ) -> None:
        port, local = converse(client, server, host)
        scope(watch, server)
        watch.subscribe("kprobe-tcp_drop")
        client.do("deafen", "c")  # no acknowledgement arrives
        client.do("send", "c", 5)
        server.do("receive", "s", 5)
        client.do("wait_for_retransmits", "c", 3)
        client.do("hear", "c")
        told = client.do("wait_acknowledged", "c")
        dropped = watch.records()
        assert len(dropped) == told
        for one in dropped:
            assert one.pid == server.pid
            assert attributes(one)["src"] == shown(host, port)
            assert attributes(one)["dst"] == shown(host, local)
            assert str(attributes(one)["reason"]).startswith("TCP_OLD_")

    @pytest.mark.parametrize("host", LOOPBACKS)
    def test_datagrams_that_find_no_room_are_dropped_at_their_socket(
        self, watch: Watch, client: Actor, host: str
    ) -> None:
        scope(watch, client)
        watch.subscribe("tracepoint-udp_drop")
        answer = client.do("overrun", host, 50)
        assert isinstance(answer, list)
        port, got = answer
        dropped = watch.records()
        assert 0 < got < 50
        assert len(dropped) == 50 - got
        assert {one.pid for one in dropped} == {client.pid}
        assert {attributes(one)["reason"] for one in dropped} == {"SOCKET_RCVBUFF"}
        assert {attributes(one)["src"] for one in dropped} == {shown(host, port)}

    def test_a_connection_without_trouble_shows_none(
        self, watch: Watch, client: Actor, server: Actor
    ) -> None:
        scope(watch, client, server)
        watch.subscribe(
            "kprobe-tcp_drop",
            "kprobe-tcp_retransmit_skb",
            "tracepoint-tcp_send_reset",
            "tracepoint-tcp_receive_reset",
        )
        converse(client, server)
        client.do("send", "c", 5)
        server.do("receive", "s", 5)
        end(client, server)
        assert watch.records() == []


class TestSegments:
    def test_a_socket_is_told_of_at_its_first_segment_and_then_rarely(
        self, watch: Watch, client: Actor, server: Actor
    ) -> None:
        converse(client, server)
        scope(watch, server)
        watch.subscribe("kprobe-tcp_rcv_established")
        for _ in range(5):
            client.do("send", "c", 10)
            server.do("receive", "s", 10)
        (first,) = watch.records()
        assert first.pid == server.pid
        assert attributes(first)["data_len"] == 10
        assert isinstance(attributes(first)["rtt"], int)

    def test_without_an_interval_every_segment_is_told(
        self, watch: Watch, client: Actor, server: Actor
    ) -> None:
        converse(client, server)
        scope(watch, server)
        watch.probe.set_hooks(HookSettings(segment_interval_s=0.0))
        try:
            watch.subscribe("kprobe-tcp_rcv_established")
            for _ in range(5):
                client.do("send", "c", 10)
                server.do("receive", "s", 10)
            told = watch.records()
        finally:
            watch.probe.set_hooks(HookSettings())
        assert [attributes(one)["data_len"] for one in told] == [10] * 5
