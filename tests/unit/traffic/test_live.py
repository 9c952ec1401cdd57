"""What processes say over their sockets, as segments and messages."""

from __future__ import annotations

from collections import deque
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Literal

import pytest

from engine.core.clock import SystemClock
from engine.core.counters import Counters
from engine.core.source import Logbook
from engine.traffic.flows import FlowTable
from engine.traffic.live import PAYLOAD_CAP, LiveInput
from engine.traffic.source import TrafficSource
from tests.unit.traffic.test_dns import ANSWER, QUERY

CLIENT, SERVER = ("127.0.0.1", 40_000), ("127.0.0.1", 80)
GET = b"GET /a HTTP/1.1\r\nHost: h\r\n\r\n"
OK = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nhi"
MS = 1_000_000


@dataclass(frozen=True)
class Item:
    """One message of a socket."""

    kind: Literal["data", "accept", "connect", "close"] = "data"
    direction: Literal["in", "out"] = "out"
    ts_ns: int = 0
    entered_ns: int | None = None
    tgid: int = 1
    comm: str = "client"
    inode: int = 1
    family: Literal["ipv4", "ipv6", "unix", ""] = "ipv4"
    protocol: str = "tcp"
    local: tuple[str, int] | None = CLIENT
    remote: tuple[str, int] | None = SERVER
    length: int = 0
    data: bytes = b""
    missing: bool = False


class Feed:
    """Gives what it was told to."""

    def __init__(self, *items: Item, lost: int = 0) -> None:
        self.items = deque(items)
        self.lost = lost
        self.chosen: list[tuple[frozenset[int], int]] = []

    def choose(self, tgids: frozenset[int], *, cap: int = 0) -> None:
        self.chosen.append((tgids, cap))

    def drain(self, limit: int = 1_000) -> Sequence[Item]:
        return [self.items.popleft() for _ in range(min(limit, len(self.items)))]

    def counters(self) -> Counters:
        return Counters(self.lost, 0, {"ring_full": self.lost} if self.lost else {})

    def losses(self) -> Mapping[int, int]:
        return {1: self.lost}


class Story:
    """Items of a client (pid 1) and a server (pid 2), 1 ms apart."""

    def __init__(self, protocol: str = "tcp") -> None:
        self.protocol = protocol
        self.now_ns = 1_700_000_000_000_000_000
        self.items: list[Item] = []

    def client(self, direction: Literal["in", "out"], data: bytes, length: int = 0) -> Story:
        return self._add(direction, data, length, 1, "client", 1, CLIENT, SERVER)

    def server(
        self, direction: Literal["in", "out"], data: bytes, local: tuple[str, int] = SERVER
    ) -> Story:
        return self._add(direction, data, 0, 2, "server", 2, local, CLIENT)

    def _add(
        self, direction: Literal["in", "out"], data: bytes, length: int, pid: int, comm: str,
        inode: int, local: tuple[str, int], remote: tuple[str, int],
    ) -> Story:  # fmt: skip
        self.now_ns += MS
        self.items.append(
            Item("data", direction, self.now_ns, self.now_ns - MS // 10, pid, comm, inode, "ipv4",
                 self.protocol, local, remote, length or len(data), data)
        )  # fmt: skip
        return self


def read(*items: Item, lost: int = 0) -> TrafficSource:
    """A source that has read all of it."""
    clock = SystemClock()
    source = TrafficSource(
        clock, Logbook(clock), inputs=[LiveInput(clock, Feed(*items, lost=lost))], wasm=None
    )
    source._stop.set()
    source.run_once()
    return source


def rows(source: TrafficSource, *names: str) -> list[tuple[object, ...]]:
    records = source.rings["l7_message"].since(0).records
    return [tuple(record.get(name) for name in names) for record in records]


