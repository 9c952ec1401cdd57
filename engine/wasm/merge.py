"""What becomes of a message when a plugin's info is merged into it, as the DeepFlow agent does it.

Source: DeepFlow agent. A `LogEntry` is the agent's log of one message as far as plugins can change
it; merging makes a new entry, so that before and after can be compared.
"""

from __future__ import annotations

from typing import Any, NamedTuple

from engine.core.fields import JsonValue
from engine.core.sanitise import clean
from engine.wasm.abi import CLIENT_TO_SERVER, STATUS_NAMES, Status
from engine.wasm.custom import DUBBO, NATS, ROCKETMQ, SOFARPC, ZMTP
from engine.wasm.infos import Info, TraceInfo

HTTP_METHODS = frozenset(
    {"GET", "HEAD", "POST", "PUT", "DELETE", "CONNECT", "OPTIONS", "TRACE", "PATCH"}
)
"""Types a plugin may give an HTTP request; any other is silently ignored."""

_HTTP_VERSIONS = frozenset({"1.0", "1.1", "2"})
_PLUGIN, _AGENT = 32, 128
"""Priorities of trace ids; the smaller one is shown."""

_APM_SPAN_ID = "apm_span_id"
_TEXT = 1_024


class LogEntry(NamedTuple):
    """One message in the agent's log. Text is as it came; `as_json` sanitises it.

    A named tuple, as one with another value costs a tenth of what it does with a data class.
    """

    protocol: str = ""
    version: str = ""
    type: str = ""
    domain: str = ""
    resource: str = ""
    endpoint: str = ""
    request_id: int | None = None
    status: int | None = None
    code: int | None = None
    result: str = ""
    exception: str = ""
    trace_ids: tuple[tuple[int, str], ...] = ()
    """Priority and id."""
    span_id: str = ""
    parent_span_id: str = ""
    x_request_id_0: str = ""
    """Of the request."""
    x_request_id_1: str = ""
    """Of the response."""
    http_proxy_client: str = ""
    attributes: tuple[tuple[str, str], ...] = ()
    biz_type: int = 0
    biz_code: str = ""
    biz_scenario: str = ""
    biz_response_code: str = ""
    is_async: bool | None = None
    is_reversed: bool | None = None
    is_end: bool | None = None
    req_len: int | None = None
    resp_len: int | None = None

    def differing(self, other: LogEntry) -> frozenset[str]:
        """The fields that are to be looked at to tell this entry from another for people."""
        found = {name for name in self._fields if getattr(self, name) != getattr(other, name)}
        return frozenset(found | {"exception"} if "status" in found else found)

    def as_json(self, only: frozenset[str] | None = None) -> dict[str, JsonValue]:
        """What is set, for people: an exception only with a status that is not ok.

        Args:
            only: The fields that are wanted; None for all.
        """
        failed = self.status is not None and self.status != Status.OK
        shown: dict[str, JsonValue] = {
            name: clean(value, _TEXT) if isinstance(value, str) else value
            for name in _PLAIN
            if (only is None or name in only)
            and (value := getattr(self, name)) not in (None, "")
            and (name != "exception" or failed)
        }
        if self.status is not None and (only is None or "status" in only):
            shown["status"] = STATUS_NAMES[self.status]
        if self.trace_ids and (only is None or "trace_ids" in only):
            shown["trace_id"] = clean(min(self.trace_ids)[1], _TEXT)
            shown["trace_ids"] = [clean(trace_id, _TEXT) for _, trace_id in self.trace_ids]
        if self.attributes and (only is None or "attributes" in only):
            shown["attributes"] = {
                clean(key, _TEXT): clean(value, _TEXT) for key, value in self.attributes
            }
        if self.biz_type and (only is None or "biz_type" in only):
            shown["biz_type"] = self.biz_type
        return shown


