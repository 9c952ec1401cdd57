"""Where heads begin and end in one direction of an HTTP/1 connection, and where bytes are missing.

llhttp does the parsing. It gets the bytes as they come, so a head may be split over segments, and
the body is stepped over by its length. It is set to be lenient: this looks at what was sent, it
does not judge it. Behind bytes that are missing, it gets nothing before a start line.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator

import llhttp

from engine.core.errors import CaptureError

MAX_HEAD = 65_536
"""Longest head in bytes; the part of one that has come so far is kept until it is whole."""

_MAX_IDLE = 4
"""Steps without a byte read: the end of one message, an upgrade, the begin of the next."""

_HOSTILE = bytes(ord("_") if byte < 0x20 or byte > 0x7E else byte for byte in range(256))
_HEADERS = {b"host", b"user-agent", b"referer", b"content-length", b"transfer-encoding"}
_FILLER = bytes(65_536)
_DIGITS = 19
"""A longer length is a lie."""

_REQUEST_LINE = re.compile(rb"[A-Z][A-Z_-]* [^\r\n]+ HTTP/1\.[01]\r?\n")
_STATUS = re.compile(rb"HTTP/1\.[01] [1-9][0-9]{2}[ \r\n]")
"""What of a start line has to be there to tell what a message is."""


class MalformedHttp(CaptureError):
    """The bytes are not HTTP/1."""


class HeadTooLong(CaptureError):
    """A head did not end within MAX_HEAD bytes."""


class OutOfStep(CaptureError):
    """Bytes before these are missing, and no message begins with them."""


class _Head:
    """What llhttp calls back while it reads; mixed into its parser types."""

    pause: Callable[[], None]
    """llhttp's own."""
    start_line: re.Pattern[bytes]

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
        self._name = self._value = b""

    def on_headers_complete(self) -> None:
        self.stopped_at = "head"
        self.pause()

    def on_message_complete(self) -> None:
        self.stopped_at = "end"
        self.pause()


def _joined(before: bytes, part: memoryview) -> bytes:
    """A field grown by a part; trailers after a body have no other bound."""
    return before + bytes(part) if len(before) < MAX_HEAD else before


class RequestParser(_Head, llhttp.Request):  # type: ignore[misc]  # llhttp has no type stubs
    """Reads requests."""

    start_line = _REQUEST_LINE


class ResponseParser(_Head, llhttp.Response):  # type: ignore[misc]  # llhttp has no type stubs
    """Reads responses."""

    start_line = _STATUS


class HeadReader:
    """Feeds one direction to llhttp and stops it at every head and every end of a message.

    Args:
        parser: Who reads.
        lost: Whether bytes are missing before the first.
    """

    def __init__(self, parser: RequestParser | ResponseParser, *, lost: bool = False) -> None:
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
        self.lost = lost
        """Bytes are missing, and where the next message begins is not known."""
        self.ahead = 0
        """How many bytes of a body certainly come before it."""

    def heads(self, data: bytes) -> Iterator[tuple[bytes, bytes]]:
        """For each head that ends in `data`: the head, and all bytes from its start on.

        Raises:
            MalformedHttp: at the first byte that cannot be HTTP.
            HeadTooLong: if a head is not over after MAX_HEAD bytes.
            OutOfStep: if bytes before these are missing, and they begin no message.
        """
        if self.lost and self._passes(len(data)):
            return
        if self.lost:
            self._find_step(data)
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
        if self.lost:
            return self._passes(count)
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

    def cut(self, count: int) -> bytes | None:
        """Go on behind bytes that `skip` could not step over: only a start line is taken now.

        Returns:
            The head they are missing from, as far as it is there; None if they are not missing from
            a head, or if its start line is not there.
        """
        head, self._head = self._head, b""
        known = self._in_head and not self.lost and self._begins(head)
        self.ahead = max(0, (body_length(self._parser.headers) or 0) - count) if known else 0
        self.lost = self._in_head = True
        return head if known else None

    def skip_body(self) -> None:
        """Say of the head just given that no body follows it, whatever it announces (HEAD)."""
        if self.lost:
            self.ahead = 0
        else:
            self._skip_body = True

    def _passes(self, count: int) -> bool:
        """Pass over bytes that are certainly of a body; False if some of them may not be."""
        certain = count <= self.ahead
        self.ahead = self.ahead - count if certain else 0
        return certain

    def _find_step(self, data: bytes) -> None:
        if not self._begins(data):
            raise OutOfStep("bytes are missing before these, and no message begins here")
        self._parser.reset()
        self.lost = False

    def _begins(self, data: bytes) -> bool:
        """Whether a message begins with these bytes, and they tell which."""
        return self._parser.start_line.match(data.lstrip(b"\r\n")) is not None

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


def body_length(headers: dict[bytes, bytes]) -> int | None:
    """The length of the body that headers announce; None if they announce none, or lie."""
    length = headers.get(b"content-length", b"")
    if b"transfer-encoding" in headers or not length.isdigit() or len(length) >= _DIGITS:
        return None
    return int(length)
