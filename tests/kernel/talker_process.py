"""The script of an actor that talks over sockets: one JSON command a line, one line of answer."""

from __future__ import annotations

import ctypes
import http.client
import http.server
import json
import os
import socket
import struct
import sys
import tempfile
import threading
from pathlib import Path
from typing import Any

_open: dict[str, socket.socket] = {}


def serve(kind: str = "tcp4") -> list[object]:
    """Listen (or receive datagrams) on loopback; returns the address."""
    listener = _new(kind)
    address = {"6": ("::1", 0), "4": ("127.0.0.1", 0)}.get(kind[-1], "")
    if kind == "mapped":
        listener.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 0)
        address = ("::", 0)
    if kind == "unix":
        address = os.path.join(tempfile.mkdtemp(), "socket")
    listener.bind(address)
    if not kind.startswith("udp"):
        listener.listen()
    _open["listener"] = listener
    name = listener.getsockname()
    return list(name[:2]) if isinstance(name, tuple) else [name]


def accept() -> list[object]:
    """Take the connection; returns the descriptor and the peer."""
    _open["conn"], peer = _open["listener"].accept()
    return [_open["conn"].fileno(), list(peer[:2])]


def connect(kind: str, host: str, *port: int) -> list[object]:
    """Connect; returns the descriptor and the own address."""
    one = _new(kind)
    one.connect((host, *port) if port else host)
    _open["conn"] = one
    name = one.getsockname()
    return [one.fileno(), list(name[:2]) if isinstance(name, tuple) else name]


def take_listener() -> None:
    """Use the listening datagram socket as the connection."""
    _open["conn"] = _open["listener"]


def inode() -> int:
    """Of the connection's socket."""
    return os.fstat(_open["conn"].fileno()).st_ino


def send(how: str, *parts: str) -> int:
    """Write the parts in one call; returns what it returned."""
    conn, data = _open["conn"], [part.encode() for part in parts]
    if how == "write":
        return os.write(conn.fileno(), b"".join(data))
    if how == "writev":
        return os.writev(conn.fileno(), data)
    if how == "send":
        return conn.send(b"".join(data))
    if how == "sendmsg":
        return conn.sendmsg(data)
    if how == "sendmmsg":
        return _messages(307, conn.fileno(), data)
    raise ValueError(how)


def send_unread(how: str, text: str) -> int:
    """Send a text without it ever being in memory of this process; returns what it returned."""
    out = _open["conn"].fileno()
    if how == "sendfile":
        with tempfile.TemporaryFile() as file:
            os.write(file.fileno(), text.encode())
            return os.sendfile(out, file.fileno(), 0, len(text))
    reader, writer = os.pipe()
    os.write(writer, text.encode())
    sent = _splice(reader, out, len(text))
    os.close(reader)
    os.close(writer)
    return sent


def receive_unread(size: int) -> int:
    """Splice what comes into a pipe; returns how much it was."""
    reader, writer = os.pipe()
    got = _splice(_open["conn"].fileno(), writer, size)
    os.close(reader)
    os.close(writer)
    return got


def splice_while_it_is_closed(text: str) -> int:
    """Splice into the connection, which another thread closes during the call."""
    one, sent = _open.pop("conn"), list[int]()
    reader, writer = os.pipe()
    out = one.fileno()
    thread = threading.Thread(target=lambda: sent.append(_splice(reader, out, len(text))))
    thread.start()
    while not Path(f"/proc/self/task/{thread.native_id}/syscall").read_text().startswith("275 "):
        pass
    one.close()
    os.write(writer, text.encode())
    thread.join()
    os.close(reader)
    os.close(writer)
    return sent[0]


def send_many(size: int, times: int) -> None:
    """Write that many messages of that size."""
    for _ in range(times):
        _open["conn"].send(b"x" * size)


def send_to(text: str, host: str, port: int) -> int:
    """Send a datagram from an unconnected socket."""
    return _open["conn"].sendto(text.encode(), (host, port))