_PLAIN = (
    "protocol",
    "version",
    "type",
    "domain",
    "resource",
    "endpoint",
    "request_id",
    "code",
    "result",
    "exception",
    "span_id",
    "parent_span_id",
    "x_request_id_0",
    "x_request_id_1",
    "http_proxy_client",
    "biz_code",
    "biz_scenario",
    "biz_response_code",
    "is_async",
    "is_reversed",
    "is_end",
    "req_len",
    "resp_len",
)


def agent_trace(trace_id: str) -> tuple[int, str]:
    """A trace id that the agent has parsed itself."""
    return _AGENT, trace_id


def merge_http(entry: LogEntry, info: Info, direction: int) -> LogEntry:
    """Merge the info of an HTTP hook; an HTTP log has no place for a parent span id.

    A response hook always sets the status: an info without a response makes it unknown, but for
    one that only adds. Endpoint and type of a response info are ignored.
    """
    if info.only_adds:
        merged = entry
    elif direction == CLIENT_TO_SERVER:
        merged = _merge_http_request(entry, info)
    else:
        response = info.response
        merged = _changed(entry, status=Status.UNKNOWN if response is None else response.status)
        if response is not None:
            merged = _changed(
                merged,
                code=merged.code if response.code is None else response.code & 0xFFFF,
                result=response.result or merged.result,
                exception=response.exception or merged.exception,
            )
    return _merge_common(merged, info, direction)._replace(parent_span_id=entry.parent_span_id)


def payload_entry(info: Info, number: int, name: str, direction: int) -> LogEntry:
    """The log entry that an info of `parse_payload` becomes.

    Number and name of the protocol are those of the check, whatever the info says.
    """
    request, response = info.request, info.response
    entry = LogEntry(
        protocol=name or f"protocol {number}",
        request_id=info.request_id,
        req_len=info.req_len,
        resp_len=info.resp_len,
        is_end=info.is_end,
    )
    if request is not None:
        entry = _changed(
            entry,
            version=request.version,
            type=request.type,
            domain=request.domain,
            resource=request.resource,
            endpoint=request.endpoint,
        )
    if response is not None:
        entry = _changed(
            entry,
            status=response.status,
            code=response.code,
            result=response.result,
            exception=response.exception,
            type=entry.type or response.type,
            endpoint=entry.endpoint or response.endpoint,
        )
    return _merge_common(entry, info, direction)


def merge_custom(entry: LogEntry, info: Info, type_code: int, direction: int) -> LogEntry:
    """Merge the info of `on_custom_message`; which of its fields count depends on the protocol."""
    if type_code in (NATS, ZMTP):
        return _changed(
            entry,
            attributes=entry.attributes + info.attributes,
            protocol=info.protocol or entry.protocol,
            is_async=entry.is_async if info.is_async is None else info.is_async,
            is_reversed=entry.is_reversed if info.is_reversed is None else info.is_reversed,
        )
    if type_code == DUBBO:
        return _merge_dubbo(entry, info)
    if type_code == ROCKETMQ:
        return _merge_rocketmq(entry, info, direction)
    if type_code == SOFARPC:
        # The newest SDK offers it, and its example sends attributes; of more nothing is known.
        return entry._replace(attributes=entry.attributes + info.attributes)
    return entry


def merge_session(request: LogEntry, response: LogEntry) -> LogEntry:
    """Join a request and its response: the first value that is set wins, lists are united.

    Lengths stay those of the first.
    """
    joined = {
        name: getattr(request, name) if getattr(request, name) not in (None, "", 0) else value
        for name in (*_PLAIN, "status", "biz_type")
        if (value := getattr(response, name)) is not None
    }
    known = {trace_id for _, trace_id in request.trace_ids}
    more = tuple(each for each in response.trace_ids if each[1] not in known)
    return _changed(
        request,
        **joined,
        attributes=request.attributes + response.attributes,
        trace_ids=request.trace_ids + more,
    )


def _changed(entry: LogEntry, **values: object) -> LogEntry:
    """The entry with other values; itself where they are no others, since a new one costs."""
    others: dict[str, Any] = {
        name: value for name, value in values.items() if getattr(entry, name) != value
    }
    return entry._replace(**others) if others else entry


