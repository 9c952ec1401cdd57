"""A process with sockets, driven line by line: run as a program it obeys, imported it drives.

One JSON object per line in, one out; the end of stdin ends the process and its children.
"""

from __future__ import annotations

import ctypes
import json
import os
import signal
import socket
import subprocess
import sys
from types import TracebackType
from typing import Any, Self

KINDS = {
    "tcp4": (socket.AF_INET, socket.SOCK_STREAM, "127.0.0.1"),
    "tcp6": (socket.AF_INET6, socket.SOCK_STREAM, "::1"),
    "mapped": (socket.AF_INET6, socket.SOCK_STREAM, "::ffff:127.0.0.1"),
    "dual": (socket.AF_INET6, socket.SOCK_STREAM, "::"),
    "v6only": (socket.AF_INET6, socket.SOCK_STREAM, "::"),
    "udp4": (socket.AF_INET, socket.SOCK_DGRAM, "127.0.0.1"),
    "udp6": (socket.AF_INET6, socket.SOCK_DGRAM, "::1"),
}
_CLONE3 = 435
_PR_SET_PDEATHSIG = 1


class Listener:
    """A child process that opens, closes and shares sockets as it is told."""

    def __init__(self, *, before: str = "", program: str = sys.executable, home: str = "") -> None:
        """Start it.

        Args:
            before: Python it runs before anything else.
            program: The Python interpreter to run it with.
            home: Where that finds its library, if not beside itself.
        """
        self._mailbox = 0
        run = f"import runpy; runpy.run_path({__file__!r}, run_name='__main__')"
        what = ["-c", before + run] if before else [__file__]
        self._process = subprocess.Popen(
            [program, "-S", *([] if home else ["-E"]), *what],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            env={**os.environ, "PYTHONHOME": home} if home else None,
        )

    @property
    def pid(self) -> int:
        """Its pid."""
        return self._process.pid

    def open(
        self, kind: str = "tcp4", *, port: int = 0, reuse: bool = False, device: str = ""
    ) -> int:
        """Open a socket of one of KINDS and listen; returns the port."""
        return self._tell(do="open", kind=kind, port=port, reuse=reuse, device=device)

    def listen_unbound(self) -> int:
        """Listen on a socket that was never bound; returns the port the kernel gave it."""
        return self._tell(do="unbound")

    def bind_only(self) -> int:
        """Bind a TCP socket; returns its port. `listen_bound` makes it listen."""
        return self._tell(do="bind")

    def listen_bound(self, port: int) -> None:
        """Listen on a socket that `bind_only` made."""
        self._tell(do="listen", port=port)

    def open_clients(self, count: int) -> list[int]:
        """Connect that many clients to a listener of its own; returns the local ports of both ends
        in turn, and last that of the listener."""
        self._send(do="clients", count=count)
        assert self._process.stdout is not None
        ports: list[int] = json.loads(self._process.stdout.readline())
        return ports

    def enter(self, pid: int) -> int:
        """Enter the network namespace of a process; returns 0 or an errno."""
        return self._tell(do="enter", pid=pid)

    def open_connected_udp(self) -> int:
        """Open a UDP socket and connect it; returns its local port."""
        return self._tell(do="connect")

    def close(self, port: int) -> None:
        """Close its sockets on a port."""
        self._tell(do="close", port=port)

    def fork(self) -> int:
        """Fork a child that holds the same sockets and does nothing; returns its pid."""
        return self._tell(do="fork")

    def respawn(self, pid: int) -> int:
        """Like `fork`, with a given pid, which must be free; returns 0 or an errno."""
        return self._tell(do="respawn", pid=pid)

    def end_child(self, pid: int) -> None:
        """Kill a child made by `fork` and reap it."""
        self._tell(do="end", pid=pid)

    def open_mailbox(self) -> None:
        """Be ready for `hand_over`."""
        self._mailbox = self._tell(do="mailbox")

    def hand_over(self, port: int, taker: Listener) -> None:
        """Give another listener a descriptor of the socket on a port (SCM_RIGHTS)."""
        self._tell(do="give", port=port, mailbox=taker._mailbox)
        taker._tell(do="take")

    def exec(self, program: str) -> None:
        """Become a program that reads stdin to its end; the sockets stay open."""
        self._send(do="exec", program=program)

    def end(self) -> None:
        """End it and wait for it; may be called twice."""
        self._process.kill()
        self._process.communicate()

    def _tell(self, **command: object) -> int:
        self._send(**command)
        assert self._process.stdout is not None
        answer: int = json.loads(self._process.stdout.readline())
        return answer

    def _send(self, **command: object) -> None:
        assert self._process.stdin is not None
        self._process.stdin.write(json.dumps(command).encode() + b"\n")
        self._process.stdin.flush()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        exc_type: type[BaseException] | None,
        exc: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self.end()


