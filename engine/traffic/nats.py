"""NATS: what clients publish and servers deliver.

Source: NATS client protocol; what plugins are given of it, DeepFlow agent.
"""

from __future__ import annotations

import re
from collections.abc import Iterator

from engine.core.sanitise import clean
from engine.traffic.custom import CustomParser, Piece
from engine.traffic.flows import Direction
from engine.traffic.packets import Segment
from engine.traffic.reasons import Dropped
from engine.wasm.custom import nats_message

_TEXT = 1_024
_LONGEST_LINE = 65_536
_FIRST = re.compile(
    rb"(?:(INFO|CONNECT) *\{|(PUB|HPUB|MSG|HMSG) [^\s\r\n]+ (?:[^\r\n]* )?\d+\r\n"
    rb"|(SUB) [^\s\r\n]+ [^\r\n]+\r\n)",
    re.IGNORECASE,
)
_OF_SERVER = {b"INFO", b"MSG", b"HMSG"}
_WORDS = {b"PUB": (2, 3), b"MSG": (3, 4), b"HPUB": (3, 4), b"HMSG": (4, 5)}
"""Words after the verb of messages that carry data: without and with a reply subject."""
_WITH_HEADERS = (b"HPUB", b"HMSG")
_SHOWN = {b"SUB", b"UNSUB", b"CONNECT", b"INFO", b"-ERR"}
_SILENT = {b"PING", b"PONG", b"+OK"}


def looks_like(payload: bytes) -> bool | None:
    """Whether a first payload is NATS: True from the client, False from the server."""
    found = _FIRST.match(payload)
    if found is None:
        return None
    return next(word for word in found.groups() if word).upper() not in _OF_SERVER


class NatsParser(CustomParser):
    """NATS of one connection; every message stands for itself."""

    protocol = "NATS"

    def read(self, segment: Segment, direction: Direction, data: bytes) -> Iterator[Piece]:
        """Every whole message, and every command worth showing."""
        at = 0
        while (line_end := data.find(b"\r\n", at)) >= 0:
            verb, _, text = data[at:line_end].partition(b" ")
            verb = verb.upper()
            if verb in _WORDS:
                piece = self._data(segment, verb, text.split(), data, line_end + 2)
                if piece is None:
                    return
                yield piece
                at = piece.end
                continue
            at = line_end + 2
            yield self._command(segment, verb, text, at)
        if len(data) - at > _LONGEST_LINE:
            raise Dropped("malformed")

    def beside(self, payload: bytes, rest: bytes) -> bytes:
        """Plugins read what follows the last message, which is seldom anything."""
        return rest

    def _command(self, segment: Segment, verb: bytes, text: bytes, end: int) -> Piece:
        if verb in _SILENT:
            return Piece(end)
        if verb not in _SHOWN:
            raise Dropped("malformed")
        message = self.message(segment)
        message.method = clean(verb, 16)
        message.resource = clean(text, _TEXT)
        if verb == b"-ERR":
            message.status = "error"
        return Piece(end, message)

    def _data(
        self, segment: Segment, verb: bytes, words: list[bytes], data: bytes, begin: int
    ) -> Piece | None:
        """A message that carries data; None if it is not all there."""
        sizes = words[-2:] if verb in _WITH_HEADERS else words[-1:]
        if len(words) not in _WORDS[verb] or not all(word.isdigit() for word in sizes):
            raise Dropped("malformed")
        end = begin + int(sizes[-1])
        if len(data) < end + 2:
            return None
        if data[end : end + 2] != b"\r\n":
            raise Dropped("malformed")
        reply = words[-len(sizes) - 1] if len(words) == _WORDS[verb][1] else b""
        headers = int(sizes[0]) if verb in _WITH_HEADERS else 0
        message = self.message(segment)
        message.method = clean(verb, 16)
        message.resource = clean(words[0], _TEXT)
        message.note("reply_to", clean(reply, _TEXT))
        message.request_bytes = end - begin
        custom = nats_message(
            words[0].decode("utf-8", "backslashreplace"),
            reply.decode("utf-8", "backslashreplace"),
            data[begin + headers : end],
        )
        return Piece(end + 2, message, custom)
