"""Requests as spans: what a process was asked, or asked itself, with its answer."""

from __future__ import annotations

import re
from collections.abc import Mapping

from opentelemetry.sdk.trace import ReadableSpan
from opentelemetry.sdk.trace.id_generator import RandomIdGenerator
from opentelemetry.semconv._incubating.attributes import dns_attributes as dns
from opentelemetry.semconv.attributes import client_attributes as client
from opentelemetry.semconv.attributes import error_attributes as errors
from opentelemetry.semconv.attributes import http_attributes as http
from opentelemetry.semconv.attributes import network_attributes as network
from opentelemetry.semconv.attributes import server_attributes as server
from opentelemetry.semconv.attributes import url_attributes as url
from opentelemetry.semconv.attributes import user_agent_attributes as user_agent
from opentelemetry.trace import SpanContext, SpanKind, Status, StatusCode, TraceFlags

from engine.core.fields import JsonValue
from engine.core.kinds import L7_MESSAGE
from engine.core.records import Record
from engine.otlp.attributes import PREFIX, Flat, flat
from engine.otlp.origin import SCOPE, Origin
from engine.recording.redaction import HIDDEN

Shown = dict[str, Flat]

_METHODS = frozenset(
    {
        *("CONNECT", "DELETE", "GET", "HEAD", "OPTIONS", "PATCH", "POST", "PUT", "TRACE"),
        "QUERY",
    }
)
_TOLD_OTHERWISE = frozenset({"protocol", "src", "dst", "latency_ms", "attributes"})
_OWN = tuple(
    (position, PREFIX + field.name)
    for position, field in enumerate(L7_MESSAGE.fields)
    if field.name not in _TOLD_OTHERWISE
)
_FAILED = frozenset(
    {"timeout", "error", "server error", "client error", "FORMERR", "SERVFAIL", "REFUSED"}
)
"""What a response that is no HTTP says where it failed."""
_LONGEST_MS = 86_400_000.0
_TRACE_ID = re.compile(r"[0-9a-f]{32}|[0-9a-f]{16}")
_SPAN_ID = re.compile(r"[0-9a-f]{16}")


class SpanMaker:
    """Makes spans.

    Args:
        origin: Who tells.
    """

    def __init__(self, origin: Origin) -> None:
        self._origin = origin
        self._ids = RandomIdGenerator()

    def __call__(self, record: Record) -> ReadableSpan:
        """The span that a message is."""
        told = record.get("attributes")
        attributes = told if isinstance(told, Mapping) else {}
        context, parent = self._context(attributes)
        kind = _kind(record)
        shown = _attributes(record, attributes)
        return ReadableSpan(
            name=_name(record, shown, attributes),
            context=context,
            parent=parent,
            resource=(
                self._origin.own
                if record.pid is None
                else self._origin.of_process(record.pid, record.comm or "")
            ),
            attributes=shown,
            kind=kind,
            status=_status(record, shown, kind),
            start_time=record.ts_ns,
            end_time=record.ts_ns + _took_ns(record.get("latency_ms")),
            instrumentation_scope=SCOPE,
        )

    def _context(self, told: Mapping[str, JsonValue]) -> tuple[SpanContext, SpanContext | None]:
        """The ids that a plugin found in the message, or new ones, and the parent's."""
        trace_id = _number(_TRACE_ID, told.get("trace_id")) or self._ids.generate_trace_id()
        span_id = _number(_SPAN_ID, told.get("span_id")) or self._ids.generate_span_id()
        parent_id = _number(_SPAN_ID, told.get("parent_span_id"))
        flags = TraceFlags(TraceFlags.SAMPLED)
        parent = (
            SpanContext(trace_id, parent_id, is_remote=True, trace_flags=flags)
            if parent_id
            else None
        )
        return SpanContext(trace_id, span_id, is_remote=False, trace_flags=flags), parent


def _number(form: re.Pattern[str], told: JsonValue) -> int:
    """The first id in a text, if it has the form of one; 0 otherwise."""
    first = str(told or "").lower().partition(" ")[0]
    return int(first, 16) if form.fullmatch(first) else 0


def _took_ns(latency_ms: JsonValue) -> int:
    """How long it took; nothing where that is unknown, and never longer than can be."""
    if not isinstance(latency_ms, int | float):
        return 0
    return int(min(max(0.0, latency_ms), _LONGEST_MS) * 1e6)


