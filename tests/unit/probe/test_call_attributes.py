"""The attributes of calls out of registers and captured memory."""

from __future__ import annotations

import json
import socket
import struct

import pytest
from hypothesis import given
from hypothesis import strategies as st

from engine.core.fields import JsonValue
from engine.probe.abi import FACTS, FD_SOCKET, EventFlag, SectionKind
from engine.probe.call_attributes import CALL_DECODERS, faithful
from engine.probe.calls import CALLS, Call
from engine.probe.catalogue import resolve
from engine.probe.raw import Attributes, Raw, Section

SOMEWHERE = 0x7F00_0000_1000
MINUS_ONE = (1 << 64) - 1
FIXED = ("TUPLE", "FACTS", "FD_SOCKET", "FD_UNIX")
"""Sections that the programs fill in themselves, never the traced process."""


def row_of(event: str) -> int:
    return resolve(event)[0].event.row


def decoded(
    event: str,
    *args: int,
    result: int = 0,
    missing: bool = False,
    sections: tuple[Section, ...] = (),
) -> Attributes:
    """The attributes of an event with these arguments."""
    registers = (*args, *[0] * (6 - len(args)))
    flags = EventFlag.MISSING if missing else 0
    return CALL_DECODERS[row_of(event)](Raw(registers, result, flags, sections))


def text(value: bytes, argument: int) -> Section:
    return Section(SectionKind.TEXT, argument, value + b"\0")


def struct_of(value: bytes, argument: int) -> Section:
    return Section(SectionKind.STRUCT, argument, value)


def data(value: bytes, argument: int) -> Section:
    return Section(SectionKind.DATA, argument, value)


def sockaddr(host: str, port: int, argument: int) -> Section:
    packed = struct.pack("<H", socket.AF_INET) + port.to_bytes(2, "big") + socket.inet_aton(host)
    return Section(SectionKind.SOCKADDR, argument, packed + bytes(8))


def ends(local: str, local_port: int, remote: str, remote_port: int) -> Section:
    addresses = (socket.inet_aton(each).ljust(16, b"\0") for each in (local, remote))
    described = (7, 6, 1, 1, 1, socket.AF_INET, local_port, remote_port, *addresses)
    return Section(SectionKind.FD_SOCKET, 0, FD_SOCKET.pack(*described))


class TestKeys:
    def test_come_in_kindlings_order_and_then_ours(self) -> None:
        made = decoded("syscall_exit-read", 3, SOMEWHERE, 16, result=2, sections=(data(b"ab", 1),))
        assert list(made) == ["res", "data", "fd", "size"]

    def test_are_left_out_where_they_do_not_apply(self) -> None:
        opened = decoded("syscall_exit-openat", 4, SOMEWHERE, 0, 0o644, sections=(text(b"/a", 1),))
        assert "mode" not in opened
        failed = decoded("syscall_exit-pipe", SOMEWHERE, result=-24)
        assert failed == {"res": -24}

    def test_kindling_could_tell_but_nothing_here_can_are_not_made_up(self) -> None:
        assert "dev" not in decoded("syscall_exit-open", SOMEWHERE, result=3)

    @pytest.mark.parametrize("call", CALLS, ids=lambda call: call.name)
    def test_nothing_captured_is_no_reason_to_fail(self, call: Call) -> None:
        for row in (call.row, call.row + 1):
            for result in (0, 5, -14):
                for flags in (0, EventFlag.MISSING):
                    raw = Raw((SOMEWHERE,) * 6, result, flags, ())
                    made = CALL_DECODERS[row](raw)
                    nulls = {key for key, value in made.items() if value is None}
                    listed = made.get("missing", ())
                    assert isinstance(listed, (list, tuple))
                    assert set(listed) <= nulls


class TestAnything:
    @pytest.mark.fuzz("kernel event decoder")
    @given(
        st.sampled_from(CALLS),
        st.booleans(),
        st.tuples(*[st.integers(0, MINUS_ONE)] * 6),
        st.integers(-4095, 1 << 40),
        st.booleans(),
        st.lists(
            st.builds(
                Section,
                st.sampled_from([kind for kind in SectionKind if kind.name not in FIXED]),
                st.integers(0, 5),
                st.binary(max_size=200),
            ),
            max_size=4,
        ),
    )
    def test_a_program_may_pass_becomes_attributes(
        self,
        call: Call,
        entering: bool,
        args: tuple[int, ...],
        result: int,
        missing: bool,
        sections: list[Section],
    ) -> None:
        flags = EventFlag.MISSING if missing else 0
        raw = Raw(args, result, flags, tuple(sections))
        made = CALL_DECODERS[call.row if entering else call.row + 1](raw)
        assert json.loads(json.dumps(made)) == made
        told = {each.key for each in (call.enter if entering else call.exit) if each.told}
        assert made.keys() <= told | {"missing"}


