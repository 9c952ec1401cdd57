"""Frames to segments, whatever the link layer and however short."""

from __future__ import annotations

import dpkt
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from engine.traffic.packets import LINK_TYPES, TCP, UDP, Segment, decode_frame

TS = 1_700_000_000_123_456_000
V4 = (b"\x0a\0\0\1", b"\x0a\0\0\2")
V6 = (bytes(15) + b"\1", bytes(15) + b"\2")


def tcp(payload: bytes = b"hello", **values: int) -> dpkt.tcp.TCP:
    """A TCP segment, with an option so that the header has a tail."""
    segment = dpkt.tcp.TCP(sport=40_000, dport=80, seq=7, flags=0x18, **values)
    segment.opts = b"\x01\x01\x01\x01"
    segment.off = 6
    segment.data = payload
    return segment


def ipv4(inner: dpkt.Packet, number: int = TCP, **values: int) -> dpkt.ip.IP:
    """An IPv4 packet."""
    packet = dpkt.ip.IP(src=V4[0], dst=V4[1], p=number, data=inner, **values)
    packet.len = len(packet)
    return packet


def ipv6(inner: dpkt.Packet, number: int = TCP) -> dpkt.ip6.IP6:
    """An IPv6 packet."""
    packet = dpkt.ip6.IP6(src=V6[0], dst=V6[1], nxt=number, data=inner, plen=len(inner))
    packet.extension_hdrs = {}
    packet.p = number
    return packet


def ethernet(packet: dpkt.Packet) -> bytes:
    """An Ethernet frame."""
    kind = dpkt.ethernet.ETH_TYPE_IP if isinstance(packet, dpkt.ip.IP) else 0x86DD
    return bytes(dpkt.ethernet.Ethernet(type=kind, data=packet))


def seen(link_type: int, frame: bytes) -> Segment:
    """The segment in a frame that has one."""
    segment = decode_frame(link_type, TS, frame)
    assert isinstance(segment, Segment)
    return segment


EXPECTED = Segment(TS, *V4, 40_000, 80, TCP, 0x18, 7, b"hello", 0)


@pytest.mark.parametrize(
    ("link_type", "link_header"),
    [
        (dpkt.pcap.DLT_EN10MB, bytes(12) + b"\x08\x00"),
        (dpkt.pcap.DLT_EN10MB, bytes(12) + b"\x81\x00\x00\x05\x08\x00"),
        (dpkt.pcap.DLT_LINUX_SLL, bytes(14) + b"\x08\x00"),
        (dpkt.pcap.DLT_LINUX_SLL2, b"\x08\x00" + bytes(18)),
        (dpkt.pcap.DLT_NULL, b"\x02\0\0\0"),
        (dpkt.pcap.DLT_LOOP, b"\0\0\0\x02"),
        (101, b""),
        (12, b""),
        (dpkt.pcap.DLT_IPV4, b""),
    ],
    ids=["ethernet", "vlan", "cooked", "cooked v2", "null", "loop", "raw", "raw bsd", "ipv4"],
)
def test_every_link_layer_gives_the_same_segment(link_type: int, link_header: bytes) -> None:
    assert seen(link_type, link_header + bytes(ipv4(tcp()))) == EXPECTED


def test_ipv6() -> None:
    segment = seen(dpkt.pcap.DLT_EN10MB, ethernet(ipv6(tcp())))
    assert segment == EXPECTED._replace(src=V6[0], dst=V6[1])


@pytest.mark.parametrize(
    ("link_type", "link_header"),
    [
        (dpkt.pcap.DLT_EN10MB, bytes(12) + b"\x86\xdd"),
        (dpkt.pcap.DLT_EN10MB, bytes(12) + b"\x81\x00\x00\x05\x86\xdd"),
        (dpkt.pcap.DLT_LINUX_SLL, bytes(14) + b"\x86\xdd"),
        (dpkt.pcap.DLT_LINUX_SLL, bytes(14) + b"\x81\x00\x00\x05\x86\xdd"),
        (dpkt.pcap.DLT_LINUX_SLL2, b"\x86\xdd" + bytes(18)),
        (dpkt.pcap.DLT_LINUX_SLL2, b"\x81\x00" + bytes(18) + b"\x00\x05\x86\xdd"),
        (dpkt.pcap.DLT_NULL, b"\x1e\0\0\0"),
        (dpkt.pcap.DLT_NULL, b"\x18\0\0\0"),
        (dpkt.pcap.DLT_LOOP, b"\0\0\0\x1c"),
        (101, b""),
        (dpkt.pcap.DLT_IPV6, b""),
    ],
    ids=["ethernet", "vlan", "cooked", "cooked vlan", "cooked v2", "cooked v2 vlan", "null darwin",
         "null bsd", "loop", "raw", "ipv6"],
)  # fmt: skip
def test_every_link_layer_gives_the_same_segment_of_ipv6(
    link_type: int, link_header: bytes
) -> None:
    segment = seen(link_type, link_header + bytes(ipv6(tcp())))
    assert segment == EXPECTED._replace(src=V6[0], dst=V6[1])


