"""Capture files: whole ones, cut ones, foreign ones."""

from __future__ import annotations

import os
import struct
from pathlib import Path

import dpkt
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from engine.core.errors import CaptureError
from engine.traffic.packets import Segment, Unusable
from engine.traffic.pcap import read_segments
from fixtures.captures.make_http_pcap import CAPTURE
from tests.unit.traffic.test_packets import ethernet, ipv4, tcp

FRAMES = [ethernet(ipv4(tcp(f"payload {number}".encode()))) for number in range(3)]


def pcap(frames: list[bytes], *, nano: bool = False, link_type: int = 1) -> bytes:
    """A pcap file, one frame every second and a bit."""
    magic = 0xA1B23C4D if nano else 0xA1B2C3D4
    parts = [struct.pack("<IHHIIII", magic, 2, 4, 0, 0, 65_535, link_type)]
    for number, frame in enumerate(frames):
        stamp = 123_456_789 if nano else 123_456
        parts.append(struct.pack("<IIII", 1_700_000_000 + number, stamp, len(frame), len(frame)))
        parts.append(frame)
    return b"".join(parts)


def block(kind: int, body: bytes, order: str = "<") -> bytes:
    """One block of a pcapng file."""
    body += bytes(-len(body) % 4)
    length = struct.pack(order + "I", len(body) + 12)
    return struct.pack(order + "I", kind) + length + body + length


def section(order: str = "<") -> bytes:
    """The head of a section."""
    return block(0x0A0D0D0A, struct.pack(order + "IHHq", 0x1A2B3C4D, 1, 0, -1), order)


def interface(link_type: int = 1, options: bytes = b"", order: str = "<") -> bytes:
    """An interface, with options."""
    return block(1, struct.pack(order + "HHI", link_type, 0, 65_535) + options, order)


def option(code: int, value: bytes, order: str = "<") -> bytes:
    """An option of a block."""
    return struct.pack(order + "HH", code, len(value)) + value + bytes(-len(value) % 4)


def packet(number: int, ticks: int, frame: bytes, order: str = "<", wire: int = 0) -> bytes:
    """A packet of an interface, told by its number."""
    sizes = len(frame), wire or len(frame)
    head = struct.pack(order + "IIIII", number, ticks >> 32, ticks & 0xFFFF_FFFF, *sizes)
    return block(6, head + frame, order)


def pcapng(frames: list[bytes], *, statistics: bool = False) -> bytes:
    """A pcapng file of one interface."""
    parts = [section(), interface()]
    for number, frame in enumerate(frames):
        parts.append(packet(0, (1_700_000_000 + number) * 1_000_000 + 123_456, frame))
    if statistics:
        parts.append(block(5, struct.pack("<III", 0, 0, 0)))
    return b"".join(parts)


def read(path: Path) -> tuple[list[Segment | Unusable], str]:
    """All segments, and how the reading ended."""
    segments = []
    try:
        for segment in read_segments(path):
            segments.append(segment)  # noqa: PERF402  # what came before an error counts
    except CaptureError as error:
        return segments, str(error)
    return segments, ""


def written(folder: Path, content: bytes) -> Path:
    """A capture file."""
    path = folder / "x.pcap"
    path.write_bytes(content)
    return path


@pytest.mark.parametrize(
    ("content", "fraction_ns"),
    [
        (pcap(FRAMES), 123_456_000),
        (pcap(FRAMES, nano=True), 123_456_789),
        (pcapng(FRAMES), 123_456_000),
        (pcapng(FRAMES, statistics=True), 123_456_000),
    ],
    ids=["pcap", "pcap nanoseconds", "pcapng", "pcapng with statistics"],
)
def test_a_whole_file(tmp_path: Path, content: bytes, fraction_ns: int) -> None:
    segments, error = read(written(tmp_path, content))
    assert error == ""
    assert all(isinstance(segment, Segment) for segment in segments)
    found = [segment for segment in segments if isinstance(segment, Segment)]
    assert [(segment.ts_ns, segment.payload) for segment in found] == [
        ((1_700_000_000 + number) * 10**9 + fraction_ns, f"payload {number}".encode())
        for number in range(3)
    ]


