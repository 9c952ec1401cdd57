"""Processes in a network namespace of their own."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager

import pytest

from tests.unit.discovery.listener import Listener

needs_namespaces = pytest.mark.skipif(
    os.geteuid() != 0
    or subprocess.run(["unshare", "--net", "true"], stderr=subprocess.DEVNULL).returncode != 0,
    reason="network namespaces cannot be made here",
)
_OTHER = "import ctypes, os; ctypes.CDLL(None).unshare(0x40000000) and os._exit(9); "
_LOOPBACK_UP = (
    "import fcntl, socket, struct; made = socket.socket(); "
    "fcntl.ioctl(made, 0x8914, struct.pack('16sh14x', b'lo', 0x49)); made.close(); "
)


@contextmanager
def listener_inside() -> Iterator[Listener]:
    """A listener in a new namespace, whose loopback interface is up."""
    with Listener(before=_OTHER + _LOOPBACK_UP) as listener:
        listener.close(0)  # it answers once it is inside
        yield listener


def namespace_of(pid: int) -> int:
    """Inode number of the namespace a process is in."""
    return os.stat(f"/proc/{pid}/ns/net").st_ino
