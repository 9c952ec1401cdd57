"""Payloads without a kernel: what is made of raw records, and how they are counted."""

from __future__ import annotations

import socket
import threading
from collections.abc import Iterator

import pytest

from engine.core.clock import SystemClock
from engine.core.errors import ProbeError, UsageError
from engine.probe.payload import PayloadSource
from engine.probe.payload_abi import PAYLOAD, Lack, PayloadKind
from engine.probe.payload_items import Endpoint, Payload
from engine.probe.payload_maps import PayloadCounters
from engine.probe.ring import RingReader, Taken
from tests.unit.probe.kernel_side import SIZE, KernelSide
from tests.values import now

V4 = socket.inet_aton("192.0.2.1").ljust(16, b"\0"), socket.inet_aton("192.0.2.2").ljust(16, b"\0")
V6 = tuple(socket.inet_pton(socket.AF_INET6, text) for text in ("2001:db8::1", "2001:db8::2"))
MAPPED = tuple(
    socket.inet_pton(socket.AF_INET6, text) for text in ("::ffff:192.0.2.1", "::ffff:192.0.2.2")
)
NONE = bytes(16)


def raw(
    data: bytes = b"",
    *,
    kind: int = PayloadKind.DATA,
    family: int = socket.AF_INET,
    ends: tuple[bytes, ...] = V4,
    ports: tuple[int, int] = (80, 4242),
    protocol: int = 6,
    length: int | None = None,
    lacks: int = 0,
    entered: int = 900,
    comm: bytes = b"nginx",
    captured: int | None = None,
) -> bytes:
    """A record as the programs write it."""
    return (
        PAYLOAD.pack(
            *(1_000, entered, len(data) if length is None else length, 77, 10, 11, 5),
            *(len(data) if captured is None else captured, 0, 0, protocol, kind, 1, lacks),
            *(family, *ports, *ends, comm),
        )
        + data
    )


class FakeTap:
    """The kernel's side: a ring that is written by hand."""

    def __init__(self) -> None:
        self.kernel = KernelSide()
        self.ring = RingReader(self.kernel.descriptor, SIZE)
        self.told = PayloadCounters()
        self.lost: dict[int, int] = {}
        self.chosen: list[tuple[frozenset[int], int]] = []
        self.refusal: ProbeError | None = None

    def set_chosen(self, tgids: frozenset[int], cap: int) -> None:
        if self.refusal:
            raise self.refusal
        self.chosen.append((tgids, cap))

    def take(self, limit: int) -> Taken:
        return self.ring.take(limit)

    def counters(self) -> PayloadCounters:
        return self.told

    def losses(self) -> dict[int, int]:
        return dict(self.lost)

    def close(self) -> None:
        self.ring.close()
        self.kernel.close()


@pytest.fixture
def tap() -> Iterator[FakeTap]:
    one = FakeTap()
    yield one
    one.close()


@pytest.fixture
def source(tap: FakeTap) -> PayloadSource:
    one = PayloadSource(SystemClock(), threading.RLock())
    one.open(tap, {})
    return one


def decoded(source: PayloadSource, tap: FakeTap, record: bytes) -> Payload:
    tap.kernel.write(record)
    (item,) = source.drain()
    return item


class TestDecoding:
    def test_a_record_becomes_an_item(self, source: PayloadSource, tap: FakeTap) -> None:
        item = decoded(source, tap, raw(b"GET / HTTP/1.1", length=5000))
        assert item.kind == "data"
        assert item.direction == "out"
        assert (item.tgid, item.tid, item.fd, item.inode) == (10, 11, 5, 77)
        assert (item.comm, item.family, item.protocol) == ("nginx", "ipv4", "tcp")
        assert (item.local, item.remote) == (("192.0.2.1", 80), ("192.0.2.2", 4242))
        assert (item.data, item.length, item.missing) == (b"GET / HTTP/1.1", 5000, False)
        assert item.entered_ns == item.ts_ns - 100

    @pytest.mark.parametrize(
        ("family", "ends", "name", "hosts"),
        [
            (socket.AF_INET6, V6, "ipv6", ("2001:db8::1", "2001:db8::2")),
            (socket.AF_INET6, MAPPED, "ipv4", ("192.0.2.1", "192.0.2.2")),
            (socket.AF_INET6, (NONE, MAPPED[1]), "ipv4", ("0.0.0.0", "192.0.2.2")),
            (socket.AF_INET6, (NONE, V6[1]), "ipv6", ("::", "2001:db8::2")),
        ],
    )
    def test_addresses_are_those_of_their_family(
        self,
        source: PayloadSource,
        tap: FakeTap,
        family: int,
        ends: tuple[bytes, ...],
        name: str,
        hosts: tuple[str, str],
    ) -> None:
        item = decoded(source, tap, raw(family=family, ends=ends))
        assert item.family == name
        assert (item.local, item.remote) == (Endpoint(hosts[0], 80), Endpoint(hosts[1], 4242))

    @pytest.mark.parametrize(("family", "name"), [(socket.AF_UNIX, "unix"), (0, "")])
    def test_some_have_none(
        self, source: PayloadSource, tap: FakeTap, family: int, name: str
    ) -> None:
        item = decoded(source, tap, raw(family=family, protocol=0))
        assert (item.family, item.local, item.remote, item.protocol) == (name, None, None, "")

    def test_a_socket_without_a_peer_has_no_remote_end(
        self, source: PayloadSource, tap: FakeTap
    ) -> None:
        item = decoded(source, tap, raw(ports=(53, 0), protocol=17))
        assert (item.local, item.remote, item.protocol) == (("192.0.2.1", 53), None, "udp")

    def test_what_is_not_known_is_marked(self, source: PayloadSource, tap: FakeTap) -> None:
        item = decoded(source, tap, raw(lacks=Lack.DATA, entered=0))
        assert item.missing
        assert item.entered_ns is None

    def test_a_name_is_sanitised(self, source: PayloadSource, tap: FakeTap) -> None:
        assert "\x1b" not in decoded(source, tap, raw(comm=b"\x1b[31mred")).comm

    @pytest.mark.parametrize("record", [raw(b"12", captured=3), raw(kind=9)])
    def test_what_the_programs_never_write_is_an_error(
        self, source: PayloadSource, tap: FakeTap, record: bytes
    ) -> None:
        tap.kernel.write(record)
        with pytest.raises(ProbeError, match="not a payload"):
            source.drain()


