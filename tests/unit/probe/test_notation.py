"""Numbers are written as the manuals write them."""

from __future__ import annotations

import errno
import fcntl
import mmap
import resource
import select
import signal
import socket
import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from engine.probe.notation import NOTATIONS, creates, epoll_events, poll_events, socket_option
from engine.probe.values import escaped


@pytest.mark.parametrize(
    ("notation", "value", "text"),
    [
        ("mode", 0o100644, "0o644"),
        ("hex", 0x7F00_0000_1000, "0x7f0000001000"),
        ("socktype", 0o2004001, "SOCK_STREAM|SOCK_NONBLOCK|SOCK_CLOEXEC"),
        ("socktype", 77, "13|0x40"),
        ("openonly", 0, "0"),
        ("openonly", 0o2004000, "O_NONBLOCK|O_CLOEXEC"),
        ("how", 1, "SHUT_WR"),
        ("how", 9, "9"),
        ("access", 0, "F_OK"),
        ("access", 6, "R_OK|W_OK"),
        ("at", 0x1100, "AT_SYMLINK_NOFOLLOW|AT_EMPTY_PATH"),
        ("prot", 0, "PROT_NONE"),
        ("prot", 5, "PROT_READ|PROT_EXEC"),
        ("mmap", 0x22, "MAP_PRIVATE|MAP_ANONYMOUS"),
        ("futex", 0x80 | 9, "FUTEX_WAIT_BITSET|FUTEX_PRIVATE_FLAG"),
        ("clone", 0x1200011, "CLONE_CHILD_CLEARTID|CLONE_CHILD_SETTID|SIGCHLD"),
        ("clone", 17, "SIGCHLD"),
        ("clone", 0x10000000, "CLONE_NEWUSER"),
        ("waitstatus", 3 << 8, "exited with 3"),
        ("waitstatus", 9, "killed by SIGKILL"),
        ("waitstatus", 0x137F, "stopped by SIGSTOP"),
        ("waitstatus", 0xFFFF, "continued"),
        ("sigset", 1 << 1 | 1 << 14, "SIGINT SIGTERM"),
        ("sigset", 0, ""),
        ("key", 0, "IPC_PRIVATE"),
        ("key", 0x1234, "0x1234"),
        ("ioctl", 0x5401, "TCGETS"),
        ("ioctl", 0x12345678, "0x12345678"),
        ("flock", 6, "LOCK_EX|LOCK_NB"),
        ("epollctl", 3, "EPOLL_CTL_MOD"),
        ("msg", 0x4040, "MSG_DONTWAIT|MSG_NOSIGNAL"),
        ("quota", 0x80000700, "0x800007"),
        ("quotatype", 0x80000701, "GRPQUOTA"),
        ("whence", 2, "SEEK_END"),
        ("clock", 1, "CLOCK_MONOTONIC"),
        ("archprctl", 0x1002, "ARCH_SET_FS"),
    ],
)
def test_a_number_has_its_names(notation: str, value: int, text: str) -> None:
    assert NOTATIONS[notation](value) == text


@pytest.mark.parametrize(
    ("notation", "module", "prefix"),
    [
        ("fcntl", fcntl, "F_"),
        ("prot", mmap, "PROT_"),
        ("resource", resource, "RLIMIT_"),
        ("level", socket, "SOL_"),
        ("clock", time, "CLOCK_"),
        ("msg", socket, "MSG_"),
    ],
)
def test_names_agree_with_the_c_library(notation: str, module: object, prefix: str) -> None:
    write, agreed = NOTATIONS[notation], 0
    for name, number in vars(module).items():
        if name.startswith(prefix) and isinstance(number, int) and number > 0:
            written = write(int(number))
            # A later name may stand for the same number; a wrong one never does.
            assert written == name or getattr(module, written, number) == number, (name, written)
            agreed += written == name
    assert agreed >= 3


def test_options_are_named_by_their_level() -> None:
    assert socket_option(socket.SOL_SOCKET, socket.SO_REUSEADDR) == "SO_REUSEADDR"
    assert socket_option(socket.IPPROTO_TCP, socket.TCP_NODELAY) == "TCP_NODELAY"
    assert socket_option(socket.SOL_SOCKET, socket.SO_RCVTIMEO) == "SO_RCVTIMEO"
    assert socket_option(12345, 6) == "6"


def test_what_is_waited_for_is_named() -> None:
    assert poll_events(select.POLLIN | select.POLLHUP) == "POLLIN|POLLHUP"
    assert epoll_events(select.EPOLLOUT | select.EPOLLET) == "EPOLLOUT|EPOLLET"


def test_only_an_open_that_creates_looks_at_its_mode() -> None:
    assert creates(0o101)
    assert creates(0o20200002)
    assert not creates(0o200000)
    assert not creates(0)


@given(st.integers(0, (1 << 64) - 1))
def test_no_value_is_without_text(value: int) -> None:
    for write in NOTATIONS.values():
        assert isinstance(write(value), str)


@given(st.binary(max_size=300))
def test_escaped_bytes_can_be_told_exactly(data: bytes) -> None:
    text = escaped(data)
    assert text.isascii()
    assert text.isprintable()
    assert text.encode().decode("unicode_escape").encode("latin-1") == data


def test_signals_and_errors_have_the_c_librarys_names() -> None:
    assert NOTATIONS["sigset"](1 << (signal.SIGSEGV - 1)) == "SIGSEGV"
    assert errno.errorcode[2] == "ENOENT"