class TestMissing:
    def test_a_path_that_could_not_be_read_is_null_and_named(self) -> None:
        made = decoded("syscall_exit-unlink", SOMEWHERE, result=-14, missing=True)
        assert made == {"res": -14, "path": None, "missing": ["path"]}

    def test_only_what_was_not_read_is_named(self) -> None:
        made = decoded(
            "syscall_exit-rename", SOMEWHERE, SOMEWHERE, missing=True, sections=(text(b"/a", 0),)
        )
        assert (made["oldpath"], made["newpath"], made["missing"]) == ("/a", None, ["newpath"])

    def test_an_address_of_zero_was_never_to_be_read(self) -> None:
        made = decoded("syscall_exit-mount", 0, SOMEWHERE, 0, missing=True)
        assert made["missing"] == ["dir"]

    def test_what_a_failed_call_would_have_filled_in_is_not_missing(self) -> None:
        made = decoded("syscall_exit-getcwd", SOMEWHERE, 8, result=-34, missing=True)
        assert made == {"res": -34}


class TestValues:
    @pytest.mark.parametrize(
        ("event", "args", "sections", "key", "value"),
        [
            ("syscall_enter-openat", (MINUS_ONE - 99, SOMEWHERE), (), "dirfd", -100),
            ("syscall_enter-setresuid", (1000, MINUS_ONE, 0), (), "euid", -1),
            ("syscall_enter-lseek", (3, MINUS_ONE - 4, 1), (), "offset", -5),
            ("syscall_enter-kill", (7, 9), (), "sig", "SIGKILL"),
            ("syscall_enter-kill", (7, 0), (), "sig", "0"),
            ("syscall_enter-epoll_wait", (3, SOMEWHERE, 8, 0xFFFFFFFF), (), "timeout", -1),
            ("syscall_enter-mmap", (0, 4096, 0, 2, MINUS_ONE, 0), (), "prot", "PROT_NONE"),
            (
                "syscall_enter-nanosleep", (SOMEWHERE,),
                (struct_of(struct.pack("<qq", 2, 5), 0),), "interval", 2_000_000_005,
            ),
            (
                "syscall_enter-setitimer", (0, SOMEWHERE),
                (struct_of(struct.pack("<qqqq", 0, 7, 1, 0), 1),), "interval", 7_000,
            ),
            (
                "syscall_enter-poll", (SOMEWHERE, 2, 10),
                (struct_of(struct.pack("<ihhihh", 3, 1, 0, -1, 4, 0), 0),), "fds",
                "3:POLLIN -1:POLLOUT",
            ),
            (
                "syscall_enter-clone3", (SOMEWHERE, 88),
                (struct_of(struct.pack("<QQQQQ", 0x100, 0, 0, 0, 17), 0),), "flags", "CLONE_VM",
            ),
            ("syscall_enter-alarm", (3,), (), "nativeID", 37),
            ("syscall_enter-exit_group", (3,), (), "code", 3),
        ],
    )  # fmt: skip
    def test_of_what_a_call_is_given(
        self,
        event: str,
        args: tuple[int, ...],
        sections: tuple[Section, ...],
        key: str,
        value: JsonValue,
    ) -> None:
        assert decoded(event, *args, sections=sections)[key] == value

    def test_poll_tells_on_exit_only_what_happened(self) -> None:
        polled = struct_of(struct.pack("<ihhihh", 3, 1, 1, 4, 1, 0), 0)
        made = decoded("syscall_exit-poll", SOMEWHERE, 2, 0, result=1, sections=(polled,))
        assert made["fds"] == "3:POLLIN"

    def test_what_an_epoll_event_carries_may_be_no_descriptor(self) -> None:
        pointer = 0x7F12_3456_7890
        happened = struct_of(struct.pack("<IQIQ", 1, 5, 4, pointer), 1)
        made = decoded("syscall_exit-epoll_wait", 3, SOMEWHERE, result=2, sections=(happened,))
        assert made["fds"] == "5:EPOLLIN 0x7f1234567890:EPOLLOUT"

    def test_data_can_be_told_exactly(self) -> None:
        content = data(b'\x7fELF\\"\r\n\xff', 1)
        made = decoded("syscall_exit-read", 3, SOMEWHERE, 64, result=9, sections=(content,))
        assert made["data"] == '\\x7fELF\\\\"\\r\\n\\xff'

    def test_the_end_of_a_file_is_no_data(self) -> None:
        assert decoded("syscall_exit-read", 3, SOMEWHERE, 64)["data"] == ""
        assert "data" not in decoded("syscall_exit-read", 3, SOMEWHERE, 64, result=-11)

    def test_names_are_sanitised(self) -> None:
        made = decoded("syscall_exit-unlink", SOMEWHERE, sections=(text(b"/\x1b[31m", 0),))
        assert made["path"] == "/␛[31m"

    def test_a_start_tells_the_arguments_it_was_given(self) -> None:
        sections = (
            text(b"/bin/true", 0),
            Section(SectionKind.ARGV, 0, b"true\0\0two\0"),
            Section(SectionKind.FACTS, 0, FACTS.pack(1024, 1, 2, 256, 8, 7, 6)),
        )
        made = decoded("syscall_exit-execve", sections=sections)
        assert (made["exe"], made["args"]) == ("true", ["", "two"])
        assert (made["pid"], made["tid"], made["ptid"]) == (7, 8, 6)
        assert (made["vm_size"], made["fdlimit"], made["pgft_min"]) == (1024, 256, 2)
        assert made["filename"] == "/bin/true"


