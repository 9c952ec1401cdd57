"""DNS messages in datagrams and in TCP streams, read by dpkt."""

from __future__ import annotations

import ipaddress
import struct
from collections.abc import Iterator

import dpkt

from engine.core.sanitise import clean
from engine.traffic.flows import Direction, Flow
from engine.traffic.messages import BUILT_IN, Message, Pending
from engine.traffic.packets import TCP, Segment
from engine.traffic.reasons import Dropped

PROTOCOL = "DNS"

_HEADER = 12
_LENGTH = 2
_QR = 0x8000
_MAX_OPCODE = 6
_MAX_RECORDS = 512
_MIN_RECORD = 11
_TEXT = 1_024
_SHOWN_ANSWERS = 16
_CLASSES = {1, 3, 4, 254, 255}
_MDNS_BIT = 0x7FFF

_TYPES = {
    1: "A", 2: "NS", 5: "CNAME", 6: "SOA", 12: "PTR", 13: "HINFO", 15: "MX", 16: "TXT",
    28: "AAAA", 33: "SRV", 35: "NAPTR", 41: "OPT", 43: "DS", 46: "RRSIG", 47: "NSEC",
    48: "DNSKEY", 52: "TLSA", 64: "SVCB", 65: "HTTPS", 251: "IXFR", 252: "AXFR", 255: "ANY",
    257: "CAA",
}  # fmt: skip
_RCODES = {
    0: "NOERROR", 1: "FORMERR", 2: "SERVFAIL", 3: "NXDOMAIN", 4: "NOTIMP", 5: "REFUSED",
    6: "YXDOMAIN", 7: "YXRRSET", 8: "NXRRSET", 9: "NOTAUTH", 10: "NOTZONE",
}  # fmt: skip


class _Record(dpkt.dns.DNS.RR):  # type: ignore[misc]  # dpkt has no types
    """A resource record; data of a type that dpkt does not know stays bytes."""

    def unpack_rdata(self, buf: bytes, off: int) -> None:
        try:
            super().unpack_rdata(buf, off)
        except (dpkt.UnpackError, struct.error, IndexError, ValueError):
            self.unread = True


class _Dns(dpkt.dns.DNS):  # type: ignore[misc]  # dpkt has no types
    RR = _Record


def read_message(data: bytes) -> dpkt.dns.DNS | None:
    """A DNS message, if these bytes are one and nothing else."""
    if len(data) < _HEADER:
        return None
    _, flags, *counts = struct.unpack_from(">6H", data)
    questions = counts[0]
    if flags >> 11 & 0xF > _MAX_OPCODE or questions > 1 or sum(counts) > _MAX_RECORDS:
        return None
    if not questions and not (flags & _QR and sum(counts)):
        return None
    try:
        message = _Dns(data)
    except (dpkt.UnpackError, struct.error, IndexError, ValueError, RecursionError):
        return None
    if any(question.cls & _MDNS_BIT not in _CLASSES for question in message.qd):
        return None
    return message


def read_question(data: bytes) -> dpkt.dns.DNS | None:
    """What a DNS message begins with, header and question, whatever becomes of its records."""
    counted = len(data) >= _HEADER
    return read_message(data[:6] + bytes(6) + data[_HEADER:]) if counted else None


def _is_long(data: bytes) -> bool:
    """Whether a message announces more records than are read, and may well have them."""
    records = sum(struct.unpack_from(">4H", data, 4)) if len(data) >= _HEADER else 0
    return records > _MAX_RECORDS and len(data) > _HEADER + records * _MIN_RECORD


def looks_like(payload: bytes, l4: int) -> bool | None:
    """Whether a first payload is DNS: True a response, False a request, None neither."""
    if l4 == TCP:
        if len(payload) < _LENGTH or int.from_bytes(payload[:_LENGTH]) > len(payload) - _LENGTH:
            return None
        payload = payload[_LENGTH : _LENGTH + int.from_bytes(payload[:_LENGTH])]
    message = read_message(payload)
    return None if message is None else bool(message.op & _QR)


