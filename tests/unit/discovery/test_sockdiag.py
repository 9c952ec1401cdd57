"""Dumps of listening and bound sockets."""

from __future__ import annotations

import os
import socket
import struct
from collections.abc import Iterator

import pytest

from engine.core.errors import FailedError
from engine.discovery.diag_messages import (
    BoundSocket,
)
from engine.discovery.sockdiag import ALL_TABLES, TABLES, SockDiag, Table, dump_request
from tests.unit.discovery.diag_bytes import DONE, SOCK_DIAG, diag, message

TCP4, TCP6, UDP4, UDP6 = TABLES


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
    assert diag_socket.dump(TCP4).done


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


def test_a_later_dump_tells_what_came_and_went(diag_socket: SockDiag) -> None:
    def port_of(each: socket.socket) -> int:
        return int(each.getsockname()[1])

    with socket.create_server(("127.0.0.1", 0)) as first:
        assert port_of(first) in {each.port for each in diag_socket.dump(TCP4).came}
        again = diag_socket.dump(TCP4)
        assert port_of(first) in {each.port for each in again.sockets}
        assert port_of(first) not in {each.port for each in again.came + again.went}
        gone = port_of(first)
    with socket.create_server(("127.0.0.1", 0)) as second:
        later = diag_socket.dump(TCP4)
        assert gone in {each.port for each in later.went}
        assert port_of(second) in {each.port for each in later.came}
        assert {each.port for each in later.sockets} >= {port_of(second)}


def test_a_table_that_is_forgotten_begins_anew(diag_socket: SockDiag) -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        port = server.getsockname()[1]
        diag_socket.dump(TCP4)
        assert diag_socket.known == [TCP4]
        assert port in {each.port for each in diag_socket.forget(TCP4)}
        assert diag_socket.known == []
        assert diag_socket.forget(TCP4) == []
        assert port in {each.port for each in diag_socket.dump(TCP4).came}
