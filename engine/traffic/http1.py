"""HTTP/1 heads out of one direction of a connection, in order, with keep-alive and pipelining."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Literal

from engine.traffic.http_heads import (
    HeadReader,
    HeadTooLong,
    MalformedHttp,
    RequestParser,
    ResponseParser,
    body_length,
)

_HTTP2_PREFACE = b"PRI * HTTP/2"
_RESPONSE_START = b"HTTP/"
_BODILESS = (204, 304)


@dataclass(frozen=True, slots=True)
class RequestHead:
    """The head of a request."""

    method: str
    target: bytes
    """As it was sent: path and query, or an absolute URL."""
    host: bytes
    user_agent: bytes
    referer: bytes
    payload: bytes
    """From the first byte of the head to the end of the segment that completed it."""
    size: int | None
    """Length of head and body as announced; None if the body tells its end by itself."""
    missing: int = 0
    """Bytes that were not captured, from within the head on; its length is not known then."""


@dataclass(frozen=True, slots=True)
class ResponseHead:
    """The head of a response."""

    status: int
    payload: bytes
    """As in RequestHead."""
    size: int | None
    """As in RequestHead."""
    head_size: int | None
    """Length of the head alone, which is all that answers HEAD."""
    missing: int = 0
    """As in RequestHead."""

    @property
    def interim(self) -> bool:
        """Whether the response proper is still to come."""
        return 100 <= self.status < 200 and self.status != 101


class RequestStream:
    """Reads the client's side of a connection.

    Args:
        lost: Whether bytes are missing before the first; only a start line is taken then.
    """

    def __init__(self, *, lost: bool = False) -> None:
        self._parser = RequestParser()
        self._reader = HeadReader(self._parser, lost=lost)

    def feed(self, data: bytes) -> Iterator[RequestHead]:
        """The requests whose heads end in `data`.

        Raises:
            MalformedHttp: not HTTP/1; the stream is of no use any more.
            HeadTooLong: likewise.
            OutOfStep: bytes before these are missing, and they begin no request.
        """
        for head, payload in self._reader.heads(data):
            if not _is_of_http(head):
                raise MalformedHttp("a request of another protocol")
            size = _announced(len(head), self._parser.headers, ends_itself=False)
            yield self._made(head, payload, size)

    def skip(self, count: int) -> bool:
        """Step over bytes that were not captured; False if they may hold a head."""
        return self._reader.skip(count)

    def cut(self, count: int) -> RequestHead | None:
        """Go on behind bytes that `skip` refused; returns the request whose head they are of."""
        head = self._reader.cut(count)
        return None if head is None else self._made(head, head, None, count)

    def _made(self, head: bytes, payload: bytes, size: int | None, missing: int = 0) -> RequestHead:
        headers = self._parser.headers
        return RequestHead(
            method=str(self._parser.method),
            target=_target(head),
            host=headers.get(b"host", b""),
            user_agent=headers.get(b"user-agent", b""),
            referer=headers.get(b"referer", b""),
            payload=payload,
            size=size,
            missing=missing,
        )


class ResponseStream:
    """Reads the server's side of a connection; arguments as of RequestStream."""

    def __init__(self, *, lost: bool = False) -> None:
        self._parser = ResponseParser()
        self._reader = HeadReader(self._parser, lost=lost)

    @property
    def lost(self) -> bool:
        """Whether what comes next may be text of a body that looks like a response."""
        return self._reader.lost

    @property
    def in_body(self) -> bool:
        """Whether at least the next byte is certainly of a body."""
        return self._reader.ahead > 0

    def feed(self, data: bytes) -> Iterator[ResponseHead]:
        """The responses whose heads end in `data`; errors as in RequestStream.

        A response to HEAD announces a body that does not come: call `skip_body` when one is given
        out, before asking for the next.
        """
        for head, payload in self._reader.heads(data):
            status = int(self._parser.status)
            headers = self._parser.headers
            size = (
                len(head) if _is_bare(status) else _announced(len(head), headers, ends_itself=True)
            )
            yield ResponseHead(status, payload, size, len(head))

    def skip(self, count: int) -> bool:
        """Step over bytes that were not captured; False if they may hold a head."""
        return self._reader.skip(count)

    def cut(self, count: int) -> ResponseHead | None:
        """Go on behind bytes that `skip` refused; returns the response whose head they are of."""
        head = self._reader.cut(count)
        if head is None:
            return None
        status = int(self._parser.status)
        if _is_bare(status):
            self._reader.skip_body()
        return ResponseHead(status, head, None, None, count)

    def skip_body(self) -> None:
        """The response just given out has no body."""
        self._reader.skip_body()


def judge(payload: bytes) -> Literal["yes", "maybe", "no"]:
    """Whether the first payload of a connection is HTTP/1; `maybe` if it is too short to tell."""
    start = payload.lstrip(b"\r\n")
    if start.startswith(_HTTP2_PREFACE):
        return "no"
    if _RESPONSE_START.startswith(start):
        return "maybe"
    stream = ResponseStream() if is_response(payload) else RequestStream()
    try:
        for _ in stream.feed(payload):
            return "yes"
    except (MalformedHttp, HeadTooLong):
        return "no"
    return "yes" if b"\n" in start else "maybe"


def is_response(payload: bytes) -> bool:
    """Whether a payload that begins a message begins a response."""
    start = payload.lstrip(b"\r\n")[: len(_RESPONSE_START)]
    return start == _RESPONSE_START or (len(start) > 1 and _RESPONSE_START.startswith(start))


def _is_bare(status: int) -> bool:
    """Whether a response of that status has no body, whatever it announces."""
    return status < 200 or status in _BODILESS


def _announced(head: int, headers: dict[bytes, bytes], *, ends_itself: bool) -> int | None:
    """Length of a head and the body it announces."""
    if b"transfer-encoding" in headers:
        return None
    if not headers.get(b"content-length"):
        return None if ends_itself else head
    length = body_length(headers)
    return None if length is None else head + length


def _is_of_http(head: bytes) -> bool:
    """Whether a request is of HTTP; llhttp reads those of RTSP and ICE, too."""
    return head.lstrip(b"\r\n").split(b"\n", 1)[0].rstrip().rpartition(b" ")[2][:5] == b"HTTP/"


def _target(head: bytes) -> bytes:
    """The request target of a head whose first line llhttp has accepted."""
    line = head.lstrip(b"\r\n").split(b"\n", 1)[0]
    return line.partition(b" ")[2].strip(b" \r").rpartition(b" ")[0].strip(b" ")
