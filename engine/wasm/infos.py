"""What a plugin says about a message: the infos that its result records decode to."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

Dialect = Literal["g5", "g4", "g3", "g1", "g0"]

DIALECTS: dict[Dialect, str] = {
    "g5": "SDK since 2025-03-24, protobuf",
    "g4": "SDK 2024-04-11 to 2025-03",
    "g3": "SDK 2024-02-28 to 2024-04-10",
    "g1": "SDK 2023-08-04 to 2024-02",
    "g0": "SDK 2023-03 to 2023-08-03",
}
"""Generations of the result records, newest first; an agent of today reads the first two."""


@dataclass(frozen=True, slots=True)
class RequestInfo:
    """What a plugin says about a request."""

    version: str = ""
    type: str = ""
    domain: str = ""
    resource: str = ""
    endpoint: str = ""


@dataclass(frozen=True, slots=True)
class ResponseInfo:
    """What a plugin says about a response."""

    status: int
    """A value of `abi.Status`."""
    code: int | None = None
    exception: str = ""
    result: str = ""
    type: str = ""
    endpoint: str = ""


@dataclass(frozen=True, slots=True)
class TraceInfo:
    """Where a message belongs in a distributed trace."""

    trace_ids: tuple[str, ...] = ()
    span_id: str = ""
    parent_span_id: str = ""
    x_request_id: str = ""
    http_proxy_client: str = ""
    sent_empty: tuple[str, ...] = ()
    """Those of the four that were sent as empty: an agent wipes what it had parsed itself."""


@dataclass(frozen=True, slots=True)
class Info:
    """One decoded result record."""

    dialect: Dialect
    """Generation of the SDK whose form it has."""
    req_len: int | None = None
    resp_len: int | None = None
    request_id: int | None = None
    request: RequestInfo | None = None
    response: ResponseInfo | None = None
    trace: TraceInfo | None = None
    protocol: str = ""
    is_end: bool | None = None
    """None = no protocol merge."""
    is_async: bool | None = None
    is_reversed: bool | None = None
    attributes: tuple[tuple[str, str], ...] = ()
    biz_type: int | None = None
    biz_code: str | None = None
    biz_scenario: str | None = None
    biz_response_code: str | None = None
    only_adds: bool = False
    """It comes from `host_read_http_result`: it has neither request nor response, and no status."""
    trailing: int = 0
    """Bytes after its end; an agent ignores them."""
