"""Application messages in the making, and as records."""

from __future__ import annotations

import ipaddress
from collections import OrderedDict
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from engine.core.kinds import L7_MESSAGE
from engine.core.records import Record, new_record
from engine.core.sanitise import clean
from engine.traffic.enrich import Enrichment
from engine.traffic.flows import Endpoint, Flow
from engine.traffic.packets import Owner

if TYPE_CHECKING:  # Wasmtime is not loaded for traffic without plugins
    from engine.wasm.merge import LogEntry
    from engine.wasm.outcome import Outcome

BUILT_IN = "built-in"
"""What `parsed_by` says where no plugin did it."""

_TEXT = 1_024
_MAX_ATTRIBUTES = 64
_MAX_PENDING = 256


@dataclass(slots=True)
class Attributes:
    """Names and values, at most 64; of two of one name the later."""

    values: dict[str, str] = field(default_factory=dict)
    dropped: int = 0
    """Those there was no room for, or whose name was given again."""

    def note(self, name: str, value: str) -> None:
        """Add an attribute, unless it is empty."""
        name = clean(name, 128)
        if not value:
            return
        if name in self.values:
            self.dropped += 1
        elif len(self.values) >= _MAX_ATTRIBUTES:
            self.dropped += 1
            return
        self.values[name] = clean(value, _TEXT)

    def copy(self) -> Attributes:
        """The same, to be added to."""
        return Attributes(dict(self.values), self.dropped)


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
    attributes: Attributes = field(default_factory=Attributes)
    enrichment: Enrichment | None = None
    """What plugins made of it, if they did."""
    calls: list[int] = field(default_factory=list)
    """Numbers of the Wasm calls it was offered in."""

    flow: Flow | None = None
    """Where it was, with the processes at its ends and how its protocol was found."""
    asked: bool = False
    """Whether its request was seen."""
    answered: bool = False
    """Whether its response was seen."""
    request_bytes: int | None = None
    response_bytes: int | None = None
    """Lengths on the wire, as far as known."""

    def __post_init__(self) -> None:
        if self.flow is not None:  # what was called to find its protocol
            self.calls, self.flow.calls = self.flow.calls, []

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
        """Add an attribute, unless it is empty."""
        self.attributes.note(name, value)

    def merge(self, outcome: Outcome, after: LogEntry) -> None:
        """Merge what a plugin said about the request or the response, as the DeepFlow agent does.

        Args:
            outcome: What its call came to.
            after: The agent's log with it; one of the outcome's.
        """
        if outcome.plugin not in self.parsed_by.split("+"):
            self.parsed_by = f"{self.parsed_by}+{outcome.plugin}"
        if self.enrichment is None:
            self.enrichment = Enrichment()
        self.enrichment.merge(outcome, after)
        self.endpoint = clean(self.enrichment.log.endpoint, _TEXT) or self.endpoint

    def answer(self, ts_ns: int) -> None:
        """The response came at that time."""
        self.answered = True
        if self.asked:
            self.latency_ms = max(0.0, round((ts_ns - self.ts_ns) / 1e6, 3))

    def record(self, source: str) -> Record:
        """The message as an `l7_message`."""
        request, status, attributes = self._with_plugins()
        headers = {
            name: value for name, value in self.headers.items() if name not in attributes.values
        }
        client, server = self._owners()
        shown = server or client
        return new_record(
            L7_MESSAGE,
            {
                "protocol": self.protocol,
                "src": address(self.client),
                "dst": address(self.server),
                "request": request,
                "status": status,
                "latency_ms": self.latency_ms,
                "parsed_by": self.parsed_by,
                "attributes": {**attributes.values, **headers},
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
                "merged": tuple(self.enrichment.changes) if self.enrichment else (),
                "wasm_calls": tuple(self.calls),
                "attributes_dropped": attributes.dropped,
            },
            ts_ns=self.ts_ns,
            pid=shown.pid if shown else None,
            comm=shown.comm if shown else None,
        )

    def _with_plugins(self) -> tuple[str, str, Attributes]:
        """Request, status and attributes, with what plugins said."""
        said = self.enrichment
        if said is None:
            return f"{self.method} {self.resource}".strip(), self.status, self.attributes
        attributes = self.attributes.copy()
        for name, value in said.attributes():
            attributes.note(name, value)
        method = clean(said.log.type, 64) or self.method
        resource = clean(said.log.resource, _TEXT) or self.resource or self.endpoint
        return f"{method} {resource}".strip(), said.status or self.status, attributes

    def _owners(self) -> tuple[Owner | None, Owner | None]:
        return (self.flow.sides[0].owner, self.flow.sides[1].owner) if self.flow else (None, None)


def address(endpoint: Endpoint) -> str:
    """`IP:PORT`, with brackets around IPv6."""
    packed, port = endpoint
    host = ipaddress.ip_address(packed)
    return f"[{host}]:{port}" if host.version == 6 else f"{host}:{port}"


class Pending:
    """The requests of one flow that wait for their response.

    Args:
        all_answered: Whether every request is answered, and in order, so that the answer of one
            that waits no longer comes before those of the others.
    """

    def __init__(self, *, all_answered: bool = False) -> None:
        self._waiting: OrderedDict[int, Message] = OrderedDict()
        self._unnumbered = 0
        self._all_answered = all_answered
        self._owed = 0
        """Answers still to come to requests that wait no longer."""

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
            self._owed += self._all_answered
        return given_up

    def answered(self, request_id: int | None = None) -> Message | None:
        """Take out the request a response belongs to; None if none waits for it."""
        if request_id is not None:
            return self._waiting.pop(request_id, None)
        if self._owed:
            self._owed -= 1
            return None
        return self._waiting.popitem(last=False)[1] if self._waiting else None

    def expired(self, before_ns: int) -> list[Message]:
        """Take out those asked before then, oldest first."""
        old = [number for number, waits in self._waiting.items() if waits.ts_ns < before_ns]
        self._owed += len(old) * self._all_answered
        return [self._waiting.pop(number) for number in old]

    def __len__(self) -> int:
        return len(self._waiting)

    def drain(self) -> list[Message]:
        """All that still wait, oldest first."""
        messages = list(self._waiting.values())
        self._waiting.clear()
        self._owed = 0
        return messages