@pytest.mark.parametrize("tag", [b"\x81\x00", b"\x88\xa8"])
def test_a_tagged_frame_that_is_cut_is_truncated(tag: bytes) -> None:
    frame = bytes(14) + tag + b"\0\5\x08\0" + bytes(ipv4(tcp()))
    assert seen(dpkt.pcap.DLT_LINUX_SLL, frame) == EXPECTED
    assert decode_frame(dpkt.pcap.DLT_LINUX_SLL, TS, frame[:30]) == "truncated"
    assert decode_frame(dpkt.pcap.DLT_EN10MB, TS, frame[2:28]) == "truncated"


def test_udp_has_neither_flags_nor_sequence() -> None:
    datagram = dpkt.udp.UDP(sport=5_353, dport=53, data=b"query", ulen=13)
    segment = seen(dpkt.pcap.DLT_EN10MB, ethernet(ipv4(datagram, UDP)))
    assert segment == Segment(TS, *V4, 5_353, 53, UDP, 0, 0, b"query", 0)


def test_padding_of_short_frames_is_no_payload() -> None:
    segment = seen(dpkt.pcap.DLT_EN10MB, ethernet(ipv4(tcp(b""))) + bytes(20))
    assert segment.payload == b""


def test_what_the_capture_cut_off_is_counted() -> None:
    frame = ethernet(ipv4(tcp(b"x" * 100)))
    segment = seen(dpkt.pcap.DLT_EN10MB, frame[:-60])
    assert (segment.payload, segment.missing) == (b"x" * 40, 60)


def test_a_frame_without_its_headers_is_truncated() -> None:
    frame = ethernet(ipv4(tcp()))
    headers = 14 + 20 + 20
    for length in range(headers):
        assert decode_frame(dpkt.pcap.DLT_EN10MB, TS, frame[:length]) == "truncated", length
    assert seen(dpkt.pcap.DLT_EN10MB, frame[:headers]).missing == 5


@pytest.mark.parametrize(
    "frame",
    [
        bytes(dpkt.ethernet.Ethernet(type=0x0806, data=dpkt.arp.ARP())),
        ethernet(ipv4(dpkt.icmp.ICMP(type=8, data=dpkt.icmp.ICMP.Echo(data=b"hi")), 1)),
        bytes(12) + b"\x88\xcc" + bytes(46),
    ],
    ids=["arp", "icmp", "lldp"],
)
def test_other_protocols_are_none_of_our_business(frame: bytes) -> None:
    assert decode_frame(dpkt.pcap.DLT_EN10MB, TS, frame) is None


def test_fragments_are_told_as_such() -> None:
    first = ipv4(tcp())
    first.mf = 1
    later = ipv4(tcp())
    later.offset = 100
    for packet in (first, later):
        assert decode_frame(dpkt.pcap.DLT_EN10MB, TS, ethernet(packet)) == "fragment"


@pytest.mark.parametrize("outer", [b"\x88\xa8", b"\x81\x00"])
def test_two_vlan_tags_are_passed_over(outer: bytes) -> None:
    frame = bytes(12) + outer + b"\0\5\x81\0\0\6\x08\0" + bytes(ipv4(tcp()))
    outcome = decode_frame(dpkt.pcap.DLT_EN10MB, TS, frame)
    assert isinstance(outcome, Segment)
    assert outcome.payload == tcp().data


@pytest.mark.parametrize(("position", "value"), [(14, 0x42), (14 + 20 + 12, 0x10)])
def test_lengths_that_lie_are_malformed(position: int, value: int) -> None:
    frame = bytearray(ethernet(ipv4(tcp())))
    frame[position] = value
    assert decode_frame(dpkt.pcap.DLT_EN10MB, TS, bytes(frame)) == "malformed"


@pytest.mark.fuzz("packets")
@settings(deadline=None)
@given(st.sampled_from(sorted(LINK_TYPES)), st.binary(max_size=120))
def test_any_bytes_give_a_segment_a_reason_or_nothing(link_type: int, frame: bytes) -> None:
    outcome = decode_frame(link_type, TS, frame)
    assert outcome in (None, "malformed", "truncated", "fragment") or isinstance(outcome, Segment)


@pytest.mark.fuzz("packets")
@settings(deadline=None)
@given(st.data())
def test_a_damaged_frame_never_raises(data: st.DataObject) -> None:
    frame = bytearray(ethernet(data.draw(st.sampled_from([ipv4(tcp()), ipv6(tcp())]))))
    for position, value in data.draw(
        st.lists(st.tuples(st.integers(12, len(frame) - 1), st.integers(0, 255)), max_size=4)
    ):
        frame[position] = value
    outcome = decode_frame(dpkt.pcap.DLT_EN10MB, TS, bytes(frame))
    assert outcome in (None, "malformed", "truncated", "fragment") or isinstance(outcome, Segment)
