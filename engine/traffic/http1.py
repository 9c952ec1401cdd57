"""HTTP/1 heads out of one direction of a connection, in order, with keep-alive and pipelining.

llhttp does the parsing. It gets the bytes as they come, so a head may be split over segments, and
the body is stepped over by its length. It is set to be lenient: this looks at what was sent, it
does not judge it.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Literal

import llhttp

from engine.core.errors import CaptureError

MAX_HEAD = 65_536
"""Longest head in bytes; the part of one that has come so far is kept until it is whole."""

_MAX_IDLE = 4
"""Steps without a byte read: the end of one message, an upgrade, the begin of the next."""

_HOSTILE = bytes(ord("_") if byte < 0x20 or byte > 0x7E else byte for byte in range(256))
_HEADERS = {b"host", b"user-agent", b"referer", b"content-length", b"transfer-encoding"}
_HTTP2_PREFACE = b"PRI * HTTP/2"
_RESPONSE_START = b"HTTP/"
_FILLER = bytes(65_536)
_BODILESS = (204, 304)
_DIGITS = 19
"""A longer length is a lie."""


class MalformedHttp(CaptureError):
    """The bytes are not HTTP/1."""


class HeadTooLong(CaptureError):
    """A head did not end within MAX_HEAD bytes."""


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


@dataclass(frozen=True, slots=True)
class ResponseHead:
    """The head of a response."""

    status: int
    payload: bytes
    """As in RequestHead."""
    size: int | None
    """As in RequestHead."""
    head_size: int
    """Length of the head alone, which is all that answers HEAD."""


class _Head:
    """What llhttp calls back while it reads; mixed into its parser types."""

    pause: Callable[[], None]
    """llhttp's own."""

    def __init__(self) -> None:
        self.stopped_at = ""
        self.headers: dict[bytes, bytes] = {}
        self._name = b""
        self._value = b""

    def on_header_field(self, part: memoryview) -> None:
        self._name = _joined(self._name, part)

    def on_header_value(self, part: memoryview) -> None:
        self._value = _joined(self._value, part)

    def on_header_value_complete(self) -> None:
        name = self._name.lower()
        if name in _HEADERS:
            self.headers.setdefault(name, self._value)
        self._name = self._value = b""

    def on_message_begin(self) -> None:
        self.headers = {}

    def on_headers_complete(self) -> None:
        self.stopped_at = "head"
        self.pause()

    def on_message_complete(self) -> None:
        self.stopped_at = "end"
        self.pause()


def _joined(before: bytes, part: memoryview) -> bytes:
    """A field grown by a part; trailers after a body have no other bound."""
    return before + bytes(part) if len(before) < MAX_HEAD else before


class _RequestParser(_Head, llhttp.Request):  # type: ignore[misc]  # llhttp has no type stubs
    pass


class _ResponseParser(_Head, llhttp.Response):  # type: ignore[misc]  # llhttp has no type stubs
    pass


