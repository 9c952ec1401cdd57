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
from engine.traffic.packets import LINK_TYPES, Segment, Unusable, decode_frame

_GET_ANOTHER = "capture again, or repair it with a packet tool; what was read so far is kept"


def read_segments(path: Path) -> Iterator[Segment | Unusable]:
    """Every TCP and UDP segment of a capture in order, and the reason for each unreadable one.

    Ethernet, Linux cooked (both versions), BSD loopback and raw IP are understood; of a pcapng
    file the first interface.

    Raises:
        CaptureError: if the file cannot be opened, is no capture, has another link type, or ends
            in the middle of a packet; in the last case after all that came before.
    """
    shown = clean(str(path), 200)
    try:
        with path.open("rb") as file:
            yield from _segments(file, shown)
    except OSError as error:
        raise CaptureError(
            f"capture {shown} cannot be read: {error.strerror}",
            fix="check the path and the permissions",
        ) from error


def _segments(file: BufferedReader, shown: str) -> Iterator[Segment | Unusable]:
    checked = _CheckedFile(file)
    try:
        reader = dpkt.pcap.UniversalReader(checked)
    except (ValueError, dpkt.Error, struct.error, IndexError) as error:
        raise CaptureError(
            f"{shown} is neither pcap nor pcapng", fix="give a file written by tcpdump or Wireshark"
        ) from error
    link_type = reader.datalink()
    if link_type not in LINK_TYPES:
        raise CaptureError(
            f"capture {shown} has link type {link_type}, which is not understood",
            fix="capture on an Ethernet, loopback or `any` interface",
        )
    checked.expect_packets()
    for number, (ts_ns, frame) in enumerate(_frames(reader, checked, shown), start=1):
        if checked.cut:
            raise CaptureError(
                f"capture {shown} ends in the middle of packet {number}", fix=_GET_ANOTHER
            )
        segment = decode_frame(link_type, ts_ns, frame)
        if segment is not None:
            yield segment


def _frames(
    reader: dpkt.pcap.Reader, checked: _CheckedFile, shown: str
) -> Iterator[tuple[int, bytes]]:
    packets = iter(reader)
    number = 0
    while True:
        number += 1
        try:
            ts, frame = next(packets)
        except StopIteration:
            if checked.cut:
                raise CaptureError(
                    f"capture {shown} ends in the middle of packet {number}", fix=_GET_ANOTHER
                ) from None
            return
        except (dpkt.Error, struct.error, ValueError, IndexError, TypeError) as error:
            what = "ends in the middle of" if checked.cut else "is broken at"
            raise CaptureError(
                f"capture {shown} {what} packet {number}", fix=_GET_ANOTHER
            ) from error
        yield _nanoseconds(ts), frame


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
