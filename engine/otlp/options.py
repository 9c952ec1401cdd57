"""Where to export to and what, as settings and the standard variables say."""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass, field
from importlib.util import find_spec
from typing import Literal, get_args

from engine.core.collectors import FROM_ENVIRONMENT, read_headers
from engine.core.errors import RequirementError, UsageError
from engine.core.filters import Filter
from engine.core.kinds import KINDS
from engine.core.sanitise import clean
from engine.core.settings import Settings
from engine.recording.options import redacted_sorts

Signal = Literal["logs", "traces", "metrics"]
Protocol = Literal["http", "grpc"]

SIGNALS: tuple[Signal, ...] = get_args(Signal)
LOG_KINDS = (
    *("kernel_event", "plugin_record", "plugin_fault", "module_event", "process"),
    *("wasm_result", "log"),
)
"""Kinds that become log records."""
SPAN_KINDS = ("l7_message",)
"""Kinds that become spans. All others are states; the metrics tell of them."""
INSTALL = "pip install 'boxscope[otlp]'"

_PROTOCOLS: Mapping[str, Protocol] = {"": "http", "http/protobuf": "http", "grpc": "grpc"}
_DEFAULTS: Mapping[Protocol, str] = {
    "http": "http://localhost:4318",
    "grpc": "http://localhost:4317",
}


@dataclass(frozen=True)
class OtlpOptions:
    """Where to export to, what, and how long it is tried."""

    endpoint: str | None
    """Base address; None for what the OTEL_EXPORTER_OTLP_* variables tell."""
    protocol: Protocol | None = None
    """None for what OTEL_EXPORTER_OTLP_PROTOCOL tells."""
    headers: Mapping[str, str] = field(default_factory=dict, repr=False)
    redact: tuple[str, ...] = ()
    """Sorts of content left out, see `engine.recording.redaction`."""
    filter_text: str = ""
    metrics_s: float = 10.0
    retry_s: float = 300.0
    flush_s: float = 2.0

    def protocol_of(self, signal: Signal) -> Protocol:
        """What is spoken for a signal.

        Raises:
            UsageError: a variable names one that is not spoken here.
        """
        if self.protocol is not None:
            return self.protocol
        name = f"OTEL_EXPORTER_OTLP_{signal.upper()}_PROTOCOL"
        told = os.environ.get(name) or os.environ.get("OTEL_EXPORTER_OTLP_PROTOCOL", "")
        protocol = _PROTOCOLS.get(told.strip().lower())
        if protocol is None:
            known = ", ".join(filter(None, _PROTOCOLS))
            raise UsageError(f"{name} names no protocol that is spoken here", fix=f"one of {known}")
        return protocol

    def url_of(self, signal: Signal) -> str | None:
        """The whole address a signal is sent to; None where the SDK finds it in variables."""
        if self.endpoint is None:
            return None
        if self.protocol_of(signal) == "grpc":
            return self.endpoint
        return f"{self.endpoint.rstrip('/')}/v1/{signal}"

    def shown(self, signal: Signal) -> str:
        """The address for people: never with a user or a password."""
        told = self.endpoint or os.environ.get(
            f"OTEL_EXPORTER_OTLP_{signal.upper()}_ENDPOINT",
            os.environ.get("OTEL_EXPORTER_OTLP_ENDPOINT", _DEFAULTS[self.protocol_of(signal)]),
        )
        address = told.partition("?")[0]
        return clean(address.rpartition("@")[2] if "@" in address else address, 200)


def read_options(settings: Settings) -> OtlpOptions | None:
    """The options in the settings; None where nothing is exported.

    Raises:
        UsageError: some of it means nothing.
    """
    if not settings.otlp:
        return None
    if settings.otlp_filter:
        Filter(settings.otlp_filter, KINDS)
    options = OtlpOptions(
        None if settings.otlp == FROM_ENVIRONMENT else settings.otlp,
        None if settings.otlp_protocol == "auto" else settings.otlp_protocol,
        read_headers(settings.otlp_headers.get_secret_value()),
        redacted_sorts(settings.otlp_redact),
        settings.otlp_filter,
        settings.otlp_metrics_s,
        settings.otlp_retry_s,
        settings.otlp_flush_s,
    )
    for signal in SIGNALS:
        options.protocol_of(signal)
    return options


def require(options: OtlpOptions) -> None:
    """See whether what the export needs is installed, without loading it.

    Raises:
        RequirementError: it is not.
    """
    for protocol in {options.protocol_of(signal) for signal in SIGNALS}:
        name = f"opentelemetry.exporter.otlp.proto.{protocol}"
        try:
            found = find_spec("opentelemetry.sdk") and find_spec(name)
        except ModuleNotFoundError:
            found = None
        if found is None:
            raise RequirementError(
                f"OTLP over {protocol} needs OpenTelemetry's SDK, which is not installed",
                fix=INSTALL,
            )
