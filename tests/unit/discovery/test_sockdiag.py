"""Dumps of listening and bound sockets, and the messages they are made of."""

from __future__ import annotations

import errno
import os
import socket
import struct
from collections.abc import Iterator

import pytest
from hypothesis import given
from hypothesis import strategies as st

from engine.core.errors import FailedError
from engine.discovery.sockdiag import (
    ALL_TABLES,
    TABLES,
    Answer,
    BoundSocket,
    SockDiag,
    SocketReader,
    Table,
    dump_request,
    read_messages,
)

TCP4, TCP6, UDP4, UDP6 = TABLES
SEQUENCE = 7
SOCK_DIAG, ERROR, DONE = 20, 2, 3


def message(kind: int, body: bytes, *, flags: int = 2, sequence: int = SEQUENCE) -> bytes:
    """One netlink message, padded to four bytes."""
    header = struct.pack("=IHHII", 16 + len(body), kind, flags, sequence, 0)
    return header + body + bytes(-len(body) % 4)


def diag(
    address: str = "127.0.0.1",
    port: int = 80,
    *,
    inode: int = 4711,
    uid: int = 33,
    interface: int = 0,
    attributes: bytes = b"",
) -> bytes:
    """The body of a message about one listening socket."""
    family = socket.AF_INET6 if ":" in address else socket.AF_INET
    source = socket.inet_pton(family, address).ljust(16, b"\0")
    identity = struct.pack("!HH", port, 0) + source + bytes(16) + struct.pack("=I", interface)
    return (
        struct.pack("=BBBB", family, 10, 0, 0)
        + identity
        + bytes(8)
        + struct.pack("=IIIII", 0, 0, 128, uid, inode)
        + attributes
    )


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


@given(st.integers(0, 3), st.integers(0, 400))
def test_a_truncated_datagram_keeps_what_is_whole(count: int, cut: int) -> None:
    one = message(SOCK_DIAG, diag("::", attributes=DUAL_STACK))
    whole = one * count
    cut = min(cut, len(whole))
    answer = read(whole[:cut])
    assert len(answer.sockets) == cut // len(one)
    assert answer.malformed == (1 if cut % len(one) else 0)


@given(st.binary(max_size=300))
def test_any_bytes_are_read_to_an_end(datagram: bytes) -> None:
    answer = read(datagram)
    assert answer.malformed <= len(datagram) // 16 + 1


@given(st.binary(max_size=40))
def test_any_attributes_are_read_to_an_end(attributes: bytes) -> None:
    (found,) = read(message(SOCK_DIAG, diag("::", attributes=attributes))).sockets
    assert found.address in ("*", "::")


def test_a_request_asks_for_one_table() -> None:
    request = dump_request(TCP6, 5)
    assert struct.unpack_from("=IHHII", request) == (72, 20, 0x301, 5, 0)
    assert struct.unpack_from("=BBBBI", request, 16) == (10, 6, 0, 0, 1 << 10)
    assert request[24:] == bytes(48)


@pytest.fixture
def diag_socket() -> Iterator[SockDiag]:
    with SockDiag() as opened:
        yield opened


def test_listening_sockets_are_dumped(diag_socket: SockDiag) -> None:
    with socket.create_server(("127.0.0.1", 0)) as listening:
        inode, port = os.fstat(listening.fileno()).st_ino, listening.getsockname()[1]
        (found,) = [each for each in diag_socket.dump(TCP4).sockets if each.inode == inode]
        assert found == BoundSocket("tcp", 2, 10, "127.0.0.1", port, inode, os.getuid(), 0)
    assert inode not in [each.inode for each in diag_socket.dump(TCP4).sockets]


def test_bound_but_not_listening_tcp_is_left_out(diag_socket: SockDiag) -> None:
    with socket.socket() as bound:
        bound.bind(("127.0.0.1", 0))
        inode = os.fstat(bound.fileno()).st_ino
        assert inode not in [each.inode for each in diag_socket.dump(TCP4).sockets]


def test_unconnected_udp_is_dumped_and_connected_udp_is_not(diag_socket: SockDiag) -> None:
    with (
        socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as server,
        socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as client,
    ):
        server.bind(("127.0.0.1", 0))
        client.connect(server.getsockname())
        inodes = [each.inode for each in diag_socket.dump(UDP4).sockets]
        assert os.fstat(server.fileno()).st_ino in inodes
        assert os.fstat(client.fileno()).st_ino not in inodes


def test_connections_are_dumped_where_they_are_asked_for(diag_socket: SockDiag) -> None:
    with (
        socket.create_server(("127.0.0.1", 0)) as listening,
        socket.create_connection(listening.getsockname()) as client,
        socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as udp,
    ):
        udp.connect(("127.0.0.1", 9))
        found = {
            each.inode: each for table in ALL_TABLES for each in diag_socket.dump(table).sockets
        }
        shown = [found[os.fstat(each.fileno()).st_ino] for each in (listening, client, udp)]
    assert [each.state for each in shown] == [10, 1, 1]
    assert [each.receives for each in shown] == [True, False, False]


def test_the_interface_a_socket_is_bound_to_is_named(diag_socket: SockDiag) -> None:
    with socket.socket() as bound:
        bound.setsockopt(socket.SOL_SOCKET, socket.SO_BINDTODEVICE, b"lo")
        bound.bind(("127.0.0.1", 0))
        bound.listen()
        inode = os.fstat(bound.fileno()).st_ino
        (found,) = [each for each in diag_socket.dump(TCP4).sockets if each.inode == inode]
    assert found.address == "127.0.0.1%lo"


def test_more_sockets_than_one_datagram_holds(diag_socket: SockDiag) -> None:
    sockets = [socket.create_server(("127.0.0.1", 0)) for _ in range(700)]
    try:
        inodes = {os.fstat(each.fileno()).st_ino for each in sockets}
        answer = diag_socket.dump(TCP4)
        assert inodes <= {each.inode for each in answer.sockets}
        assert (answer.malformed, answer.done, answer.interrupted) == (0, True, False)
    finally:
        for each in sockets:
            each.close()


def test_a_refused_table_is_an_error_that_says_what_to_do(diag_socket: SockDiag) -> None:
    nothing = Table("sctp", socket.AF_INET, 250, 1 << 10)
    with pytest.raises(FailedError, match="sctp over IPv4 cannot be listed") as caught:
        diag_socket.dump(nothing)
    assert caught.value.fix == "modprobe sctp_diag"
    assert isinstance(diag_socket.dump(TCP4).sockets, list)


def test_an_interrupted_dump_is_asked_for_again(diag_socket: SockDiag) -> None:
    """The kernel's end is played by the test: no table can be made to change on demand."""
    diag_socket.close()
    ours, diag_socket._socket = socket.socketpair(socket.AF_UNIX, socket.SOCK_DGRAM)
    with ours:
        disturbed = message(SOCK_DIAG, diag(port=1), flags=0x12, sequence=1)
        ours.send(disturbed + message(DONE, bytes(4), sequence=1))
        ours.send(message(SOCK_DIAG, diag(port=2), sequence=2))
        ours.send(message(DONE, bytes(4), sequence=2))
        answer = diag_socket.dump(TCP4)
        assert [each.port for each in answer.sockets] == [2]
        assert ours.recv(100) == dump_request(TCP4, 1)
        assert ours.recv(100) == dump_request(TCP4, 2)