def test_a_file_without_packets(tmp_path: Path) -> None:
    assert read(written(tmp_path, pcap([]))) == ([], "")


@pytest.mark.parametrize("whole", [pcap(FRAMES), pcapng(FRAMES)], ids=["pcap", "pcapng"])
@pytest.mark.parametrize("cut", [1, 5, 60, 70])
def test_a_cut_file_gives_what_was_whole_and_says_where_it_ends(
    tmp_path: Path, whole: bytes, cut: int
) -> None:
    segments, error = read(written(tmp_path, whole[:-cut]))
    assert len(segments) == 2
    assert "ends in the middle of packet 3" in error


def test_a_pcap_cut_between_packets_is_whole(tmp_path: Path) -> None:
    whole = pcap(FRAMES)
    segments, error = read(written(tmp_path, whole[: -len(FRAMES[2]) - 16]))
    assert (len(segments), error) == (2, "")
    segments, error = read(written(tmp_path, whole[: -len(FRAMES[2])]))
    assert len(segments) == 2
    assert "ends in the middle of packet 3" in error


@pytest.mark.parametrize("content", [b"", b"\xd4\xc3", b"GET / HTTP/1.1\r\n\r\n", bytes(100)])
def test_what_is_no_capture_is_refused(tmp_path: Path, content: bytes) -> None:
    segments, error = read(written(tmp_path, content))
    assert segments == []
    assert "neither pcap nor pcapng" in error
    assert "tcpdump" in error


def test_a_link_type_that_is_not_understood_is_named(tmp_path: Path) -> None:
    assert "link type 105" in read(written(tmp_path, pcap(FRAMES, link_type=105)))[1]


def test_a_file_that_cannot_be_opened_is_named(tmp_path: Path) -> None:
    assert "absent.pcap cannot be read: No such file" in read(tmp_path / "absent.pcap")[1]
    assert "Is a directory" in read(tmp_path)[1]


def test_unreadable_frames_do_not_end_the_reading(tmp_path: Path) -> None:
    frames = [FRAMES[0], FRAMES[0][:40], FRAMES[1]]
    segments, error = read(written(tmp_path, pcap(frames)))
    assert error == ""
    assert [type(segment) for segment in segments] == [Segment, str, Segment]


@pytest.mark.fuzz("capture files")
@settings(deadline=None, max_examples=60)
@given(st.data())
def test_a_damaged_capture_never_raises_anything_else(
    tmp_path_factory: pytest.TempPathFactory, data: st.DataObject
) -> None:
    content = bytearray(data.draw(st.sampled_from([pcap(FRAMES), pcapng(FRAMES)])))
    positions = st.integers(0, len(content) - 1)
    for position, value in data.draw(
        st.lists(st.tuples(positions, st.integers(0, 255)), max_size=5)
    ):
        content[position] = value
    path = written(tmp_path_factory.mktemp("damaged"), bytes(content))
    segments, _ = read(path)
    assert len(segments) < 20


def test_the_fixture_is_whole_loopback_traffic_without_doubles() -> None:
    segments, error = read(CAPTURE)
    assert error == ""
    assert len(segments) == len(set(segments)) > 100
    with CAPTURE.open("rb") as file:
        assert dpkt.pcap.Reader(file).datalink() == dpkt.pcap.DLT_EN10MB
    assert CAPTURE.stat().st_size < 60_000
    assert all(
        isinstance(segment, Segment) and segment.src == segment.dst == b"\x7f\0\0\1"
        for segment in segments
    )


SECOND = 1_700_000_000
NANOSECONDS, BINARY_MILLISECONDS = option(9, b"\x09"), option(9, b"\x8a")
COOKED2 = b"\x08\x00" + bytes(18)


