"""The script an `Actor` runs: one JSON command a line on stdin, one line of answer when done."""

from __future__ import annotations

import contextlib
import ctypes
import json
import mmap
import os
import socket
import subprocess
import sys
import tempfile
import threading
from collections.abc import Callable

MISSING_FD = 9_999


def _libc() -> ctypes.CDLL:
    return ctypes.CDLL(None, use_errno=True)


def nothing() -> None:
    """Only answer."""


def open_path(path: str, times: int = 1) -> None:
    """Open for reading, and close if it was there."""
    for _ in range(times):
        with contextlib.suppress(OSError):
            os.close(os.open(path, os.O_RDONLY))


def create(directory: str, name: str) -> int:
    """Create a file by a name relative to a directory descriptor; returns that descriptor."""
    parent = os.open(directory, os.O_RDONLY | os.O_DIRECTORY)
    os.close(os.open(name, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o640, dir_fd=parent))
    os.close(parent)
    return parent


def open_nowhere() -> None:
    """Open a path at an address that is not mapped."""
    _libc().openat(-100, ctypes.c_void_p(1), 0)


def write_null(times: int) -> None:
    """Write one byte to /dev/null, many times."""
    null = os.open("/dev/null", os.O_WRONLY)
    for _ in range(times):
        os.write(null, b"x")
    os.close(null)


def read_one(kind: str) -> int:
    """Read up to 16 bytes from a descriptor of some kind, then close it; returns its number."""
    descriptor, others = _KINDS[kind]()
    with contextlib.suppress(OSError):
        os.read(descriptor, 16)
    for each in (descriptor, *others):
        with contextlib.suppress(OSError):
            os.close(each)
    return descriptor


def _opened(path: str) -> tuple[int, list[int]]:
    return os.open(path, os.O_RDONLY), []


def _pair(reader: int, writer: int) -> tuple[int, list[int]]:
    os.write(writer, b"x")
    return reader, [writer]


def _unix() -> tuple[int, list[int]]:
    one, other = socket.socketpair()
    return _pair(one.detach(), other.detach())


def _tcp(family: int, host: str) -> tuple[int, list[int]]:
    with socket.socket(family) as listener:
        listener.bind((host, 0))
        listener.listen()
        client = socket.create_connection(listener.getsockname()[:2])
        server, _ = listener.accept()
    return _pair(server.detach(), client.detach())


def _listener() -> tuple[int, list[int]]:
    listener = socket.socket()
    listener.bind(("127.0.0.1", 0))
    listener.listen()
    return listener.detach(), []


def _event() -> tuple[int, list[int]]:
    return os.eventfd(1), []


def _timer() -> tuple[int, list[int]]:
    return _libc().timerfd_create(1, os.O_NONBLOCK), []


def _inotify() -> tuple[int, list[int]]:
    return _libc().inotify_init1(os.O_NONBLOCK), []


def _signal() -> tuple[int, list[int]]:
    mask = ctypes.create_string_buffer(128)
    return _libc().signalfd(-1, mask, os.O_NONBLOCK), []


def _epoll() -> tuple[int, list[int]]:
    return _libc().epoll_create1(0), []


def _memory() -> tuple[int, list[int]]:
    return os.memfd_create("memory"), []


def _netlink() -> tuple[int, list[int]]:
    one = socket.socket(socket.AF_NETLINK, socket.SOCK_RAW | socket.SOCK_NONBLOCK)
    return one.detach(), []


_KINDS: dict[str, Callable[[], tuple[int, list[int]]]] = {
    "file": lambda: _opened("/etc/passwd"),
    "device": lambda: _opened("/dev/zero"),
    "directory": lambda: _opened("/etc"),
    "namespace": lambda: _opened("/proc/self/ns/net"),
    "memory": _memory,
    "pipe": lambda: _pair(*os.pipe()),
    "unix": _unix,
    "tcp4": lambda: _tcp(socket.AF_INET, "127.0.0.1"),
    "tcp6": lambda: _tcp(socket.AF_INET6, "::1"),
    "listener": _listener,
    "netlink": _netlink,
    "event": _event,
    "signal": _signal,
    "inotify": _inotify,
    "timer": _timer,
    "epoll": _epoll,
    "process": lambda: (os.pidfd_open(os.getpid()), []),
    "missing": lambda: (MISSING_FD, []),
}


def converse(host: str) -> list[list[object]]:
    """Accept a connection of one's own over loopback; returns both socket names and the fd."""
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    with socket.socket(family) as listener, socket.socket(family) as client:
        listener.bind((host, 0))
        listener.listen()
        client.connect(listener.getsockname()[:2])
        server, _ = listener.accept()
        with server:
            names = [*client.getsockname()[:2]], [*listener.getsockname()[:2]]
            descriptors = [client.fileno(), listener.fileno(), server.fileno()]
    return [*names, descriptors]


def refused() -> int:
    """Connect to a port nobody listens on; returns the port."""
    with socket.socket() as unused:
        unused.bind(("127.0.0.1", 0))
        port: int = unused.getsockname()[1]
    with socket.socket() as client, contextlib.suppress(ConnectionRefusedError):
        client.connect(("127.0.0.1", port))
    return port


def connect_unix(address: str) -> None:
    """Connect to a Unix socket that is not there; `@name` is an abstract one."""
    named = "\0" + address[1:] if address.startswith("@") else address
    with socket.socket(socket.AF_UNIX) as client, contextlib.suppress(OSError):
        client.connect(named)


def end_thread() -> int:
    """Start a thread and let it end; returns its id."""
    seen: list[int] = []
    thread = threading.Thread(target=lambda: seen.append(threading.get_native_id()))
    thread.start()
    thread.join()
    return seen[0]


def call_32bit(number: int) -> None:
    """Make a 32-bit system call from this 64-bit process: `mov eax, number; int 0x80; ret`."""
    code = b"\xb8" + number.to_bytes(4, "little") + b"\xcd\x80\xc3"
    protection = mmap.PROT_READ | mmap.PROT_WRITE | mmap.PROT_EXEC
    page = mmap.mmap(-1, mmap.PAGESIZE, prot=protection)
    page.write(code)
    address = ctypes.addressof(ctypes.c_char.from_buffer(page))
    ctypes.CFUNCTYPE(ctypes.c_int)(address)()


def open_in_thread(path: str) -> int:
    """Open from another thread; returns its id."""
    seen: list[int] = []

    def work() -> None:
        seen.append(threading.get_native_id())
        open_path(path)

    thread = threading.Thread(target=work)
    thread.start()
    thread.join()
    return seen[0]


def rename(name: str) -> None:
    """Give the main thread another name: PR_SET_NAME."""
    _libc().prctl(15, name.encode(), 0, 0, 0)


def read_file(path: str) -> None:
    """Read a file until its end has been seen, and close it."""
    descriptor = os.open(path, os.O_RDONLY)
    while os.read(descriptor, 4096):
        pass
    os.close(descriptor)


def run(*command: str) -> int:
    """Run a program; returns its pid."""
    with subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL) as child:
        return child.pid


def main() -> None:
    """Obey until the tests' side goes away."""
    tempfile.gettempdir()
    for line in sys.stdin:
        name, *arguments = json.loads(line)
        sys.stdout.write(json.dumps(globals()[name](*arguments)) + "\n")
        sys.stdout.flush()


if __name__ == "__main__":
    main()
