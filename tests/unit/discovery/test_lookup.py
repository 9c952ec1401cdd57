"""Which process is meant by a pid, a port or a name."""

from __future__ import annotations

import os
import socket
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from engine.core.errors import FailedError, UsageError
from engine.discovery.lookup import find_pid


@pytest.fixture
def listener() -> Iterator[int]:
    """A port this process listens on."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        yield server.getsockname()[1]


@pytest.fixture
def own_name() -> Iterator[str]:
    """This process under a name nobody else has."""
    comm = Path("/proc/self/comm")
    before = comm.read_text()
    comm.write_text(f"me{os.getpid()}")
    yield f"me{os.getpid()}"
    comm.write_text(before)


def test_a_pid_is_taken_as_it_is() -> None:
    assert find_pid(" 4194305 ") == 4194305


def test_a_port_means_who_listens_on_it(listener: int) -> None:
    assert find_pid(f":{listener}") == os.getpid()


def test_a_name_means_the_process_called_so(own_name: str) -> None:
    assert find_pid(own_name) == os.getpid()


def test_of_several_none_is_chosen(own_name: str) -> None:
    with subprocess.Popen(
        ["/bin/sh", "-c", f"echo {own_name} > /proc/self/comm; echo; read line"],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
    ) as other:
        assert other.stdout is not None
        other.stdout.readline()
        with pytest.raises(UsageError) as refused:
            find_pid(own_name)
    assert str(os.getpid()) in refused.value.message
    assert str(other.pid) in refused.value.message


@pytest.mark.parametrize("text", ["", "  ", ":", ":http", ":0", ":65536", ":80:"])
def test_what_means_nothing_is_refused(text: str) -> None:
    with pytest.raises(UsageError, match=r"no port|no process is named"):
        find_pid(text)


def test_a_number_that_is_far_too_long_is_no_port_and_no_pid() -> None:
    with pytest.raises(UsageError, match="no port"):
        find_pid(":" + "9" * 5_000)
    with pytest.raises(FailedError, match="is named '999"):
        find_pid("9" * 5_000)


def test_nobody_is_found_where_nobody_listens() -> None:
    with socket.socket() as bound:
        bound.bind(("127.0.0.1", 0))
        with pytest.raises(FailedError, match="listens on port"):
            find_pid(f":{bound.getsockname()[1]}")