class _HeadReader:
    """Feeds one direction to llhttp and stops it at every head and every end of a message."""

    def __init__(self, parser: _RequestParser | _ResponseParser) -> None:
        self._parser = parser
        for flag in (
            "headers",
            "chunked_length",
            "transfer_encoding",
            "data_after_close",
            "optional_cr_before_lf",
            "lf_after_cr",
            "optional_crlf_after_chunk",
            "spaces_after_chunk_size",
        ):
            setattr(parser, f"lenient_{flag}", True)
        self._head = b""
        self._in_head = True
        self._skip_body = False

    def heads(self, data: bytes) -> Iterator[tuple[bytes, bytes]]:
        """For each head that ends in `data`: the head, and all bytes from its start on.

        Raises:
            MalformedHttp: at the first byte that cannot be HTTP.
            HeadTooLong: if a head is not over after MAX_HEAD bytes.
        """
        start = position = idle = 0
        while position < len(data):
            taken = self._execute(data, position)
            position += taken
            idle = 0 if taken else idle + 1
            if idle > _MAX_IDLE:
                raise MalformedHttp("the parser makes no progress")
            stopped_at, self._parser.stopped_at = self._parser.stopped_at, ""
            if stopped_at == "head":
                self._in_head = False
                before, self._head = self._head, b""
                yield before + data[start:position], before + data[start : start + MAX_HEAD]
                self._go_on()
                if self._in_head:  # no body comes: the next message begins here
                    start = position
            elif stopped_at == "end":
                self._in_head, start = True, position
                self._parser.unpause()
            elif self._parser.is_upgrading:
                # An upgrade is only asked for here; the answer may refuse it and go on in HTTP.
                self._parser.upgrade()
        if self._in_head:
            self._keep(data[start:])

    def skip(self, count: int) -> bool:
        """Step over bytes of a body that were not captured; False if they may hold a head."""
        if self._in_head or b"transfer-encoding" in self._parser.headers:
            return False
        while count:
            taken = self._execute(_FILLER[:count], 0)
            count -= taken
            if self._parser.stopped_at == "end":
                self._parser.stopped_at = ""
                self._in_head = True
                self._parser.unpause()
                return count == 0
            if not taken:
                return False
        return True

    def skip_body(self) -> None:
        """Say of the head just given that no body follows it, whatever it announces (HEAD)."""
        self._skip_body = True

    def _execute(self, data: bytes, position: int) -> int:
        rest: bytes | memoryview = memoryview(data)[position:]
        if self._in_head and b"\n" not in self._head.lstrip(b"\r\n"):
            rest = self._tamed(data, position) or rest
        try:
            return int(self._parser.execute(rest))
        except llhttp.Error as error:
            raise MalformedHttp(str(error)) from error

    def _tamed(self, data: bytes, position: int) -> bytes | None:
        """The rest of `data` with the hostile bytes of its first line replaced; None = no need.

        llhttp refuses control and non-ASCII bytes in a URL. Servers do not, and whoever debugs
        one must see them, so llhttp gets a stand-in and the target is taken from the bytes.
        """
        begin = position
        while not self._head.strip(b"\r\n") and data[begin : begin + 1] in (b"\r", b"\n"):
            begin += 1
        end = data.find(b"\n", begin)
        end = len(data) if end < 0 else end
        if data[end - 1 : end] == b"\r":
            end -= 1
        line = data[begin:end]
        tame = line.translate(_HOSTILE)
        return None if tame == line else data[position:begin] + tame + data[end:]

    def _go_on(self) -> None:
        if self._skip_body:
            self._skip_body = False
            self._parser.reset()
            self._in_head = True
        else:
            self._parser.unpause()

    def _keep(self, part: bytes) -> None:
        self._head += part
        if len(self._head) > MAX_HEAD:
            raise HeadTooLong(f"a head of more than {MAX_HEAD} bytes")


class RequestStream:
    """Reads the client's side of a connection."""

    def __init__(self) -> None:
        self._parser = _RequestParser()
        self._reader = _HeadReader(self._parser)

    def feed(self, data: bytes) -> Iterator[RequestHead]:
        """The requests whose heads end in `data`.

        Raises:
            MalformedHttp: not HTTP/1; the stream is of no use any more.
            HeadTooLong: likewise.
        """
        for head, payload in self._reader.heads(data):
            headers = self._parser.headers
            yield RequestHead(
                method=str(self._parser.method),
                target=_target(head),
                host=headers.get(b"host", b""),
                user_agent=headers.get(b"user-agent", b""),
                referer=headers.get(b"referer", b""),
                payload=payload,
                size=_announced(len(head), headers, ends_itself=False),
            )

    def skip(self, count: int) -> bool:
        """Step over bytes that were not captured; False if they may hold a head."""
        return self._reader.skip(count)


class ResponseStream:
    """Reads the server's side of a connection."""

    def __init__(self) -> None:
        self._parser = _ResponseParser()
        self._reader = _HeadReader(self._parser)

    def feed(self, data: bytes) -> Iterator[ResponseHead]:
        """The responses whose heads end in `data`; errors as in RequestStream.

        A response to HEAD announces a body that does not come: call `skip_body` when one is given
        out, before asking for the next.
        """
        for head, payload in self._reader.heads(data):
            status = int(self._parser.status)
            bare = status < 200 or status in _BODILESS
            size = (
                len(head) if bare else _announced(len(head), self._parser.headers, ends_itself=True)
            )
            yield ResponseHead(status, payload, size, len(head))

    def skip(self, count: int) -> bool:
        """Step over bytes that were not captured; False if they may hold a head."""
        return self._reader.skip(count)

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


def _announced(head: int, headers: dict[bytes, bytes], *, ends_itself: bool) -> int | None:
    """Length of a head and the body it announces."""
    if b"transfer-encoding" in headers:
        return None
    length = headers.get(b"content-length", b"")
    if not length:
        return None if ends_itself else head
    return head + int(length) if length.isdigit() and len(length) < _DIGITS else None


def _target(head: bytes) -> bytes:
    """The request target of a head whose first line llhttp has accepted."""
    line = head.lstrip(b"\r\n").split(b"\n", 1)[0]
    return line.partition(b" ")[2].strip(b" \r").rpartition(b" ")[0].strip(b" ")
