"""The script of an actor that makes and breaks connections, and loses packets on purpose."""

from __future__ import annotations

import contextlib
import ctypes
import fcntl
import json
import os
import select
import socket
import struct
import sys
import time
from collections.abc import Callable

PATIENCE_S = 20.0
TUN_SET_INTERFACE = 0x400454CA
INTERFACE_UP = 0x1
SET_FLAGS, GET_FLAGS, SET_ADDRESS, SET_MASK = 0x8914, 0x8913, 0x8916, 0x891C
NEW_NETWORK = 0x40000000
RENAME_THREAD = 15
TOTAL_RETRANSMITS = 100
"""Offset of tcpi_total_retrans in struct tcp_info."""
DROP_EVERYTHING = struct.pack("HBBI", 0x06, 0, 0, 0)
"""A packet filter of one instruction: accept no byte."""
ATTACH_FILTER, DETACH_FILTER = 26, 27

_kept: dict[str, socket.socket] = {}


def nothing() -> None:
    """Only answer."""


def listen(name: str, host: str, port: int = 0) -> int:
    """Listen; returns the port."""
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    listener = _kept[name] = socket.socket(family)
    if host == "::":
        listener.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 0)
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    listener.bind((host, port))
    listener.listen()
    return int(listener.getsockname()[1])


def connect(name: str, host: str, port: int) -> int:
    """Connect; returns the local port."""
    client = _kept[name] = socket.socket(socket.AF_INET6 if ":" in host else socket.AF_INET)
    with contextlib.suppress(OSError):
        client.connect((host, port))
    return int(client.getsockname()[1])


def refused() -> int:
    """Connect to a port nobody listens on; returns the port."""
    with socket.socket() as unused:
        unused.bind(("127.0.0.1", 0))
        port: int = unused.getsockname()[1]
    with socket.socket() as client, contextlib.suppress(ConnectionRefusedError):
        client.connect(("127.0.0.1", port))
    return port


def accept(listener: str, name: str) -> None:
    """Take a connection."""
    _kept[name], _ = _kept[listener].accept()


def send(name: str, count: int) -> None:
    """Send so many bytes."""
    _kept[name].sendall(b"x" * count)


def receive(name: str, count: int) -> int:
    """Receive until so many bytes came, or the end; returns how many, or -1 if it was reset."""
    got = 0
    try:
        while got < count and (part := _kept[name].recv(count - got)):
            got += len(part)
    except ConnectionResetError:
        return -1
    return got


def close(name: str) -> None:
    """Close a socket."""
    _kept.pop(name).close()


def reset(name: str) -> None:
    """Close a socket so that the other end is told of a reset."""
    _kept[name].setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    close(name)


def deafen(name: str) -> None:
    """Let a socket drop whatever arrives for it."""
    code = ctypes.create_string_buffer(DROP_EVERYTHING, len(DROP_EVERYTHING))
    program = struct.pack("HxxxxxxQ", 1, ctypes.addressof(code))
    _kept[name].setsockopt(socket.SOL_SOCKET, ATTACH_FILTER, program)


def hear(name: str) -> None:
    """Let it hear again."""
    _kept[name].setsockopt(socket.SOL_SOCKET, DETACH_FILTER, 0)


def retransmits(name: str) -> int:
    """How many segments the kernel says it sent again."""
    facts = _kept[name].getsockopt(socket.IPPROTO_TCP, socket.TCP_INFO, 256)
    return int(struct.unpack_from("I", facts, TOTAL_RETRANSMITS)[0])


def wait_for_retransmits(name: str, count: int) -> None:
    """Wait until a socket has sent so many segments again."""
    _wait(lambda: retransmits(name) >= count)


def wait_acknowledged(name: str) -> int:
    """Wait until everything sent was acknowledged; returns the retransmits so far."""
    unsent = struct.pack("i", 0)
    outq = 0x5411  # SIOCOUTQ
    _wait(lambda: fcntl.ioctl(_kept[name], outq, unsent) == unsent)
    return retransmits(name)


def connect_deaf(name: str, host: str, port: int) -> int:
    """Begin to connect without hearing the answer; returns the local port."""
    client = _kept[name] = socket.socket(socket.AF_INET6 if ":" in host else socket.AF_INET)
    deafen(name)
    client.setblocking(False)
    client.connect_ex((host, port))
    return int(client.getsockname()[1])