class TestSockets:
    LOCAL, REMOTE = ("10.0.0.1", 4000), ("10.0.0.2", 80)

    def test_a_tuple_goes_from_the_sender_to_the_receiver(self) -> None:
        sections = (ends(*self.LOCAL, *self.REMOTE),)
        sent = decoded("syscall_exit-sendto", 3, SOMEWHERE, 1, sections=sections)
        received = decoded("syscall_exit-recvfrom", 3, SOMEWHERE, 1, sections=sections)
        assert sent["tuple"] == "10.0.0.1:4000->10.0.0.2:80"
        assert received["tuple"] == "10.0.0.2:80->10.0.0.1:4000"

    def test_an_accepted_connection_comes_from_its_peer(self) -> None:
        made = decoded(
            "syscall_exit-accept", 3, result=4, sections=(ends(*self.LOCAL, *self.REMOTE),)
        )
        assert made["tuple"] == "10.0.0.2:80->10.0.0.1:4000"
        assert (made["peer"], made["local"]) == ("10.0.0.2:80", "10.0.0.1:4000")

    def test_an_unconnected_socket_has_the_other_end_the_call_names(self) -> None:
        sections = (ends(*self.LOCAL, "0.0.0.0", 0), sockaddr("10.0.0.9", 53, 4))
        made = decoded("syscall_exit-sendto", 3, SOMEWHERE, 1, 0, SOMEWHERE, 16, sections=sections)
        assert made["tuple"] == "10.0.0.1:4000->10.0.0.9:53"
        assert made["address"] == "10.0.0.9:53"

    def test_a_unix_socket_has_a_family_and_no_tuple(self) -> None:
        section = Section(SectionKind.FD_UNIX, 0, bytes(32))
        made = decoded("syscall_exit-accept", 3, result=4, sections=(section,))
        assert made == {"fd": 4, "family": "unix"}


class TestFaithful:
    def test_only_kindlings_attributes_stay(self) -> None:
        row = row_of("syscall_exit-connect")
        made = decoded("syscall_exit-connect", 3, 0, 0, result=-111)
        assert faithful(row, {**made, "tuple": "a->b"}) == {"res": -111, "tuple": "a->b"}

    def test_no_more_than_eight_do(self) -> None:
        row = row_of("syscall_exit-execve")
        names = ("res", "exe", "args", "tid", "pid", "ptid", "cwd", "fdlimit", "pgft_maj")
        every: dict[str, JsonValue] = dict.fromkeys(names, 1)
        assert list(faithful(row, every)) == list(every)[:8]
