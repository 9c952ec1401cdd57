"""The packets of a pcapng file, each with the link type and the clock of its interface.

Source: pcapng, sections 3 and 4 (blocks), 4.2 (interfaces), 3.5 (options). The blocks are read by
dpkt, whose own reader knows only the first interface.
"""

from __future__ import annotations

import struct
from collections.abc import Iterator
from io import BufferedReader
from typing import NamedTuple

import dpkt
from dpkt import pcapng

SECTION, INTERFACE, PACKET, SIMPLE_PACKET, ENHANCED_PACKET = 0x0A0D0D0A, 1, 2, 3, 6

_BYTE_ORDER_MAGIC = 0x1A2B3C4D
_LARGEST_BLOCK = 64 << 20
_SMALLEST_BLOCK = 12
_MICROSECONDS = 6
_BINARY = 0x80
_HIGHEST_POWER = 63


class Broken(Exception):
    """A block is not what it should be."""


class Cut(Exception):
    """The file ends inside a block."""


class Interface(NamedTuple):
    """Where packets were captured."""

    link_type: int
    snaplen: int
    """Most bytes kept of a packet; 0 for all."""
    ticks_per_s: int
    offset_s: int
    """Added to all its times."""

    def nanoseconds(self, ticks: int) -> int:
        """Wall time of a packet."""
        return (self.offset_s * 10**9) + ticks * 10**9 // self.ticks_per_s


class Frame(NamedTuple):
    """One packet as it was captured."""

    link_type: int
    ts_ns: int
    content: bytes


def is_pcapng(begin: bytes) -> bool:
    """Whether a file that begins so is a pcapng file."""
    return begin[:4] == SECTION.to_bytes(4, "big")


def frames(file: BufferedReader) -> Iterator[Frame]:
    """Every packet in order; of packets without a time, that of the one before.

    Raises:
        Broken: at a block that is not what it should be; after all that came before.
        Cut: at the end of a file that ends inside a block; likewise.
    """
    reader = _Section("<")
    while (block := _next_block(file, reader.order)) is not None:
        kind, order, content = block
        if kind == SECTION:
            reader = _Section(order)
            continue
        try:
            frame = reader.take(kind, content)
        except (dpkt.Error, struct.error, ValueError, IndexError, KeyError, TypeError) as error:
            raise Broken from error
        if frame is not None:
            yield frame


def _next_block(file: BufferedReader, order: str) -> tuple[int, str, bytes] | None:
    """Type, byte order and all bytes of the next block; None at the end of the file."""
    head = file.read(_SMALLEST_BLOCK)
    if not head:
        return None
    if len(head) < _SMALLEST_BLOCK:
        raise Cut
    kind = struct.unpack_from(order + "I", head)[0]
    if is_pcapng(head):
        kind = SECTION
        order = _order(head[8:12])
    length = struct.unpack_from(order + "I", head, 4)[0]
    if not _SMALLEST_BLOCK <= length <= _LARGEST_BLOCK or length % 4:
        raise Broken
    rest = file.read(length - _SMALLEST_BLOCK)
    if len(rest) < length - _SMALLEST_BLOCK:
        raise Cut
    return kind, order, head + rest


def _order(magic: bytes) -> str:
    for order in "<>":
        if struct.unpack(order + "I", magic)[0] == _BYTE_ORDER_MAGIC:
            return order
    raise Broken


class _Section:
    """One section: its byte order and the interfaces described in it so far."""

    def __init__(self, order: str) -> None:
        self.order = order
        self._interfaces: list[Interface] = []
        self._last_ns = 0

    def take(self, kind: int, block: bytes) -> Frame | None:
        """The packet in a block, if it holds one."""
        if kind == INTERFACE:
            self._interfaces.append(self._interface(block))
        elif kind in (ENHANCED_PACKET, PACKET):
            return self._packet(kind, block)
        elif kind == SIMPLE_PACKET:
            return self._simple(block)
        return None

    def _class(self, name: str) -> type:
        found: type = getattr(pcapng, name + "LE" * (self.order == "<"))
        return found

    def _interface(self, block: bytes) -> Interface:
        read = self._class("InterfaceDescriptionBlock")(block)
        resolution, offset = _MICROSECONDS, 0
        for option in read.opts:
            if option.code == pcapng.PCAPNG_OPT_IF_TSRESOL:
                resolution = option.data[0]
            elif option.code == pcapng.PCAPNG_OPT_IF_TSOFFSET:
                offset = struct.unpack(self.order + "q", option.data[:8])[0]
        power = resolution & ~_BINARY
        if power > _HIGHEST_POWER:
            raise Broken
        ticks = (2 if resolution & _BINARY else 10) ** power
        return Interface(read.linktype, read.snaplen, ticks, offset)

    def _packet(self, kind: int, block: bytes) -> Frame:
        read = self._class("PacketBlock" if kind == PACKET else "EnhancedPacketBlock")(block)
        if len(read.pkt_data) < read.caplen:
            raise Broken
        interface = self._interfaces[read.iface_id]
        self._last_ns = interface.nanoseconds(read.ts_high << 32 | read.ts_low)
        return Frame(interface.link_type, self._last_ns, read.pkt_data)

    def _simple(self, block: bytes) -> Frame:
        interface = self._interfaces[0]
        length = struct.unpack_from(self.order + "I", block, 8)[0]
        if interface.snaplen:
            length = min(length, interface.snaplen)
        return Frame(interface.link_type, self._last_ns, block[12:-4][:length])
