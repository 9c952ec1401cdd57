"""Application messages in the making, and as records."""

from __future__ import annotations

import ipaddress
from collections import OrderedDict
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from engine.core.kinds import L7_MESSAGE
from engine.core.records import Record, new_record
from engine.core.sanitise import clean
from engine.traffic.flows import Endpoint, Flow
from engine.traffic.packets import Owner
from engine.wasm.abi import STATUS_NAMES

if TYPE_CHECKING:
    from engine.wasm.infos import Info

BUILT_IN = "built-in"
"""What `parsed_by` says where no plugin did it."""

_TEXT = 1_024
_MAX_ATTRIBUTES = 64
_MAX_PENDING = 256
_HTTP_METHODS = frozenset(
    {"GET", "HEAD", "POST", "PUT", "DELETE", "CONNECT", "OPTIONS", "TRACE", "PATCH"}
)
"""Types a plugin may give an HTTP request; any other is ignored, as in the DeepFlow agent."""


@dataclass(slots=True)
class Message:
    """A request, its response, or both. All text in it is sanitised."""

    ts_ns: int
    protocol: str
    client: Endpoint
    server: Endpoint
    parsed_by: str
    method: str = ""
    resource: str = ""
    status: str = ""
    latency_ms: float | None = None
    endpoint: str = ""
    headers: dict[str, str] = field(default_factory=dict)
    """What the built-in parser read besides; shown after what plugins added."""
    attributes: dict[str, str] = field(default_factory=dict)

    flow: Flow | None = None
    """Where it was, with the processes at its ends and how its protocol was found."""
    asked: bool = False
    """Whether its request was seen."""
    answered: bool = False
    """Whether its response was seen."""
    request_bytes: int | None = None
    response_bytes: int | None = None
    """Lengths on the wire, as far as known."""

    @property
    def session(self) -> str:
        """answered, unanswered, unmatched, or empty for what is no session."""
        if self.asked:
            return "answered" if self.answered else "unanswered"
        return "unmatched" if self.answered else ""

    def head(self, name: str, value: bytes) -> None:
        """Add a header, unless it is empty."""
        if value:
            self.headers[name] = clean(value, _TEXT)

    def note(self, name: str, value: str) -> None:
        """Add an attribute, unless it is empty or there are too many."""
        name = clean(name, 128)
        if value and (len(self.attributes) < _MAX_ATTRIBUTES or name in self.attributes):
            self.attributes[name] = clean(value, _TEXT)

    def answer(self, ts_ns: int) -> None:
        """The response came at that time."""
        self.answered = True
        if self.asked:
            self.latency_ms = max(0.0, round((ts_ns - self.ts_ns) / 1e6, 3))

    def record(self, source: str) -> Record:
        """The message as an `l7_message`."""
        headers = {
            name: value for name, value in self.headers.items() if name not in self.attributes
        }
        client, server = self._owners()
        shown = server or client
        return new_record(
            L7_MESSAGE,
            {
                "protocol": self.protocol,
                "src": address(self.client),
                "dst": address(self.server),
                "request": f"{self.method} {self.resource}".strip(),
                "status": self.status,
                "latency_ms": self.latency_ms,
                "parsed_by": self.parsed_by,
                "attributes": {**self.attributes, **headers},
                "source": source,
                "session": self.session,
                "client_pid": client.pid if client else None,
                "client_comm": client.comm if client else None,
                "server_pid": server.pid if server else None,
                "server_comm": server.comm if server else None,
                "request_bytes": self.request_bytes,
                "response_bytes": self.response_bytes,
                "flow": self.flow.number if self.flow else None,
                "decision": tuple(self.flow.path) if self.flow else (),
            },
            ts_ns=self.ts_ns,
            pid=shown.pid if shown else None,
            comm=shown.comm if shown else None,
        )

    def _owners(self) -> tuple[Owner | None, Owner | None]:
        return (self.flow.sides[0].owner, self.flow.sides[1].owner) if self.flow else (None, None)


def address(endpoint: Endpoint) -> str:
    """`IP:PORT`, with brackets around IPv6."""
    packed, port = endpoint
    host = ipaddress.ip_address(packed)
    return f"[{host}]:{port}" if host.version == 6 else f"{host}:{port}"


def enrich_http(message: Message, plugin: str, info: Info) -> None:
    """Merge what a plugin says about an HTTP request or response, as the DeepFlow agent does."""
    if plugin not in message.parsed_by.split("+"):
        message.parsed_by = f"{message.parsed_by}+{plugin}"
    request, response = info.request, info.response
    if request is not None:
        if request.type in _HTTP_METHODS:
            message.method = request.type
        if request.resource:
            message.resource = clean(request.resource, _TEXT)
        if request.endpoint:
            message.endpoint = clean(request.endpoint, _TEXT)
        message.note("endpoint", request.endpoint)
        message.note("host", request.domain)
    if response is not None:
        if response.code is not None:
            message.status = str(response.code & 0xFFFF)
        message.note("result", response.result)
        message.note("exception", response.exception)
    _note_common(message, info)


def from_request(message: Message, info: Info) -> None:
    """Fill a message with a request of a plugin's own protocol."""
    request = info.request
    if request is not None:
        message.method = clean(request.type, 64)
        message.resource = clean(request.resource or request.endpoint, _TEXT)
        message.endpoint = clean(request.endpoint, _TEXT)
        message.note("endpoint", request.endpoint)
        message.note("domain", request.domain)
        message.note("version", request.version)
    _note_common(message, info)


def from_response(message: Message, info: Info) -> None:
    """Add the response of a plugin's own protocol to a message."""
    response = info.response
    if response is not None:
        message.status = (
            STATUS_NAMES[response.status] if response.code is None else str(response.code)
        )
        message.note("result", response.result)
        message.note("exception", response.exception)
    _note_common(message, info)


def _note_common(message: Message, info: Info) -> None:
    if info.trace is not None:
        message.note("trace_id", " ".join(info.trace.trace_ids))
        message.note("span_id", info.trace.span_id)
        message.note("x_request_id", info.trace.x_request_id)
    for key, value in info.attributes:
        message.note(key, value)


class Pending:
    """The requests of one flow that wait for their response."""

    def __init__(self) -> None:
        self._waiting: OrderedDict[int, Message] = OrderedDict()
        self._unnumbered = 0

    def ask(self, message: Message, request_id: int | None = None) -> list[Message]:
        """Add a request; returns those that will have no answer any more.

        Without an id, responses are expected in the order of the requests.
        """
        if request_id is None:
            self._unnumbered -= 1
            request_id = self._unnumbered
        given_up = [self._waiting.pop(request_id)] if request_id in self._waiting else []
        self._waiting[request_id] = message
        if len(self._waiting) > _MAX_PENDING:
            given_up.append(self._waiting.popitem(last=False)[1])
        return given_up

    def answered(self, request_id: int | None = None) -> Message | None:
        """Take out the request a response belongs to; None if none waits for it."""
        if request_id is not None:
            return self._waiting.pop(request_id, None)
        return self._waiting.popitem(last=False)[1] if self._waiting else None

    def expired(self, before_ns: int) -> list[Message]:
        """Take out those asked before then, oldest first."""
        old = [number for number, waits in self._waiting.items() if waits.ts_ns < before_ns]
        return [self._waiting.pop(number) for number in old]

    def __len__(self) -> int:
        return len(self._waiting)

    def drain(self) -> list[Message]:
        """All that still wait, oldest first."""
        messages = list(self._waiting.values())
        self._waiting.clear()
        return messages
