"""Read a pcap or pcapng file; what was read before a fault is never lost."""

from __future__ import annotations

import struct
from collections.abc import Iterator
from decimal import Decimal
from io import BufferedReader
from pathlib import Path

import dpkt

from engine.core.errors import CaptureError
from engine.core.sanitise import clean
from engine.traffic import pcapng
from engine.traffic.packets import LINK_TYPES, Segment, Unusable, decode_frame

_GET_ANOTHER = "capture again, or repair it with a packet tool; what was read so far is kept"


def read_segments(path: Path) -> Iterator[Segment | Unusable]:
    """Every TCP and UDP segment of a capture in order, and the reason for each unreadable one.

    Ethernet, Linux cooked (both versions), BSD loopback and raw IP are understood. Packets of a
    pcapng file's interface that has another link type are told as such, one by one.

    Raises:
        CaptureError: if the file cannot be opened, is no capture, has no link type that is
            understood, or ends in the middle of a packet; in the last case after all that came
            before.
    """
    shown = clean(str(path), 200)
    if path.is_fifo():  # to open one would wait for a writer
        raise CaptureError(
            f"capture {shown} is a pipe, not a file", fix="save it to a file, then read that"
        )
    try:
        with path.open("rb") as file:
            begin = file.read(4)
            file.seek(0)
            frames = _pcapng_frames if pcapng.is_pcapng(begin) else _pcap_frames
            yield from _segments(frames(file, shown), shown)
    except OSError as error:
        raise CaptureError(
            f"capture {shown} cannot be read: {error.strerror}",
            fix="check the path and the permissions",
        ) from error


def _segments(frames: Iterator[pcapng.Frame], shown: str) -> Iterator[Segment | Unusable]:
    understood = False
    for link_type, ts_ns, frame in frames:
        if link_type in LINK_TYPES:
            understood = True
            segment = decode_frame(link_type, ts_ns, frame)
            if segment is not None:
                yield segment
        elif understood:
            yield "link_type"
        else:
            raise _unknown_link(link_type, shown)


def _unknown_link(link_type: int, shown: str) -> CaptureError:
    return CaptureError(
        f"capture {shown} has link type {link_type}, which is not understood",
        fix="capture on an Ethernet, loopback or `any` interface",
    )


def _pcapng_frames(file: BufferedReader, shown: str) -> Iterator[pcapng.Frame]:
    number = 1
    try:
        for frame in pcapng.frames(file):
            number += 1
            yield frame
    except pcapng.Cut:
        raise _ends(shown, "ends in the middle of", number) from None
    except pcapng.Broken as error:
        raise _ends(shown, "is broken at", number) from error


def _pcap_frames(file: BufferedReader, shown: str) -> Iterator[pcapng.Frame]:
    checked = _CheckedFile(file)
    try:
        reader = dpkt.pcap.Reader(checked)
    except (ValueError, dpkt.Error, struct.error, IndexError) as error:
        raise CaptureError(
            f"{shown} is neither pcap nor pcapng", fix="give a file written by tcpdump or Wireshark"
        ) from error
    link_type = reader.datalink()
    if link_type not in LINK_TYPES:
        raise _unknown_link(link_type, shown)
    checked.expect_packets()
    packets = iter(reader)
    number = 0
    while True:
        number += 1
        try:
            ts, frame = next(packets)
        except StopIteration:
            if checked.cut:
                raise _ends(shown, "ends in the middle of", number) from None
            return
        except (dpkt.Error, struct.error, ValueError, IndexError, TypeError) as error:
            what = "ends in the middle of" if checked.cut else "is broken at"
            raise _ends(shown, what, number) from error
        if checked.cut:
            raise _ends(shown, "ends in the middle of", number)
        yield pcapng.Frame(link_type, _nanoseconds(ts), frame)


def _ends(shown: str, how: str, number: int) -> CaptureError:
    return CaptureError(f"capture {shown} {how} packet {number}", fix=_GET_ANOTHER)


def _nanoseconds(ts: float | Decimal) -> int:
    """dpkt gives microsecond stamps as floats, which hold no more than that, and others exactly."""
    return int(ts * 10**9) if isinstance(ts, Decimal) else round(ts * 1e6) * 1_000


class _CheckedFile:
    """A file that remembers when it gave less than it was asked for.

    dpkt takes a packet that is cut off by the end of the file for a whole one. Its readers ask for
    a header and a body in turn; only before a header may the file end.
    """

    def __init__(self, file: BufferedReader) -> None:
        self._file = file
        self._at_header = False
        self.name = file.name
        self.cut = False

    def expect_packets(self) -> None:
        """The file header is read: from now on headers and bodies alternate."""
        self._at_header = True
        self.cut = False

    def read(self, size: int) -> bytes:
        """As a file's read."""
        content = self._file.read(max(0, size))
        if len(content) < size and not (self._at_header and not content):
            self.cut = True
        self._at_header = not self._at_header
        return content

    def seek(self, offset: int) -> int:
        """As a file's seek."""
        return self._file.seek(offset)

    def fileno(self) -> int:
        """As a file's fileno."""
        return self._file.fileno()
