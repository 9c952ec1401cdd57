"""The SDK's OTLP/gRPC exporters on a stub that makes one attempt and looks at the answer."""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

import grpc
from google.rpc.error_details_pb2 import RetryInfo

from engine.otlp.answers import Answer, of_grpc, taken
from engine.otlp.post import Desk

if TYPE_CHECKING:
    from engine.otlp.options import OtlpOptions
    from engine.otlp.post import Exporting

_CLASSES = {
    "logs": ("_log_exporter", "OTLPLogExporter"),
    "traces": ("trace_exporter", "OTLPSpanExporter"),
    "metrics": ("metric_exporter", "OTLPMetricExporter"),
}
_ONCE = (grpc.StatusCode.OK,)
"""What the SDK is to try again after: nothing that fails."""


class AskingStub:
    """Calls the collector and leaves the answer at the desk."""

    def __init__(self, stub: Any, desk: Desk) -> None:
        self._stub = stub
        self._desk = desk

    def Export(self, request: Any, metadata: Any, timeout: float | None) -> Any:
        """Make one call, as the SDK wants it made."""
        try:
            response = self._stub.Export(
                request=request, metadata=metadata, timeout=self._desk.limited(timeout)
            )
        except grpc.RpcError as error:
            self._desk.answer = _answer(error)
            raise
        self._desk.answer = taken(self._desk.rejected(response), self._desk.size)
        return response


def _answer(error: Any) -> Answer:
    """What an error of gRPC says; it is a call as well, which its type does not tell."""
    return of_grpc(error.code().name, error.details() or "", _pause_s(error.trailing_metadata()))


def _pause_s(trailer: Any) -> float | None:
    """When to come again, if the collector said so."""
    for name, value in trailer or ():
        if name == "google.rpc.retryinfo-bin" and isinstance(value, bytes):
            told = RetryInfo.FromString(value)
            return float(told.retry_delay.seconds + told.retry_delay.nanos / 1e9)
        if name == "grpc-status-details-bin" and isinstance(value, bytes):
            found = _of_status(value)
            if found is not None:
                return found
    return None


def _of_status(value: bytes) -> float | None:
    """The same out of a whole status, which is where collectors put it."""
    from google.rpc.status_pb2 import Status

    for detail in Status.FromString(value).details:
        told = RetryInfo()
        if detail.Unpack(told):
            return float(told.retry_delay.seconds + told.retry_delay.nanos / 1e9)
    return None


def grpc_exporter(options: OtlpOptions, desk: Desk) -> Exporting[Any]:
    """The SDK's exporter of a signal over gRPC."""
    module, name = _CLASSES[desk.signal]
    made: Any = getattr(import_module(f"opentelemetry.exporter.otlp.proto.grpc.{module}"), name)

    class Asking(made):  # type: ignore[misc]
        """The exporter, with each stub it makes for itself looked over the shoulder."""

        def _initialize_channel_and_stub(self) -> None:
            super()._initialize_channel_and_stub()
            self._client: Any = AskingStub(self._client, desk)

    exporter: Exporting[Any] = Asking(
        endpoint=options.url_of(desk.signal),
        headers=tuple(options.headers.items()) or None,
        retryable_error_codes=_ONCE,
    )
    return exporter
