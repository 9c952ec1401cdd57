"""Protocols that are named and not read: TLS, HTTP/2, Redis, MySQL, PostgreSQL, Kafka."""

from __future__ import annotations

import re
import struct
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field


@dataclass(frozen=True, slots=True)
class Recognised:
    """What a first payload gives away."""

    protocol: str
    from_client: bool | None
    """Who says such a thing; None if both do."""
    says: str = ""
    """What it is, in the protocol's own words."""
    facts: Mapping[str, str] = field(default_factory=dict)


def recognise(payload: bytes) -> Recognised | None:
    """The protocol of a TCP connection whose first payload this is, if it is one of these."""
    for look in _LOOKS:
        found = look(payload)
        if found is not None:
            return found
    return None


_UNREADABLE = {"note": "encrypted: the content cannot be read here"}
_TLS_RECORD = struct.Struct(">BBBH")
_TLS_TYPES = {20: "change cipher spec", 21: "alert", 22: "handshake", 23: "application data"}
_TLS_MAX_RECORD = (1 << 14) + 2_048
_HELLOS = {1: (True, "ClientHello"), 2: (False, "ServerHello")}
_SNI, _ALPN = 0, 16


def _tls(payload: bytes) -> Recognised | None:
    if len(payload) < _TLS_RECORD.size + 1:
        return None
    kind, major, minor, length = _TLS_RECORD.unpack_from(payload)
    if kind not in _TLS_TYPES or major != 3 or minor > 4 or not 0 < length <= _TLS_MAX_RECORD:
        return None
    if kind != 22:
        return Recognised("TLS", None, _TLS_TYPES[kind], _UNREADABLE)
    from_client, name = _HELLOS.get(payload[5], (None, "handshake"))
    facts = dict(_UNREADABLE)
    if from_client:
        facts |= _client_hello(payload)
    return Recognised("TLS", from_client, f"{name} {facts.get('sni', '')}".strip(), facts)


def _client_hello(payload: bytes) -> dict[str, str]:
    """Server name and application protocols; as much as is there."""
    facts: dict[str, str] = {}
    try:
        at = 5 + 4 + 2 + 32
        at += 1 + payload[at]
        at += 2 + int.from_bytes(payload[at : at + 2])
        at += 1 + payload[at]
        end = at + 2 + int.from_bytes(payload[at : at + 2])
        at += 2
        while at + 4 <= min(end, len(payload)):
            kind, length = struct.unpack_from(">HH", payload, at)
            body = payload[at + 4 : at + 4 + length]
            if kind == _SNI and len(body) > 5 and body[2] == 0:
                size = int.from_bytes(body[3:5])
                facts["sni"] = body[5 : 5 + size].decode("ascii", "replace")
            elif kind == _ALPN and len(body) > 2:
                facts["alpn"] = " ".join(_strings(body[2:]))
            at += 4 + length
    except IndexError:
        pass
    return facts


def _strings(data: bytes) -> list[str]:
    found = []
    while data:
        found.append(data[1 : 1 + data[0]].decode("ascii", "replace"))
        data = data[1 + data[0] :]
    return found


def _http2(payload: bytes) -> Recognised | None:
    if payload.startswith(b"PRI * HTTP/2.0\r\n"):
        return Recognised("HTTP2", True, "connection preface")
    return None


_RESP = re.compile(rb"\*(\d{1,6})\r\n\$(\d{1,9})\r\n([A-Za-z.]{1,32})\r\n")


def _redis(payload: bytes) -> Recognised | None:
    found = _RESP.match(payload)
    if found is None or int(found[2]) != len(found[3]):
        return None
    return Recognised("Redis", True, found[3].decode().upper())


_MYSQL = re.compile(rb"(...)\x00\x0a([0-9][\x20-\x7e]{2,60})\x00", re.DOTALL)


def _mysql(payload: bytes) -> Recognised | None:
    found = _MYSQL.match(payload)
    if found is None or int.from_bytes(found[1], "little") != len(payload) - 4:
        return None
    version = found[2].decode("ascii")
    return Recognised("MySQL", False, f"greeting {version}", {"server_version": version})


_POSTGRES_CODES = {
    196_608: "startup",
    196_610: "startup",
    80_877_103: "SSLRequest",
    80_877_104: "GSSENCRequest",
    80_877_102: "CancelRequest",
}


def _postgres(payload: bytes) -> Recognised | None:
    if len(payload) < 8:
        return None
    length, code = struct.unpack_from(">II", payload)
    if code in _POSTGRES_CODES and length == len(payload):
        facts: dict[str, str] = {}
        if code in (196_608, 196_610):
            words = [word.decode("utf-8", "replace") for word in payload[8:].split(b"\0")]
            pairs = dict(zip(words[::2], words[1::2], strict=False))
            facts = {name: pairs[name] for name in ("user", "database") if pairs.get(name)}
        return Recognised("PostgreSQL", True, _POSTGRES_CODES[code], facts)
    size = int.from_bytes(payload[1:5])
    if payload[:1] == b"Q" and size == len(payload) - 1 and payload[-1:] == b"\0":
        return Recognised("PostgreSQL", True, "Query")
    return None


_KAFKA = struct.Struct(">IHHIh")
_KAFKA_KEYS = {0: "Produce", 1: "Fetch", 2: "ListOffsets", 3: "Metadata", 8: "OffsetCommit",
               9: "OffsetFetch", 10: "FindCoordinator", 11: "JoinGroup", 12: "Heartbeat",
               14: "SyncGroup", 17: "SaslHandshake", 18: "ApiVersions", 22: "InitProducerId",
               36: "SaslAuthenticate"}  # fmt: skip
_KAFKA_VERSIONS = 20


def _kafka(payload: bytes) -> Recognised | None:
    if len(payload) < _KAFKA.size:
        return None
    size, key, version, _, length = _KAFKA.unpack_from(payload)
    if size != len(payload) - 4 or key not in _KAFKA_KEYS or version > _KAFKA_VERSIONS:
        return None
    name = payload[_KAFKA.size : _KAFKA.size + max(length, 0)]
    if length < -1 or len(name) != max(length, 0) or not all(0x20 <= byte < 0x7F for byte in name):
        return None
    facts = {"client_id": name.decode("ascii")} if name else {}
    return Recognised("Kafka", True, f"{_KAFKA_KEYS[key]} v{version}", facts)


_LOOKS: tuple[Callable[[bytes], Recognised | None], ...] = (
    _tls, _http2, _redis, _mysql, _postgres, _kafka,
)  # fmt: skip
