"""Collectors to test against: OTLP's real services over HTTP and gRPC, on loopback."""

from __future__ import annotations

import contextlib
import gzip
import socket
import struct
import threading
from collections import Counter
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, Literal

import grpc
from opentelemetry.proto.collector.logs.v1 import logs_service_pb2 as logs
from opentelemetry.proto.collector.logs.v1 import logs_service_pb2_grpc as logs_grpc
from opentelemetry.proto.collector.metrics.v1 import metrics_service_pb2 as metrics
from opentelemetry.proto.collector.metrics.v1 import metrics_service_pb2_grpc as metrics_grpc
from opentelemetry.proto.collector.trace.v1 import trace_service_pb2 as traces
from opentelemetry.proto.collector.trace.v1 import trace_service_pb2_grpc as traces_grpc

Behaviour = Literal["ok", "busy", "refuse", "partial", "too_large", "hang", "reset", "warn"]
Protocol = Literal["http", "grpc"]

REJECTED = 3
"""Items a collector rejects of each request, as it behaves `partial`."""
ROOM = 100
"""Items it takes in a request, as it behaves `too_large`."""

_REQUESTS: dict[str, Any] = {
    "logs": logs.ExportLogsServiceRequest,
    "traces": traces.ExportTraceServiceRequest,
    "metrics": metrics.ExportMetricsServiceRequest,
}
_RESPONSES: dict[str, Any] = {
    "logs": logs.ExportLogsServiceResponse,
    "traces": traces.ExportTraceServiceResponse,
    "metrics": metrics.ExportMetricsServiceResponse,
}


def items_of(signal: str, request: Any) -> Iterator[Any]:
    """The log records, spans or points of a request."""
    for group in getattr(request, {"logs": "resource_logs", "traces": "resource_spans"}.get(
        signal, "resource_metrics"
    )):  # fmt: skip
        for scope in getattr(group, {"logs": "scope_logs", "traces": "scope_spans"}.get(
            signal, "scope_metrics"
        )):  # fmt: skip
            if signal == "logs":
                yield from scope.log_records
            elif signal == "traces":
                yield from scope.spans
            else:
                for metric in scope.metrics:
                    yield from (metric.sum if metric.HasField("sum") else metric.gauge).data_points


def attributes(item: Any) -> dict[str, Any]:
    """Plain attributes by name."""
    return {
        pair.key: getattr(pair.value, pair.value.WhichOneof("value") or "string_value")
        for pair in item.attributes
    }


class Receiver:
    """What both collectors have in common: what they took, and how they behave."""

    protocol: Protocol

    def __init__(self) -> None:
        self.behaviour: Behaviour = "ok"
        self.only: str = ""
        """The signal it behaves so to; all, if empty."""
        self.requests: Counter[str] = Counter()
        self.items: dict[str, list[Any]] = {signal: [] for signal in _REQUESTS}
        self.metadata: list[dict[str, str]] = []
        self.resources: dict[str, list[Any]] = {signal: [] for signal in _REQUESTS}
        self.metrics: dict[str, Any] = {}
        self.released = threading.Event()
        """Ends what hangs."""
        self.port = 0
        self._lock = threading.Lock()

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    @property
    def numbers(self) -> list[int]:
        """The sequence numbers of the log records it took."""
        return [attributes(item)["boxscope.seq"] for item in self.items["logs"]]

    def now(self, signal: str) -> Behaviour:
        """How it behaves to a signal."""
        return self.behaviour if self.only in ("", signal) else "ok"

    def take(self, signal: str, request: Any, told: dict[str, str]) -> Any:
        """Note a request; returns the answer to one that is taken."""
        items = list(items_of(signal, request))
        response = _RESPONSES[signal]()
        behaviour = self.now(signal)
        if behaviour == "warn":
            response.partial_success.error_message = "slowly, please"
        if behaviour == "partial":
            field = {"logs": "log_records", "traces": "spans"}.get(signal, "data_points")
            setattr(response.partial_success, f"rejected_{field}", REJECTED)
            response.partial_success.error_message = "too\x1bold"
            items = items[REJECTED:]
        with self._lock:
            self.items[signal] += items
            self.metadata.append(told)
            if signal == "metrics":
                for group in request.resource_metrics:
                    for scope in group.scope_metrics:
                        self.metrics.update((metric.name, metric) for metric in scope.metrics)
            else:
                groups = request.resource_logs if signal == "logs" else request.resource_spans
                self.resources[signal] += [group.resource for group in groups]
        return response

    def start(self) -> None:
        """Listen, after a stop at the port it had before."""
        raise NotImplementedError

    def stop(self) -> None:
        """Hang up on everybody and listen no longer."""
        raise NotImplementedError