def _merge_http_request(entry: LogEntry, info: Info) -> LogEntry:
    request = info.request
    if info.request_id is not None:
        entry = _changed(entry, request_id=info.request_id)
    if request is None:
        return entry
    return _changed(
        entry,
        version=request.version if request.version in _HTTP_VERSIONS else entry.version,
        type=request.type if request.type in HTTP_METHODS else entry.type,
        domain=request.domain or entry.domain,
        resource=request.resource or entry.resource,
        endpoint=request.endpoint or entry.endpoint,
    )


def _merge_common(entry: LogEntry, info: Info, direction: int) -> LogEntry:
    if info.trace is not None:
        entry = _merge_trace(entry, info.trace, direction)
    return _changed(
        entry,
        attributes=entry.attributes + info.attributes,
        biz_type=info.biz_type or entry.biz_type,
        biz_code=entry.biz_code if info.biz_code is None else info.biz_code,
        biz_scenario=entry.biz_scenario if info.biz_scenario is None else info.biz_scenario,
        biz_response_code=(
            entry.biz_response_code if info.biz_response_code is None else info.biz_response_code
        ),
        is_async=entry.is_async if info.is_async is None else info.is_async,
        is_reversed=entry.is_reversed if info.is_reversed is None else info.is_reversed,
    )


def _merge_trace(entry: LogEntry, trace: TraceInfo, direction: int) -> LogEntry:
    """What was sent replaces what was there, also where it is empty."""

    def sent(name: str, value: str) -> bool:
        return bool(value) or name in trace.sent_empty

    added = tuple((_PLUGIN, trace_id) for trace_id in trace.trace_ids if trace_id)
    values: dict[str, object] = {"trace_ids": entry.trace_ids + added}
    if sent("span_id", trace.span_id):
        if entry.span_id:
            values["attributes"] = (*entry.attributes, (_APM_SPAN_ID, entry.span_id))
        values["span_id"] = trace.span_id
    if sent("parent_span_id", trace.parent_span_id):
        values["parent_span_id"] = trace.parent_span_id
    if sent("http_proxy_client", trace.http_proxy_client):
        values["http_proxy_client"] = trace.http_proxy_client
    if sent("x_request_id", trace.x_request_id):
        slot = "x_request_id_0" if direction == CLIENT_TO_SERVER else "x_request_id_1"
        values[slot] = trace.x_request_id
    return _changed(entry, **values)


def _merge_dubbo(entry: LogEntry, info: Info) -> LogEntry:
    request, response, trace = info.request, info.response, info.trace
    if request is not None:
        entry = _changed(
            entry,
            domain=request.domain or entry.domain,
            type=request.type or entry.type,
        )
    entry = _changed(entry, status=Status.UNKNOWN if response is None else response.status)
    if response is not None:
        entry = _changed(
            entry,
            code=entry.code if response.code is None else response.code,
            result=response.result or entry.result,
            exception=response.exception or entry.exception,
        )
    if trace is not None:
        added = tuple((_PLUGIN, trace_id) for trace_id in trace.trace_ids if trace_id)
        entry = _changed(
            entry, trace_ids=entry.trace_ids + added, span_id=trace.span_id or entry.span_id
        )
    return _changed(entry, attributes=entry.attributes + info.attributes)


def _merge_rocketmq(entry: LogEntry, info: Info, direction: int) -> LogEntry:
    request, response = info.request, info.response
    if request is not None:
        entry = _changed(
            entry,
            version=request.version or entry.version,
            type=request.type or entry.type,
            domain=request.domain or entry.domain,
            resource=request.resource or entry.resource,
            endpoint=request.endpoint or entry.endpoint,
        )
    if response is not None:
        entry = _changed(
            entry,
            code=entry.code if response.code is None else response.code,
            status=response.status,
            exception=response.exception or entry.exception,
        )
    return _merge_common(entry, info, direction)