class TestDraining:
    def test_a_batch_is_never_larger_than_asked_and_keeps_the_order(
        self, source: PayloadSource, tap: FakeTap
    ) -> None:
        for number in range(10):
            tap.kernel.write(raw(b"%d" % number))
        batches = [source.drain(4) for _ in range(4)]
        assert [len(batch) for batch in batches] == [4, 4, 2, 0]
        assert [item.data for batch in batches for item in batch] == [
            b"%d" % number for number in range(10)
        ]
        assert source.counters().seen == source.counters().kept == 10

    def test_losses_are_seen_and_dropped_by_reason(
        self, source: PayloadSource, tap: FakeTap
    ) -> None:
        tap.kernel.write(raw())
        tap.told = PayloadCounters(produced=4, dropped=3, left_out=2)
        source.drain()
        counters = source.counters()
        assert (counters.seen, counters.kept) == (6, 1)
        assert counters.dropped == {"ring_full": 3, "beyond_limit": 2}
        assert source.kernel_counters() == tap.told

    def test_losses_are_told_of_each_process_while_it_is_chosen(
        self, source: PayloadSource, tap: FakeTap
    ) -> None:
        source.choose(frozenset({10, 11}))
        tap.lost, tap.told = {10: 3, 11: 0}, PayloadCounters(produced=3, dropped=3)
        source.drain()
        assert source.losses() == {10: 3, 11: 0}
        source.choose(frozenset({11}))
        source.choose(frozenset({10, 11}))
        assert source.losses() == {11: 0}

    def test_a_kernel_that_cannot_says_why(self, tap: FakeTap) -> None:
        source = PayloadSource(SystemClock(), threading.RLock())
        assert now(source.failure) is None
        source.open(tap, {"INODE": "inode.i_ino"})
        assert source.failure is not None
        assert "no inode.i_ino in this kernel" in source.failure.message

    def test_what_was_captured_is_still_there_after_the_end(
        self, source: PayloadSource, tap: FakeTap
    ) -> None:
        source.choose(frozenset({10}), cap=7)
        tap.kernel.write(raw(b"last"))
        source.close()
        source.close()
        assert tap.chosen == [(frozenset({10}), 7), (frozenset(), 7)]
        assert [item.data for item in source.drain()] == [b"last"]


class TestChoosing:
    def test_a_choice_made_before_the_start_is_in_force_from_it(self, tap: FakeTap) -> None:
        source = PayloadSource(SystemClock(), threading.RLock())
        source.choose(frozenset({10}), cap=5)
        assert source.drain() == ()
        assert not source.opened
        source.open(tap, {})
        assert tap.chosen == [(frozenset({10}), 5)]
        assert source.opened

    def test_a_choice_that_the_kernel_refuses_at_the_start_is_not_in_force(
        self, tap: FakeTap
    ) -> None:
        tap.refusal = ProbeError("cannot attach to sys_enter")
        source = PayloadSource(SystemClock(), threading.RLock())
        source.choose(frozenset({10}))
        with pytest.raises(ProbeError, match="cannot attach"):
            source.open(tap, {})
        assert not source.opened
        assert source.failure is tap.refusal

    def test_a_kernel_that_cannot_says_what_it_lacks(self, tap: FakeTap) -> None:
        source = PayloadSource(SystemClock(), threading.RLock())
        source.open(tap, {"FD": "file.private_data"})
        assert not source.opened
        with pytest.raises(ProbeError, match=r"no file\.private_data"):
            source.choose(frozenset({10}))
        source.choose(frozenset())
        assert source.chosen == frozenset()

    @pytest.mark.parametrize(("tgids", "cap"), [({0}, 1), ({1}, -1), ({1}, 16385)])
    def test_what_cannot_be_is_refused(
        self, source: PayloadSource, tgids: set[int], cap: int
    ) -> None:
        with pytest.raises(UsageError):
            source.choose(frozenset(tgids), cap=cap)