class HttpReceiver(Receiver):
    """OTLP over HTTP/1.1."""

    protocol: Protocol = "http"

    def __init__(self) -> None:
        super().__init__()
        self.codes: dict[str, int] = {"busy": 503, "refuse": 400}

    def start(self) -> None:
        self._connections: list[socket.socket] = []
        self._server = ThreadingHTTPServer(("127.0.0.1", self.port), _handler(self))
        self._server.daemon_threads = True
        self.port = self._server.server_address[1]
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.01,))
        self._thread.start()

    def stop(self) -> None:
        self._server.shutdown()
        self._thread.join()
        self._server.server_close()
        for connection in self._connections:
            with contextlib.suppress(OSError):
                connection.shutdown(socket.SHUT_RDWR)

    def connected(self, connection: socket.socket) -> None:
        self._connections.append(connection)

    def code(self, signal: str, size: int) -> int:
        """The status it answers with."""
        if self.now(signal) == "too_large":
            return 413 if size > ROOM else 200
        return self.codes.get(self.now(signal), 200)


def _handler(receiver: HttpReceiver) -> type[BaseHTTPRequestHandler]:
    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def setup(self) -> None:
            super().setup()
            receiver.connected(self.connection)

        def do_POST(self) -> None:
            signal = self.path.removeprefix("/v1/")
            body = self.rfile.read(int(self.headers["content-length"]))
            if self.headers.get("content-encoding") == "gzip":
                body = gzip.decompress(body)
            receiver.requests[signal] += 1
            match receiver.now(signal):
                case "hang":
                    receiver.released.wait(30)
                    self.close_connection = True
                    return
                case "reset":
                    linger = struct.pack("ii", 1, 0)
                    self.connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, linger)
                    self.connection.close()
                    self.close_connection = True
                    return
            request = _REQUESTS[signal].FromString(body)
            code = receiver.code(signal, len(list(items_of(signal, request))))
            told = {name.lower(): value for name, value in self.headers.items()}
            answer = b"no"
            if code == 200:
                answer = receiver.take(signal, request, told).SerializeToString()
            self.send_response(code)
            self.send_header("content-type", "application/x-protobuf")
            self.send_header("content-length", str(len(answer)))
            self.end_headers()
            self.wfile.write(answer)

        def handle(self) -> None:
            with contextlib.suppress(OSError, ValueError):  # hung up on, or closed by ourselves
                super().handle()

        def finish(self) -> None:
            with contextlib.suppress(OSError, ValueError):
                super().finish()

        def log_message(self, *_: object) -> None:
            pass

    return Handler


class GrpcReceiver(Receiver):
    """OTLP over gRPC."""

    protocol: Protocol = "grpc"

    def start(self) -> None:
        self._server = grpc.server(ThreadPoolExecutor(8))
        for signal, module in (
            ("logs", (logs_grpc, "Logs")),
            ("traces", (traces_grpc, "Trace")),
            ("metrics", (metrics_grpc, "Metrics")),
        ):
            service = type("Service", (getattr(module[0], f"{module[1]}ServiceServicer"),), {})()
            service.Export = self._export(signal)
            getattr(module[0], f"add_{module[1]}ServiceServicer_to_server")(service, self._server)
        self.port = self._server.add_insecure_port(f"127.0.0.1:{self.port}")
        self._server.start()

    def stop(self) -> None:
        self._server.stop(None).wait()

    def _export(self, signal: str) -> Callable[[Any, Any], Any]:
        def export(request: Any, context: Any) -> Any:
            self.requests[signal] += 1
            match self.now(signal):
                case "hang":
                    self.released.wait(30)
                    context.abort(grpc.StatusCode.CANCELLED, "released")
                case "busy" | "reset":
                    context.abort(grpc.StatusCode.UNAVAILABLE, "busy")
                case "refuse":
                    context.abort(grpc.StatusCode.INVALID_ARGUMENT, "no")
                case "too_large" if len(list(items_of(signal, request))) > ROOM:
                    context.abort(grpc.StatusCode.RESOURCE_EXHAUSTED, "larger than max")
            told = {name: str(value) for name, value in context.invocation_metadata()}
            return self.take(signal, request, told)

        return export


def started(protocol: str) -> Receiver:
    """A collector that listens."""
    receiver = GrpcReceiver() if protocol == "grpc" else HttpReceiver()
    receiver.start()
    return receiver