class DnsParser:
    """DNS of one flow; responses belong to requests by their id.

    Args:
        flow: The flow.
        direction: Who spoke before the first payload, if somebody did.
        head: What was said then.
    """

    proven = True

    def __init__(self, flow: Flow, direction: Direction = 0, head: bytes = b"") -> None:
        self._flow = flow
        self._pending = Pending()
        self._rest = [b"", b""]
        self._rest[direction] = head
        self._ahead = [0, 0]
        """Bytes still to come of a message that was read without them."""

    def feed(self, segment: Segment, direction: Direction, payload: bytes) -> Iterator[Message]:
        """The exchanges that are complete with this payload."""
        if self._flow.l4 != TCP:
            yield from self._read(segment, payload, whole=not segment.missing)
            return
        side = self._flow.sides[direction]
        if side.lost:
            self._rest[direction], self._ahead[direction] = b"", 0
        side.lost = segment.missing > 0
        skipped = min(self._ahead[direction], len(payload))
        self._ahead[direction] -= skipped
        data = self._rest[direction] + payload[skipped:]
        while len(data) >= _LENGTH:
            end = _LENGTH + int.from_bytes(data[:_LENGTH])
            if len(data) < end:
                break
            message, data = data[_LENGTH:end], data[end:]
            self._rest[direction] = data
            try:
                yield from self._read(segment, message)
            except Dropped:
                self._rest[direction] = b""
                raise
        self._rest[direction] = data
        if segment.missing:
            yield from self._cut(segment, direction, data)

    def _cut(self, segment: Segment, direction: Direction, data: bytes) -> Iterator[Message]:
        """Read a message whose end was not captured, and go on behind it."""
        self._rest[direction] = b""
        if len(data) >= _LENGTH + _HEADER:
            self._ahead[direction] += _LENGTH + int.from_bytes(data[:_LENGTH]) - len(data)
            yield from self._read(segment, data[_LENGTH:], whole=False)
        if segment.missing <= self._ahead[direction]:
            self._ahead[direction] -= segment.missing
            self._flow.sides[direction].lost = False

    def finish(self) -> list[Message]:
        """Requests without an answer."""
        return self._pending.drain()

    def expired(self, before_ns: int) -> list[Message]:
        """Requests asked before then that have no answer yet."""
        return self._pending.expired(before_ns)

    def _read(self, segment: Segment, data: bytes, *, whole: bool = True) -> Iterator[Message]:
        is_long = whole and _is_long(data)
        dns = read_message(data) if whole and not is_long else read_question(data)
        if dns is None:
            raise Dropped("malformed" if whole else "truncated")
        if not dns.op & _QR:
            message = self._message(segment, dns)
            message.asked = True
            message.request_bytes = len(data) if whole else None
            yield from self._pending.ask(message, dns.id)
            return
        asked = self._pending.answered(dns.id) or self._message(segment, dns)
        asked.answer(segment.ts_ns)
        asked.response_bytes = len(data) if whole else None
        if not whole:
            asked.note("answer", "not captured whole")
        if is_long:
            asked.note("answer", f"more than {_MAX_RECORDS} records")
        asked.status = _RCODES.get(dns.rcode, f"rcode {dns.rcode}")
        if dns.op & dpkt.dns.DNS_TC:
            asked.note("truncated", "the answer is too long for a datagram")
        answers = [text for record in dns.an[:_SHOWN_ANSWERS] if (text := _answer(record))]
        asked.note("answers", " ".join(answers))
        yield asked

    def _message(self, segment: Segment, dns: dpkt.dns.DNS) -> Message:
        flow = self._flow
        message = Message(segment.ts_ns, PROTOCOL, flow.client, flow.server, BUILT_IN, flow=flow)
        for question in dns.qd:
            message.method = _type_name(question.type)
            message.resource = clean(question.name or ".", _TEXT)
        return message


def _type_name(number: int) -> str:
    return _TYPES.get(number, f"TYPE{number}")


def _answer(record: dpkt.dns.DNS.RR) -> str:
    """One answer, short."""
    kind = _type_name(record.type)
    match kind:
        case "A" | "AAAA" if len(record.rdata) in (4, 16):
            return str(ipaddress.ip_address(record.rdata))
        case "CNAME":
            return clean(str(getattr(record, "cname", kind)), _TEXT)
        case "PTR":
            return clean(str(getattr(record, "ptrname", kind)), _TEXT)
        case "NS":
            return clean(str(getattr(record, "nsname", kind)), _TEXT)
    return kind