def receive(how: str, size: int = 65536, parts: int = 1) -> str:
    """Read in one call; returns the text."""
    conn = _open["conn"]
    if how == "read":
        return os.read(conn.fileno(), size).decode()
    if how == "recv":
        return conn.recv(size).decode()
    if how == "recvfrom":
        return conn.recvfrom(size)[0].decode()
    if how == "peek":
        return conn.recv(size, socket.MSG_PEEK).decode()
    buffers = [bytearray(size // parts) for _ in range(parts)]
    if how == "readv":
        got = os.readv(conn.fileno(), buffers)
    elif how == "recvmsg":
        got = conn.recvmsg_into(buffers)[0]
    else:
        raise ValueError(how)
    return b"".join(buffers)[:got].decode()


def receive_messages(count: int, size: int) -> int:
    """recvmmsg; returns the number of messages."""
    return _messages(299, _open["conn"].fileno(), [bytes(size)] * count)


def receive_in_background() -> None:
    """Have another thread wait for data, then write it back."""

    def work() -> None:
        _open["conn"].sendall(_open["conn"].recv(100))

    threading.Thread(target=work).start()


def shut() -> None:
    """Close everything."""
    for one in set(_open.values()):
        one.close()
    _open.clear()


def files_and_pipes(text: str) -> None:
    """Read and write what is no socket."""
    with tempfile.TemporaryFile() as file:
        os.write(file.fileno(), text.encode())
        os.pread(file.fileno(), 100, 0)
    reader, writer = os.pipe()
    os.writev(writer, [text.encode()])
    os.read(reader, 100)
    os.close(reader)
    os.close(writer)


def http_server(directory: str) -> int:
    """Serve a directory; returns the port."""

    class Handler(http.server.SimpleHTTPRequestHandler):
        def __init__(self, *arguments: Any) -> None:
            super().__init__(*arguments, directory=directory)

        def log_message(self, *_: object) -> None:
            pass

    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    return server.server_port


def http_get(port: int, *paths: str) -> list[object]:
    """Get one page after the other; returns status and length of each."""
    answers: list[object] = []
    for path in paths:
        connection = http.client.HTTPConnection("127.0.0.1", port)
        connection.request("GET", path)
        response = connection.getresponse()
        answers.append([response.status, len(response.read())])
        connection.close()
    return answers


def _new(kind: str) -> socket.socket:
    if kind == "unix":
        return socket.socket(socket.AF_UNIX)
    family = socket.AF_INET if kind.endswith("4") else socket.AF_INET6
    return socket.socket(
        family, socket.SOCK_DGRAM if kind.startswith("udp") else socket.SOCK_STREAM
    )


def _splice(source: int, target: int, size: int) -> int:
    libc = ctypes.CDLL(None, use_errno=True)
    moved: int = libc.syscall(275, source, None, target, None, ctypes.c_size_t(size), 0)
    return moved


def _messages(number: int, descriptor: int, texts: list[bytes]) -> int:
    """sendmmsg or recvmmsg with one message of one vector for each text."""
    buffers = [ctypes.create_string_buffer(text, len(text)) for text in texts]
    vectors = [
        ctypes.create_string_buffer(struct.pack("<QQ", ctypes.addressof(one), len(one)))
        for one in buffers
    ]
    headers = b"".join(
        struct.pack("<QIxxxxQQQQixxxxIxxxx", 0, 0, ctypes.addressof(one), 1, 0, 0, 0, 0)
        for one in vectors
    )
    block = ctypes.create_string_buffer(headers, len(headers))
    libc = ctypes.CDLL(None, use_errno=True)
    done: int = libc.syscall(number, descriptor, block, len(texts), 0, None)
    return done


def main() -> None:
    """Obey until the tests' side goes away."""
    tempfile.gettempdir()
    for line in sys.stdin:
        name, *arguments = json.loads(line)
        sys.stdout.write(json.dumps(globals()[name](*arguments) if name else None) + "\n")
        sys.stdout.flush()


def nothing() -> None:
    """Only answer."""


if __name__ == "__main__":
    main()
