"""Frames to segments: link layer, IP, TCP or UDP, without reassembly."""

from __future__ import annotations

import struct
from typing import Literal, NamedTuple

import dpkt

TCP = 6
UDP = 17

FIN, SYN, RST, PSH, ACK = 0x01, 0x02, 0x04, 0x08, 0x10

Unusable = Literal["malformed", "truncated", "fragment", "unix_socket", "no_address", "link_type"]
"""Why something that may carry payload gives no segment."""

_LAYERS_BELOW_IP = 6


class Owner(NamedTuple):
    """A process at one end of a connection."""

    pid: int
    comm: str


class Segment(NamedTuple):
    """One TCP segment or UDP datagram as it was captured."""

    ts_ns: int
    src: bytes
    """Packed address of the sender: 4 or 16 bytes."""
    dst: bytes
    src_port: int
    dst_port: int
    l4: int
    """6 TCP, 17 UDP."""
    flags: int
    """TCP flags."""
    seq: int
    """TCP sequence number of the first payload byte."""
    payload: bytes
    missing: int
    """Payload bytes that were on the wire and not in the capture."""
    socket: int = 0
    """Of a process: which socket it went through, so that both of a connection are told apart."""
    owner: Owner | None = None
    """The process that was seen to send or receive it."""
    peer: Owner | None = None
    """The process at the other end, if that is known."""
    sent: bool = False
    """Whether the owner sent it."""


_LINKS = {
    dpkt.pcap.DLT_NULL: dpkt.loopback.Loopback,
    dpkt.pcap.DLT_LOOP: dpkt.loopback.Loopback,
    dpkt.pcap.DLT_EN10MB: dpkt.ethernet.Ethernet,
    dpkt.pcap.DLT_LINUX_SLL: dpkt.sll.SLL,
    dpkt.pcap.DLT_LINUX_SLL2: dpkt.sll2.SLL2,
}
_COOKED = {dpkt.pcap.DLT_LINUX_SLL: slice(14, 16), dpkt.pcap.DLT_LINUX_SLL2: slice(0, 2)}
"""Link types whose VLAN tags dpkt does not follow, and where their protocol type stands."""
_VLAN_TAGS = (b"\x81\x00", b"\x88\xa8")
_RAW_IP = {12, 14, 101, dpkt.pcap.DLT_IPV4, dpkt.pcap.DLT_IPV6}
"""Link types without a link layer; raw IP has three numbers in use."""

LINK_TYPES = frozenset({*_LINKS, *_RAW_IP})


def decode_frame(link_type: int, ts_ns: int, frame: bytes) -> Segment | Unusable | None:
    """The segment in a frame.

    Args:
        link_type: A member of LINK_TYPES.
        ts_ns: Time of the capture, wall nanoseconds.
        frame: The captured bytes.

    Returns:
        None where there is neither TCP nor UDP in the frame; the reason where there is, or may
        be, and it cannot be read.
    """
    try:
        link = _unpack_link(link_type, frame)
        packet = _find_ip(link)
        return _without_ip(link) if packet is None else _from_ip(packet, ts_ns)
    except dpkt.NeedData:
        return "truncated"
    except (dpkt.UnpackError, struct.error, ValueError, IndexError, AttributeError, TypeError):
        # dpkt raises any of these for bytes that lie about their lengths.
        return "malformed"


def _unpack_link(link_type: int, frame: bytes) -> dpkt.Packet:
    if link_type in _RAW_IP:
        version = frame[0] >> 4 if frame else 0
        return dpkt.ip6.IP6(frame) if version == 6 else dpkt.ip.IP(frame)
    link = _LINKS[link_type](frame)
    if link_type in _COOKED and (tag := frame[_COOKED[link_type]]) in _VLAN_TAGS:
        return dpkt.ethernet.Ethernet(bytes(12) + tag + link.data)
    return link


def _find_ip(packet: object) -> dpkt.Packet | None:
    """Go up through VLAN tags, tunnel headers and the like to the first IP packet."""
    for _ in range(_LAYERS_BELOW_IP):
        if isinstance(packet, dpkt.ip.IP | dpkt.ip6.IP6):
            return packet
        packet = getattr(packet, "data", None)
    return None


def _without_ip(link: dpkt.Packet) -> Unusable | None:
    """Why a frame whose link layer announces IP holds none; None if it announces nothing."""
    tags = getattr(link, "vlan_tags", ())
    kind = tags[-1].type if tags else getattr(link, "ethtype", None) or getattr(link, "type", None)
    header = {
        dpkt.ethernet.ETH_TYPE_IP: dpkt.ip.IP.__hdr_len__,
        dpkt.ethernet.ETH_TYPE_IP6: dpkt.ip6.IP6.__hdr_len__,
    }.get(kind)
    if header is None:
        return None
    return "truncated" if len(link.data) < header else "malformed"


def _from_ip(packet: dpkt.Packet, ts_ns: int) -> Segment | Unusable | None:
    if getattr(packet, "p", None) not in (TCP, UDP):
        return None
    if _is_fragment(packet):
        return "fragment"
    l4 = packet.data
    wire_length = _wire_length(packet)
    if isinstance(l4, bytes):
        return "truncated" if len(l4) < wire_length else "malformed"
    is_tcp = packet.p == TCP
    payload = bytes(l4.data)
    header = l4.off * 4 if is_tcp else l4.__hdr_len__
    return Segment(
        ts_ns=ts_ns,
        src=packet.src,
        dst=packet.dst,
        src_port=l4.sport,
        dst_port=l4.dport,
        l4=packet.p,
        flags=l4.flags if is_tcp else 0,
        seq=l4.seq if is_tcp else 0,
        payload=payload,
        missing=max(0, wire_length - header - len(payload)),
    )


def _is_fragment(packet: dpkt.Packet) -> bool:
    if isinstance(packet, dpkt.ip.IP):
        return bool(packet.mf or packet.offset)
    header = packet.extension_hdrs.get(dpkt.ip.IP_PROTO_FRAGMENT)
    return header is not None and bool(header.m_flag or header.frag_off)


def _wire_length(packet: dpkt.Packet) -> int:
    """Length of TCP or UDP, header included, on the wire; 0 if the packet does not say."""
    if isinstance(packet, dpkt.ip.IP):
        return packet.len - packet.hl * 4 if packet.len else 0
    if not packet.plen:
        return 0
    return int(packet.plen - sum(header.length for header in packet.all_extension_headers))