def rename(name: str) -> None:
    """Give this thread another name."""
    _libc().prctl(RENAME_THREAD, name.encode(), 0, 0, 0)


def into_the_void(tries: int) -> tuple[int, int]:
    """In a network of one's own, connect to where no packet is answered.

    The interface is a tunnel whose other end nobody reads.

    Returns:
        The error of the connect, and how often its SYN was sent again.
    """
    tunnel = _void()
    with socket.socket() as client:
        client.setsockopt(socket.IPPROTO_TCP, socket.TCP_SYNCNT, tries)
        error: int = client.connect_ex(("192.0.2.2", 80))
    os.close(tunnel)
    return error, _counted("Tcp", "RetransSegs")


def own_network() -> None:
    """Move into a new network that has a loopback interface and nothing else."""
    _libc().unshare(NEW_NETWORK)
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as control:
        fcntl.ioctl(control, SET_FLAGS, struct.pack("16sH22x", b"lo", INTERFACE_UP))


def join_network(pid: int) -> None:
    """Move into the network of another process."""
    with open(f"/proc/{pid}/ns/net") as network:
        if _libc().setns(network.fileno(), NEW_NETWORK):
            raise OSError(ctypes.get_errno(), "setns")


def _libc() -> ctypes.CDLL:
    return ctypes.CDLL(None, use_errno=True)


def _void() -> int:
    """Move into a new network whose only way leads nowhere; returns the tunnel's descriptor."""
    _libc().unshare(NEW_NETWORK)
    tunnel = os.open("/dev/net/tun", os.O_RDWR)
    fcntl.ioctl(tunnel, TUN_SET_INTERFACE, struct.pack("16sH22x", b"void", 0x1001))
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as control:
        for request, address in ((SET_ADDRESS, "192.0.2.1"), (SET_MASK, "255.255.255.0")):
            packed = struct.pack("HH4s8x", socket.AF_INET, 0, socket.inet_aton(address))
            fcntl.ioctl(control, request, struct.pack("16s16s8x", b"void", packed))
        fcntl.ioctl(control, SET_FLAGS, struct.pack("16sH22x", b"void", INTERFACE_UP))
    return tunnel


def _counted(protocol: str, name: str) -> int:
    """A counter of this network."""
    with open("/proc/self/net/snmp") as counters:
        names, values = [line.split() for line in counters if line.startswith(f"{protocol}:")]
    return int(values[names.index(name)])


def give_up() -> None:
    """In a network of one's own where nobody answers, close a socket that is still connecting."""
    tunnel = _void()
    with socket.socket() as client:
        client.setblocking(False)
        client.connect_ex(("192.0.2.2", 80))
    os.close(tunnel)


def overrun(host: str, count: int) -> tuple[int, int]:
    """Send datagrams to a small buffer; returns the receiver's port and how many it has."""
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    with socket.socket(family, socket.SOCK_DGRAM) as receiver:
        receiver.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        receiver.bind((host, 0))
        receiver.setblocking(False)
        with contextlib.suppress(BlockingIOError):
            receiver.recv(1)
        port: int = receiver.getsockname()[1]
        with socket.socket(family, socket.SOCK_DGRAM) as sender:
            for _ in range(count):
                sender.sendto(b"x" * 512, (host, port))
        got = 0
        with contextlib.suppress(BlockingIOError):
            while receiver.recv(1024):
                got += 1
    return port, got


def after(seconds: float) -> None:
    """Let time pass on the clock."""
    begun = time.monotonic()
    _wait(lambda: time.monotonic() - begun >= seconds)


def fork_and_receive(name: str) -> int:
    """Let a child receive one byte on a connection and end; returns the child's pid."""
    child = os.fork()
    if child == 0:
        _kept[name].recv(1)
        os._exit(0)
    os.waitpid(child, 0)
    return child


def _wait(condition: Callable[[], bool]) -> None:
    deadline = time.monotonic() + PATIENCE_S
    while not condition():
        if time.monotonic() > deadline:
            raise TimeoutError
        select.select([], [], [], 0.01)


def main() -> None:
    """Obey until the tests' side goes away."""
    for line in sys.stdin:
        name, *arguments = json.loads(line)
        sys.stdout.write(json.dumps(globals()[name](*arguments)) + "\n")
        sys.stdout.flush()


if __name__ == "__main__":
    main()