def test_one_end_is_enough() -> None:
    source = read(*Story().client("out", GET).client("in", OK).items)
    assert rows(source, "request", "status", "latency_ms", "client_pid", "server_pid") == [
        ("GET /a", "200", 1.1, 1, None)
    ]
    assert rows(source, "pid", "comm", "source", "session") == [(1, "client", "live", "answered")]


def test_a_connection_heard_at_both_ends_is_one_message_with_both_processes() -> None:
    story = Story().client("out", GET).server("in", GET).server("out", OK).client("in", OK)
    source = read(*story.items)
    assert rows(source, "request", "latency_ms", "client_pid", "server_pid") == [
        ("GET /a", 3.1, 1, 2)
    ]
    counters = source.counters()
    assert (counters.seen, counters.kept, counters.dropped) == (4, 4, {})


def test_it_is_read_at_the_clients_end_even_if_the_server_is_heard_first() -> None:
    joined = [
        Item("accept", tgid=2, comm="server", inode=2, local=SERVER, remote=CLIENT),
        Item("connect"),
    ]
    story = Story().server("in", GET).client("out", GET).server("out", OK).client("in", OK)
    source = read(*joined, *story.items)
    assert rows(source, "latency_ms", "client_pid", "server_pid") == [(2.1, 1, 2)]


def test_nothing_is_kept_of_a_connection_that_both_ends_have_closed() -> None:
    joined = [
        Item("connect"),
        Item("accept", tgid=2, comm="server", inode=2, local=SERVER, remote=CLIENT),
    ]
    story = Story().client("out", GET).server("in", GET).server("out", OK).client("in", OK)
    ends = [Item("close", tgid=pid, inode=pid, local=None, remote=None) for pid in (2, 1)]
    flows = FlowTable()
    for heard in LiveInput(SystemClock(), Feed(*joined, *story.items, *ends)).items(
        lambda _s: True
    ):
        if not isinstance(heard, str):
            flow, _gone = flows.find(heard)
            if flow is not None and flow.close(heard):
                flows.remove(heard)
    assert len(flows) == 0


def test_an_end_that_tells_nothing_is_given_up() -> None:
    joined = [
        Item("connect"),
        Item("accept", tgid=2, comm="server", inode=2, local=SERVER, remote=CLIENT),
    ]
    story = Story()
    for _ in range(6):
        story.server("in", GET).server("out", OK)
    source = read(*joined, *story.items)
    assert ("GET /a", "200") in rows(source, "request", "status")


def test_datagrams_of_a_socket_bound_to_any_address() -> None:
    story = Story("udp").client("out", QUERY).server("in", QUERY, ("0.0.0.0", 80))
    story.server("out", ANSWER, ("0.0.0.0", 80)).client("in", ANSWER)
    source = read(*story.items)
    assert rows(source, "protocol", "request", "status", "client_pid", "server_pid") == [
        ("DNS", "A www.test", "NOERROR", 1, 2)
    ]


def test_who_exchanged_datagrams_is_forgotten_after_a_while_and_connections_are_not() -> None:
    for protocol, kept in (("udp", 0), ("tcp", 2)):
        clock = SystemClock()
        story = Story(protocol).client("out", QUERY).server("in", QUERY)
        heard = LiveInput(clock, Feed(*story.items))
        assert "idle" in list(heard.items(lambda _seconds: True))
        assert len(heard._sockets) == kept


def test_a_body_that_was_not_copied_whole_is_stepped_over() -> None:
    long = OK.replace(b"Length: 2", b"Length: 90000")
    story = Story().client("out", GET).client("in", long, len(long) - 2 + 50_000)
    story.client("in", b"x" * 4_096, 40_000).client("out", GET).client("in", OK)
    source = read(*story.items)
    assert rows(source, "request", "status", "response_bytes") == [
        ("GET /a", "200", len(long) - 2 + 90_000),
        ("GET /a", "200", len(OK)),
    ]
    assert source.counters().dropped == {}


