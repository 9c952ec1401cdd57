"""The script of an actor that holds file descriptors of all kinds; see `actor_process`."""

from __future__ import annotations

import contextlib
import ctypes
import fcntl
import json
import os
import socket
import subprocess
import sys
import tempfile
import threading
from collections.abc import Callable

_FSTAT = 5
"""Newer C libraries make another call of fstat()."""
_CLONE_NEWNS = 0x20000
_MS_BIND, _MS_REC, _MS_PRIVATE = 4096, 16384, 1 << 18


def _libc() -> ctypes.CDLL:
    return ctypes.CDLL(None, use_errno=True)


def nothing() -> None:
    """Only answer."""


def link(descriptor: int) -> str:
    """What /proc says a descriptor is."""
    return os.readlink(f"/proc/self/fd/{descriptor}")


def inode(descriptor: int) -> int:
    """The inode number behind a descriptor."""
    return os.fstat(descriptor).st_ino


def use(descriptor: int) -> None:
    """read, write, lseek, fstat and fcntl a descriptor; whatever comes of it."""
    for call in (
        lambda: os.read(descriptor, 1),
        lambda: os.write(descriptor, b"x"),
        lambda: os.lseek(descriptor, 0, os.SEEK_SET),
        lambda: _libc().syscall(_FSTAT, descriptor, ctypes.create_string_buffer(256)),
        lambda: fcntl.fcntl(descriptor, fcntl.F_GETFL),
    ):
        with contextlib.suppress(OSError):
            call()


def close(descriptor: int) -> None:
    """Close a descriptor, if it is open."""
    with contextlib.suppress(OSError):
        os.close(descriptor)


def opened(path: str, flags: int = os.O_RDWR | os.O_CREAT) -> int:
    """Open a file."""
    return os.open(path, flags, 0o600)


def rename(old: str, new: str) -> None:
    """Rename a file."""
    os.rename(old, new)


def unlink(path: str) -> None:
    """Remove a file."""
    os.unlink(path)


def memory(name: str) -> int:
    """A memory file."""
    return os.memfd_create(name)


def pipe() -> tuple[int, int]:
    """Both ends of a pipe that do not block."""
    return os.pipe2(os.O_NONBLOCK)


def anonymous(kind: str) -> int:
    """A descriptor that is neither file nor socket."""
    makers: dict[str, Callable[[], int]] = {
        "eventfd": lambda: os.eventfd(1, os.EFD_NONBLOCK),
        "epoll": lambda: _libc().epoll_create1(0),
        "timerfd": lambda: _libc().timerfd_create(1, os.O_NONBLOCK),
        "signalfd": lambda: _libc().signalfd(-1, bytes(128), os.O_NONBLOCK),
        "inotify": lambda: _libc().inotify_init1(os.O_NONBLOCK),
        "pidfd": lambda: os.pidfd_open(os.getpid()),
        "netns": lambda: os.open("/proc/self/ns/net", os.O_RDONLY),
    }
    return makers[kind]()


def connection(server_host: str, client_host: str, protocol: int = 0) -> list[int] | None:
    """A TCP connection: listener, client and accepted descriptor, and both ports; None if the
    kernel lacks the protocol."""
    family = socket.AF_INET6 if ":" in server_host else socket.AF_INET
    to_family = socket.AF_INET6 if ":" in client_host else socket.AF_INET
    try:
        listener = socket.socket(family, socket.SOCK_STREAM, protocol)
    except OSError:
        return None
    if family == socket.AF_INET6:
        listener.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 0)
    listener.bind((server_host, 0))
    listener.listen()
    client = socket.socket(to_family, socket.SOCK_STREAM, protocol)
    client.connect((client_host, listener.getsockname()[1]))
    server, _ = listener.accept()
    for each in (listener, client, server):
        each.setblocking(False)
    ports = client.getsockname()[1], listener.getsockname()[1]
    return [listener.detach(), client.detach(), server.detach(), *ports]


def bound_client(host: str) -> list[int]:
    """A TCP client that chose its own port: descriptor, own port, the server's port."""
    listener = socket.create_server((host, 0))
    client = socket.create_connection(listener.getsockname()[:2], source_address=(host, 0))
    client.setblocking(False)
    ports = client.getsockname()[1], listener.getsockname()[1]
    listener.detach()
    return [client.detach(), *ports]


def datagram(host: str, connected: bool) -> list[int]:
    """A UDP socket bound to a port, or one connected to such: descriptor, its port, the other."""
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    server = socket.socket(family, socket.SOCK_DGRAM | socket.SOCK_NONBLOCK)
    server.bind((host, 0))
    port = server.getsockname()[1]
    if not connected:
        return [server.detach(), port, 0]
    client = socket.socket(family, socket.SOCK_DGRAM | socket.SOCK_NONBLOCK)
    client.connect((host, port))
    own = client.getsockname()[1]
    server.detach()
    return [client.detach(), own, port]


def bare(family: int, kind: int, protocol: int) -> int:
    """A socket that nothing was done to."""
    return socket.socket(family, kind | socket.SOCK_NONBLOCK, protocol).detach()


def unix(address: str) -> list[int]:
    """A unix connection: listener, client and accepted descriptor; `@name` is an abstract one."""
    named = "\0" + address[1:] if address.startswith("@") else address
    listener, client = socket.socket(socket.AF_UNIX), socket.socket(socket.AF_UNIX)
    listener.bind(named)
    listener.listen()
    client.connect(named)
    server, _ = listener.accept()
    for each in (listener, client, server):
        each.setblocking(False)
    return [listener.detach(), client.detach(), server.detach()]


def unix_pair() -> list[int]:
    """A pair of unix sockets without names."""
    pair = socket.socketpair()
    for each in pair:
        each.setblocking(False)
    return [each.detach() for each in pair]


def own_mounts() -> None:
    """Leave the box's mount namespace."""
    libc = _libc()
    assert libc.unshare(_CLONE_NEWNS) == 0
    assert libc.mount(b"none", b"/", None, _MS_REC | _MS_PRIVATE, None) == 0


def mount(source: str, target: str, kind: str) -> None:
    """Mount `kind`, or bind a directory if it is `bind`."""
    flags = _MS_BIND if kind == "bind" else 0
    result = _libc().mount(source.encode(), target.encode(), kind.encode(), flags, None)
    assert result == 0, os.strerror(ctypes.get_errno())


def take_over(old: int, new: int) -> None:
    """Put another file in the place of a descriptor."""
    os.dup2(old, new)


def open_in_thread(name: str, path: str) -> int:
    """Open a file in a thread of that name; returns the thread's id."""
    seen: list[int] = []

    def work() -> None:
        own = threading.get_native_id()
        with open(f"/proc/self/task/{own}/comm", "w") as comm:
            comm.write(name)
        os.close(os.open(path, os.O_RDONLY))
        seen.append(own)

    thread = threading.Thread(target=work)
    thread.start()
    thread.join()
    return seen[0]


def run(*command: str) -> int:
    """Run a program; returns its exit code."""
    return subprocess.run(command, check=False).returncode


def main() -> None:
    """Obey until the tests' side goes away."""
    tempfile.gettempdir()
    for line in sys.stdin:
        name, *arguments = json.loads(line)
        sys.stdout.write(json.dumps(globals()[name](*arguments)) + "\n")
        sys.stdout.flush()


if __name__ == "__main__":
    main()
