"""An HTTP and a DNS service on loopback, for tests: tells its ports, ends with its input.

The path `/status/N/...` is answered with status N; HTTP/1.1 with keep-alive.
The DNS service answers 127.0.0.9 for every name but those that begin with `no`.
"""

from __future__ import annotations

import http.server
import json
import socket
import socketserver
import struct
import sys
import threading


class Service(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True

    def do_GET(self) -> None:
        self._answer(b"a body of " + self.path.encode())

    def do_HEAD(self) -> None:
        self._answer(b"never sent")

    def do_POST(self) -> None:
        self._answer(self.rfile.read(int(self.headers["Content-Length"])))

    def _answer(self, body: bytes) -> None:
        self.send_response(int(self.path.split("/")[2]))
        if "chunked" in self.path:
            self.send_header("Transfer-Encoding", "chunked")
            body = b"%x\r\n%s\r\n0\r\n\r\n" % (len(body), body)
        else:
            self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(body)

    def log_message(self, *args: object) -> None:
        """Say nothing."""


class Server(http.server.ThreadingHTTPServer):
    request_queue_size = 64

    def server_bind(self) -> None:
        """As the base, without asking DNS for the host's name: that would be traffic, too."""
        socketserver.TCPServer.server_bind(self)
        self.server_name, self.server_port = "localhost", self.server_address[1]


class Server6(Server):
    address_family = socket.AF_INET6


def dns_answer(query: bytes) -> bytes:
    end = query.index(b"\0", 12) + 5
    unknown = query[13:15] == b"no"
    flags = 0x8183 if unknown else 0x8180
    head = query[:2] + struct.pack(">5H", flags, 1, 0 if unknown else 1, 0, 0)
    record = b"" if unknown else b"\xc0\x0c\0\1\0\1\0\0\0\x3c\0\4\x7f\0\0\x09"
    return head + query[12:end] + record


class Names(socketserver.BaseRequestHandler):
    def handle(self) -> None:
        query, sock = self.request
        sock.sendto(dns_answer(query), self.client_address)


class TcpNames(socketserver.StreamRequestHandler):
    def handle(self) -> None:
        while length := self.rfile.read(2):
            answer = dns_answer(self.rfile.read(int.from_bytes(length)))
            self.request.sendall(struct.pack(">H", len(answer)) + answer)


class TcpNameServer(socketserver.ThreadingTCPServer):
    daemon_threads = True


port = int(sys.argv[1]) if len(sys.argv) > 1 else 0
services: list[socketserver.TCPServer] = [
    Server(("127.0.0.1", port), Service),
    Server6(("::1", 0), Service),
    socketserver.UDPServer(("127.0.0.1", 0), Names),
    TcpNameServer(("127.0.0.1", 0), TcpNames),
]
for service in services:
    threading.Thread(target=service.serve_forever, daemon=True).start()
sys.stdout.write(json.dumps([service.server_address[1] for service in services]) + "\n")
sys.stdout.flush()
sys.stdin.read()