def serve() -> None:
    """Obey the lines of stdin."""
    sockets: list[socket.socket] = []
    mailbox = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
    for line in sys.stdin:
        command = json.loads(line)
        answer: object = 0
        match command["do"]:
            case "open":
                sockets.append(_open(command))
                answer = sockets[-1].getsockname()[1]
            case "connect":
                sockets.append(socket.socket(socket.AF_INET, socket.SOCK_DGRAM))
                sockets[-1].connect(("127.0.0.1", 9))
                answer = sockets[-1].getsockname()[1]
            case "unbound":
                sockets.append(socket.socket())
                sockets[-1].listen()
                answer = sockets[-1].getsockname()[1]
            case "bind":
                sockets.append(socket.socket())
                sockets[-1].bind(("127.0.0.1", 0))
                answer = sockets[-1].getsockname()[1]
            case "listen":
                for each in sockets:
                    if _port(each) == command["port"]:
                        each.listen()
            case "clients":
                made = _connect(command["count"])
                sockets += made
                answer = [_port(each) for each in made]
            case "enter":
                descriptor = os.open(f"/proc/{command['pid']}/ns/net", os.O_RDONLY)
                library = ctypes.CDLL(None, use_errno=True)
                answer = ctypes.get_errno() if library.setns(descriptor, 0) else 0
                os.close(descriptor)
            case "close":
                for each in sockets:
                    if _port(each) == command["port"]:
                        each.close()
                sockets = [each for each in sockets if each.fileno() >= 0]
            case "fork":
                parent, child = os.getpid(), os.fork()
                if child == 0:
                    _stay(parent)
                answer = child
            case "respawn":
                answer = _clone_as(command["pid"])
            case "end":
                os.kill(command["pid"], signal.SIGKILL)
                os.waitpid(command["pid"], 0)
            case "mailbox":
                mailbox.bind("")
                answer = int(mailbox.getsockname()[1:], 16)
            case "give":
                given = [each.fileno() for each in sockets if _port(each) == command["port"]]
                name = f"\0{command['mailbox']:05x}".encode()
                mailbox.connect(name)
                socket.send_fds(mailbox, [b"x"], given)
            case "take":
                _, fds, _, _ = socket.recv_fds(mailbox, 1, 1)
                sockets += [socket.socket(fileno=fd) for fd in fds]
            case "exec":
                for each in sockets:
                    each.set_inheritable(True)
                os.execv(command["program"], [command["program"]])
        sys.stdout.write(f"{json.dumps(answer)}\n")
        sys.stdout.flush()


def _open(command: dict[str, Any]) -> socket.socket:
    family, kind, address = KINDS[command["kind"]]
    made = socket.socket(family, kind)
    if family == socket.AF_INET6:
        made.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, command["kind"] == "v6only")
    if command["reuse"]:
        made.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
    if command["device"]:
        made.setsockopt(socket.SOL_SOCKET, socket.SO_BINDTODEVICE, command["device"].encode())
    made.bind((address, command["port"]))
    if kind == socket.SOCK_STREAM:
        made.listen()
    return made


def _connect(count: int) -> list[socket.socket]:
    """Clients, what was accepted of them, and last their listener."""
    listening = socket.create_server(("127.0.0.1", 0))
    clients = []
    for _ in range(count):
        clients.append(socket.create_connection(listening.getsockname()))
        accepted, _ = listening.accept()
        clients.append(accepted)
    return [*clients, listening]


def _port(opened: socket.socket) -> int:
    return int(opened.getsockname()[1])


def _stay(parent: int) -> None:
    ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)
    while os.getppid() == parent:  # otherwise it ended before the prctl
        signal.pause()
    os._exit(0)


def _clone_as(pid: int) -> int:
    """Fork a child with that pid (clone3 with set_tid)."""
    library = ctypes.CDLL(None, use_errno=True)
    wanted = (ctypes.c_int * 1)(pid)
    arguments = (ctypes.c_uint64 * 11)()
    arguments[4] = signal.SIGCHLD
    arguments[8], arguments[9] = ctypes.addressof(wanted), 1
    parent = os.getpid()
    made = library.syscall(_CLONE3, arguments, ctypes.sizeof(arguments))
    if made == 0:
        _stay(parent)
    return 0 if made > 0 else ctypes.get_errno()


if __name__ == "__main__":
    serve()
