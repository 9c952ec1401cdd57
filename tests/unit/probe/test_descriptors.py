from __future__ import annotations

import socket
import struct

import pytest

from engine.probe.abi import FD_SOCKET, FD_UNIX, InodeKind, PathMark, Role, SectionKind
from engine.probe.calls import FdType
from engine.probe.descriptors import Descriptor, describe
from engine.probe.raw import Section

TCP, UDP, ICMP, SCTP = 6, 17, 1, 132
STREAM, DGRAM, RAW = 1, 2, 3
ESTABLISHED, CLOSE, LISTEN = 1, 7, 10


def path(data: bytes, marks: int = 0, fd_type: FdType = FdType.FILE) -> str | None:
    return describe(fd_type, (Section(SectionKind.FD_PATH, marks, data),)).name


def inet(
    local: str = "0.0.0.0",
    local_port: int = 0,
    remote: str = "0.0.0.0",
    remote_port: int = 0,
    *,
    family: int = socket.AF_INET,
    protocol: int = TCP,
    sort: int = STREAM,
    state: int = ESTABLISHED,
    role: int = 0,
) -> Descriptor:
    ends = [
        socket.inet_pton(socket.AF_INET6 if ":" in end else socket.AF_INET, end).ljust(16, b"\0")
        for end in (local, remote)
    ]
    data = FD_SOCKET.pack(4711, protocol, sort, state, role, family, local_port, remote_port, *ends)
    return describe(FdType.IPV4_SOCK, (Section(SectionKind.FD_SOCKET, 0, data),))


def unix(
    name: bytes = b"", *, sort: int = STREAM, state: int = ESTABLISHED, role: int = 0
) -> Descriptor:
    data = FD_UNIX.pack(4711, 4712, sort, state, role) + name
    return describe(FdType.UNIX_SOCK, (Section(SectionKind.FD_UNIX, 0, data),))


class TestFiles:
    @pytest.mark.parametrize(
        ("data", "marks", "shown"),
        [
            (b"passwd\0etc\0", 0, "/etc/passwd"),
            (b"", 0, "/"),
            (b"gone\0tmp\0", PathMark.DELETED, "/tmp/gone (deleted)"),
            (b"c\0b\0", PathMark.CUT, ".../b/c"),
            (b"c\0b\0half a na", PathMark.CUT, ".../b/c"),
            (b"c\0b\0", PathMark.CUT | PathMark.DELETED, ".../b/c (deleted)"),
            (b"memfd:it\0", PathMark.LOOSE, "memfd:it"),
            (b"a\x1b[31m\0tmp\0", 0, "/tmp/a␛[31m"),
            (b"\xff\0tmp\0", 0, "/tmp/\\xff"),
        ],
    )
    def test_a_path_is_put_together_from_its_names(
        self, data: bytes, marks: int, shown: str
    ) -> None:
        assert path(data, marks) == shown

    def test_a_loose_name_that_is_no_file_is_an_anonymous_inode(self) -> None:
        assert path(b"[io_uring]\0", PathMark.LOOSE, FdType.UNSUPPORTED) == "anon_inode:[io_uring]"

    @pytest.mark.parametrize(
        ("kind", "data", "shown"),
        [
            (InodeKind.PIPE, b"", "pipe:[4711]"),
            (InodeKind.PROCESS, b"", "pidfd:[4711]"),
            (InodeKind.NAMESPACE, b"net\0", "net:[4711]"),
            (InodeKind.NAMESPACE, b"", "namespace:[4711]"),
        ],
    )
    def test_an_inode_without_a_path_is_told_by_its_number(
        self, kind: InodeKind, data: bytes, shown: str
    ) -> None:
        section = Section(SectionKind.FD_INODE, kind, (4711).to_bytes(8, "little") + data)
        told = describe(FdType.FIFO, (section,))
        assert (told.name, told.inode) == (shown, 4711)