def _kind(record: Record) -> SpanKind:
    """Whose the request is: the server's, unless only its client is on this box."""
    only_client = record.get("client_pid") is not None and record.get("server_pid") is None
    return SpanKind.CLIENT if only_client else SpanKind.SERVER


def _attributes(record: Record, told: Mapping[str, JsonValue]) -> Shown:
    shown: Shown = {PREFIX + "seq": record.seq}
    for position, key in _OWN:
        value = record.values[position]
        if value not in (None, "", (), []):
            shown[key] = flat(value)
    shown |= {f"{PREFIX}attributes.{name}": flat(value) for name, value in told.items()}
    _add_end(shown, record.get("src"), client.CLIENT_ADDRESS, client.CLIENT_PORT)
    _add_end(shown, record.get("dst"), server.SERVER_ADDRESS, server.SERVER_PORT)
    protocol = str(record.get("protocol") or "")
    if protocol and protocol != HIDDEN:
        shown[network.NETWORK_PROTOCOL_NAME] = protocol.lower()
    if record.get("request") != HIDDEN:
        if protocol.upper().startswith("HTTP"):
            _add_http(shown, record, told)
        elif protocol.upper() == "DNS":
            _add_dns(shown, record, told)
    return shown


def _add_end(shown: Shown, end: JsonValue, address: str, port: str) -> None:
    """One end of the connection, out of `IP:PORT`."""
    host, _, number = str(end or "").rpartition(":")
    if host and number.isdecimal():
        shown[address], shown[port] = host.strip("[]"), int(number)


def _add_http(shown: Shown, record: Record, told: Mapping[str, JsonValue]) -> None:
    method, _, target = str(record.get("request") or "").partition(" ")
    if method:
        shown[http.HTTP_REQUEST_METHOD] = method if method in _METHODS else "_OTHER"
        if method not in _METHODS:
            shown[http.HTTP_REQUEST_METHOD_ORIGINAL] = method
    path, _, query = target.partition("?")
    if path:
        shown[url.URL_PATH] = path
    if query:
        shown[url.URL_QUERY] = query
    status = str(record.get("status") or "")
    if status.isascii() and status.isdecimal():
        shown[http.HTTP_RESPONSE_STATUS_CODE] = int(status)
    for name, key in (
        ("user_agent", user_agent.USER_AGENT_ORIGINAL),
        ("endpoint", http.HTTP_ROUTE),
    ):
        if told.get(name):
            shown[key] = flat(told[name])


def _add_dns(shown: Shown, record: Record, told: Mapping[str, JsonValue]) -> None:
    question = str(record.get("request") or "").partition(" ")[2]
    if question:
        shown[dns.DNS_QUESTION_NAME] = question
    if told.get("answers"):
        shown[dns.DNS_ANSWERS] = str(told["answers"]).split()


def _name(record: Record, shown: Shown, told: Mapping[str, JsonValue]) -> str:
    """A name that many requests share: never with a path or what was asked for."""
    protocol = str(record.get("protocol") or "request")
    method = shown.get(http.HTTP_REQUEST_METHOD)
    if method is not None:
        first = "HTTP" if method == "_OTHER" else str(method)
    elif record.get("request") in (None, "", HIDDEN):
        first = protocol
    else:
        first = f"{protocol} {str(record.get('request')).partition(' ')[0]}"
    endpoint = str(told.get("endpoint") or "")
    return f"{first} {endpoint}" if endpoint and endpoint != HIDDEN else first


def _status(record: Record, shown: Shown, kind: SpanKind) -> Status:
    """Failed, or nothing: whether it went well is for the application to say."""
    if record.get("session") == "unanswered":
        shown[errors.ERROR_TYPE] = "unanswered"
        return Status(StatusCode.ERROR, "no response")
    status, code = str(record.get("status") or ""), shown.get(http.HTTP_RESPONSE_STATUS_CODE)
    least = 400 if kind is SpanKind.CLIENT else 500
    if (isinstance(code, int) and code >= least) or status in _FAILED:
        shown[errors.ERROR_TYPE] = status
        return Status(StatusCode.ERROR)
    return Status(StatusCode.UNSET)
