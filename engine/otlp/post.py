"""Sends one request of one signal by the SDK's exporter and tells what the collector said.

The SDK's exporters know the form, the transport and the standard variables. Left alone they try
again by themselves, tell success or failure only, and take a partial success or a redirect for
success. Here each call is one attempt, its answer is looked at, and trying again is our own.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any, Generic, Protocol, TypeVar

from engine.core.errors import UsageError
from engine.otlp.answers import Answer, Rejected

if TYPE_CHECKING:
    from google.protobuf.message import Message

    from engine.otlp.options import OtlpOptions, Signal

T = TypeVar("T")
T_contra = TypeVar("T_contra", contravariant=True)

REQUEST_S = 10.0
"""How long a collector is waited for, unless OTEL_EXPORTER_OTLP_TIMEOUT says otherwise."""
BODY_BYTES = 65_536
"""Most that is read of a collector's answer."""


class Post(Protocol[T_contra]):
    """Sends items of one signal."""

    def send(self, items: Sequence[T_contra], size: int, within_s: float | None) -> Answer:
        """Make one attempt.

        Args:
            items: What is sent.
            size: How many items the collector will count: those of a metric are its points.
            within_s: How long the answer is waited for at most, if less than usual.
        """

    def close(self) -> None:
        """Give back the connection; a call under way ends where that can be done."""


class Desk:
    """Where a transport leaves the answer to the request that is under way."""

    def __init__(self, signal: Signal) -> None:
        self.signal = signal
        self.size = 0
        self.within_s: float | None = None
        self.answer: Answer | None = None

    def limited(self, timeout: float | None) -> float:
        """How long to wait for an answer, in seconds."""
        usual = REQUEST_S if timeout is None else timeout
        return max(0.01, usual if self.within_s is None else min(usual, self.within_s))

    def rejected(self, response: Message) -> Rejected:
        """What an answer says was rejected; the number has another name in each signal."""
        partial = getattr(response, "partial_success", None)
        if partial is None:
            return 0, ""
        field = {"logs": "log_records", "traces": "spans", "metrics": "data_points"}[self.signal]
        return int(getattr(partial, f"rejected_{field}")), str(partial.error_message)


class Exporting(Protocol[T_contra]):
    """The part of an SDK's exporter that is used."""

    def export(self, batch: T_contra, /) -> object:
        """Encode and send."""

    def shutdown(self) -> None:
        """Close the connection."""


class SdkPost(Generic[T]):
    """A post over an exporter of the SDK.

    Args:
        exporter: The exporter.
        desk: Where its transport leaves the answers.
        wrap: Makes of the items what it takes.
    """

    def __init__(
        self,
        exporter: Exporting[Any],
        desk: Desk,
        wrap: Callable[[Sequence[T]], object] = lambda items: items,
    ) -> None:
        self._exporter = exporter
        self._desk = desk
        self._wrap = wrap

    def send(self, items: Sequence[T], size: int, within_s: float | None) -> Answer:
        """Make one attempt."""
        desk = self._desk
        desk.answer, desk.size, desk.within_s = None, size, within_s
        try:
            self._exporter.export(self._wrap(items))
        except Exception as error:  # whatever the SDK makes of strange data or strange answers
            return desk.answer or Answer("too_large", f"not sent: {type(error).__name__}")
        # Without an answer nothing was sent: it could not be encoded, or is larger than allowed.
        return desk.answer or Answer("too_large", "it cannot be encoded")

    def close(self) -> None:
        """Give back the connection."""
        self._exporter.shutdown()


def open_post(options: OtlpOptions, signal: Signal) -> tuple[Exporting[Any], Desk]:
    """The SDK's exporter for a signal and the desk its answers are left at.

    Raises:
        UsageError: the SDK does not understand what the variables say.
    """
    desk = Desk(signal)
    protocol = options.protocol_of(signal)
    try:
        if protocol == "grpc":
            from engine.otlp.grpc_transport import grpc_exporter

            return grpc_exporter(options, desk), desk
        from engine.otlp.http_transport import http_exporter

        return http_exporter(options, desk), desk
    except Exception as error:  # ValueError, OSError, the SDK's own, ...
        raise UsageError(
            f"OpenTelemetry's exporter of {signal} cannot be made: {type(error).__name__}",
            fix="look at the variables OTEL_EXPORTER_OTLP_*",
        ) from error
