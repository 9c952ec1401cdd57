"""The SDK's OTLP/HTTP exporters on a session that makes one attempt and looks at the answer."""

from __future__ import annotations

from collections.abc import Mapping
from importlib import import_module
from typing import TYPE_CHECKING, Any

import requests
from google.protobuf.message import DecodeError, Message
from opentelemetry.proto.collector.logs.v1.logs_service_pb2 import ExportLogsServiceResponse
from opentelemetry.proto.collector.metrics.v1.metrics_service_pb2 import (
    ExportMetricsServiceResponse,
)
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceResponse

from engine.otlp.answers import Rejected, no_connection, of_http
from engine.otlp.post import BODY_BYTES, Desk

if TYPE_CHECKING:
    from engine.otlp.options import OtlpOptions
    from engine.otlp.post import Exporting

_CLASSES = {
    "logs": ("_log_exporter", "OTLPLogExporter"),
    "traces": ("trace_exporter", "OTLPSpanExporter"),
    "metrics": ("metric_exporter", "OTLPMetricExporter"),
}
_RESPONSES: Mapping[str, type[Message]] = {
    "logs": ExportLogsServiceResponse,
    "traces": ExportTraceServiceResponse,
    "metrics": ExportMetricsServiceResponse,
}


class NotTaken(Exception):
    """Tells the SDK to leave it at one attempt; the answer is at the desk."""


class AskingSession(requests.Session):
    """A session for one signal's requests, each of which is tried once."""

    def __init__(self, desk: Desk) -> None:
        super().__init__()
        self._desk = desk

    def request(self, method: Any, url: Any, **how: Any) -> requests.Response:  # type: ignore[override]
        """Ask, and leave the answer at the desk.

        Raises:
            NotTaken: the collector did not take it.
        """
        how |= {"timeout": self._desk.limited(how.get("timeout")), "stream": True}
        try:
            response = super().request(method, url, **how)
            self._desk.answer = of_http(
                response.status_code,
                response.reason,
                _pause_s(response.headers.get("retry-after", "")),
                lambda: self._rejected(response),
                self._desk.size,
            )
            response.close()
        except Exception as error:  # what requests and urllib3 raise, in all their variety
            self._desk.answer = no_connection(error)
            raise NotTaken from None
        if self._desk.answer.verdict != "taken":
            raise NotTaken
        return response

    def _rejected(self, response: requests.Response) -> Rejected:
        body = response.raw.read(BODY_BYTES, decode_content=True)
        if "json" in response.headers.get("content-type", ""):
            return 0, ""
        try:
            return self._desk.rejected(_RESPONSES[self._desk.signal].FromString(body or b""))
        except DecodeError:
            return 0, ""  # 200 from something that is no collector, or speaks something newer


def _pause_s(text: str) -> float | None:
    """The seconds of a `Retry-After`; a date there is not read."""
    return float(text) if text.strip().isascii() and text.strip().isdigit() else None


def http_exporter(options: OtlpOptions, desk: Desk) -> Exporting[Any]:
    """The SDK's exporter of a signal over HTTP."""
    module, name = _CLASSES[desk.signal]
    made = getattr(import_module(f"opentelemetry.exporter.otlp.proto.http.{module}"), name)
    exporter: Exporting[Any] = made(
        endpoint=options.url_of(desk.signal),
        headers=dict(options.headers) or None,
        session=AskingSession(desk),
    )
    return exporter