@pytest.mark.parametrize("parent_closes", [0, 1])
def test_a_server_that_forks_for_each_connection_closes_it_without_ending_it(
    parent_closes: int,
) -> None:
    story = Story().server("in", GET).server("out", OK)
    child = [replace(item, tgid=3, comm="child") for item in story.items]
    accepted = Item("accept", tgid=2, comm="server", inode=2, local=SERVER, remote=CLIENT)
    child.insert(parent_closes, Item("close", tgid=2, inode=2, local=None, remote=None))
    source = read(accepted, *child)
    assert rows(source, "request", "status", "session", "server_pid") == [
        ("GET /a", "200", "answered", 3)
    ]


def test_a_connection_that_is_closed_gives_its_request_up() -> None:
    story = Story().client("out", GET)
    source = read(*story.items, Item("close"))
    assert rows(source, "request", "session") == [("GET /a", "unanswered")]


def test_what_the_kernel_lost_is_counted_and_pairs_nothing_wrongly() -> None:
    clock = SystemClock()
    feed = Feed(*Story().client("out", GET).items)
    heard = LiveInput(clock, feed)
    source = TrafficSource(clock, Logbook(clock), inputs=[heard], wasm=None)

    def wait(_: float) -> bool:
        if feed.lost:
            return True
        feed.lost = 3
        feed.items.extend(Story().client("in", OK).items)
        return False

    source._stop.wait = wait  # type: ignore[method-assign, assignment]
    source.run_once()
    assert rows(source, "request", "session") == [("GET /a", "unanswered"), ("", "unmatched")]
    counters = source.counters()
    assert counters.balanced
    assert counters.dropped == {"ring_full": 3}


@pytest.mark.parametrize(
    ("item", "reason"),
    [
        (Item(family="unix", protocol="", local=None, remote=None), "unix_socket"),
        (Item(family="", protocol="", local=None, remote=None), "no_address"),
    ],
)
def test_what_has_no_addresses_is_dropped_as_such(item: Item, reason: str) -> None:
    source = read(Item(**{**vars(item), "length": 3, "data": b"abc"}))
    assert source.counters().dropped == {reason: 1}
    assert source.counters().balanced


def test_processes_are_chosen_with_a_cap() -> None:
    feed = Feed()
    LiveInput(SystemClock(), feed).choose(frozenset({7}))
    assert feed.chosen == [(frozenset({7}), PAYLOAD_CAP)]


def test_what_is_no_longer_listened_to_ends() -> None:
    clock = SystemClock()
    feed = Feed(*Story().client("out", GET).items)
    heard = LiveInput(clock, feed)
    heard.choose(frozenset({1}))
    source = TrafficSource(clock, Logbook(clock), inputs=[heard], wasm=None)

    def wait(_: float) -> bool:
        gone = not heard._chosen
        heard.choose(frozenset())
        return gone

    source._stop.wait = wait  # type: ignore[method-assign, assignment]
    source.run_once()
    assert rows(source, "request", "session") == [("GET /a", "unanswered")]


def test_each_process_has_what_listening_to_it_took() -> None:
    clock = SystemClock()
    story = Story().client("out", GET).server("in", GET).server("out", OK).client("in", OK)
    feed = Feed(*story.items, Item("close"), lost=3)
    heard = LiveInput(clock, feed)
    heard.choose(frozenset({1, 2}))
    source = TrafficSource(clock, Logbook(clock), inputs=[heard], wasm=None)
    source._stop.set()
    source.run_once()
    told = heard.costs()
    assert [(told[pid].payloads, told[pid].payload_bytes, told[pid].dropped) for pid in (1, 2)] == [
        (2, len(GET) + len(OK), 3),
        (2, len(GET) + len(OK), 0),
    ]
    assert all(each.cpu_ns > 0 for each in told.values())
    heard.choose(frozenset({2}))
    heard.choose(frozenset({1, 2}))
    assert heard.costs()[1].payloads == 0
    assert heard.costs()[2].payloads == 2