def test_every_interface_has_its_own_link_type_and_clock(tmp_path: Path) -> None:
    content = (
        section()
        + interface(1)
        + interface(276, NANOSECONDS)
        + packet(1, SECOND * 10**9 + 1, COOKED2 + bytes(ipv4(tcp(b"cooked"))))
        + packet(0, SECOND * 10**6 + 2, FRAMES[0])
        + interface(101, BINARY_MILLISECONDS + option(14, struct.pack("<q", 100)))
        + packet(2, (SECOND << 10) + 512, bytes(ipv4(tcp(b"raw"))))
    )
    segments, error = read(written(tmp_path, content))
    assert error == ""
    assert [(one.ts_ns, one.payload) for one in segments if isinstance(one, Segment)] == [
        (SECOND * 10**9 + 1, b"cooked"),
        (SECOND * 10**9 + 2_000, b"payload 0"),
        ((SECOND + 100) * 10**9 + 500_000_000, b"raw"),
    ]


def test_a_new_section_has_its_own_byte_order_and_interfaces(tmp_path: Path) -> None:
    content = (
        section("<")
        + interface(113)
        + packet(0, SECOND * 10**6, bytes(14) + b"\x08\x00" + bytes(ipv4(tcp(b"one"))))
        + section(">")
        + interface(1, order=">")
        + packet(0, SECOND * 10**6, FRAMES[1], ">")
    )
    segments, error = read(written(tmp_path, content))
    assert error == ""
    assert [one.payload for one in segments if isinstance(one, Segment)] == [b"one", b"payload 1"]


def test_packets_of_an_interface_that_is_not_understood_are_told_beside_the_others(
    tmp_path: Path,
) -> None:
    content = (
        section()
        + interface(1)
        + interface(105)
        + packet(0, 0, FRAMES[0])
        + packet(1, 0, b"wifi")
        + packet(0, 0, FRAMES[1])
    )
    segments, error = read(written(tmp_path, content))
    assert error == ""
    assert [one if isinstance(one, str) else one.payload for one in segments] == [
        b"payload 0",
        "link_type",
        b"payload 1",
    ]
    alone = section() + interface(105) + packet(0, 0, b"wifi")
    assert "link type 105" in read(written(tmp_path, alone))[1]


def test_a_packet_without_a_time_has_that_of_the_one_before(tmp_path: Path) -> None:
    simple = block(3, struct.pack("<I", len(FRAMES[1])) + FRAMES[1])
    content = section() + interface() + packet(0, SECOND * 10**6, FRAMES[0]) + simple
    segments, error = read(written(tmp_path, content))
    assert error == ""
    assert [(one.ts_ns, one.payload) for one in segments if isinstance(one, Segment)] == [
        (SECOND * 10**9, b"payload 0"),
        (SECOND * 10**9, b"payload 1"),
    ]


def test_a_packet_of_an_interface_that_was_never_described_is_a_fault(tmp_path: Path) -> None:
    content = section() + interface() + packet(0, 0, FRAMES[0]) + packet(7, 0, FRAMES[1])
    segments, error = read(written(tmp_path, content))
    assert len(segments) == 1
    assert "is broken at packet 2" in error


def test_what_a_snap_length_cut_off_is_missing_not_lost(tmp_path: Path) -> None:
    frame = ethernet(ipv4(tcp(b"x" * 100)))
    content = section() + interface() + packet(0, 0, frame[:-60], wire=len(frame))
    (segment,), error = read(written(tmp_path, content))
    assert error == ""
    assert isinstance(segment, Segment)
    assert (len(segment.payload), segment.missing) == (40, 60)


def test_a_pipe_is_refused_and_not_waited_for(tmp_path: Path) -> None:
    path = tmp_path / "pipe"
    os.mkfifo(path)
    with pytest.raises(CaptureError, match="is a pipe, not a file"):
        next(read_segments(path))
