"""The messages of a dump."""

from __future__ import annotations

import errno
import socket
import struct

import pytest
from hypothesis import given
from hypothesis import strategies as st

from engine.discovery.diag_messages import (
    Answer,
    BoundSocket,
    SocketReader,
    common_length,
    is_last,
    read_messages,
    sockets_of,
)
from tests.unit.discovery.diag_bytes import DONE, ERROR, SEQUENCE, SOCK_DIAG, diag, message


def name_of(index: int) -> str:
    return "lo" if index == 1 else str(index)


READER = SocketReader("tcp", 0, name_of)


def read(datagram: bytes) -> Answer:
    answer = Answer()
    read_messages(datagram, SEQUENCE, answer, READER, {})
    return answer


V6_ONLY = struct.pack("=HHBxxxHHBxxx", 5, 8, 0, 5, 11, 1)
DUAL_STACK = struct.pack("=HHBxxxHHBxxx", 5, 8, 0, 5, 11, 0)


def test_a_message_becomes_a_socket() -> None:
    answer = read(message(SOCK_DIAG, diag("127.0.0.1", 8080)) + message(DONE, bytes(4)))
    assert answer.sockets == [BoundSocket("tcp", socket.AF_INET, 10, "127.0.0.1", 8080, 4711, 33)]
    assert (answer.done, answer.malformed) == (True, 0)


def test_a_message_that_came_before_is_the_same_socket() -> None:
    body = diag("127.0.0.1", 8080)
    before = read(message(SOCK_DIAG, body))
    again = Answer()
    datagram = message(SOCK_DIAG, body) + message(SOCK_DIAG, diag("127.0.0.1", 81))
    read_messages(datagram, SEQUENCE, again, READER, before.messages)
    assert again.sockets[0] is before.sockets[0]
    assert [found.port for found in again.sockets] == [8080, 81]
    assert again.messages.keys() > before.messages.keys()


@pytest.mark.parametrize(
    ("body", "address"),
    [
        (diag("0.0.0.0"), "0.0.0.0"),
        (diag("::1"), "::1"),
        (diag("::ffff:127.0.0.1"), "::ffff:127.0.0.1"),
        (diag("2001:db8:0:0:0:0:0:1"), "2001:db8::1"),
        (diag("::", attributes=V6_ONLY), "::"),
        (diag("::", attributes=DUAL_STACK), "*"),
        (diag("127.0.0.53", interface=1), "127.0.0.53%lo"),
        (diag("::1", interface=2**31 - 1), "::1%2147483647"),
    ],
)
def test_addresses_are_written_as_ss_does(body: bytes, address: str) -> None:
    assert [found.address for found in read(message(SOCK_DIAG, body)).sockets] == [address]


def test_messages_of_another_dump_are_left_out() -> None:
    answer = read(message(SOCK_DIAG, diag(), sequence=6) + message(DONE, bytes(4), sequence=6))
    assert answer == Answer()


def test_an_interrupted_dump_says_so() -> None:
    assert read(message(SOCK_DIAG, diag(), flags=2 | 0x10)).interrupted
    assert not read(message(SOCK_DIAG, diag())).interrupted


@pytest.mark.parametrize("kind", [ERROR, DONE])
def test_a_refusal_is_an_errno(kind: int) -> None:
    answer = read(message(kind, struct.pack("=i", -errno.ENOENT)))
    assert (answer.error, answer.done) == (errno.ENOENT, True)


@pytest.mark.parametrize(
    "datagram",
    [
        b"\0" * 15,
        message(SOCK_DIAG, diag())[:-4],
        message(SOCK_DIAG, diag()[:-4]),
        struct.pack("=IHHII", 4, SOCK_DIAG, 0, SEQUENCE, 0) + bytes(88),
        message(SOCK_DIAG, b"\x11" + diag()[1:]),
    ],
    ids=["short header", "cut datagram", "short body", "length below the header", "other family"],
)
def test_a_message_that_cannot_be_read_counts_as_malformed(datagram: bytes) -> None:
    answer = read(datagram)
    assert (answer.sockets, answer.malformed) == ([], 1)


@pytest.mark.fuzz("sock_diag messages")
@given(st.integers(0, 3), st.integers(0, 400))
def test_a_truncated_datagram_keeps_what_is_whole(count: int, cut: int) -> None:
    each = [
        message(SOCK_DIAG, diag("::", inode=inode, attributes=DUAL_STACK)) for inode in range(4)
    ]
    one, whole = each[0], b"".join(each[:count])
    cut = min(cut, len(whole))
    answer = read(whole[:cut])
    assert len(answer.sockets) == cut // len(one)
    assert answer.malformed == (1 if cut % len(one) else 0)


@pytest.mark.fuzz("sock_diag messages")
@given(st.binary(max_size=300))
def test_any_bytes_are_read_to_an_end(datagram: bytes) -> None:
    answer = read(datagram)
    assert answer.malformed <= len(datagram) // 16 + 1


@pytest.mark.fuzz("sock_diag messages")
@given(st.binary(max_size=40))
def test_any_attributes_are_read_to_an_end(attributes: bytes) -> None:
    (found,) = read(message(SOCK_DIAG, diag("::", attributes=attributes))).sockets
    assert found.address in ("*", "::")


def test_only_messages_of_one_kind_are_compared() -> None:
    one, other = message(SOCK_DIAG, diag()), message(SOCK_DIAG, diag("::1"))
    end = message(DONE, bytes(4))
    assert sockets_of([one + other, one, end]) == one + other + one
    assert common_length(one + other + one) == len(one)
    for datagrams in (
        [end],
        [one, one + end],
        [one, message(SOCK_DIAG, diag(), sequence=6), end],
        [one, message(SOCK_DIAG, diag("::", attributes=V6_ONLY)), end],
        [message(SOCK_DIAG, diag(), flags=0x12), end],
        [one, message(DONE, struct.pack("=i", -errno.EIO))],
        [one[:-1], end],
    ):
        assert common_length(sockets_of(datagrams)) == 0


@pytest.mark.parametrize(
    ("datagram", "last"),
    [
        (message(DONE, bytes(4)), True),
        (message(ERROR, bytes(20)), True),
        (message(SOCK_DIAG, diag()) + message(DONE, bytes(4)), True),
        (message(SOCK_DIAG, diag()) * 2, False),
        (message(DONE, bytes(4), sequence=6), False),
        (bytes(40), False),
        (b"", False),
    ],
)
def test_the_end_of_an_answer_is_known(datagram: bytes, last: bool) -> None:
    assert is_last(datagram, SEQUENCE) is last
