"""A client of `traffic_server.py`: does what each line of JSON asks for and says when.

Answers with a list of [request, status, port of its own, ns before, ns after], wall time.
"""

from __future__ import annotations

import http.client
import json
import socket
import struct
import sys
import time
from collections.abc import Callable
from typing import Any

METHODS = ("GET", "GET", "POST", "HEAD", "GET")
STATUSES = (200, 404, 200, 500, 204, 200, 301, 200, 503, 200)


def visit(host: str, port: int, count: int, keep_alive: bool) -> list[list[Any]]:
    done: list[list[Any]] = []
    connection = http.client.HTTPConnection(host, port, timeout=60)
    for number in range(count):
        method, status = METHODS[number % len(METHODS)], STATUSES[number % len(STATUSES)]
        if status == 204:
            method = "HEAD"
        kind = "chunked" if number % 4 == 1 else "plain"
        path = f"/status/{status}/{kind}/{port}/{keep_alive}/{number}"
        body = b"p" * (number * 37 % 3_000) if method == "POST" else None
        before = time.time_ns()
        connection.request(method, path, body)
        response = connection.getresponse()
        after = time.time_ns()
        own = connection.sock.getsockname()[1] if connection.sock else 0
        response.read()
        done.append([f"{method} {path}", str(response.status), own, before, after])
        if not keep_alive:
            connection.close()
    connection.close()
    return done


def query(number: int, name: str) -> bytes:
    labels = b"".join(bytes([len(part)]) + part.encode() for part in name.split("."))
    return struct.pack(">6H", number, 0x100, 1, 0, 0, 0) + labels + b"\0\0\1\0\1"


def resolve(port: int, count: int, tcp: bool) -> list[list[Any]]:
    done: list[list[Any]] = []
    kind = socket.SOCK_STREAM if tcp else socket.SOCK_DGRAM
    with socket.socket(socket.AF_INET, kind) as sock:
        sock.settimeout(60)
        sock.connect(("127.0.0.1", port))
        for number in range(count):
            known = number % 3
            name = f"{'host' if known else 'nothing'}{number}.{'tcp' if tcp else 'udp'}.test"
            asked = query(number, name)
            before = time.time_ns()
            sock.sendall(struct.pack(">H", len(asked)) + asked if tcp else asked)
            sock.recv(4096)
            after = time.time_ns()
            status = "NOERROR" if known else "NXDOMAIN"
            done.append([f"A {name}", status, sock.getsockname()[1], before, after])
    return done


def tell(text: str) -> None:
    sys.stdout.write(text + "\n")
    sys.stdout.flush()


VERBS: dict[str, Callable[..., list[list[Any]]]] = {"visit": visit, "resolve": resolve}

tell("ready")
for line in sys.stdin:
    verb, *arguments = json.loads(line)
    tell(json.dumps(VERBS[verb](*arguments)))
