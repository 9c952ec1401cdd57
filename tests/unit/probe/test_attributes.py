from __future__ import annotations

import socket

import pytest

from engine.probe.abi import EventFlag, SectionKind
from engine.probe.call_attributes import CALL_DECODERS
from engine.probe.catalogue import resolve
from engine.probe.hook_attributes import exited
from engine.probe.raw import Attributes, Raw, Section
from engine.probe.values import endpoint, open_flags, signed

AT_FDCWD = -100


def decoded(
    event: str, *args: int, result: int = 0, flags: int = 0, sections: tuple[Section, ...] = ()
) -> Attributes:
    """The attributes of an event with these arguments."""
    row = resolve(event)[0].event.row
    registers = (*args, *[0] * (6 - len(args)))
    return CALL_DECODERS[row](Raw(registers, result, flags, sections))


@pytest.mark.parametrize(
    ("bits", "text"),
    [
        (0, "O_RDONLY"),
        (0o1, "O_WRONLY"),
        (0o2, "O_RDWR"),
        (0o2000000, "O_RDONLY|O_CLOEXEC"),
        (0o1101, "O_WRONLY|O_CREAT|O_TRUNC"),
        (0o4010000, "O_RDONLY|O_SYNC"),
        (0o10000, "O_RDONLY|O_DSYNC"),
        (0o20200002, "O_RDWR|O_TMPFILE"),
        (0o200000, "O_RDONLY|O_DIRECTORY"),
        (0o10000000, "O_RDONLY|O_PATH"),
        (1 << 30, "O_RDONLY|0x40000000"),
    ],
)
def test_open_flags_are_written_as_the_manual_writes_them(bits: int, text: str) -> None:
    assert open_flags(bits) == text


@pytest.mark.parametrize(
    ("family", "address", "text"),
    [
        (socket.AF_INET, "10.1.2.3", "10.1.2.3:80"),
        (socket.AF_INET6, "2001:db8::1", "[2001:db8::1]:80"),
        (socket.AF_INET6, "::ffff:10.1.2.3", "10.1.2.3:80"),
        (socket.AF_INET6, "::", "[::]:80"),
    ],
)
def test_an_endpoint_is_address_and_port(
    family: socket.AddressFamily, address: str, text: str
) -> None:
    packed = socket.inet_pton(family, address).ljust(16, b"\0")
    assert endpoint(family, packed, 80) == text


@pytest.mark.parametrize(
    ("status", "exit_code", "signal"),
    [
        (0, 0, None),
        (3 << 8, 3, None),
        (255 << 8, 255, None),
        (9, None, "SIGKILL"),
        (40, None, "SIG40"),
    ],
)
def test_an_exit_status_is_a_code_or_a_signal(
    status: int, exit_code: int | None, signal: str | None
) -> None:
    made = exited(Raw((status, 1, 0, 0, 0, 0), 0, 0, ()))
    assert (made["exit_code"], made["signal"], made["group_dead"]) == (exit_code, signal, True)
    assert "core_dumped" not in made


def test_a_core_dump_is_told() -> None:
    made = exited(Raw((11 | 0x80, 0, 0, 0, 0, 0), 0, 0, ()))
    assert (made["signal"], made["core_dumped"]) == ("SIGSEGV", True)


@pytest.mark.parametrize(
    ("packed", "shown"),
    [
        (b"\x02\x00\x00\x50\x7f\x00\x00\x01", ("ipv4", "127.0.0.1:80")),
        (b"\x02\x00\x00\x50", ("ipv4", None)),
        (b"\x01\x00/run/a\0rest", ("unix", "/run/a")),
        (b"\x01\x00\0abc", ("unix", "@abc")),
        (b"\x01\x00", ("unix", "")),
        (b"\x00\x00" + bytes(14), ("unspecified", None)),
        (b"\x63\x00", ("99", None)),
    ],
)
def test_a_socket_address_is_shown_by_its_family(
    packed: bytes, shown: tuple[str, str | None]
) -> None:
    address = Section(SectionKind.SOCKADDR, 1, packed)
    made = decoded("syscall_exit-connect", 3, 0, len(packed), sections=(address,))
    assert (made["family"], made["address"]) == shown


def test_a_socket_address_that_was_not_read_is_missing() -> None:
    made = decoded("syscall_exit-connect", 3, 0x1000, 16, flags=EventFlag.MISSING)
    assert (made["family"], made["address"]) == (None, None)
    assert made["missing"] == ["family", "address"]


def test_a_failed_accept_has_no_peer() -> None:
    assert "peer" not in decoded("syscall_exit-accept", 3, result=-11)


def test_a_descriptor_argument_is_a_signed_number() -> None:
    assert signed(0xFFFFFF9C) == AT_FDCWD
    assert signed(0xFFFFFFFF_FFFFFF9C) == AT_FDCWD
    assert signed(5) == 5