class TestSockets:
    @pytest.mark.parametrize(
        ("role", "shown", "label"),
        [
            (Role.CLIENT, "10.0.0.1:5555 -> 10.0.0.2:80", "client"),
            (Role.SERVER, "10.0.0.2:80 -> 10.0.0.1:5555", "server"),
            (0, "10.0.0.1:5555 -> 10.0.0.2:80", None),
        ],
    )
    def test_a_connection_goes_from_the_client_to_the_server(
        self, role: int, shown: str, label: str | None
    ) -> None:
        told = inet("10.0.0.1", 5555, "10.0.0.2", 80, role=role)
        assert (told.name, told.role) == (shown, label)
        assert (told.protocol, told.state, told.inode) == ("tcp", "ESTABLISHED", 4711)

    def test_ipv6_addresses_stand_in_brackets_and_mapped_ones_are_ipv4(self) -> None:
        told = inet("::1", 5555, "2001:db8::1", 80, family=socket.AF_INET6)
        assert told.name == "[::1]:5555 -> [2001:db8::1]:80"
        told = inet("::ffff:10.0.0.1", 5555, "::ffff:10.0.0.2", 80, family=socket.AF_INET6)
        assert told.name == "10.0.0.1:5555 -> 10.0.0.2:80"

    def test_a_listener_has_its_own_address_alone(self) -> None:
        told = inet("0.0.0.0", 80, state=LISTEN, role=Role.LISTENER)
        assert (told.name, told.role, told.state) == ("0.0.0.0:80", "listener", "LISTEN")

    def test_a_socket_of_no_address_has_its_inode(self) -> None:
        assert inet(state=CLOSE).name == "tcp:[4711]"

    def test_only_tcp_has_states(self) -> None:
        told = inet("10.0.0.1", 53, protocol=UDP, sort=DGRAM, state=CLOSE)
        assert (told.name, told.protocol, told.state) == ("10.0.0.1:53", "udp", None)

    def test_a_raw_socket_has_no_ports(self) -> None:
        assert inet("10.0.0.1", 1, protocol=ICMP, sort=RAW).name == "icmp:[4711]"

    @pytest.mark.parametrize(("number", "shown"), [(SCTP, "sctp"), (200, "200")])
    def test_a_protocol_has_a_name_or_its_number(self, number: int, shown: str) -> None:
        assert inet(protocol=number).protocol == shown

    @pytest.mark.parametrize(
        ("family", "protocol", "name", "spoken"),
        [
            (socket.AF_NETLINK, 0, "netlink:[4711]", "route"),
            (socket.AF_NETLINK, 31, "netlink:[4711]", "31"),
            (socket.AF_PACKET, 0, "packet:[4711]", None),
            (socket.AF_VSOCK, 0, "vsock:[4711]", None),
            (99, 0, "socket:[4711]", None),
        ],
    )
    def test_other_families_have_their_name_and_the_inode(
        self, family: int, protocol: int, name: str, spoken: str | None
    ) -> None:
        told = inet(family=family, protocol=protocol)
        assert (told.name, told.protocol, told.inode) == (name, spoken, 4711)

    @pytest.mark.parametrize(
        ("bound", "shown"),
        [
            (b"", "unix:[4711]"),
            (b"/run/it.sock\0", "unix:/run/it.sock"),
            (b"/run/it.sock", "unix:/run/it.sock"),
            (b"\0abstract\0x", "unix:@abstract␀x"),
            (b"/run/\x1b]0;x\x07\0", "unix:/run/␛]0;x␇"),
        ],
    )
    def test_a_unix_socket_has_a_name_or_an_inode(self, bound: bytes, shown: str) -> None:
        assert unix(bound).name == shown

    def test_a_unix_socket_tells_type_role_and_whether_it_listens(self) -> None:
        told = unix(sort=5, state=LISTEN, role=Role.LISTENER)
        assert (told.protocol, told.role, told.state, told.inode) == (
            "seqpacket", "listener", "LISTEN", 4711,
        )  # fmt: skip
        assert unix(sort=DGRAM)[2:5] == ("dgram", None, None)


class TestOthers:
    @pytest.mark.parametrize(
        ("kind", "name"),
        [
            (FdType.EVENT, "anon_inode:[eventfd]"),
            (FdType.SIGNALFD, "anon_inode:[signalfd]"),
            (FdType.EVENTPOLL, "anon_inode:[eventpoll]"),
            (FdType.INOTIFY, "anon_inode:inotify"),
            (FdType.TIMERFD, "anon_inode:[timerfd]"),
            (FdType.FILE, None),
            (FdType.UNKNOWN, None),
        ],
    )
    def test_without_a_section_the_type_says_what_it_can(
        self, kind: FdType, name: str | None
    ) -> None:
        assert describe(kind, ()) == Descriptor(kind.name.lower(), name)

    def test_sections_of_other_things_are_passed_over(self) -> None:
        others = (Section(SectionKind.TEXT, 1, b"x\0"), Section(SectionKind.TUPLE, 0, b""))
        found = Section(SectionKind.FD_PATH, 0, b"a\0")
        assert describe(FdType.FILE, (*others, found)).name == "/a"
        assert describe(FdType.FILE, others).name is None

    @pytest.mark.parametrize(
        "section",
        [
            Section(SectionKind.FD_SOCKET, 0, b"short"),
            Section(SectionKind.FD_UNIX, 0, b"short"),
            Section(SectionKind.FD_PATH, PathMark.LOOSE, b""),
        ],
    )
    def test_what_the_programs_never_write_is_refused(self, section: Section) -> None:
        with pytest.raises((struct.error, IndexError)):
            describe(FdType.FILE, (section,))
